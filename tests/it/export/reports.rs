//! What `bulk export` says of what came: checks, the server's own outcomes, the summary, and an end by Ctrl-C.

use std::path::Path;

use serde_json::json;

use crate::support::bulk::{CONDITIONS, OBSERVATIONS, PATIENTS, STATUS, ndjson, outcome, pending};
use crate::support::{Answer, Bulk};

/// Without checks of lines and counts, completeness is still checked.
#[test]
fn no_verify_takes_lines_and_counts_as_they_are_but_no_part_of_a_file() {
    let odd = "not json\n{\"resourceType\":\"Device\"}\n\u{0}\n";
    let bulk = Bulk::open();
    bulk.file("output", "Patient", "/files/p", ndjson(odd));
    bulk.manifest(|manifest| manifest["output"][0]["count"] = json!(77));
    bulk.export(&["--no-verify"])
        .ok()
        .says("1 file, not checked");
    assert_eq!(bulk.medplum.read("out/Patient_files_p.ndjson"), odd);
    let kept: serde_json::Value =
        serde_json::from_str(&bulk.medplum.read("out/manifest.json")).unwrap();
    assert_eq!(kept["output"][0].get("resources"), None);

    for answer in [
        ndjson(PATIENTS).gzip().cut_body_at(20).until_close(),
        Answer::outcome(403, "forbidden", "no"),
        Answer::new(200, "text/html", "<title>Sign in</title>"),
    ] {
        let bulk = Bulk::with_three_files();
        bulk.server.on("GET", "/files/o", answer);
        bulk.export(&["--no-verify"]).fails(5);
        assert_eq!(
            bulk.names(),
            ["Condition_files_c.ndjson", "Patient_files_p.ndjson"]
        );
    }
}

/// Only gzip is offered. What comes otherwise encoded is not what the file says it is, and no line check would tell.
#[test]
fn an_encoding_that_nobody_asked_for_is_refused() {
    let bulk = Bulk::with_three_files();
    let answer = ndjson([0x1b, 0x03, 0x00, 0xf8]).header("Content-Encoding", "br");
    bulk.server.on("GET", "/files/o", answer);
    bulk.export(&["--no-verify"]).fails(5).says("br");
    assert_eq!(
        bulk.names(),
        ["Condition_files_c.ndjson", "Patient_files_p.ndjson"]
    );
}

/// B10: what the server itself reports as an error makes an export partial, unless the user thinks otherwise.
#[test]
fn outcomes_that_the_server_reports_decide_the_exit_code() {
    for (severity, fail_on, code) in [
        ("fatal", None, 5),
        ("error", None, 5),
        ("warning", None, 0),
        ("information", None, 0),
        ("error", Some("error"), 5),
        ("warning", Some("error"), 0),
        ("error", Some("warning"), 5),
        ("warning", Some("warning"), 5),
        ("information", Some("warning"), 0),
        ("error", Some("never"), 0),
    ] {
        let bulk = Bulk::with_three_files();
        bulk.file(
            "error",
            "OperationOutcome",
            "/files/e",
            ndjson(outcome(severity)),
        );
        let args = fail_on.map_or(vec![], |fail_on| vec!["--fail-on", fail_on]);
        let run = bulk.export(&args).says(&format!("some {severity}"));
        assert_eq!(run.code, code, "{severity} {fail_on:?}\n{run}");
        assert_eq!(bulk.names().len(), 4, "{severity} {fail_on:?}");
        assert_eq!(run.stdout.lines().count(), 4, "{severity} {fail_on:?}");
    }
}

#[test]
fn the_summary_as_json_is_all_of_stdout() {
    let bulk = Bulk::with_three_files();
    bulk.server.on(
        "GET",
        "/files/o",
        Answer::outcome(403, "forbidden", "not yours"),
    );
    bulk.file(
        "error",
        "OperationOutcome",
        "/files/e",
        ndjson(outcome("warning")),
    );
    let run = bulk.export(&["-o", "json", "--parallel", "1"]).fails(5);
    let summary = run.json();
    assert_eq!(summary["transactionTime"], "2026-01-31T10:00:00.000Z");
    let files = summary["files"].as_array().unwrap();
    assert_eq!(files.len(), 3, "{run}");
    let path = files[0]["path"].as_str().unwrap();
    assert!(
        Path::new(path).is_absolute() && path.ends_with("/out/Patient_files_p.ndjson"),
        "{run}"
    );
    assert_eq!(files[0]["group"], "output");
    assert_eq!(files[0]["type"], "Patient");
    assert_eq!(files[0]["resources"], 2);
    assert_eq!(files[0]["bytes"], PATIENTS.len());
    assert_eq!(files[2]["group"], "error");
    let missing = summary["missing"].as_array().unwrap();
    assert_eq!(missing.len(), 1, "{run}");
    assert_eq!(missing[0]["type"], "Observation");
    assert_eq!(missing[0]["url"], bulk.server.url("/files/o"));
    assert!(
        missing[0]["reason"].as_str().unwrap().contains("not yours"),
        "{run}"
    );
    assert_eq!(
        summary["outcomes"],
        json!({"errors": 0, "warnings": 1, "others": 0})
    );
}

#[test]
fn quiet_says_nothing_on_stderr_and_still_names_the_files() {
    let bulk = Bulk::with_three_files();
    bulk.status([pending().header("X-Progress", "half")]);
    let run = bulk.export(&["-q"]).ok();
    assert_eq!(run.stderr, "", "{run}");
    assert_eq!(run.stdout.lines().count(), 3, "{run}");
}

#[test]
fn the_end_of_an_export_says_what_came() {
    let bulk = Bulk::with_three_files();
    let run = bulk.export(&[]).ok();
    let last = run.stderr.lines().last().unwrap();
    assert!(last.contains("5 resources in 3 files"), "{run}");
}

/// No temporary file stays, and what has its final name is complete.
#[test]
fn ctrl_c_during_a_download_leaves_only_complete_files_and_the_job() {
    let bulk = Bulk::with_three_files();
    bulk.server
        .on("GET", "/files/c", ndjson(CONDITIONS).stall_at(20));
    let running = bulk.command(&[]).spawn();
    let _ = running.stdout_line("Patient_files_p.ndjson is created");
    let _ = running.stdout_line("Observation_files_o.ndjson is created");
    bulk.server.wait_for("/files/c");
    running.interrupt();
    let run = running.finish().fails(130);
    let after = run.stderr.rsplit("Warning:").next().unwrap();
    assert!(after.contains(&bulk.server.url(STATUS)), "{run}");
    assert_eq!(
        bulk.files(),
        [
            (
                "Observation_files_o.ndjson".to_owned(),
                OBSERVATIONS.as_bytes().to_vec()
            ),
            (
                "Patient_files_p.ndjson".to_owned(),
                PATIENTS.as_bytes().to_vec()
            ),
        ]
    );
    assert_eq!(bulk.deletes(), 0);
}

/// The first is not lost either: it is the second that ends it, though the program cannot go on.
#[test]
fn ctrl_c_twice_ends_an_export_that_is_stuck_and_the_next_run_goes_on() {
    let bulk = Bulk::with_three_files();
    let running = bulk.command(&[]).stuck_stdout().spawn();
    running.wait_until_stuck_in_a_pipe();
    running.interrupt_twice();
    running.finish().fails(130);
    bulk.export(&[]).ok();
    assert_eq!(bulk.names().len(), 3);
    assert_eq!(bulk.server.requests_to("/fhir/R4/$export").len(), 1);
}
