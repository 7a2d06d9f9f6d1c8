//! A job apart from the command that started it: detached, looked at, gone on with, stopped, adopted.

use crate::support::bulk::{PATIENTS, STATUS, ndjson, outcome, pending};
use crate::support::readings::lines;
use crate::support::{Answer, Bulk};

#[test]
fn a_detached_export_is_looked_at_and_fetched_by_its_folder_alone() {
    let bulk = Bulk::with_three_files();
    let run = bulk
        .export(&["--detach", "--compress", "-e", "Group/all"])
        .ok();
    assert!(run.says("bulk resume out").stdout.is_empty());
    assert_eq!(bulk.server.requests_to(STATUS).len(), 0);

    bulk.status([
        Answer::empty(202)
            .header("X-Progress", "35% of it")
            .header("Retry-After", "120"),
        pending(),
    ]);
    let look = bulk.medplum.run(["bulk", "status", "out"]).ok();
    for part in ["35% of it", "2 min", "bulk resume out", STATUS] {
        assert!(look.stdout.contains(part), "{look}");
    }
    let json = bulk
        .medplum
        .run(["bulk", "status", "out", "-o", "json"])
        .ok()
        .json();
    assert_eq!(json["phase"], "waiting");
    assert_eq!(json["retryAfterSeconds"], 1);

    // What was said at the start holds: the profile, and gzip.
    bulk.medplum.run(["bulk", "resume", "out"]).ok();
    assert_eq!(
        bulk.names(),
        [
            "Condition_files_c.ndjson.gz",
            "Observation_files_o.ndjson.gz",
            "Patient_files_p.ndjson.gz"
        ]
    );
    assert_eq!((bulk.kick_offs(), bulk.deletes()), (1, 1));
    let done = bulk.medplum.run(["bulk", "status", "out"]).ok();
    assert!(
        done.stdout.contains("complete") && done.stdout.contains("3 of 3"),
        "{done}"
    );
    let again = bulk.medplum.run(["bulk", "resume", "out"]).ok();
    assert!(again.stdout.contains("is complete"), "{again}");
}

#[test]
fn a_folder_without_an_export_is_named_as_such() {
    let bulk = Bulk::open();
    for command in ["status", "resume", "cancel"] {
        bulk.medplum
            .run(["bulk", command])
            .fails(2)
            .says("holds no export");
    }
    // Asking changes nothing.
    assert!(!bulk.medplum.path(".medplum-export").exists());
}

#[test]
fn an_export_is_resumed_only_with_the_server_it_is_of() {
    let bulk = Bulk::with_three_files();
    bulk.export(&["--detach"]).ok();
    bulk.medplum
        .run([
            "profile",
            "set",
            "other",
            "--base-url",
            "https://other.example/",
        ])
        .ok();
    bulk.medplum
        .run(["bulk", "resume", "out", "-p", "other"])
        .fails(2)
        .says("https://other.example/");
    bulk.medplum.run(["bulk", "resume", "out"]).ok();
}

#[test]
fn a_cancelled_export_ends_at_the_server_and_leaves_the_folder_free() {
    let bulk = Bulk::with_three_files();
    bulk.export(&["--detach"]).ok();
    bulk.medplum
        .run(["bulk", "cancel", "out"])
        .ok()
        .says("told to stop");
    assert_eq!(bulk.deletes(), 1);
    let status = ["bulk", "status", "out", "-o", "json"];
    let status = bulk.medplum.run(status).ok().json();
    assert_eq!(status["phase"], "cancelled");
    for command in ["cancel", "resume"] {
        let run = bulk.medplum.run(["bulk", command, "out"]);
        run.fails(2).says("was cancelled");
    }
}

#[test]
fn a_job_that_cannot_be_stopped_is_not_forgotten() {
    let bulk = Bulk::with_three_files();
    bulk.export(&["--detach"]).ok();
    bulk.status([pending(), Answer::outcome(403, "forbidden", "not yours")]);
    bulk.server.guard(|request| {
        (request.method == "DELETE").then(|| Answer::outcome(403, "forbidden", "not yours"))
    });
    bulk.medplum
        .run(["bulk", "cancel", "out"])
        .fails(3)
        .says("not yours");
    bulk.status([]);
    let json = bulk
        .medplum
        .run(["bulk", "status", "out", "-o", "json"])
        .fails(3)
        .json();
    assert_eq!(json["phase"], "waiting");
}

