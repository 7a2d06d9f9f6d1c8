//! An export that is given up for another one: what it brought, and what is known of it, stays until the other one is
//! certain.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::ownership::{O, P, list_of, partial};
use crate::support::bulk::{OBSERVATIONS, PATIENTS, STATUS, ndjson};
use crate::support::medplum::ReadOnly;
use crate::support::{Answer, Bulk, Medplum};

/// E24: files and status URL were thrown away before any server had accepted another job.
#[test]
fn a_restart_that_no_server_accepts_leaves_the_old_export_as_it_was() {
    let bulk = partial();
    let before = bulk.files();
    bulk.server.guard(|request| {
        let is_kick_off = request.path().ends_with("$export");
        is_kick_off.then(|| Answer::outcome(400, "invalid", "not now"))
    });
    bulk.export(&["--restart"]).fails(1).says("not now");
    assert_eq!(bulk.files(), before);
    let status = ["bulk", "status", "out", "-o", "json"];
    let status = bulk.medplum.run(status).ok().json();
    assert_eq!(
        (&status["phase"], &status["files"]["here"]),
        (&"fetching".into(), &2.into())
    );
    // It goes on as if nothing had been.
    bulk.export(&[]).ok();
    assert_eq!(bulk.names().len(), 3);
}

#[test]
fn a_restart_ends_the_old_job_once_the_new_one_is_accepted_and_keeps_its_files_until_it_is_complete()
 {
    let bulk = partial();
    let before = bulk.files();
    let second = "/fhir/R4/bulkstatus/2";
    let accepted = Answer::empty(202).header("Content-Location", &bulk.server.url(second));
    bulk.server.guard(move |request| {
        request
            .path()
            .ends_with("$export")
            .then(|| accepted.clone())
    });
    bulk.server
        .on("GET", second, Answer::json(200, bulk.manifest_text()));
    bulk.server.on("DELETE", second, Answer::empty(202));
    bulk.server.on("GET", "/files/o", Answer::empty(403));
    let deleted = |path: &str| {
        let requests = bulk.server.requests();
        requests
            .iter()
            .filter(|request| request.method == "DELETE" && request.path() == path)
            .count()
    };
    bulk.export(&["--restart"]).fails(5);
    assert_eq!((deleted(STATUS), deleted(second)), (1, 0));
    let there = |files: Vec<(String, Vec<u8>)>| {
        files
            .into_iter()
            .filter(|(name, _)| !name.starts_with('.'))
            .collect::<Vec<_>>()
    };
    assert_eq!(there(bulk.files()), there(before));
    bulk.server.on("GET", "/files/o", ndjson(OBSERVATIONS));
    // The same command without the flag goes on with the new one.
    bulk.export(&[]).ok();
    assert_eq!((deleted(STATUS), deleted(second)), (1, 1));
    assert_eq!(bulk.names().len(), 3);
}

/// E8, F2: after a cancel nothing got the folder going again.
#[test]
fn what_had_come_before_a_cancel_stays_until_the_next_export_is_complete() {
    let bulk = partial();
    let run = bulk.medplum.run(["bulk", "cancel", "out"]).ok();
    run.says("2 files that had come stay");
    assert_eq!(bulk.names().len(), 2);
    bulk.server
        .on("GET", "/files/p", ndjson(PATIENTS.repeat(2)));
    // This server gives every job the same URL, and that one is gone.
    bulk.export(&["--keep"]).fails(4);
    assert_eq!(
        bulk.medplum.read(&format!("out/{P}")),
        PATIENTS,
        "the job is gone at this server"
    );
}

#[test]
fn a_cancelled_replacement_leaves_the_finished_export_and_the_way_to_another() {
    let bulk = Bulk::with_three_files();
    bulk.export(&["--keep"]).ok();
    let before = bulk.files();
    bulk.server.on("GET", "/files/o", Answer::empty(403));
    bulk.export(&["--keep", "--overwrite"]).fails(5);
    bulk.server
        .guard(|request| (request.method == "DELETE").then(|| Answer::empty(202)));
    bulk.medplum.run(["bulk", "cancel", "out"]).ok();
    assert_eq!(bulk.files(), before);
    bulk.server.on("GET", "/files/o", ndjson(OBSERVATIONS));
    bulk.server
        .on("GET", "/files/p", ndjson(PATIENTS.repeat(2)));
    bulk.export(&["--keep", "--overwrite"]).ok();
    assert_eq!(bulk.medplum.read(&format!("out/{P}")), PATIENTS.repeat(2));
}

#[test]
fn after_a_cancel_everything_comes_anew() {
    let bulk = partial();
    bulk.server
        .guard(|request| (request.method == "DELETE").then(|| Answer::empty(202)));
    bulk.medplum.run(["bulk", "cancel", "out"]).ok();
    bulk.server
        .on("GET", "/files/p", ndjson(PATIENTS.repeat(2)));
    for args in [&[][..], &["--overwrite"]] {
        bulk.export(args).ok();
        assert_eq!(bulk.medplum.read(&format!("out/{P}")), PATIENTS.repeat(2));
        assert_eq!(bulk.names().len(), 3);
    }
}

