//! Bulk export from `sekmet-fhir`, a FHIR server with Bulk Data that nobody here wrote.

use std::path::Path;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::support::synthea::{self, Ids};
use crate::support::{Medplum, Peer, Run, plain_http};

/// The most resources of one file of the data set in the smaller server.
const PART: usize = 30;

/// A server with all of the data set, which can be exported as a whole only: an index of it takes too long to build.
fn whole(data: &Path) -> &'static Peer {
    static WHOLE: OnceLock<Peer> = OnceLock::new();
    WHOLE.get_or_init(|| Peer::sekmet(&["--no-index", "--load", &data.display().to_string()]))
}

/// A server with a part of the data set, and with an index.
fn part(data: &Path) -> &'static Peer {
    static PART_SERVER: OnceLock<Peer> = OnceLock::new();
    PART_SERVER.get_or_init(|| {
        let data = data.display().to_string();
        Peer::sekmet(&["--load", &data, "--limit", &PART.to_string()])
    })
}

/// A user whose profile is the server's, without any sign-in.
fn user_of(server: &Peer) -> Medplum {
    let medplum = Medplum::new().env("MEDPLUM_PROFILE", "sekmet");
    let set = ["profile", "set", "sekmet", "--fhir-url-path", "fhir"];
    let base = server.url("/");
    medplum
        .run([&set[..], &["--base-url", &base]].concat())
        .ok();
    medplum
}

/// The ids of the data set with the first so many of each file, and of the group that the server adds to them.
fn expected(data: &Path, of_each_file: usize) -> Ids {
    let files = synthea::files(data);
    let lines = files
        .iter()
        .flat_map(|file| synthea::lines(file).take(of_each_file));
    let mut ids = synthea::ids(lines);
    ids.insert("Group".to_owned(), ["all".to_owned()].into());
    ids
}

/// The ids of all of the data set, read once.
fn all_of(data: &Path) -> Ids {
    static ALL: OnceLock<Ids> = OnceLock::new();
    ALL.get_or_init(|| expected(data, usize::MAX)).clone()
}

/// Exports into a folder of the working folder with these arguments.
fn export(medplum: &Medplum, folder: &str, args: &[&str]) -> Run {
    let mut words = vec!["bulk", "export", "-d", folder];
    words.extend(args);
    medplum.run(words)
}

/// What the files of an export hold, each of one type; the run must have printed every one of them.
#[track_caller]
fn exported(medplum: &Medplum, run: &Run) -> Ids {
    let mut all = Ids::new();
    for printed in run.stdout.lines() {
        let path = medplum.path(printed.strip_suffix(" is created").unwrap());
        let file_name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let of_file = synthea::ids(synthea::lines(&path));
        assert_eq!(of_file.len(), 1, "{file_name}");
        for (resource_type, ids) in of_file {
            assert!(file_name.contains(&resource_type), "{file_name}");
            // The server writes one file for each type.
            assert!(all.insert(resource_type, ids).is_none(), "{file_name}");
        }
    }
    all
}

#[track_caller]
fn assert_same(exported: &Ids, expected: &Ids) {
    let counts = |ids: &Ids| -> Vec<(String, usize)> {
        ids.iter()
            .map(|(of, ids)| (of.clone(), ids.len()))
            .collect()
    };
    assert_eq!(counts(exported), counts(expected));
    assert!(exported == expected, "the same counts, but other ids");
}

/// The status URL that the run printed, whose job must be gone from the server.
#[track_caller]
fn assert_job_is_deleted(run: &Run) {
    let line = run.stderr.lines().find_map(|line| {
        let url = line.split("http://").nth(1)?;
        Some(format!("http://{}", url.trim_end()))
    });
    let url = line.unwrap_or_else(|| panic!("no status URL\n{run}"));
    plain_http::ask("GET", &url, &[], "").is(404);
}

/// All 38,378 resources, and the server's group, by GET.
#[test]
fn the_whole_data_set_arrives_by_get() {
    let Some(data) = synthea::folder() else {
        return;
    };
    let medplum = user_of(whole(&data));
    let run = export(&medplum, "all", &[]).ok();
    let found = exported(&medplum, &run);
    assert_eq!(
        found
            .values()
            .map(std::collections::BTreeSet::len)
            .sum::<usize>(),
        38_379
    );
    assert_same(&found, &all_of(&data));
    assert!(run.stderr.contains("38379 resources"), "{run}");
    assert_job_is_deleted(&run);
}

