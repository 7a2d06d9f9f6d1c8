//! `bulk verify`: a folder read again and compared with its manifest.

use std::fs;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::bulk::{PATIENTS, ndjson};
use crate::support::{Bulk, Medplum};

fn exported(args: &[&str]) -> Bulk {
    let bulk = Bulk::with_three_files();
    bulk.file(
        "deleted",
        "Bundle",
        "/files/d",
        ndjson("{\"resourceType\":\"Bundle\"}\n"),
    );
    bulk.export(args).ok();
    bulk
}

/// The names of what differs.
#[track_caller]
fn differing(medplum: &Medplum, folder: &str, code: i32) -> Vec<String> {
    let run = medplum
        .run(["bulk", "verify", folder, "-o", "json"])
        .fails(code);
    let different = run.json()["different"].as_array().unwrap().clone();
    let names = different
        .iter()
        .map(|file| file["path"].as_str().unwrap().to_owned());
    names.collect()
}

#[test]
fn a_folder_that_is_as_it_came_verifies_and_so_does_a_copy() {
    for args in [
        &[][..],
        &["--compress"],
        &["--no-verify"],
        &["--parallel", "1"],
    ] {
        let bulk = exported(args);
        let run = bulk
            .medplum
            .run(["bulk", "verify", "out", "-o", "json"])
            .ok();
        let report = run.json();
        assert_eq!(
            (report["files"].as_u64(), &report["different"]),
            (Some(4), &json!([])),
            "{run}"
        );
        let unchecked = args.contains(&"--no-verify");
        assert_eq!(report["unchecked"], if unchecked { 4 } else { 0 }, "{run}");
        bulk.medplum
            .shell("cp -r out copy && rm -r copy/.medplum-export out")
            .ok();
        assert!(differing(&bulk.medplum, "copy", 0).is_empty());
        bulk.medplum
            .run(["bulk", "verify", "copy", "-o", "table"])
            .ok()
            .says("4 files");
    }
}

#[test]
fn whatever_differs_is_named_with_exit_code_5() {
    let changes: [(&str, &str, &str); 6] = [
        (
            "a byte",
            "sed -i 's/\"1\"/\"9\"/' out/Patient_files_p.ndjson",
            "BLAKE3",
        ),
        (
            "a line more",
            "echo '{\"resourceType\":\"Patient\"}' >> out/Patient_files_p.ndjson",
            "bytes",
        ),
        (
            "cut",
            "truncate -s 20 out/Patient_files_p.ndjson",
            "20 bytes",
        ),
        ("gone", "rm out/Patient_files_p.ndjson", "not there"),
        (
            "a folder",
            "rm out/Patient_files_p.ndjson; mkdir out/Patient_files_p.ndjson",
            "no file",
        ),
        (
            "elsewhere",
            "mv out/Patient_files_p.ndjson other; ln -s ../other out/Patient_files_p.ndjson",
            "out of the folder",
        ),
    ];
    for (what, change, words) in changes {
        let bulk = exported(&[]);
        bulk.medplum.shell(change).ok();
        assert_eq!(
            differing(&bulk.medplum, "out", 5),
            ["Patient_files_p.ndjson"],
            "{what}"
        );
        let run = bulk
            .medplum
            .run(["bulk", "verify", "out", "-o", "table"])
            .fails(5);
        assert!(run.stdout.contains(words), "{what}\n{run}");
        assert!(run.stderr.contains("1 of 4 files is not"), "{what}\n{run}");
    }
}

#[test]
fn a_file_that_never_came_is_different() {
    let bulk = Bulk::with_three_files();
    bulk.server
        .on("GET", "/files/o", crate::support::Answer::empty(403));
    bulk.export(&[]).fails(5);
    assert_eq!(
        differing(&bulk.medplum, "out", 5),
        [bulk.server.url("/files/o")]
    );
}

/// What version 0.1 wrote: no `complete`.
#[test]
fn a_folder_of_the_version_before_is_read() {
    let medplum = Medplum::new();
    let sha256 = format!("{:x}", Sha256::digest(PATIENTS));
    let mut manifest = json!({
        "transactionTime": "2026-01-01T00:00:00Z", "requiresAccessToken": true, "request": "http://h/fhir/$export",
        "output": [{"type": "Patient", "url": "http://h/p", "count": 2, "path": "Patient_p.ndjson", "resources": 2,
            "bytes": PATIENTS.len(), "sha256": sha256}],
        "deleted": [], "error": [],
    });
    medplum.file("old/manifest.json", manifest.to_string());
    medplum.file("old/Patient_p.ndjson", PATIENTS);
    assert!(differing(&medplum, "old", 0).is_empty());
    // It may come from anywhere.
    for path in ["../secret", "/etc/passwd", "", "a/../../secret"] {
        manifest["output"][0]["path"] = path.into();
        medplum.file("old/manifest.json", manifest.to_string());
        medplum.file("secret", PATIENTS);
        let run = medplum
            .run(["bulk", "verify", "old", "-o", "json"])
            .fails(5);
        let problem = run.json()["different"][0]["problem"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(problem.contains("out of the folder"), "{path}: {problem}");
    }
}

#[test]
fn every_export_of_a_series_is_verified() {
    let bulk = Bulk::with_three_files();
    for time in ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"] {
        bulk.manifest(|manifest| manifest["transactionTime"] = time.into());
        bulk.export(&["--since", "auto", "--keep"]).ok();
    }
    assert!(differing(&bulk.medplum, "out", 0).is_empty());
    fs::write(
        bulk.medplum
            .path("out/2026-01-02T00-00-00Z/Patient_files_p.ndjson"),
        "x",
    )
    .unwrap();
    assert_eq!(
        differing(&bulk.medplum, "out", 5),
        ["2026-01-02T00-00-00Z/Patient_files_p.ndjson"]
    );
}

#[test]
fn attachments_are_verified_by_their_lengths() {
    let bulk = Bulk::open();
    let url = bulk.server.url("/fhir/R4/Binary/1");
    let document = json!({"resourceType": "DocumentReference", "id": "1", "content": [
        {"attachment": {"contentType": "application/pdf", "url": url}},
    ]});
    bulk.file(
        "output",
        "DocumentReference",
        "/files/d",
        ndjson(format!("{document}\n")),
    );
    bulk.server.on(
        "GET",
        "/fhir/R4/Binary/1",
        crate::support::Answer::new(200, "application/pdf", "%PDF"),
    );
    bulk.export(&["--attachments", "download"]).ok();
    assert!(differing(&bulk.medplum, "out", 0).is_empty());
    bulk.medplum
        .shell("for file in out/attachments/*; do echo more >> $file; done")
        .ok();
    assert_eq!(differing(&bulk.medplum, "out", 5).len(), 1);
}

#[test]
fn what_is_no_export_is_wrong_usage() {
    let medplum = Medplum::new();
    medplum
        .run(["bulk", "verify", "nowhere"])
        .fails(2)
        .says("manifest.json");
    medplum.file("broken/manifest.json", "{");
    let run = medplum.run(["bulk", "verify", "broken"]);
    assert_eq!(run.code, 1, "{run}");
    let help = medplum.run(["bulk", "verify", "--help"]).ok();
    assert!(help.stdout.contains("Examples:"), "{help}");
    let value: Result<Value, _> = serde_json::from_str(&help.stdout);
    assert!(value.is_err());
}
