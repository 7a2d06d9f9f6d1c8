//! A series never stops by itself, never loses a change, and asks from an instant that every server takes.

use std::fs;

use serde_json::{Value, json};

use crate::support::bulk::{PATIENTS, STATUS, ndjson, pending};
use crate::support::readings::{entry, lines, page};
use crate::support::{Answer, Bulk};

const SERIES: [&str; 3] = ["--since", "auto", "--keep"];

fn site() -> Bulk {
    let bulk = Bulk::open();
    bulk.file("output", "Patient", "/files/p", ndjson(PATIENTS));
    bulk
}

fn at(bulk: &Bulk, time: impl Into<Value>) {
    let time = time.into();
    bulk.manifest(|manifest| manifest["transactionTime"] = time);
}

/// The queries of the kick-offs.
fn asked(bulk: &Bulk) -> Vec<String> {
    let lines = bulk.server.lines();
    let asked = lines.iter().filter_map(|line| line.split_once("$export"));
    asked.map(|(_, query)| query.to_owned()).collect()
}

fn folders(bulk: &Bulk) -> Vec<String> {
    let entries = fs::read_dir(bulk.medplum.path("out")).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| name != ".medplum-export");
    names.sort();
    names
}

/// A server with a clock of this time.
fn clock(bulk: &Bulk, date: &'static str) {
    let status = bulk.server.url(STATUS);
    bulk.server.guard(move |request| {
        let accepted = || {
            Answer::empty(202)
                .header("Content-Location", &status)
                .header("Date", date)
        };
        request.path().ends_with("$export").then(accepted)
    });
}

/// E5, t1: a time in the future would let the next run ask for nothing, for ever.
#[test]
fn a_time_in_the_future_loses_no_change() {
    let bulk = site();
    clock(&bulk, "Sun, 01 Feb 2026 08:00:00 GMT");
    at(&bulk, "2099-01-01T00:00:00Z");
    bulk.export(&SERIES).ok().says("lies in the future");
    bulk.export(&SERIES).ok();
    assert_eq!(asked(&bulk), ["", "?_since=2026-02-01T08:00:00Z"]);
}

/// E5, t3: what came by the first reading is of its time, whatever the last one says.
#[test]
fn the_earliest_time_of_all_readings_is_where_the_next_run_begins() {
    let bulk = site();
    bulk.manifest(|manifest| {
        *manifest = page(
            "2026-01-01T10:00:00Z",
            [
                entry(&bulk, "Patient", "/files/p"),
                entry(&bulk, "Patient", "/files/q"),
            ],
        );
    });
    bulk.server.on(
        "GET",
        "/files/q",
        Answer::outcome(500, "exception", "not now"),
    );
    bulk.export(&[&SERIES[..], &["--retries", "0"]].concat())
        .fails(5);
    at(&bulk, "2026-01-09T10:00:00Z");
    bulk.server
        .on("GET", "/files/q", ndjson(lines("Patient", 10..12)));
    bulk.export(&SERIES).ok();
    bulk.export(&SERIES).ok();
    assert_eq!(asked(&bulk), ["", "?_since=2026-01-01T10:00:00Z"]);
    assert_eq!(folders(&bulk)[0], "2026-01-01T10-00-00Z");
}

/// Pages of one manifest may be of several times.
#[test]
fn the_earliest_time_of_all_pages_counts() {
    let bulk = site();
    at(&bulk, "2026-01-09T10:00:00Z");
    bulk.manifest(|manifest| manifest["link"] = json!([{"relation": "next", "url": "1?page=2"}]));
    let second = page("2026-01-02T10:00:00Z", []);
    bulk.server.on(
        "GET",
        "/fhir/R4/bulkstatus/1?page=2",
        Answer::new(200, "application/json", second.to_string()),
    );
    bulk.server.guard(|request| {
        // The first page has no query.
        (request.method == "GET" && request.target.ends_with("page=2")).then(|| {
            Answer::new(
                200,
                "application/json",
                page("2026-01-02T10:00:00Z", []).to_string(),
            )
        })
    });
    bulk.export(&SERIES).ok();
    bulk.export(&SERIES).ok();
    assert_eq!(asked(&bulk), ["", "?_since=2026-01-02T10:00:00Z"]);
}

