//! `bulk report`: what came of an export, from its folder alone.

use std::fs;

use serde_json::{Value, json};

use crate::support::bulk::{CONDITIONS, OBSERVATIONS, ndjson, outcome, pending};
use crate::support::run::KILLED;
use crate::support::{Answer, Bulk, Run};

fn report(bulk: &Bulk, folder: &str) -> Value {
    bulk.medplum
        .run(["bulk", "report", folder, "-o", "json"])
        .ok()
        .json()
}

/// A table that holds some words.
trait Shows {
    #[track_caller]
    fn shows(self, words: &str) -> Self;
}

impl Shows for Run {
    fn shows(self, words: &str) -> Self {
        assert!(self.stdout.contains(words), "{words} is missing\n{self}");
        self
    }
}

/// The row of a type, or of deletions or reports.
#[track_caller]
fn row<'a>(report: &'a Value, name: &str) -> &'a Value {
    let rows = report["types"].as_array().unwrap();
    let found = rows.iter().find(|row| row["type"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

#[test]
fn a_finished_export_is_reported_without_its_server() {
    let bulk = Bulk::with_three_files();
    bulk.file(
        "output",
        "Patient",
        "/files/p2",
        ndjson("{\"resourceType\":\"Patient\",\"id\":\"3\"}\n"),
    );
    let deleted = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"request": {"method": "DELETE", "url": "Patient/7"}}, {"request": {"method": "DELETE", "url": "Group/8"}},
    ]});
    bulk.file(
        "deleted",
        "Bundle",
        "/files/d",
        ndjson(format!("{deleted}\n")),
    );
    bulk.file(
        "error",
        "OperationOutcome",
        "/files/e",
        ndjson(outcome("warning")),
    );
    bulk.server.on_sequence(
        "GET",
        "/files/o",
        [
            Answer::outcome(429, "throttled", "slowly").header("Retry-After", "1"),
            ndjson(OBSERVATIONS),
        ],
    );
    bulk.export(&["-t", "Patient,Observation,Condition"]).ok();
    bulk.server.forget();
    let report = report(&bulk, "out");
    assert!(bulk.server.requests().is_empty());
    assert_eq!(
        (&report["result"], &report["level"]),
        (&json!("complete"), &json!("system"))
    );
    assert_eq!(report["fhirBase"], bulk.server.url("/fhir/R4"));
    assert_eq!(
        report["parameters"],
        json!([{"name": "_type", "value": "Patient,Observation,Condition"}])
    );
    assert_eq!(report["transactionTime"], "2026-01-31T10:00:00.000Z");
    let patients = row(&report, "Patient");
    assert_eq!(
        (
            &patients["files"],
            &patients["resources"],
            &patients["deleted"]
        ),
        (&json!(2), &json!(3), &json!(1))
    );
    assert!(patients["seconds"].as_f64().is_some(), "{patients}");
    assert_eq!(row(&report, "Group")["deleted"], 1);
    assert_eq!(row(&report, "Observation")["errors"], json!({"429": 1}));
    assert_eq!(row(&report, "Condition")["bytes"], CONDITIONS.len());
    let total = &report["total"];
    assert_eq!(
        (
            &total["files"],
            &total["resources"],
            &total["deleted"],
            &total["missing"]
        ),
        (&json!(6), &json!(6), &json!(2), &json!(0))
    );
    assert_eq!(total["errors"], json!({"429": 1}));
    assert_eq!(report["errors"][0]["stage"], "download");
    assert_eq!(report["outcomes"]["warnings"], 1);
    let bytes: f64 = report["throughput"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["bytes"].as_f64().unwrap())
        .sum();
    assert!(
        (bytes - total["bytes"].as_f64().unwrap()).abs() < 1.0,
        "{bytes} {total}"
    );
    assert_eq!(report["unknown"], json!([]));

    let table = bulk
        .medplum
        .run(["bulk", "report", "out", "-o", "table"])
        .ok();
    let table = table
        .shows("complete")
        .shows("TYPE")
        .shows("429")
        .shows("some warning");
    let line = table
        .stdout
        .lines()
        .find(|line| line.starts_with("total"))
        .unwrap();
    assert!(line.contains("429"), "{table}");
}

