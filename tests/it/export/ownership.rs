//! Nothing of the user's is replaced, removed or changed: what an export made is known by its record, not by its name.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::bulk::{OBSERVATIONS, PATIENTS, ndjson};
use crate::support::medplum::tree;
use crate::support::{Answer, Bulk};

pub(super) const P: &str = "Patient_files_p.ndjson";
pub(super) const O: &str = "Observation_files_o.ndjson";
const C: &str = "Condition_files_c.ndjson";

/// Three files, of which that of the observations does not come.
pub(super) fn partial() -> Bulk {
    let bulk = Bulk::with_three_files();
    bulk.server.on("GET", "/files/o", Answer::empty(403));
    bulk.export(&[]).fails(5);
    bulk.server.on("GET", "/files/o", ndjson(OBSERVATIONS));
    bulk
}

fn out(bulk: &Bulk, name: &str) -> PathBuf {
    bulk.medplum.path("out").join(name)
}

/// Puts a document with this attachment into the export; what it is of is served as text.
pub(super) fn with_a_letter(bulk: &Bulk, name: &str) {
    let attachment = json!({"contentType": "text/plain", "url": format!("Binary/{name}")});
    let document = json!({"resourceType": "DocumentReference", "id": name, "content": [{"attachment": attachment}]});
    let target = format!("/files/{name}");
    bulk.file(
        "output",
        "DocumentReference",
        &target,
        ndjson(format!("{document}\n")),
    );
    let letter = Answer::new(200, "text/plain", format!("the letter {name}"));
    bulk.server
        .on("GET", &format!("/fhir/R4/Binary/{name}"), letter);
}

/// E3: a resume looked for what was in the way hours before it replaced it.
#[test]
fn a_file_put_where_a_missing_or_a_new_one_goes_stays_and_costs_only_that_file() {
    let bulk = partial();
    fs::write(out(&bulk, O), "mine").unwrap();
    fs::write(out(&bulk, "Patient_files_late.ndjson"), "mine too").unwrap();
    // The same bytes for two entries would be a fault of their own.
    let body = |name: &str| PATIENTS.replace("\"id\":\"", &format!("\"id\":\"{name}-"));
    for name in ["late", "later"] {
        bulk.file(
            "output",
            "Patient",
            &format!("/files/{name}"),
            ndjson(body(name)),
        );
    }
    bulk.export(&[]).fails(5).says("in the way");
    assert_eq!(bulk.medplum.read(&format!("out/{O}")), "mine");
    assert_eq!(
        bulk.medplum.read("out/Patient_files_late.ndjson"),
        "mine too"
    );
    assert_eq!(
        bulk.medplum.read("out/Patient_files_later.ndjson"),
        body("later"),
        "the others come"
    );
    assert_eq!(bulk.deletes(), 0);
    for name in [O, "Patient_files_late.ndjson"] {
        fs::remove_file(out(&bulk, name)).unwrap();
    }
    bulk.export(&[]).ok();
    assert_eq!((bulk.names().len(), bulk.deletes()), (5, 1));
}

/// The same while a file is on its way: the name is looked at when the file gets it.
#[test]
fn a_file_that_appears_while_its_name_is_being_fetched_stays() {
    let bulk = Bulk::with_three_files();
    let path = out(&bulk, O);
    let made = path.clone();
    bulk.server.guard(move |request| {
        if request.path() == "/files/o" {
            fs::write(&made, "mine").unwrap();
        }
        None
    });
    bulk.export(&["--parallel", "1"])
        .fails(5)
        .says("in the way");
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    let mut names = bulk.names();
    names.retain(|name| !name.starts_with('.'));
    assert_eq!(names, [C, O, P]);
    assert_eq!(bulk.deletes(), 0);
}

/// C6: `exists` follows a symlink, and one that leads nowhere was not there.
#[test]
fn a_symlink_that_leads_nowhere_is_in_the_way_too() {
    for name in [O, "manifest.json", "log.ndjson"] {
        let bulk = Bulk::with_three_files();
        fs::create_dir_all(bulk.medplum.path("out")).unwrap();
        symlink("nowhere", out(&bulk, name)).unwrap();
        bulk.export(&[])
            .fails(2)
            .says(&format!("{name} is in the way"));
        let target = fs::read_link(out(&bulk, name)).unwrap();
        assert_eq!(target, Path::new("nowhere"), "{name}");
        fs::remove_file(out(&bulk, name)).unwrap();
        bulk.export(&[]).ok();
    }
}

