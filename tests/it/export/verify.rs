//! `bulk verify`: a folder read again and compared with its manifest.

use std::fs;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::bulk::{PATIENTS, ndjson};
use crate::support::{Bulk, Medplum};

/// A site with three files, and one more in this list.
fn site_with(list: &str) -> Bulk {
    let bulk = Bulk::with_three_files();
    bulk.file(
        list,
        "Bundle",
        "/files/deletions",
        ndjson("{\"resourceType\":\"Bundle\"}\n"),
    );
    bulk
}

fn exported(args: &[&str]) -> Bulk {
    let bulk = site_with("deleted");
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

/// An export with an attachment beside it.
fn with_an_attachment() -> Bulk {
    let bulk = site_with("deleted");
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
    bulk
}

#[test]
fn an_attachment_that_is_not_as_it_came_is_named() {
    for change in ["echo more >>", "printf '%%PDf' >", "rm"] {
        let bulk = with_an_attachment();
        bulk.medplum
            .shell(&format!(
                "for file in out/attachments/*; do {change} $file; done"
            ))
            .ok();
        let names = differing(&bulk.medplum, "out", 5);
        assert!(
            names.len() == 1 && names[0].starts_with("attachments/"),
            "{change}: {names:?}"
        );
    }
}

/// Without it nobody knows which attachments there should be, and all that were left were as they should be.
#[test]
fn an_index_of_attachments_that_is_lost_is_named_in_a_copy_too() {
    for change in [
        "rm",
        "truncate -s 0",
        "truncate -s 1",
        "sed -i s/Binary/Binery/",
        "sed -i d",
    ] {
        let bulk = with_an_attachment();
        bulk.medplum
            .shell(&format!(
                "{change} out/attachments.ndjson; cp -r out copy; rm -r copy/.medplum-export"
            ))
            .ok();
        for folder in ["out", "copy"] {
            let names = differing(&bulk.medplum, folder, 5);
            assert_eq!(names, ["attachments.ndjson"], "{change}");
        }
    }
}

/// What it does not list is compared by nobody.
#[test]
fn a_manifest_that_lost_what_it_listed_is_named() {
    let cut = |list: &'static str| {
        move |bulk: &Bulk| {
            let text = bulk.medplum.read("out/manifest.json");
            let mut manifest: Value = serde_json::from_str(&text).unwrap();
            assert!(!manifest[list].as_array().unwrap().is_empty(), "{list}");
            manifest[list] = json!([]);
            bulk.medplum.file("out/manifest.json", manifest.to_string());
        }
    };
    for list in ["output", "deleted"] {
        let bulk = with_an_attachment();
        cut(list)(&bulk);
        bulk.medplum
            .shell("cp -r out copy; rm -r copy/.medplum-export")
            .ok();
        for folder in ["out", "copy"] {
            assert_eq!(
                differing(&bulk.medplum, folder, 5),
                ["manifest.json"],
                "{list}"
            );
        }
    }
    for change in ["rm", "truncate -s 0", "truncate -s 100", "echo '{}' >"] {
        let bulk = with_an_attachment();
        bulk.medplum
            .shell(&format!("{change} out/manifest.json"))
            .ok();
        assert_eq!(
            differing(&bulk.medplum, "out", 5),
            ["manifest.json"],
            "{change}"
        );
    }
    // Whatever else it says was written with it.
    let bulk = with_an_attachment();
    bulk.medplum
        .shell("sed -i 's/2026-01-31/2026-01-30/' out/manifest.json")
        .ok();
    assert_eq!(differing(&bulk.medplum, "out", 5), ["manifest.json"]);
}

/// What a version wrote that kept no digests of attachments, and did not name their index.
#[test]
fn of_attachments_of_an_older_version_it_is_said_that_lengths_alone_were_compared() {
    let bulk = with_an_attachment();
    let index = bulk.medplum.read("out/attachments.ndjson");
    let mut entry: Value = serde_json::from_str(&index).unwrap();
    assert!(entry["digest"]["value"].is_string(), "{entry}");
    entry.as_object_mut().unwrap().remove("digest");
    bulk.medplum
        .file("out/attachments.ndjson", format!("{entry}\n"));
    let mut manifest: Value =
        serde_json::from_str(&bulk.medplum.read("out/manifest.json")).unwrap();
    for name in ["listed", "attachments"] {
        assert!(manifest.as_object_mut().unwrap().remove(name).is_some());
    }
    bulk.medplum.file("out/manifest.json", manifest.to_string());
    bulk.medplum
        .shell("cp -r out copy; rm -r copy/.medplum-export")
        .ok();
    let run = bulk
        .medplum
        .run(["bulk", "verify", "copy", "-o", "json"])
        .ok();
    assert_eq!(run.json()["unchecked"], 1, "{run}");
    bulk.medplum
        .run(["bulk", "verify", "copy", "-o", "table"])
        .ok()
        .says("of 1 file only the length was compared");
    bulk.medplum.shell("rm copy/attachments.ndjson").ok();
    assert_eq!(differing(&bulk.medplum, "copy", 5), ["attachments.ndjson"]);
}

/// They read nothing again, and do not claim it; what a look finds they say.
#[test]
fn status_resume_and_report_claim_no_more_than_they_looked_at() {
    let table = ["bulk", "report", "out", "-o", "table"];
    let bulk = with_an_attachment();
    for command in [
        &["bulk", "status", "out"][..],
        &["bulk", "resume", "out"],
        &table,
    ] {
        let run = bulk.medplum.run(command).ok();
        assert!(run.stdout.contains("complete"), "{run}");
        assert!(run.stdout.contains("not read again"), "{run}");
        assert!(run.stdout.contains("medplum bulk verify"), "{run}");
    }
    for change in [
        "rm out/manifest.json",
        "truncate -s 0 out/manifest.json",
        "rm out/attachments.ndjson",
        "truncate -s 9 out/attachments.ndjson",
        "rm out/attachments/*",
        "for file in out/attachments/*; do echo >> $file; done",
    ] {
        let bulk = with_an_attachment();
        bulk.medplum.shell(change).ok();
        let status = bulk.medplum.run(["bulk", "status", "out"]).ok();
        assert!(
            status.stdout.contains("gone or changed since"),
            "{change}\n{status}"
        );
        let json = bulk
            .medplum
            .run(["bulk", "status", "out", "-o", "json"])
            .ok()
            .json();
        assert_eq!(json["different"]["number"], 1, "{change}");
        let report = bulk.medplum.run(table).ok();
        assert!(
            report.stdout.contains("is not as it was"),
            "{change}\n{report}"
        );
        bulk.medplum
            .run(["bulk", "resume", "out"])
            .fails(5)
            .says("went or changed since");
    }
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
