//! `log.ndjson`: what an export writes of itself, in the bulk export logging format, version 2.

use std::collections::HashSet;
use std::fs;

use serde_json::{Value, json};

use crate::support::bulk::{CONDITIONS, OBSERVATIONS, PATIENTS, ndjson, outcome, pending};
use crate::support::kills::{Reply, Step, Victim};
use crate::support::run::KILLED;
use crate::support::{Answer, Bulk};

/// The log's lines, each of which is JSON, with a line end behind the last one.
#[track_caller]
fn log_of(bulk: &Bulk, folder: &str) -> Vec<Value> {
    let text = bulk.medplum.read(&format!("{folder}/log.ndjson"));
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn ids(log: &[Value]) -> Vec<&str> {
    log.iter()
        .map(|line| line["eventId"].as_str().unwrap())
        .collect()
}

/// The details of all events of a kind.
fn details<'a>(log: &'a [Value], id: &str) -> Vec<&'a Value> {
    let events = log.iter().filter(|line| line["eventId"] == id);
    events.map(|line| &line["eventDetail"]).collect()
}

/// What each line of every log must be, and each kind of event (the fields that smart-fetch writes).
#[track_caller]
fn assert_valid(log: &[Value]) {
    let fields = |id: &str| -> &[&str] {
        match id {
            "kickoff" => &[
                "exportUrl",
                "softwareName",
                "softwareVersion",
                "softwareReleaseDate",
                "fhirVersion",
                "requestParameters",
                "errorCode",
                "errorBody",
                "responseHeaders",
            ],
            "status_progress" => &["body", "xProgress", "retryAfter"],
            "status_error" | "client_error" => &["body", "code", "message", "responseHeaders"],
            "status_page_complete" => &[
                "transactionTime",
                "outputFileCount",
                "deletedFileCount",
                "errorFileCount",
                "_page",
            ],
            "status_complete" => &["transactionTime"],
            "manifest_complete" => &[
                "transactionTime",
                "totalOutputFileCount",
                "totalDeletedFileCount",
                "totalErrorFileCount",
                "totalManifests",
            ],
            "download_request" => &["fileUrl", "itemType", "resourceType", "_path"],
            "download_complete" => &["fileUrl", "resourceCount", "fileSize", "_path"],
            "download_error" => &[
                "fileUrl",
                "body",
                "code",
                "message",
                "responseHeaders",
                "_cause",
                "_retryIn",
                "_path",
            ],
            "export_complete" => &["files", "resources", "bytes", "attachments", "duration"],
            other => panic!("{other} is no event of the format"),
        }
    };
    let mut last = jiff::Timestamp::MIN;
    for line in log {
        let detail = line["eventDetail"].as_object().unwrap();
        let names: Vec<_> = detail.keys().map(String::as_str).collect();
        assert_eq!(names, fields(line["eventId"].as_str().unwrap()), "{line}");
        let timestamp: jiff::Timestamp = line["timestamp"].as_str().unwrap().parse().unwrap();
        assert!(timestamp >= last, "{line}");
        last = timestamp;
    }
    assert_eq!(log[0]["_client"], "medplum");
    let export_ids: HashSet<_> = log
        .iter()
        .map(|line| line["exportId"].as_str().unwrap())
        .collect();
    assert_eq!(export_ids.len(), 1, "{export_ids:?}");
}