/// F3: the error said that `--restart` gets past it, and with files here it did not.
#[test]
fn restart_gets_past_a_state_that_is_broken_with_files_here() {
    for (broken, text) in [("job.json", "{"), ("the plan", "["), ("job.json", "")] {
        let bulk = partial();
        bulk.server
            .guard(|request| (request.method == "DELETE").then(|| Answer::empty(202)));
        let path = match broken {
            "the plan" => list_of(&bulk.medplum.path("out")),
            broken => bulk.medplum.path(&format!("out/.medplum-export/{broken}")),
        };
        fs::write(&path, text).unwrap();
        bulk.export(&[])
            .fails(1)
            .says("cannot be read")
            .says("--restart");
        bulk.export(&["--restart"]).ok();
        assert_eq!(bulk.names().len(), 3, "{broken}");
        assert_eq!(bulk.medplum.read(&format!("out/{O}")), OBSERVATIONS);
    }
}

/// E20: the log was opened for reading, and a FIFO without a writer hangs then.
#[test]
fn a_log_that_is_a_fifo_hangs_nothing() {
    let bulk = partial();
    let log = bulk.medplum.path("out/log.ndjson");
    fs::remove_file(&log).unwrap();
    assert!(Command::new("mkfifo").arg(&log).status().unwrap().success());
    bulk.export(&[]).ok().says("log.ndjson cannot be written");
    assert!(
        !fs::symlink_metadata(&log).unwrap().is_file(),
        "it stays what it is"
    );
    let bulk = Bulk::with_three_files();
    fs::create_dir(bulk.medplum.path("out")).unwrap();
    let log = bulk.medplum.path("out/log.ndjson");
    assert!(Command::new("mkfifo").arg(&log).status().unwrap().success());
    bulk.export(&[]).fails(2).says("log.ndjson is in the way");
}

/// I4: an archive that nobody can write to can be looked at.
#[test]
fn status_report_and_resume_read_a_folder_that_cannot_be_written() {
    let bulk = Bulk::with_three_files();
    bulk.export(&[]).ok();
    let user = Medplum::of_an_ordinary_user();
    let archive = user.path("archive");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(bulk.medplum.path("out"))
        .arg(&archive)
        .status();
    assert!(copied.unwrap().success());
    let opened = Command::new("chmod")
        .args(["-R", "a+rX,a-w"])
        .arg(&archive)
        .status();
    assert!(opened.unwrap().success());
    let _closed = ReadOnly::folder(archive);
    let status = user.run(["bulk", "status", "archive"]).ok();
    assert!(status.stdout.contains("complete"), "{status}");
    let report = user.run(["bulk", "report", "archive"]).ok();
    assert!(report.stdout.contains("Patient"), "{report}");
    user.run(["bulk", "resume", "archive"]).ok();
}

/// I3: a state on another disk was found out when the first file had come, and no room was blamed.
#[test]
fn a_state_on_another_disk_is_found_out_before_anything_is_asked_for() {
    let allowed = Command::new("unshare").args(["-rm", "true"]).status();
    if !allowed.is_ok_and(|status| status.success()) {
        eprintln!("left out: this system lets nobody mount a tmpfs with unshare -rm");
        return;
    }
    let bulk = Bulk::with_three_files();
    let script = "mkdir -p out/.medplum-export && mount -t tmpfs -o size=9m,mode=700 none out/.medplum-export || exit 99
        exec medplum bulk export -p site -d out";
    let run = bulk
        .medplum
        .program(["unshare", "-rm", "bash", "-c", script])
        .run();
    let run = run.fails(2).says("on the same disk");
    assert_eq!(bulk.kick_offs(), 0, "{run}");
}

#[test]
fn too_many_open_files_are_called_that() {
    let bulk = Bulk::with_three_files();
    let run = bulk
        .medplum
        .shell("ulimit -n 16; exec medplum bulk export -p site -d out --parallel 8");
    assert_ne!(run.code, 0, "{run}");
    assert!(!run.stderr.contains("make room on the disk"), "{run}");
}

/// Folders that version 0.1 left are read, and unfinished ones gone on with: its lines have no version of the file, and
/// there is no record of the rest.
#[test]
fn a_folder_of_version_0_1_is_gone_on_with_and_replaced() {
    let bulk = partial();
    make_old(&bulk);
    bulk.server.forget();
    bulk.export(&["--keep"]).ok();
    let asked = bulk.server.lines();
    assert!(!asked.contains(&"GET /files/p".to_owned()), "{asked:?}");
    assert_eq!(bulk.names().len(), 3);
    make_old(&bulk);
    bulk.server
        .on("GET", "/files/p", ndjson(PATIENTS.repeat(2)));
    bulk.export(&["--keep", "--overwrite"]).ok();
    assert_eq!(bulk.medplum.read(&format!("out/{P}")), PATIENTS.repeat(2));
}

/// Takes out of a state what version 0.1 did not write.
fn make_old(bulk: &Bulk) {
    let state = bulk.medplum.path("out/.medplum-export");
    let _ = fs::remove_file(state.join("ours.ndjson"));
    let done = fs::read_to_string(state.join("done.ndjson")).unwrap();
    let old = done.lines().map(|line| {
        let mut done: Value = serde_json::from_str(line).unwrap();
        let _ = done.as_object_mut().unwrap().remove("version");
        format!("{done}\n")
    });
    fs::write(state.join("done.ndjson"), old.collect::<String>()).unwrap();
}