/// A job that failed says so, one that is gone needs no end, and of one that says nothing the user's word is taken.
#[test]
fn whatever_a_job_answers_it_can_be_ended() {
    let failed = || Answer::outcome(500, "processing", "it went wrong");
    for (answers, deletes) in [
        (vec![pending()], 1),
        (vec![failed()], 1),
        (vec![], 1),
        (vec![Answer::outcome(404, "not-found", "gone")], 0),
    ] {
        let bulk = Bulk::with_three_files();
        bulk.export(&["--detach"]).ok();
        bulk.status(answers);
        let run = bulk
            .medplum
            .run(["bulk", "cancel", "out", "--retries", "0"])
            .ok();
        assert_eq!(bulk.deletes(), deletes, "{run}");
    }
    let refused = || Answer::outcome(400, "invalid", "no such parameter");
    let said = || Answer::outcome(200, "informational", "well");
    for answers in [
        [Answer::empty(400), Answer::empty(400)],
        // A search that is refused says so too, and a deletion by the same search may not be refused.
        [refused(), refused()],
        [said(), said()],
    ] {
        let bulk = Bulk::with_three_files();
        bulk.export(&["--detach"]).ok();
        bulk.status(answers);
        bulk.medplum
            .run(["bulk", "cancel", "out"])
            .fails(1)
            .says("nothing shows that a job is there")
            .says("--status-url");
        assert_eq!(bulk.deletes(), 0);
        let named = bulk.server.url(STATUS);
        bulk.medplum
            .run(["bulk", "cancel", "out", "--status-url", &named])
            .ok()
            .says("told to stop");
        assert_eq!(bulk.deletes(), 1);
        let status = bulk.medplum.run(["bulk", "status", "out"]).ok();
        assert!(status.stdout.contains("cancelled"), "{status}");
    }
}

