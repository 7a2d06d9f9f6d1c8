//! The digest of each file's lines: which one is made, who reads it, and what a manifest may say of it.

use std::fs;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::bulk::{CONDITIONS, OBSERVATIONS, PATIENTS, ndjson};
use crate::support::readings::{TIME, entry, lines, page, readings};
use crate::support::{Answer, Bulk, Medplum};

fn sha256(text: &str) -> Value {
    json!({"algorithm": "sha256", "value": format!("{:x}", Sha256::digest(text))})
}

fn blake3(text: &str) -> Value {
    json!({"algorithm": "blake3", "value": blake3::hash(text.as_bytes()).to_hex().as_str()})
}

fn manifest(medplum: &Medplum) -> Value {
    serde_json::from_str(&medplum.read("out/manifest.json")).unwrap()
}

/// Three files, and a fourth one whose SHA-256 is promised.
fn site() -> (Bulk, String) {
    let bulk = Bulk::with_three_files();
    let text = lines("Encounter", 0..3);
    let sum = format!("sha256:{:x}", Sha256::digest(&text));
    let mut promised = entry(&bulk, "Encounter", "/files/e");
    promised["extension"] = json!([{"url": "https://dpc.cms.gov/checksum", "valueString": sum}]);
    bulk.entry("output", promised);
    bulk.server.on("GET", "/files/e", ndjson(&text));
    (bulk, text)
}

#[test]
fn each_file_has_the_digest_that_was_asked_for_or_the_one_that_the_server_promises() {
    let nothing: fn(&str) -> Value = |_| Value::Null;
    for (args, digest) in [
        (&[][..], blake3 as fn(&str) -> Value),
        (&["--compress"], blake3),
        (&["--checksum", "blake3"], blake3),
        (&["--checksum", "sha256"], sha256),
        (&["--checksum", "none"], nothing),
    ] {
        let (bulk, promised) = site();
        let run = bulk.export(&[args, &["-o", "json"]].concat()).ok();
        let report = run.json();
        let manifest = manifest(&bulk.medplum);
        for (at, text) in [PATIENTS, OBSERVATIONS, CONDITIONS].into_iter().enumerate() {
            let file = &manifest["output"][at];
            assert_eq!(file["digest"], digest(text), "{args:?} {file}");
            assert_eq!(
                report["files"][at]["digest"],
                digest(text),
                "{args:?} {run}"
            );
            let is_sha256 = file["digest"]["algorithm"] == "sha256";
            let value = &file["digest"]["value"];
            assert_eq!(
                &file["sha256"],
                if is_sha256 { value } else { &Value::Null }
            );
        }
        let file = &manifest["output"][3];
        assert_eq!(file["digest"], sha256(&promised), "{args:?}");
        assert_eq!(file["sha256"], file["digest"]["value"], "{args:?}");
        let run = bulk
            .medplum
            .run(["bulk", "verify", "out", "-o", "json"])
            .ok();
        let verified = run.json();
        let without = if args.contains(&"none") { 3 } else { 0 };
        assert_eq!(
            (
                &verified["files"],
                &verified["withoutDigest"],
                &verified["unchecked"]
            ),
            (&json!(4), &json!(without), &json!(0)),
            "{args:?}"
        );
    }
}

#[test]
fn a_promise_is_kept_whatever_digest_is_asked_for() {
    for checksum in ["blake3", "sha256", "none"] {
        let (bulk, _) = site();
        bulk.server
            .on("GET", "/files/e", ndjson(lines("Encounter", 5..8)));
        bulk.export(&["--checksum", checksum])
            .fails(5)
            .says("promises the SHA-256");
        assert!(!bulk.names().iter().any(|name| name.contains("Encounter")));
    }
}