#[test]
fn partial_interrupted_waiting_and_gone_exports_are_called_what_they_are() {
    let bulk = Bulk::with_three_files();
    bulk.server.on(
        "GET",
        "/files/o",
        Answer::outcome(403, "forbidden", "not yours"),
    );
    bulk.export(&[]).fails(5);
    let partial = report(&bulk, "out");
    assert_eq!(
        (&partial["result"], &partial["total"]["missing"]),
        (&json!("partial"), &json!(1))
    );
    assert_eq!(partial["missing"][0]["path"], "Observation_files_o.ndjson");
    assert!(
        partial["missing"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("not yours"),
        "{partial:#}"
    );
    assert_eq!(row(&partial, "Observation")["missing"], 1);
    let _ = bulk
        .medplum
        .run(["bulk", "report", "out", "-o", "table"])
        .ok()
        .shows("partial: 1 of 3 files are missing")
        .shows("not yours");

    let bulk = Bulk::with_three_files();
    bulk.server.on("GET", "/files/o", Answer::silence());
    let child = bulk.command(&["--parallel", "1"]).spawn();
    bulk.server.wait_for("/files/o");
    // What came before it has its name once it is recorded.
    bulk.medplum.wait_for("out/Patient_files_p.ndjson");
    assert_eq!(report(&bulk, "out")["result"], "running");
    child.kill();
    child.finish().fails(KILLED);
    let interrupted = report(&bulk, "out");
    assert_eq!(
        (&interrupted["result"], &interrupted["total"]["missing"]),
        (&json!("interrupted"), &json!(2))
    );

    let bulk = Bulk::with_three_files();
    bulk.status([pending(), pending()]);
    bulk.export(&["--detach"]).ok();
    let waiting = report(&bulk, "out");
    assert_eq!(
        (&waiting["result"], &waiting["types"]),
        (&json!("waiting"), &json!([]))
    );
    let _ = bulk
        .medplum
        .run(["bulk", "report", "out", "-o", "table"])
        .ok()
        .shows("has not listed");
    bulk.medplum
        .run(["bulk", "report", "nowhere"])
        .fails(2)
        .says("holds no export");

    // A file that went after the end is missed.
    bulk.medplum.run(["bulk", "resume", "out"]).ok();
    fs::remove_file(bulk.medplum.path("out/Patient_files_p.ndjson")).unwrap();
    assert_eq!(report(&bulk, "out")["result"], "partial");
}

#[test]
fn an_export_without_a_log_is_reported_with_what_is_unknown() {
    let bulk = Bulk::with_three_files();
    bulk.export(&[]).ok();
    fs::remove_file(bulk.medplum.path("out/log.ndjson")).unwrap();
    let place = bulk.medplum.path("out/.medplum-export/job.json");
    let mut job: Value = serde_json::from_slice(&fs::read(&place).unwrap()).unwrap();
    job.as_object_mut().unwrap().remove("exportId");
    fs::write(&place, job.to_string()).unwrap();
    let report = report(&bulk, "out");
    assert_eq!(
        (
            &report["result"],
            &report["errors"],
            &report["total"]["seconds"]
        ),
        (&json!("complete"), &Value::Null, &Value::Null)
    );
    assert_eq!(report["total"]["resources"], 5);
    assert!(
        report["unknown"][0].as_str().unwrap().contains("no log"),
        "{report:#}"
    );
    let run = bulk
        .medplum
        .run(["bulk", "report", "out", "--html", "old.html"])
        .ok();
    assert!(run.stdout.is_empty(), "{run}");
    assert!(
        bulk.medplum
            .read("old.html")
            .contains("no log of this export")
    );
}

/// C5 of the kinds: the link was replaced by the page.
#[test]
fn a_report_goes_along_a_symlink() {
    let bulk = Bulk::with_three_files();
    bulk.export(&[]).ok();
    let link = bulk.medplum.path("page.html");
    std::os::unix::fs::symlink("elsewhere.html", &link).unwrap();
    let _ = bulk
        .medplum
        .run(["bulk", "report", "out", "--html", "page.html"])
        .ok();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(bulk.medplum.read("elsewhere.html").contains("Patient"));
}

#[test]
fn a_series_is_reported_with_all_its_exports() {
    let bulk = Bulk::with_three_files();
    let args = [
        "bulk", "export", "-p", "site", "-d", "series", "--since", "auto", "--keep",
    ];
    bulk.medplum.run(args).ok();
    bulk.manifest(|manifest| manifest["transactionTime"] = json!("2026-02-01T10:00:00Z"));
    bulk.medplum.run(args).ok();
    let report = report(&bulk, "series");
    let runs = report["runs"].as_array().unwrap();
    assert_eq!(
        (runs.len(), &runs[1]["since"]),
        (2, &json!("2026-01-31T10:00:00.000Z"))
    );
    assert_eq!(
        (&runs[0]["resources"], &runs[0]["files"]),
        (&json!(5), &json!(3))
    );
    assert_eq!(report["transactionTime"], "2026-02-01T10:00:00Z");
    assert_eq!(
        report["parameters"],
        json!([{"name": "_since", "value": "2026-01-31T10:00:00.000Z"}])
    );
    let _ = bulk
        .medplum
        .run(["bulk", "report", "series", "-o", "table"])
        .ok()
        .shows("Exports of the series");
}

/// `script` gives the command a terminal.
#[test]
fn an_export_on_a_terminal_ends_with_the_table_and_elsewhere_without_it() {
    let bulk = Bulk::with_three_files();
    let run = bulk.export(&["--keep"]).ok();
    assert!(!run.everything().contains("RESOURCES"), "{run}");
    let line = "script -qec 'medplum bulk export -p site -d out --overwrite' /dev/null";
    let run = bulk.medplum.shell(line).ok();
    let shown = run.stdout.replace('\r', "");
    let table = shown.find("TYPE").unwrap_or_else(|| panic!("{run}"));
    let last = shown
        .find("5 resources in 3 files")
        .unwrap_or_else(|| panic!("{run}"));
    assert!(table < last, "{run}");
    assert!(
        shown[table..last]
            .lines()
            .any(|line| line.starts_with("total")),
        "{run}"
    );
}

/// What is not checked is not counted.
#[test]
fn an_export_without_checks_is_reported_by_its_bytes() {
    let bulk = Bulk::with_three_files();
    bulk.export(&["--no-verify"]).ok();
    let report = report(&bulk, "out");
    assert_eq!(
        (&report["result"], &report["total"]["files"]),
        (&json!("complete"), &json!(3))
    );
    assert!(
        report["unknown"][0]
            .as_str()
            .unwrap()
            .contains("not counted"),
        "{report:#}"
    );
    bulk.medplum
        .run(["bulk", "report", "out", "--html", "page.html"])
        .ok();
    assert!(bulk.medplum.read("page.html").contains("Size by type"));
}