/// A job whose folder is lost, or knows nothing of it, or is of another export.
#[test]
fn a_job_is_ended_by_its_status_url_alone_and_no_folder_changes() {
    let bulk = Bulk::with_three_files();
    bulk.export(&["--detach"]).ok();
    let other = bulk.server.url("/job/2");
    bulk.server.on("GET", "/job/2", pending());
    bulk.server.on("DELETE", "/job/2", Answer::empty(202));
    for folder in ["out", "nowhere"] {
        bulk.medplum
            .run([
                "bulk",
                "cancel",
                "-p",
                "site",
                folder,
                "--status-url",
                &other,
            ])
            .ok()
            .says("No folder was changed");
        let lines = bulk.server.lines();
        assert_eq!(lines.last().unwrap(), "DELETE /job/2");
    }
    let status = ["bulk", "status", "out", "-o", "json"];
    assert_eq!(bulk.medplum.run(status).ok().json()["phase"], "waiting");
    // What can be read as a resource is none, whoever names it.
    bulk.server.on(
        "GET",
        "/fhir/R5/Patient/1",
        Answer::json(200, r#"{"resourceType":"Patient","id":"1"}"#),
    );
    let patient = bulk.server.url("/fhir/R5/Patient/1");
    bulk.medplum
        .run([
            "bulk",
            "cancel",
            "-p",
            "site",
            "nowhere",
            "--status-url",
            &patient,
        ])
        .fails(1)
        .says("the resource Patient");
    assert_eq!(bulk.deletes(), 2);
}

#[test]
fn while_one_process_works_another_one_looks_and_changes_nothing() {
    let bulk = Bulk::with_three_files();
    bulk.status((0..200).map(|_| pending()));
    let running = bulk.command(&[]).spawn();
    bulk.server.wait_for(STATUS);
    let look = bulk.medplum.run(["bulk", "status", "out"]).ok();
    assert!(look.stdout.contains("works on it now"), "{look}");
    for command in ["resume", "cancel"] {
        bulk.medplum
            .run(["bulk", command, "out"])
            .fails(2)
            .says("another process");
    }
    assert_eq!(bulk.deletes(), 0);
    running.interrupt();
    running.finish().fails(130);
}

#[test]
fn a_refused_kick_off_that_names_running_jobs_offers_them() {
    let bulk = Bulk::with_three_files();
    let jobs = format!("{}, {}", bulk.server.url(STATUS), bulk.server.url("/job/2"));
    bulk.server.guard(move |request| {
        let is_first = request.path().ends_with("$export");
        is_first.then(|| {
            Answer::outcome(429, "throttled", "one at a time").header("Content-Location", &jobs)
        })
    });
    let status_url = bulk.server.url(STATUS);
    let run = bulk
        .export(&[])
        .fails(1)
        .says("one at a time")
        .says(&format!("--status-url {status_url}"));
    assert!(run.stderr.contains("/job/2"), "{run}");
    // The advice works as it stands.
    bulk.export(&["--status-url", &status_url]).ok();
    assert_eq!(bulk.names().len(), 3);
}

#[test]
fn links_that_are_over_are_read_again_in_the_same_run() {
    for status in [400, 401, 403, 404, 410] {
        let bulk = Bulk::open();
        bulk.manifest(|manifest| manifest["requiresAccessToken"] = false.into());
        bulk.file(
            "output",
            "Patient",
            "/files/p?signature=1",
            Answer::outcome(status, "expired", "the link is over"),
        );
        bulk.file(
            "output",
            "Patient",
            "/files/q?signature=1",
            ndjson(PATIENTS),
        );
        bulk.server.on(
            "GET",
            "/files/p?signature=2",
            ndjson(lines("Patient", 10..12)),
        );
        bulk.server
            .on("GET", "/files/q?signature=2", ndjson(PATIENTS));
        let old = bulk.manifest_text();
        bulk.status([Answer::json(200, old)]);
        bulk.manifest(|manifest| {
            let text = manifest.to_string().replace("signature=1", "signature=2");
            *manifest = serde_json::from_str(&text).unwrap();
        });
        bulk.export(&["--parallel", "1"]).ok().says("fresh ones");
        assert_eq!(bulk.names().len(), 2, "{status}");
        assert_eq!(
            bulk.server.requests_to(STATUS).len(),
            3,
            "look, look again, delete"
        );
    }
}

#[test]
fn a_file_that_stays_missing_does_not_make_the_status_page_be_read_for_ever() {
    let bulk = Bulk::open();
    for n in 0..8 {
        let answer = Answer::outcome(403, "forbidden", "never");
        bulk.file("output", "Patient", &format!("/files/{n}"), answer);
    }
    bulk.export(&[]).fails(5).says("8 of 8 files are missing");
    let looks = bulk.server.requests_to(STATUS).len();
    assert!(looks <= 4, "{looks} looks");
}

/// What an export ended with is what a resume ends with: `export || resume` must not make an error a success.
#[test]
fn a_resume_of_an_export_that_ended_judges_it_as_it_was_and_as_it_is() {
    let bulk = Bulk::with_three_files();
    bulk.file(
        "error",
        "OperationOutcome",
        "/files/e",
        ndjson(outcome("error")),
    );
    bulk.export(&[]).fails(5);
    let resume = |args: &[&str]| {
        let start = ["bulk", "resume", "out"];
        bulk.medplum.run([&start[..], args].concat())
    };
    resume(&[]).fails(5).says("problem");
    resume(&["--fail-on", "never"]).ok();
    let gone = bulk.medplum.path("out/Patient_files_p.ndjson");
    std::fs::remove_file(gone).unwrap();
    resume(&["--fail-on", "never"])
        .fails(5)
        .says("Patient_files_p.ndjson");
    let status = bulk.medplum.run(["bulk", "status", "out"]).ok();
    assert!(status.stdout.contains("files are gone"), "{status}");
}
