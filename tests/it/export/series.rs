//! `--since auto`: each export asks for what changed since the one before, and has a folder of its own.

use std::fs;

use crate::support::bulk::{PATIENTS, ndjson, outcome, pending};
use crate::support::run::KILLED;
use crate::support::{Answer, Bulk};

const SERIES: [&str; 2] = ["--since", "auto"];

fn at(bulk: &Bulk, time: &str) {
    bulk.manifest(|manifest| manifest["transactionTime"] = time.into());
}

/// The server forgets its job after each export; a new kick-off makes a new one.
fn kick_offs(bulk: &Bulk) -> Vec<String> {
    let lines = bulk.server.lines();
    let asked = lines.iter().filter(|line| line.contains("$export"));
    asked
        .map(|line| line.split_once("$export").unwrap().1.to_owned())
        .collect()
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

fn site() -> Bulk {
    let bulk = Bulk::open();
    bulk.file("output", "Patient", "/files/p", ndjson(PATIENTS));
    bulk
}

#[test]
fn each_export_of_a_series_asks_for_what_changed_since_the_one_before() {
    let bulk = site();
    at(&bulk, "2026-01-31T10:00:00.000Z");
    let run = bulk
        .export(&[&SERIES[..], &["--keep"]].concat())
        .ok()
        .says("the beginning");
    assert!(
        run.stdout
            .contains("out/2026-01-31T10-00-00.000Z/Patient_files_p.ndjson is created"),
        "{run}"
    );
    at(&bulk, "2026-02-01T10:00:00+01:00");
    bulk.export(&[&SERIES[..], &["--keep"]].concat())
        .ok()
        .says("Since: 2026-01-31T10:00:00.000Z");
    bulk.export(&[&SERIES[..], &["--keep"]].concat()).ok();
    assert_eq!(
        kick_offs(&bulk),
        [
            "",
            "?_since=2026-01-31T10:00:00.000Z",
            "?_since=2026-02-01T10:00:00%2B01:00"
        ]
    );
    // The same time twice: nothing is overwritten.
    assert_eq!(
        folders(&bulk),
        [
            "2026-01-31T10-00-00.000Z",
            "2026-02-01T10-00-00-01-00",
            "2026-02-01T10-00-00-01-00_2"
        ]
    );
    let status = bulk
        .medplum
        .run(["bulk", "status", "out", "-o", "json"])
        .ok()
        .json();
    assert_eq!(status["runs"].as_array().unwrap().len(), 3);
    assert_eq!(status["phase"], "done");
}

#[test]
fn an_export_of_a_series_that_ended_early_goes_on_before_the_next_one_begins() {
    let bulk = site();
    bulk.server.on_sequence(
        "GET",
        "/files/p",
        [
            Answer::outcome(403, "forbidden", "not yet"),
            Answer::outcome(403, "forbidden", "not yet"),
            ndjson(PATIENTS),
        ],
    );
    bulk.export(&SERIES).fails(5).says("not yet");
    assert_eq!(folders(&bulk), ["2026-01-31T10-00-00.000Z"]);
    bulk.medplum.run(["bulk", "resume", "out"]).ok();
    assert_eq!(kick_offs(&bulk), [""]);
    assert_eq!(
        bulk.medplum
            .read("out/2026-01-31T10-00-00.000Z/Patient_files_p.ndjson"),
        PATIENTS
    );
}

#[test]
fn after_an_export_with_errors_the_next_one_asks_for_the_same_time_again() {
    let bulk = site();
    bulk.file(
        "error",
        "OperationOutcome",
        "/files/e",
        ndjson(outcome("error")),
    );
    let keep = [&SERIES[..], &["--keep"]].concat();
    bulk.export(&keep).fails(5);
    bulk.export(&keep).fails(5);
    bulk.export(&[&keep[..], &["--fail-on", "never"]].concat())
        .ok();
    bulk.export(&[&keep[..], &["--fail-on", "never"]].concat())
        .ok();
    assert_eq!(
        kick_offs(&bulk),
        ["", "", "", "?_since=2026-01-31T10:00:00.000Z"]
    );
}

#[test]
fn a_series_is_of_one_request_and_of_no_other_export() {
    let bulk = site();
    bulk.export(&[&SERIES[..], &["--keep"]].concat()).ok();
    bulk.export(&[&SERIES[..], &["-t", "Patient"]].concat())
        .fails(2)
        .says("another request");
    bulk.export(&[]).fails(2).says("holds a series");
    let mut command = vec!["bulk", "export", "-p", "site", "-d", "single"];
    bulk.medplum.run([&command[..], &["--keep"]].concat()).ok();
    command.extend(SERIES);
    bulk.medplum.run(command).fails(2);
    assert_eq!(bulk.kick_offs(), 2);
}

/// F3: the error said that `--restart` gets past a broken state, and it did not.
#[test]
fn a_series_whose_state_is_broken_says_what_gets_past_it() {
    let bulk = site();
    bulk.export(&[&SERIES[..], &["--keep"]].concat()).ok();
    let path = bulk.medplum.path("out/.medplum-export/series.json");
    for text in ["{", ""] {
        fs::write(&path, text).unwrap();
        for args in [&SERIES[..], &[&SERIES[..], &["--restart"]].concat()] {
            let run = bulk.export(args).fails(1).says("series.json");
            run.says("series.json away to begin a new series");
        }
        bulk.medplum.run(["bulk", "status", "out"]).fails(1);
    }
    assert_eq!(bulk.kick_offs(), 1);
    fs::remove_file(&path).unwrap();
    bulk.export(&[&SERIES[..], &["--keep"]].concat()).ok();
    assert_eq!(kick_offs(&bulk), ["", ""]);
    assert_eq!(folders(&bulk).len(), 2);
}

#[test]
fn a_kill_while_the_server_works_leaves_a_series_that_goes_on() {
    let bulk = site();
    bulk.status((0..200).map(|_| pending()));
    let running = bulk.command(&SERIES).spawn();
    bulk.server.wait_for(crate::support::bulk::STATUS);
    running.kill();
    running.finish().fails(KILLED);
    assert_eq!(folders(&bulk), ["in-progress"]);
    let status = bulk
        .medplum
        .run(["bulk", "status", "out", "-o", "json"])
        .ok()
        .json();
    assert_eq!(status["phase"], "waiting");
    bulk.medplum.run(["bulk", "cancel", "out"]).ok();
    assert_eq!(bulk.deletes(), 1);
    bulk.medplum.run(["bulk", "status", "out"]).fails(2);
}
