//! A folder that somebody else gave: what its state says leads the token to no other host, and nothing out of the folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use super::ownership::{O, partial, with_a_letter};
use crate::support::bulk::{PATIENTS, ndjson};
use crate::support::medplum::tree;
use crate::support::{Answer, Bulk, Medplum, Server};

/// Changes the text of a file of a state, where this version has it.
fn change(medplum: &Medplum, name: &str, change: impl Fn(&str) -> String) -> bool {
    let path = medplum.path("out/.medplum-export").join(name);
    let Ok(text) = fs::read_to_string(&path) else {
        return false;
    };
    fs::write(&path, change(&text)).unwrap();
    true
}

fn change_json(medplum: &Medplum, name: &str, change_in: impl Fn(&mut Value)) {
    let is_there = change(medplum, name, |text| {
        let mut state = serde_json::from_str(text).unwrap();
        change_in(&mut state);
        state.to_string()
    });
    assert!(is_there, "there is no {name}");
}

/// The list of files names another host, as a page of the own server would, and the job's status is gone: what the folder
/// says was enough for the token.
#[test]
fn a_list_of_files_that_somebody_wrote_leads_the_token_nowhere() {
    let bulk = partial();
    let foreign = Server::start();
    foreign.on("GET", "/o", Answer::empty(403));
    let (own, other) = (bulk.server.url("/files/o"), foreign.url("/o"));
    let lists = ["plan.1.ndjson", "plan.2.ndjson", "files.json"];
    let changed = lists.map(|name| change(&bulk.medplum, name, |text| text.replace(&own, &other)));
    assert!(changed.contains(&true));
    let gone = bulk.server.url("/fhir/R4/bulkstatus/of-nobody");
    change_json(&bulk.medplum, "job.json", |state| {
        state["statusUrl"] = gone.as_str().into();
    });
    bulk.medplum.run(["bulk", "resume", "out"]).fails(5);
    let asked = foreign.requests_to("/o");
    assert!(!asked.is_empty(), "nobody asked there");
    for request in &asked {
        assert_eq!(request.header("Authorization"), None, "{}", request.line());
    }
}

/// The same with attachments, which go where the files did.
#[test]
fn an_attachment_of_a_folder_that_somebody_wrote_leads_the_token_nowhere() {
    let bulk = Bulk::with_three_files();
    let foreign = Server::start();
    let document = format!(
        r#"{{"resourceType":"DocumentReference","id":"d","content":[{{"attachment":{{"contentType":"text/plain","url":"{}"}}}}]}}"#,
        foreign.url("/letter")
    );
    bulk.file(
        "output",
        "DocumentReference",
        "/files/d",
        ndjson(document + "\n"),
    );
    let downloads = ["--attachments", "download", "--keep"];
    bulk.export(&downloads).fails(5);
    foreign.forget();
    let (own, other) = (bulk.server.url("/files/c"), foreign.url("/c"));
    let lists = ["plan.1.ndjson", "plan.2.ndjson", "files.json"];
    let changed = lists.map(|name| change(&bulk.medplum, name, |text| text.replace(&own, &other)));
    assert!(changed.contains(&true));
    let gone = bulk.server.url("/fhir/R4/bulkstatus/of-nobody");
    change_json(&bulk.medplum, "job.json", |state| {
        state["statusUrl"] = gone.as_str().into();
    });
    bulk.export(&downloads).fails(5);
    let asked = foreign.requests_to("/letter");
    assert!(!asked.is_empty(), "nobody asked there");
    for request in &asked {
        assert_eq!(request.header("Authorization"), None, "{}", request.line());
    }
}

/// Files at another host that wants the token are fetched after a kill as before it: the server names them once more.
#[test]
fn another_host_of_the_manifest_gets_the_token_after_a_kill_too() {
    let bulk = Bulk::with_three_files();
    let host = bulk.file_host();
    host.on("GET", "/files/far", Answer::empty(403));
    bulk.entry(
        "output",
        serde_json::json!({"type": "Patient", "url": host.url("/files/far")}),
    );
    bulk.export(&[]).fails(5);
    let far = PATIENTS.replace("\"id\":\"", "\"id\":\"far-");
    host.on("GET", "/files/far", ndjson(far));
    bulk.medplum.run(["bulk", "resume", "out"]).ok();
    let asked = host.requests_to("/files/far");
    assert!(
        asked
            .iter()
            .all(|request| request.header("Authorization").is_some())
    );
}