/// Without a digest it is a file of the right length and number of lines: that is said.
#[test]
fn a_byte_that_changed_is_told_by_every_digest_and_without_one_that_there_is_none() {
    for (checksum, words) in [
        ("blake3", "its BLAKE3 is"),
        ("sha256", "its SHA-256 is"),
        ("none", "without a digest"),
    ] {
        let bulk = Bulk::with_three_files();
        bulk.export(&["--checksum", checksum]).ok();
        let changed = PATIENTS.replace("\"1\"", "\"9\"");
        bulk.medplum.file("out/Patient_files_p.ndjson", changed);
        let code = if checksum == "none" { 0 } else { 5 };
        let run = bulk
            .medplum
            .run(["bulk", "verify", "out", "-o", "table"])
            .fails(code);
        assert!(
            run.stdout.contains(words) || run.stderr.contains(words),
            "{run}"
        );
    }
}

/// A folder may come from anywhere: what it says of a digest is never passed over because it cannot be read.
#[test]
fn a_digest_that_cannot_be_compared_is_told() {
    let bulk = Bulk::with_three_files();
    bulk.export(&[]).ok();
    // Beside a state the manifest itself is compared.
    bulk.medplum.shell("rm -r out/.medplum-export").ok();
    let good = manifest(&bulk.medplum);
    let hex = good["output"][0]["digest"]["value"]
        .as_str()
        .unwrap()
        .to_owned();
    let blake3 = |value: &str| json!({"algorithm": "blake3", "value": value});
    let verify = |digest: &Value, sha256: Option<&Value>, code: i32| {
        let mut changed = good.clone();
        changed["output"][0]["digest"] = digest.clone();
        if let Some(sha256) = sha256 {
            changed["output"][0]["sha256"] = sha256.clone();
        }
        bulk.medplum.file("out/manifest.json", changed.to_string());
        bulk.medplum
            .run(["bulk", "verify", "out", "-o", "table"])
            .fails(code)
    };
    verify(&blake3(&hex.to_uppercase()), None, 0);
    for (digest, words) in [
        (
            json!({"algorithm": "md5", "value": hex}),
            "by `md5`, which is not known here",
        ),
        (
            json!({"algorithm": "\u{1b}[2J", "value": hex}),
            "which is not known here",
        ),
        (
            json!({"algorithm": 5, "value": hex}),
            "which is not known here",
        ),
        (json!("blake3"), "which is not known here"),
        (json!([]), "which is not known here"),
        (blake3(&hex[1..]), "which cannot be one"),
        (blake3(&format!("{hex}00")), "which cannot be one"),
        (blake3(""), "which cannot be one"),
        (json!({"algorithm": "blake3"}), "which cannot be one"),
        (
            json!({"algorithm": "blake3", "value": 7}),
            "which cannot be one",
        ),
        (
            json!({"algorithm": "sha256", "value": hex}),
            "its SHA-256 is",
        ),
    ] {
        let run = verify(&digest, None, 5);
        assert!(run.stdout.contains(words), "{digest}\n{run}");
        assert!(!run.stdout.contains('\u{1b}'), "{run}");
    }
    // Both are held.
    for sha256 in [json!("0".repeat(64)), json!("short"), json!(7)] {
        let run = verify(&blake3(&hex), Some(&sha256), 5);
        assert!(run.stdout.contains("SHA-256 is"), "{sha256}\n{run}");
    }
}

#[test]
fn an_export_that_is_gone_on_with_keeps_its_digest_and_an_older_one_has_sha256() {
    let is_here = ["sha256", "none", "of a version that kept none"];
    for checksum in is_here {
        let bulk = Bulk::with_three_files();
        bulk.server.on("GET", "/files/o", Answer::empty(403));
        let is_older = checksum == is_here[2];
        bulk.export(&["--checksum", if is_older { "sha256" } else { checksum }])
            .fails(5);
        let path = bulk.medplum.path("out/.medplum-export/job.json");
        let mut job: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert!(job["style"]["checksum"].is_string());
        if is_older {
            job["style"].as_object_mut().unwrap().remove("checksum");
            fs::write(&path, job.to_string()).unwrap();
            // And called each digest by its algorithm.
            let done = bulk.medplum.read("out/.medplum-export/done.ndjson");
            let older = done.replace("\"digest\":\"sha256:", "\"sha256\":\"");
            assert_ne!(done, older);
            bulk.medplum.file("out/.medplum-export/done.ndjson", older);
        }
        bulk.server.on("GET", "/files/o", ndjson(OBSERVATIONS));
        bulk.export(&["--checksum", "blake3"]).ok();
        let manifest = manifest(&bulk.medplum);
        for (at, text) in [PATIENTS, OBSERVATIONS, CONDITIONS].into_iter().enumerate() {
            let expected = if checksum == "none" {
                Value::Null
            } else {
                sha256(text)
            };
            assert_eq!(manifest["output"][at]["digest"], expected, "{checksum}");
        }
        assert_eq!(bulk.server.requests_to("/files/p").len(), 1);
    }
}