#[test]
fn a_clean_export_is_logged_event_by_event() {
    let bulk = Bulk::with_three_files();
    bulk.file(
        "error",
        "OperationOutcome",
        "/files/e",
        ndjson(outcome("information")),
    );
    bulk.status([pending().header("X-Progress", "half way")]);
    bulk.export(&[
        "-t",
        "Patient,Observation",
        "--since",
        "2026-01-01T00:00:00Z",
        "--parallel",
        "1",
    ])
    .ok();
    let log = log_of(&bulk, "out");
    assert_valid(&log);
    let mut expected = vec![
        "kickoff",
        "status_progress",
        "status_page_complete",
        "status_complete",
        "manifest_complete",
    ];
    expected.extend(["download_request"; 4]);
    expected.extend(["download_complete"; 4]);
    expected.push("export_complete");
    let mut found = ids(&log);
    // Which file lands while the next one is asked for is up to the disk.
    found[5..13].sort_by_key(|id| *id == "download_complete");
    assert_eq!(found, expected);
    let kickoff = &log[0]["eventDetail"];
    assert_eq!(
        kickoff["requestParameters"],
        json!({"_type": "Patient,Observation", "_since": "2026-01-01T00:00:00Z"})
    );
    assert!(
        kickoff["exportUrl"]
            .as_str()
            .unwrap()
            .contains("/fhir/R4/$export?_type=Patient"),
        "{kickoff}"
    );
    assert_eq!(kickoff["errorCode"], Value::Null);
    assert_eq!(
        details(&log, "status_progress")[0],
        &json!({"body": null, "xProgress": "half way", "retryAfter": "1"})
    );
    let manifest = details(&log, "manifest_complete")[0];
    assert_eq!(manifest["transactionTime"], "2026-01-31T10:00:00.000Z");
    assert_eq!(
        (
            &manifest["totalOutputFileCount"],
            &manifest["totalErrorFileCount"]
        ),
        (&json!(3), &json!(1))
    );
    let first = details(&log, "download_request")[0];
    assert_eq!(
        first,
        &json!({"fileUrl": bulk.server.url("/files/p"), "itemType": "output", "resourceType": "Patient", "_path": "Patient_files_p.ndjson"})
    );
    let done = details(&log, "download_complete")[0];
    assert_eq!(
        (&done["resourceCount"], &done["fileSize"]),
        (&json!(2), &json!(PATIENTS.len()))
    );
    let end = details(&log, "export_complete")[0];
    let bytes =
        PATIENTS.len() + OBSERVATIONS.len() + CONDITIONS.len() + outcome("information").len();
    assert_eq!(
        (&end["files"], &end["resources"], &end["bytes"]),
        (&json!(4), &json!(5), &json!(bytes))
    );
    assert!(end["duration"].as_u64().is_some(), "{end}");
}

