//! The state of other versions: an older one is gone on with, and a newer one is left alone.

use std::fs;

use serde_json::{Value, json};

use super::ownership::{list_of, partial};

/// What version 0.1 wrote, whose list is one document.
fn as_version_0_1(state: &std::path::Path) {
    let text = fs::read_to_string(list_of(state.parent().unwrap())).unwrap();
    fs::remove_file(list_of(state.parent().unwrap())).unwrap();
    let files: Vec<Value> = text
        .lines()
        .map(|line| {
            let planned: Value = serde_json::from_str(line).unwrap();
            let mut file = planned["file"].clone();
            file.as_object_mut().unwrap().remove("page");
            json!({"file": file, "path": planned["path"]})
        })
        .collect();
    let text = serde_json::to_string_pretty(&files).unwrap();
    fs::write(state.join("files.json"), text).unwrap();
    let done = fs::read_to_string(state.join("done.ndjson")).unwrap();
    let done = done.lines().map(|line| {
        let mut done: Value = serde_json::from_str(line).unwrap();
        done.as_object_mut().unwrap().remove("version");
        done.as_object_mut().unwrap().remove("reading");
        format!("{done}\n")
    });
    fs::write(state.join("done.ndjson"), done.collect::<String>()).unwrap();
    let _ = fs::remove_file(state.join("ours.ndjson"));
    change(state, |job| {
        job["version"] = 2.into();
        for name in [
            "plan",
            "reading",
            "readingTime",
            "askedAt",
            "transaction_time",
        ] {
            job.as_object_mut().unwrap().remove(name);
        }
    });
}

fn change(state: &std::path::Path, edit: impl Fn(&mut Value)) {
    let text = fs::read_to_string(state.join("job.json")).unwrap();
    let mut job: Value = serde_json::from_str(&text).unwrap();
    edit(&mut job);
    fs::write(state.join("job.json"), job.to_string()).unwrap();
}

#[test]
fn an_export_that_version_0_1_began_is_looked_at_and_gone_on_with() {
    for resumes in [false, true] {
        let bulk = partial();
        let state = bulk.medplum.path("out/.medplum-export");
        as_version_0_1(&state);
        let asked = bulk.server.requests_to("/files/p").len();
        let run = bulk.medplum.run(["bulk", "status", "out"]).ok();
        assert!(run.everything().contains("2 of 3"), "{run}");
        assert!(
            state.join("files.json").exists(),
            "whoever looks changes nothing"
        );
        if resumes {
            bulk.medplum.run(["bulk", "resume", "out"]).ok();
        } else {
            bulk.export(&[]).ok();
        }
        assert_eq!(bulk.names().len(), 3);
        assert_eq!(bulk.kick_offs(), 1);
        let again = bulk.server.requests_to("/files/p").len();
        assert_eq!(again, asked, "what was here stayed");
        assert!(!state.join("files.json").exists());
        bulk.medplum.run(["bulk", "verify", "out"]).ok();
        bulk.medplum.run(["bulk", "report", "out"]).ok();
    }
}

/// `--restart` would forget what a newer version knows how to go on with.
#[test]
fn the_state_of_a_newer_version_is_left_alone() {
    let bulk = partial();
    let state = bulk.medplum.path("out/.medplum-export");
    change(&state, |job| job["version"] = 4.into());
    let before = bulk.files();
    let export = ["export", "-p", "site", "-d", "out"];
    for args in [
        &export[..],
        &[&export[..], &["--restart"]].concat(),
        &["resume", "out"],
        &["cancel", "out"],
        &["status", "out"],
    ] {
        let all = [&["bulk"], args].concat();
        let run = bulk.medplum.run(all).fails(2);
        run.says("a newer version of medplum");
    }
    assert_eq!(bulk.files(), before);
    assert_eq!((bulk.kick_offs(), bulk.deletes()), (1, 0));
}