/// The first reading promised nothing, so a BLAKE3 was made; the next one promises a SHA-256 under another link.
#[test]
fn a_file_with_another_digest_is_proved_by_a_checksum_that_is_promised_later() {
    for args in [&["--parallel", "1"][..], &["--parallel", "1", "--compress"]] {
        let bulk = Bulk::open();
        let (text, other) = (lines("Patient", 0..3), lines("Patient", 10..11));
        let mut promised = entry(&bulk, "Patient", "/files/y1");
        let sum = format!("sha256:{:x}", Sha256::digest(&text));
        promised["extension"] =
            json!([{"url": "https://dpc.cms.gov/checksum", "valueString": sum}]);
        let of = |target: &str| entry(&bulk, "Patient", target);
        readings(
            &bulk,
            [
                page(TIME, [of("/files/x1"), of("/files/x2")]),
                page(TIME, [of("/files/y2"), promised]),
            ],
        );
        bulk.server.on("GET", "/files/x1", ndjson(&text));
        bulk.server.on(
            "GET",
            "/files/x2",
            Answer::outcome(403, "forbidden", "the link is over"),
        );
        bulk.server.on("GET", "/files/y2", ndjson(&other));
        bulk.export(args).ok();
        assert_eq!(bulk.server.requests_to("/files/y2").len(), 1);
        assert!(bulk.server.requests_to("/files/y1").is_empty(), "{args:?}");
    }
}

/// The lines of `docs/export.md` that check a folder without medplum, as they are printed there.
#[test]
fn b3sum_checks_a_folder_by_the_line_of_the_documents() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/export.md")).unwrap();
    let mut documented = text.lines().filter(|line| line.contains("b3sum"));
    let documented = documented.find(|line| line.starts_with("(set")).unwrap();
    let line = documented.replace("cd export", "cd out");
    for program in ["b3sum", "jq"] {
        let found = std::process::Command::new(program)
            .arg("--version")
            .output();
        assert!(
            found.is_ok(),
            "{program} is missing: run tests/run, or apt-get install {program}"
        );
    }
    for args in [&[][..], &["--compress"]] {
        let (bulk, _) = site();
        bulk.export(args).ok();
        let run = bulk.medplum.shell(&line).ok();
        // The fourth file has a SHA-256.
        assert_eq!(run.stdout.matches(": OK").count(), 3, "{run}");
        bulk.medplum
            .shell(&line.replace("manifest.json", "gone.json"))
            .fails(2);
        let name = bulk
            .names()
            .into_iter()
            .find(|name| name.starts_with("Patient"))
            .unwrap();
        let changed = PATIENTS.replace("\"1\"", "\"9\"");
        let mut bytes = changed.into_bytes();
        if !args.is_empty() {
            use std::io::Write;
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(&bytes).unwrap();
            bytes = packed.finish().unwrap();
        }
        bulk.medplum.file(&format!("out/{name}"), bytes);
        let run = bulk.medplum.shell(&line).fails(1);
        assert_eq!(run.stdout.matches(": OK").count(), 2, "{run}");
        assert!(run.stdout.contains(&format!("{name}: FAILED")), "{run}");
    }
}