/// Report 7: what servers write in place of an instant.
#[test]
fn usual_forms_of_a_time_become_instants() {
    for (time, since) in [
        (json!("2026-01-01T10:00:00"), "2026-01-01T10:00:00Z"),
        (json!("2026-01-01 10:00:00Z"), "2026-01-01T10:00:00Z"),
        (json!("2026-01-01T10:00:00+0200"), "2026-01-01T08:00:00Z"),
        (
            json!("Thu, 01 Jan 2026 10:00:00 GMT"),
            "2026-01-01T10:00:00Z",
        ),
        (json!(1_767_261_600), "2026-01-01T10:00:00Z"),
        (json!(1_767_261_600_000_i64), "2026-01-01T10:00:00Z"),
    ] {
        let bulk = site();
        at(&bulk, time.clone());
        bulk.export(&SERIES).ok();
        bulk.export(&SERIES).ok();
        assert_eq!(
            asked(&bulk),
            [String::new(), format!("?_since={since}")],
            "{time}"
        );
    }
}

/// Report 7: a time that cannot be used is said, and does not stop the series.
#[test]
fn a_time_that_is_none_is_said_and_the_folder_is_named_by_the_kick_off() {
    for time in [json!("soon"), json!(null), json!("now\nError: all is lost")] {
        let bulk = site();
        clock(&bulk, "Sun, 01 Feb 2026 08:00:00 GMT");
        at(&bulk, time.clone());
        let run = bulk.export(&SERIES).ok().says("asks for the same again");
        assert!(!run.stderr.contains("\nError"), "{run}");
        assert_eq!(folders(&bulk), ["2026-02-01T08-00-00Z"], "{time}");
        bulk.export(&SERIES).ok();
        assert_eq!(asked(&bulk), ["", ""], "{time}");
    }
}

/// E23: the next export lay in a folder that was named by the time of the one before.
#[test]
fn a_folder_that_was_taken_away_leaves_its_name_to_nobody() {
    for restart in [false, true] {
        let bulk = site();
        bulk.server.on(
            "GET",
            "/files/p",
            Answer::outcome(500, "exception", "not now"),
        );
        bulk.export(&[&SERIES[..], &["--retries", "0"]].concat())
            .fails(5);
        assert_eq!(folders(&bulk), ["2026-01-31T10-00-00.000Z"]);
        let mut args = SERIES.to_vec();
        if restart {
            args.push("--restart");
        } else {
            fs::remove_dir_all(bulk.medplum.path("out/2026-01-31T10-00-00.000Z")).unwrap();
        }
        at(&bulk, "2026-02-09T10:00:00.000Z");
        bulk.server.on("GET", "/files/p", ndjson(PATIENTS));
        bulk.export(&args).ok();
        assert_eq!(folders(&bulk), ["2026-02-09T10-00-00.000Z"], "{restart}");
    }
}