/// E4: the folder of the attachments was removed whole, whatever lay in it.
#[test]
fn what_the_user_keeps_among_the_attachments_stays() {
    let bulk = Bulk::open();
    with_a_letter(&bulk, "one");
    let args = ["--attachments", "download", "--keep"];
    bulk.export(&args).ok();
    let notes = out(&bulk, "attachments/my-notes.txt");
    fs::write(&notes, "mine").unwrap();
    with_a_letter(&bulk, "two");
    bulk.manifest(|manifest| {
        manifest["output"]
            .as_array_mut()
            .unwrap()
            .retain(|file| !file["url"].as_str().unwrap().ends_with("one"));
    });
    let replace = [&args[..], &["--overwrite"]].concat();
    bulk.export(&replace).ok();
    assert_eq!(fs::read_to_string(&notes).unwrap(), "mine");
    let letters: Vec<_> = bulk
        .names()
        .into_iter()
        .filter(|name| name.contains("Binary_"))
        .collect();
    assert!(
        letters.len() == 1 && letters[0].contains("Binary_two"),
        "only the new one: {letters:?}"
    );
}

/// The same when nothing of an export had come but its status URL.
#[test]
fn a_restart_removes_no_attachments_that_are_not_ours() {
    let bulk = Bulk::open();
    with_a_letter(&bulk, "one");
    bulk.export(&["--attachments", "download", "--detach"]).ok();
    let notes = out(&bulk, "attachments/my-notes.txt");
    fs::create_dir_all(notes.parent().unwrap()).unwrap();
    fs::write(&notes, "mine").unwrap();
    let run = bulk.export(&["--attachments", "download", "--restart"]);
    assert_eq!(fs::read_to_string(&notes).unwrap(), "mine", "{run}");
    run.fails(2).says("attachments is in the way");
}

/// C9: any file under an attachment's name counted as that attachment.
#[test]
fn a_file_under_the_name_of_an_attachment_is_not_taken_for_it() {
    let bulk = Bulk::open();
    with_a_letter(&bulk, "one");
    let args = ["--attachments", "download", "--keep"];
    bulk.export(&args).ok();
    let names = bulk.names();
    let name = names.iter().find(|name| name.contains("Binary_")).unwrap();
    fs::remove_dir_all(bulk.medplum.path("out")).unwrap();
    bulk.server
        .on("GET", "/fhir/R4/Binary/one", Answer::empty(403));
    bulk.export(&args).fails(5);
    let path = out(&bulk, name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "").unwrap();
    let letter = Answer::new(200, "text/plain", "the letter one");
    bulk.server.on("GET", "/fhir/R4/Binary/one", letter);
    bulk.export(&args).fails(5).says("move it away");
    assert_eq!(fs::read_to_string(&path).unwrap(), "");
    fs::remove_file(&path).unwrap();
    bulk.export(&args).ok();
    assert_eq!(fs::read_to_string(&path).unwrap(), "the letter one");
}

/// C10: old attachments stayed beside an empty index.
#[test]
fn attachments_of_the_old_export_go_with_it() {
    let bulk = Bulk::open();
    with_a_letter(&bulk, "one");
    let args = ["--attachments", "download", "--keep"];
    bulk.export(&args).ok();
    assert!(bulk.names().iter().any(|name| name.contains("Binary_one")));
    bulk.manifest(|manifest| manifest["output"] = json!([]));
    bulk.file("output", "Patient", "/files/p", ndjson(PATIENTS));
    bulk.export(&[&args[..], &["--overwrite"]].concat()).ok();
    assert_eq!(bulk.names(), [P, "attachments.ndjson"]);
    bulk.export(&["--keep", "--overwrite", "--attachments", "off"])
        .ok();
    assert_eq!(bulk.names(), [P]);
}

/// E9, C7: what the user put under the name of a document for reading.
#[test]
fn overwrite_replaces_no_log_and_no_manifest_of_the_users() {
    for name in ["log.ndjson", "manifest.json"] {
        let bulk = Bulk::with_three_files();
        bulk.export(&["--keep"]).ok();
        fs::write(out(&bulk, name), "my own words\n").unwrap();
        bulk.export(&["--keep", "--overwrite"])
            .fails(2)
            .says(&format!("{name} is in the way"));
        assert_eq!(bulk.medplum.read(&format!("out/{name}")), "my own words\n");
        assert_eq!(bulk.kick_offs(), 1, "nothing was asked for in vain");
        fs::remove_file(out(&bulk, name)).unwrap();
        bulk.export(&["--keep", "--overwrite"]).ok();
    }
}

/// A resume cut the user's words off its end, and added its own.
#[test]
fn a_log_of_the_users_is_not_written_into_by_a_resume() {
    let bulk = partial();
    fs::write(out(&bulk, "log.ndjson"), "my own words").unwrap();
    let run = bulk.export(&[]).ok();
    assert_eq!(bulk.medplum.read("out/log.ndjson"), "my own words", "{run}");
    run.says("log.ndjson cannot be written");
}

/// What an export in this folder lists, as versions before 3 have it or as it is now.
pub fn list_of(folder: &Path) -> PathBuf {
    let names = fs::read_dir(folder.join(".medplum-export")).unwrap();
    let mut paths = names.map(|entry| entry.unwrap().path());
    let is_list = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name == "files.json" || name.starts_with("plan.")
    };
    paths.find(is_list).unwrap()
}