/// The name of a run is one in the folder of the series; another one had the folder there moved away.
#[test]
fn a_series_that_somebody_wrote_moves_no_folder_of_the_users() {
    let series = ["--since", "auto"];
    for name in ["../precious", "/precious", ".medplum-export", "link"] {
        let bulk = Bulk::with_three_files();
        bulk.server.on("GET", "/files/o", Answer::empty(500));
        bulk.export(&series).fails(5);
        bulk.medplum.file("precious/.medplum-export/job.json", "{}");
        bulk.medplum.file("precious/thesis", "mine");
        symlink("../precious", bulk.medplum.path("out/link")).unwrap();
        let precious = bulk.medplum.path("precious");
        let named = name.replace("/precious", precious.to_str().unwrap());
        let named = if name.starts_with('.') {
            name.to_owned()
        } else {
            named
        };
        change_json(&bulk.medplum, "series.json", |state| {
            state["current"] = named.as_str().into();
        });
        let before = tree(&precious);
        bulk.export(&[&series[..], &["--restart"]].concat())
            .fails(1)
            .says("series.json");
        assert!(precious.is_dir(), "{name}");
        assert_eq!(tree(&precious), before, "{name}");
    }
}

/// Whatever a folder of an export links to stays as it is.
#[test]
fn a_symlink_in_the_place_of_a_folder_leads_nothing_away() {
    for name in [
        ".medplum-export",
        ".medplum-export/new",
        ".medplum-export/parts",
        "errors",
        "deleted",
        "attachments",
    ] {
        let bulk = partial();
        with_a_letter(&bulk, "one");
        let (inside, theirs) = (
            bulk.medplum.path("out").join(name),
            bulk.medplum.path("theirs"),
        );
        if inside.exists() {
            fs::rename(&inside, &theirs).unwrap();
        }
        for file in ["new/a", "parts/a", "x.part", "a.ndjson", "thesis"] {
            bulk.medplum.file(&format!("theirs/{file}"), "mine");
        }
        symlink(&theirs, &inside).unwrap();
        let before = tree(&theirs);
        for args in [
            &["--restart", "--attachments", "download"][..],
            &["--attachments", "download"],
            &["--overwrite"],
        ] {
            let run = bulk.export(args);
            assert!(
                run.code == 2 || run.stderr.contains("another request"),
                "{name}: {run}"
            );
            assert_eq!(tree(&theirs), before, "{name}: {run}");
        }
        bulk.medplum
            .run(["bulk", "cancel", "out"])
            .fails(2)
            .says("symlink");
        assert_eq!(tree(&theirs), before, "{name}");
    }
}

/// The record of a file that lies deeper than any of ours, behind a link to somewhere else.
#[test]
fn a_record_that_somebody_wrote_removes_no_file_behind_a_link() {
    let bulk = partial();
    bulk.medplum.file("theirs/thesis", "mine");
    symlink("../theirs", bulk.medplum.path("out/folder")).unwrap();
    for list in ["done.ndjson", "ours.ndjson"] {
        let record =
            r#"{"path":"folder/thesis","bytes":4,"resources":0,"outcomes":{},"reading":9}"#;
        change(&bulk.medplum, list, |text| format!("{text}{record}\n"));
    }
    bulk.export(&["--restart"])
        .fails(1)
        .says("lies not in the folder");
    assert_eq!(bulk.medplum.read("theirs/thesis"), "mine");
}