/// Whatever ended the run of the night before, for good: this night's run asks for the same with another job.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_series_gets_past_whatever_ended_a_job_for_good() {
    type Break = fn(&Bulk);
    let breaks: [(&str, Break, Break); 8] = [
        (
            "the job is gone",
            |bulk| bulk.status([pending(), pending(), pending()]),
            |bulk| {
                bulk.status([Answer::outcome(404, "not-found", "no such job")]);
            },
        ),
        (
            "the job failed",
            |bulk| bulk.status([pending(), pending(), pending()]),
            |bulk| {
                bulk.status([Answer::outcome(422, "processing", "it cannot be exported")]);
            },
        ),
        (
            "the result is no manifest",
            |bulk| bulk.status([pending(), pending(), pending()]),
            |bulk| {
                bulk.status([Answer::json(200, r#"{"resourceType":"Bundle"}"#)]);
            },
        ),
        (
            "the result is empty",
            |bulk| bulk.status([pending(), pending(), pending()]),
            |bulk| {
                bulk.status([Answer::empty(204)]);
            },
        ),
        (
            "a file is gone",
            |bulk| {
                bulk.server.on(
                    "GET",
                    "/files/p",
                    Answer::outcome(500, "exception", "not now"),
                );
            },
            |bulk| {
                let gone = || Answer::outcome(410, "deleted", "the file is gone");
                bulk.server
                    .on_sequence("GET", "/files/p", [gone(), gone(), ndjson(PATIENTS)]);
            },
        ),
        (
            "a count that stays wrong",
            |bulk| {
                bulk.server.on(
                    "GET",
                    "/files/p",
                    ndjson("{\"resourceType\":\"Encounter\"}\n"),
                );
            },
            |bulk| {
                let wrong = || ndjson("{\"resourceType\":\"Encounter\"}\n");
                bulk.server
                    .on_sequence("GET", "/files/p", [wrong(), wrong(), ndjson(PATIENTS)]);
            },
        ),
        (
            "the kick-off was answered with 500",
            |bulk| {
                let done = std::sync::atomic::AtomicBool::new(false);
                bulk.server.guard(move |request| {
                    let is_first = request.path().ends_with("$export")
                        && !done.swap(true, std::sync::atomic::Ordering::SeqCst);
                    is_first.then(|| Answer::outcome(500, "exception", "out of order"))
                });
            },
            |_| {},
        ),
        (
            "the state of the job cannot be read",
            |bulk| bulk.status([pending(), pending(), pending()]),
            |bulk| {
                bulk.medplum
                    .file("out/in-progress/.medplum-export/job.json", "{");
                bulk.status([]);
            },
        ),
    ];
    for (what, first, then) in breaks {
        let bulk = site();
        bulk.export(&SERIES).ok();
        first(&bulk);
        let args = [&SERIES[..], &["--retries", "0", "--max-wait", "2s"]].concat();
        let run = bulk.export(&args);
        assert_ne!(run.code, 0, "{what}\n{run}");
        let before = bulk.kick_offs();
        // What was to come has come by now.
        bulk.status_over();
        then(&bulk);
        let run = bulk.export(&SERIES);
        assert_eq!(run.code, 0, "{what}\n{run}");
        assert!(run.stderr.contains("is given up"), "{what}\n{run}");
        assert_eq!(bulk.kick_offs(), before + 1, "{what}");
        let since = asked(&bulk).pop().unwrap();
        assert_eq!(since, "?_since=2026-01-31T10:00:00.000Z", "{what}");
        assert_eq!(folders(&bulk).len(), 2, "{what}: {:?}", folders(&bulk));
        // And the next one goes on behind it.
        bulk.export(&SERIES).ok();
    }
}

/// One attachment that is gone for good holds no series.
#[test]
fn a_missing_attachment_does_not_hold_a_series() {
    let bulk = Bulk::open();
    let document = json!({"resourceType": "DocumentReference", "id": "1", "content": [
        {"attachment": {"contentType": "application/pdf", "url": bulk.server.url("/fhir/R4/Binary/1")}},
    ]});
    bulk.file(
        "output",
        "DocumentReference",
        "/files/d",
        ndjson(format!("{document}\n")),
    );
    let args = [&SERIES[..], &["--attachments", "download"]].concat();
    bulk.export(&args).fails(5).says("attachments are missing");
    bulk.export(&args).fails(5);
    assert_eq!(asked(&bulk), ["", "?_since=2026-01-31T10:00:00.000Z"]);
}

/// A server that is away is no reason to give anything up.
#[test]
fn a_server_that_is_away_leaves_the_job_as_it_is() {
    let bulk = site();
    bulk.status((0..9).map(|_| pending()));
    let args = [&SERIES[..], &["--max-wait", "0s"]].concat();
    bulk.export(&args).fails(6);
    bulk.server
        .guard(|request| (request.path() == STATUS).then(Answer::reset));
    let run = bulk.export(&[&SERIES[..], &["--max-wait", "2s"]].concat());
    assert_eq!(run.code, 6, "{run}");
    assert!(!run.stderr.contains("given up"), "{run}");
    assert_eq!((bulk.kick_offs(), folders(&bulk).len()), (1, 1));
}