#[test]
fn faults_are_logged_with_their_codes_and_what_followed() {
    let bulk = Bulk::with_three_files();
    bulk.status([
        Answer::outcome(429, "throttled", "slowly").header("Retry-After", "1"),
        Answer::outcome(503, "transient", "not now").header("Retry-After", "1"),
    ]);
    bulk.server.on_sequence(
        "GET",
        "/files/p",
        [
            Answer::outcome(429, "throttled", "too much").header("Retry-After", "1"),
            Answer::outcome(503, "transient", "busy").header("Retry-After", "1"),
            ndjson(PATIENTS),
        ],
    );
    bulk.server.on_sequence(
        "GET",
        "/files/o",
        [ndjson(OBSERVATIONS).cut_body_at(20), ndjson(OBSERVATIONS)],
    );
    bulk.server.on(
        "GET",
        "/files/c",
        Answer::outcome(400, "expired", "the link is over"),
    );
    bulk.export(&["--parallel", "1"]).fails(5);
    let log = log_of(&bulk, "out");
    assert_valid(&log);
    let codes = |id| {
        details(&log, id)
            .iter()
            .map(|detail| detail["code"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(codes("status_error"), [json!(429), json!(503)]);
    let of = |path: &str| -> Vec<(&str, &Value)> {
        let events = log
            .iter()
            .filter(|line| line["eventDetail"]["_path"] == path);
        events
            .map(|line| {
                (
                    line["eventId"].as_str().unwrap(),
                    &line["eventDetail"]["code"],
                )
            })
            .collect()
    };
    let (request, complete, none) = ("download_request", "download_complete", &Value::Null);
    assert_eq!(
        of("Patient_files_p.ndjson"),
        [
            (request, none),
            ("download_error", &json!(429)),
            (request, none),
            ("download_error", &json!(503)),
            (request, none),
            (complete, none),
        ]
    );
    assert_eq!(
        of("Observation_files_o.ndjson"),
        [
            (request, none),
            ("download_error", none),
            (request, none),
            (complete, none)
        ]
    );
    let errors = details(&log, "download_error");
    let last = errors.last().unwrap();
    assert_eq!((&last["code"], &last["_retryIn"]), (&json!(400), none));
    let words = last["message"].as_str().unwrap();
    assert!(words.contains("the link is over"));
    assert!(
        errors[0]["_retryIn"]
            .as_u64()
            .is_some_and(|wait| wait >= 1000)
    );
    assert!(
        details(&log, "export_complete").is_empty(),
        "a file is missing"
    );
}

#[test]
fn an_export_that_is_gone_on_with_adds_to_its_log() {
    let bulk = Bulk::with_three_files();
    bulk.server.on(
        "GET",
        "/files/c",
        Answer::outcome(400, "expired", "the link is over"),
    );
    bulk.export(&[]).fails(5);
    let log = log_of(&bulk, "out");
    bulk.server.on("GET", "/files/c", ndjson(CONDITIONS));
    bulk.export(&[]).ok();
    let whole = log_of(&bulk, "out");
    assert_valid(&whole);
    assert_eq!(whole[..log.len()], log, "lines are only added");
    for id in [
        "kickoff",
        "status_complete",
        "manifest_complete",
        "export_complete",
    ] {
        assert_eq!(details(&whole, id).len(), 1, "{id}");
    }
    assert_eq!(details(&whole, "download_complete").len(), 3);
    assert_eq!(details(&whole, "export_complete")[0]["files"], 3);
}

#[test]
fn a_job_that_fails_leaves_why_in_the_log_and_the_next_one_is_another_export() {
    let bulk = Bulk::with_three_files();
    bulk.status([Answer::outcome(422, "not-supported", "no such group")]);
    bulk.export(&[]).fails(1);
    let log = log_of(&bulk, "out");
    assert_valid(&log);
    assert_eq!(ids(&log), ["kickoff", "status_error"]);
    assert_eq!(log[1]["eventDetail"]["code"], 422);
    assert_eq!(
        log[1]["eventDetail"]["body"]["resourceType"],
        "OperationOutcome"
    );
    bulk.export(&["--restart"]).ok();
    let whole = log_of(&bulk, "out");
    assert_valid(&whole[2..]);
    assert_ne!(whole[2]["exportId"], log[0]["exportId"]);
}

#[test]
fn a_refused_kick_off_is_logged_and_does_not_stand_in_the_way_of_the_next() {
    let bulk = Bulk::with_three_files();
    let refused = Answer::outcome(400, "not-supported", "no _type here");
    bulk.server
        .on_sequence("GET", "/fhir/R4/$export", [refused]);
    bulk.export(&[]).fails(1);
    let log = log_of(&bulk, "out");
    assert_eq!(ids(&log), ["kickoff"]);
    let again = bulk.export(&[]).fails(1).says("no _type here");
    assert!(!again.stderr.contains("in the way"), "{again}");
    assert_eq!(ids(&log_of(&bulk, "out")), ["kickoff", "kickoff"]);
    assert_eq!(log[0]["eventDetail"]["errorCode"], 400);
    assert_eq!(
        log[0]["eventDetail"]["errorBody"]["issue"][0]["diagnostics"],
        "no _type here"
    );
}

#[test]
fn another_programs_log_is_not_added_to() {
    let bulk = Bulk::with_three_files();
    let theirs = "{\"exportId\":\"x\",\"eventId\":\"kickoff\",\"_client\":\"smart-fetch\"}\n";
    let _ = bulk.medplum.file("out/log.ndjson", theirs);
    bulk.export(&[]).fails(2).says("log.ndjson is in the way");
    assert_eq!(bulk.medplum.read("out/log.ndjson"), theirs);
    assert_eq!(bulk.kick_offs(), 0);
}

#[test]
fn a_log_that_cannot_be_written_is_said_once_and_the_export_is_whole() {
    let bulk = Bulk::with_three_files();
    bulk.status([Answer::outcome(400, "invalid", "later")]);
    bulk.export(&[]).fails(1);
    fs::remove_file(bulk.medplum.path("out/log.ndjson")).unwrap();
    fs::create_dir(bulk.medplum.path("out/log.ndjson")).unwrap();
    let run = bulk.export(&[]).ok();
    assert_eq!(
        run.stderr.matches("log.ndjson cannot be written").count(),
        1,
        "{run}"
    );
    assert_eq!(bulk.names().len(), 3);
}

/// What may be shown of a body is a list of what is allowed: each of these has a canary where nothing is.
#[test]
fn what_a_server_sends_beside_its_words_is_not_in_the_log() {
    let canary = format!("canary{:016x}", fastrand::u64(..));
    let outcome = json!({
        "resourceType": "OperationOutcome", "id": canary, "text": {"div": canary}, (canary.clone()): 1,
        "extension": [{"url": "http://x", "valueString": canary}],
        "issue": [{"severity": "error", "code": "exception", "diagnostics": "it broke", "location": [canary],
                   "details": {"text": "in words", "coding": [{"code": canary, "display": canary}]}}],
    });
    let oauth = json!({"error": "invalid_request", "error_description": "words", "access_token": canary, "hint": canary});
    for (body, words) in [
        (outcome.to_string(), "it broke"),
        (oauth.to_string(), "invalid_request"),
        (
            json!({"message": canary, "error": {"code": canary}}).to_string(),
            "_length",
        ),
        (format!("[\"{canary}\"]"), "_length"),
        (format!("\"{canary}\""), "_length"),
        (format!("<Error><Token>{canary}</Token></Error>"), "_length"),
    ] {
        let answer = || Answer::new(400, "application/json", &body);
        let bulk = Bulk::with_three_files();
        bulk.server
            .on_sequence("GET", "/fhir/R4/$export", [answer()]);
        bulk.export(&[]).fails(1);
        bulk.status([answer()]);
        bulk.export(&[]).fails(1);
        let text = bulk.medplum.read("out/log.ndjson");
        assert!(text.contains(words), "{text}");
        let bodies = log_of(&bulk, "out");
        let bodies = bodies.iter().flat_map(|event| {
            let detail = &event["eventDetail"];
            [detail["body"].to_string(), detail["errorBody"].to_string()]
        });
        for body in bodies {
            assert!(!body.contains(&canary), "{body}");
        }
    }
}

#[test]
fn nothing_secret_is_in_the_log() {
    let bulk = Bulk::with_three_files();
    bulk.manifest(|manifest| manifest["requiresAccessToken"] = json!(false));
    let signed = "/files/s?X-Amz-Signature=abcdef0123&X-Amz-Credential=AKIAX&plain=visible";
    bulk.file(
        "output",
        "Encounter",
        signed,
        Answer::outcome(403, "forbidden", "https://h.example/x?sig=feedbeef"),
    );
    let words = "see https://h.example/why?token=deadbeef";
    bulk.status([pending().header("X-Progress", words)]);
    bulk.export(&["--param", "apikey=hunter22"]).fails(5);
    let text = bulk.medplum.read("out/log.ndjson");
    let token = bulk.medplum.run(["token", "-p", "site"]).ok().stdout;
    let secrets = [
        "Signature",
        "abcdef0123",
        "AKIAX",
        "plain=visible",
        "feedbeef",
        "deadbeef",
        "hunter22",
        "Bearer",
        token.trim(),
    ];
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert!(text.contains("https://h.example/why"), "{text}");
    assert!(text.contains(&bulk.server.url("/files/s\"")), "{text}");
}

#[test]
fn an_export_that_is_killed_and_resumed_has_one_id_and_says_nothing_twice() {
    let mut rng = fastrand::Rng::with_seed(7);
    let victim = Victim::new(24, &mut rng);
    let whole = victim.undisturbed();
    let traps = [
        (Step::Status, Reply::Nothing, 0),
        (Step::Page, Reply::Nothing, 0),
        (Step::File, Reply::Half, 3),
        (Step::File, Reply::Nothing, 7),
        (Step::Delete, Reply::DoneInSilence, 0),
    ];
    for (step, reply, skip) in traps {
        victim.set_trap(step, reply, skip);
        let child = victim.command(&[]).spawn();
        victim.sprung.recv().unwrap();
        child.kill();
        child.finish().fails(KILLED);
        // What a kill in the midst of a write leaves.
        let path = victim.bulk.medplum.path("out/log.ndjson");
        let mut torn = fs::read(&path).unwrap_or_default();
        torn.extend_from_slice(b"{\"exportId\":\"x\",\"timest");
        fs::write(&path, torn).unwrap();
    }
    victim.take_the_trap_away();
    victim.command(&[]).run().ok();
    let log = log_of(&victim.bulk, "out");
    assert_valid(&log);
    for id in [
        "kickoff",
        "status_complete",
        "manifest_complete",
        "export_complete",
    ] {
        assert_eq!(details(&log, id).len(), 1, "{id}");
    }
    let complete = details(&log, "download_complete");
    let paths: HashSet<_> = complete
        .iter()
        .map(|detail| detail["_path"].as_str().unwrap())
        .collect();
    assert_eq!((complete.len(), paths.len()), (whole.len(), whole.len()));
    let lines: HashSet<_> = log.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), log.len());
    assert_eq!(log.last().unwrap()["eventId"], "export_complete");
}

#[test]
fn replacing_an_export_replaces_its_log_and_a_series_has_one_in_each_folder() {
    let bulk = Bulk::with_three_files();
    bulk.export(&["--keep"]).ok();
    let old = log_of(&bulk, "out");
    bulk.export(&["--keep", "--overwrite"]).ok();
    let new = log_of(&bulk, "out");
    assert_valid(&new);
    assert_ne!(new[0]["exportId"], old[0]["exportId"]);
    assert_eq!(ids(&new).last(), Some(&"export_complete"));
    let args = [
        "bulk", "export", "-p", "site", "-d", "series", "--since", "auto", "--keep",
    ];
    bulk.medplum.run(args).ok();
    let log = log_of(&bulk, "series/2026-01-31T10-00-00.000Z");
    assert_valid(&log);
    assert_eq!(
        (ids(&log)[0], ids(&log).last()),
        ("kickoff", Some(&"export_complete"))
    );
}