/// Some types of it by POST, with numbered names.
#[test]
fn chosen_types_of_the_whole_data_set_arrive_by_post() {
    let Some(data) = synthea::folder() else {
        return;
    };
    let medplum = user_of(whole(&data));
    let types = ["Patient", "Encounter", "Immunization"];
    let names = ["--file-names", "numbered", "--method", "post"];
    let list = types.join(",");
    let args = [&names[..], &["-t", &list]].concat();
    let run = export(&medplum, "some", &args).ok();
    let mut printed: Vec<&str> = run.stdout.lines().collect();
    printed.sort_unstable();
    let folder = medplum.path("some").display().to_string();
    let file = |resource_type: &str| format!("{folder}/1.{resource_type}.ndjson is created");
    assert_eq!(printed, ["Encounter", "Immunization", "Patient"].map(file));
    let mut expected = all_of(&data);
    expected.retain(|resource_type, _| types.contains(&resource_type.as_str()));
    assert_same(&exported(&medplum, &run), &expected);
    assert_job_is_deleted(&run);
}

#[test]
fn patients_and_a_group_are_exported_by_get_and_post() {
    let Some(data) = synthea::folder() else {
        return;
    };
    let medplum = user_of(part(&data));
    let everything = expected(&data, PART);
    for method in ["get", "post"] {
        let mut levels = ["Patient", "Group/all"].map(|level| {
            let folder = format!("{method}-{}", level.replace('/', "-"));
            let run = export(&medplum, &folder, &["-e", level, "--method", method]).ok();
            let found = exported(&medplum, &run);
            assert_job_is_deleted(&run);
            for (resource_type, ids) in &found {
                assert!(ids.is_subset(&everything[resource_type]), "{resource_type}");
            }
            assert_eq!(found["Patient"], everything["Patient"], "{method} {level}");
            assert!(found.len() > 5, "{:?}", found.keys());
            found
        });
        // The group is of all patients; whether it comes with its own export is the server's affair.
        for ids in &mut levels {
            ids.remove("Group");
        }
        assert_same(&levels[1], &levels[0]);
    }
}

/// `_since` as the server understands it: nothing has changed after tomorrow, everything after yesterday.
#[test]
fn since_leaves_out_what_has_not_changed() {
    let Some(data) = synthea::folder() else {
        return;
    };
    let medplum = user_of(part(&data));
    let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    for method in ["get", "post"] {
        let future = format!("future-{method}");
        let run = export(
            &medplum,
            &future,
            &["-s", &tomorrow.to_string(), "--method", method],
        );
        let run = run.ok().prints("").says("0 resources");
        assert_job_is_deleted(&run);
        let past = format!("past-{method}");
        let args = ["-s", "1d", "-t", "Patient", "--method", method];
        let found = exported(&medplum, &export(&medplum, &past, &args).ok());
        assert_eq!(found["Patient"], expected(&data, PART)["Patient"]);
    }
}

/// The server knows no such parameter and says so in an `error` file, which is a warning: all is well.
#[test]
fn a_warning_of_the_server_is_shown_and_kept() {
    let Some(data) = synthea::folder() else {
        return;
    };
    let medplum = user_of(part(&data));
    let args = ["-t", "Patient", "--param", "_color=blue"];
    let run = export(&medplum, "odd", &args).ok().says("_color");
    let errors: Vec<&str> = run
        .stdout
        .lines()
        .filter(|line| line.contains("/errors/"))
        .collect();
    assert_eq!(errors.len(), 1, "{run}");
    let path = medplum.path(errors[0].strip_suffix(" is created").unwrap());
    let outcome: Value = serde_json::from_str(&synthea::lines(&path).next().unwrap()).unwrap();
    assert_eq!(outcome["issue"][0]["severity"], "warning");
    let strict = [&args[..], &["--fail-on", "warning"]].concat();
    export(&medplum, "strict", &strict).fails(5);
}

/// SMART on: a token for the kick-off, the status and the files. The server lets no token of this scope delete the job:
/// a notice, since every file is here.
#[test]
fn an_export_with_a_token_that_may_not_delete_the_job_is_complete() {
    let Some(data) = synthea::folder() else {
        return;
    };
    let client = json!({"client_id": "reader", "client_secret": "reader-secret"});
    let settings = json!({"server_auth": {"types": ["smart"], "smart_clients": [client]}});
    let data_folder = data.display().to_string();
    let server = Peer::sekmet(&[
        "--settings",
        &settings.to_string(),
        "--no-index",
        "--limit",
        "5",
        "--load",
        &data_folder,
    ]);
    let medplum = user_of(&server);
    let refused = export(&medplum, "refused", &[]).fails(3).says("401");
    assert!(refused.stdout.is_empty(), "{refused}");
    let client = ["--client-id", "reader", "--client-secret", "reader-secret"];
    let set = [
        "profile",
        "set",
        "sekmet",
        "--update",
        "--scope",
        "system/*.read",
    ];
    medplum.run([&set[..], &client].concat()).ok();
    let run = export(&medplum, "allowed", &["-v"]).ok();
    let run = run
        .says("the job could not be deleted at the server")
        .says("403");
    assert_same(&exported(&medplum, &run), &expected(&data, 5));
    for secret in ["reader-secret", "cmVhZGVyOnJlYWRlci1zZWNyZXQ"] {
        assert!(!run.everything().contains(secret), "{run}");
    }
}