/// Copies that are hard links (`cp -al`, rsnapshot), or a file of the user's under another name: what is added to a list
/// went into them.
#[test]
fn what_is_added_to_a_list_goes_to_no_other_name_of_it() {
    let bulk = partial();
    let names = [
        ".medplum-export/done.ndjson",
        ".medplum-export/ours.ndjson",
        "log.ndjson",
    ];
    for (number, name) in names.iter().enumerate() {
        let path = bulk.medplum.path("out").join(name);
        if path.exists() {
            fs::hard_link(path, bulk.medplum.path(&format!("copy-{number}"))).unwrap();
        }
    }
    let copies = || [0, 2].map(|number| bulk.medplum.read(&format!("copy-{number}")));
    let before = copies();
    bulk.medplum.run(["bulk", "resume", "out"]).ok();
    assert!(bulk.names().contains(&O.to_owned()));
    assert_eq!(copies(), before);
}

/// A lock that is a link to nowhere had an empty file made there.
#[test]
fn a_lock_that_is_a_link_makes_no_file_elsewhere() {
    let bulk = partial();
    let lock = bulk.medplum.path("out/.medplum-export/lock");
    fs::remove_file(&lock).unwrap();
    symlink(bulk.medplum.path("made"), &lock).unwrap();
    let run = bulk.medplum.run(["bulk", "resume", "out"]);
    assert!(!Path::new(&bulk.medplum.path("made")).exists(), "{run}");
    run.fails(1).says(".medplum-export");
}

/// Addresses that a folder may name in place of its job's, each of which can be read and none of which is a job.
const NO_JOBS: [&str; 8] = [
    "/fhir/R4/patient/1",
    "/fhir/R4/Task/1",
    "/fhir/R4/%74ask/1",
    "/fhir/R5/Patient/1",
    "/fhir/Patient/1",
    "/FHIR/R4/Patient/1",
    "/api/users/7",
    "/fhir/R4/$sweep",
];

/// What is at an address decides, not how it is written: what reads like a resource below the FHIR base was left alone, and
/// the same below another base, in small letters, or of any other program was deleted with the token.
#[test]
fn a_status_url_that_somebody_wrote_has_nothing_deleted_but_a_job() {
    for address in NO_JOBS {
        let bulk = Bulk::with_three_files();
        bulk.export(&["--detach"]).ok();
        let resource = if address.ends_with('1') {
            "Patient"
        } else {
            "Thing"
        };
        bulk.server.on(
            "GET",
            address,
            Answer::json(200, format!(r#"{{"resourceType":"{resource}","id":"1"}}"#)),
        );
        bulk.server.on("DELETE", address, Answer::empty(204));
        let theirs = bulk.server.url(address);
        change_json(&bulk.medplum, "job.json", |state| {
            state["statusUrl"] = theirs.as_str().into();
            // As a version wrote it that did not note who asked.
            state["request"]
                .as_object_mut()
                .unwrap()
                .remove("requester");
        });
        bulk.medplum
            .run(["bulk", "cancel", "out"])
            .fails(1)
            .says("nothing shows that a job is there");
        let asked = bulk.server.requests_to(address);
        assert!(!asked.is_empty(), "{address}: nobody looked there");
        bulk.export(&["--restart"])
            .ok()
            .says("runs on at the server");
        let deleted: Vec<_> = bulk.server.lines();
        let deleted: Vec<_> = deleted
            .iter()
            .filter(|line| line.starts_with("DELETE"))
            .collect();
        assert_eq!(
            deleted,
            [&format!("DELETE {}", crate::support::bulk::STATUS)],
            "{address}"
        );
    }
}

/// All files are here, and the job's end is all that is left to do.
#[test]
fn the_end_of_an_export_that_somebody_wrote_deletes_nothing_but_a_job() {
    for address in NO_JOBS {
        let bulk = Bulk::with_three_files();
        bulk.export(&["--keep"]).ok();
        bulk.server
            .on("GET", address, Answer::json(200, r#"{"id":"1"}"#));
        bulk.server.on("DELETE", address, Answer::empty(204));
        let theirs = bulk.server.url(address);
        change_json(&bulk.medplum, "job.json", |state| {
            state["statusUrl"] = theirs.as_str().into();
            state["phase"] = "fetching".into();
            state["style"]["keep"] = false.into();
        });
        bulk.medplum
            .run(["bulk", "resume", "out"])
            .ok()
            .says("nothing shows that a job is there");
        assert_eq!(bulk.deletes(), 0, "{address}");
    }
}