/// E10: a list that is gone counted as an empty one; the old files were removed for it, and then the new ones.
#[test]
fn a_list_that_is_gone_is_no_empty_one() {
    let bulk = Bulk::with_three_files();
    bulk.export(&["--keep"]).ok();
    let before = bulk.files();
    bulk.server.on("GET", "/files/o", Answer::empty(403));
    bulk.export(&["--keep", "--overwrite"]).fails(5);
    let list = list_of(&out(&bulk, ".medplum-export/new"));
    fs::remove_file(&list).unwrap();
    bulk.export(&["--keep", "--overwrite"])
        .fails(1)
        .says(&list.file_name().unwrap().to_string_lossy())
        .says("--restart");
    assert_eq!(bulk.files(), before);
    bulk.server.on("GET", "/files/o", ndjson(OBSERVATIONS));
    bulk.export(&["--keep", "--overwrite", "--restart"]).ok();
    assert_eq!(bulk.files(), before);
}

/// C11: a folder that came from elsewhere names what it likes.
#[test]
fn paths_of_a_state_lead_nowhere_else() {
    for list in ["the plan", "done.ndjson"] {
        let bulk = partial();
        let precious = bulk.medplum.file("precious.txt", "mine");
        let path = match list {
            "the plan" => list_of(&out(&bulk, "")),
            list => out(&bulk, &format!(".medplum-export/{list}")),
        };
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace(P, "../precious.txt")).unwrap();
        let done = out(&bulk, ".medplum-export/done.ndjson");
        let text = fs::read_to_string(&done).unwrap();
        fs::write(
            &done,
            text.replace(P, "../precious.txt")
                .replace(&format!("\"bytes\":{}", PATIENTS.len()), "\"bytes\":4"),
        )
        .unwrap();
        bulk.export(&["--restart"]).fails(1).says("precious.txt");
        assert_eq!(fs::read_to_string(&precious).unwrap(), "mine", "{list}");
    }
}

#[test]
fn a_status_url_that_is_a_resource_is_not_deleted() {
    let bulk = Bulk::with_three_files();
    bulk.export(&["--detach"]).ok();
    let path = out(&bulk, ".medplum-export/job.json");
    let mut state: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    for address in [
        "/fhir/R4/Patient/1",
        "/fhir/R4/Patient?_id=1",
        "/fhir/R4/%50atient/1",
        "/admin/projects/1/members/2",
    ] {
        state["statusUrl"] = bulk.server.url(address).into();
        fs::write(&path, state.to_string()).unwrap();
        let run = bulk.medplum.run(["bulk", "cancel", "out"]);
        run.fails(1).says("not of a job");
        assert_eq!(bulk.deletes(), 0, "{address}");
    }
}

/// The principle: a canary beside everything that any command of the export may touch, under every name it could choose.
#[test]
fn a_folder_full_of_the_users_files_keeps_them_all() {
    let bulk = Bulk::with_three_files();
    with_a_letter(&bulk, "one");
    // This server gives every job the same URL: a job that was ended must not take the next one along.
    bulk.server
        .guard(|request| (request.method == "DELETE").then(|| Answer::empty(202)));
    let all = ["--attachments", "download", "--keep"];
    bulk.export(&all).ok();
    let mut names = bulk.names();
    fs::remove_dir_all(bulk.medplum.path("out")).unwrap();
    names.extend(["manifest.json", "log.ndjson", "attachments.ndjson"].map(str::to_owned));
    names.extend(
        [
            "Patient.00001.ndjson",
            "1.Patient.ndjson",
            "deleted/Bundle_files_d.ndjson",
        ]
        .map(str::to_owned),
    );
    let beside = [
        "notes.txt",
        "attachments/notes.txt",
        "deleted/notes.txt",
        "errors/notes.txt",
        "../beside.txt",
    ];
    for taken in &names {
        let canaries: Vec<PathBuf> = beside
            .iter()
            .map(|name| out(&bulk, name))
            .chain([out(&bulk, taken)])
            .collect();
        let put = |path: &PathBuf| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if !path.exists() {
                fs::write(path, format!("canary {}", path.display())).unwrap();
            }
        };
        let check = |at: &str| {
            for path in &canaries {
                let found = fs::read_to_string(path).unwrap_or_default();
                assert_eq!(found, format!("canary {}", path.display()), "{taken}: {at}");
            }
        };
        canaries.iter().for_each(put);
        for args in [
            &all[..],
            &["--keep"],
            &["--restart", "--keep"],
            &["--overwrite", "--keep"],
        ] {
            let run = bulk.export(args);
            assert!([0, 2, 5].contains(&run.code), "{run}");
            check(&format!("{args:?}"));
        }
        let run = bulk.medplum.run(["bulk", "cancel", "out"]);
        assert!([0, 2].contains(&run.code), "{run}");
        check("cancel");
        let run = bulk.export(&["--keep"]);
        assert!([0, 2, 5].contains(&run.code), "{run}");
        check("export after cancel");
        fs::remove_dir_all(bulk.medplum.path("out")).unwrap();
    }
    assert!(
        tree(&bulk.medplum.path(""))
            .iter()
            .any(|(path, _)| path.ends_with("beside.txt"))
    );
}
