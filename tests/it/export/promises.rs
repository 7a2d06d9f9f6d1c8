//! What a server promises of its files beside a count, and what servers wrap them in.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::bulk::{PATIENTS, ndjson};
use crate::support::readings::lines;
use crate::support::{Answer, Bulk};

fn sha256(text: &str) -> String {
    format!("{:x}", Sha256::digest(text))
}

/// A site whose only file comes with these extensions, as AB2D and DPC write them.
fn promising(checksum: &str, length: usize) -> Bulk {
    let bulk = Bulk::open();
    let url = bulk.server.url("/files/p");
    bulk.entry(
        "output",
        json!({"type": "Patient", "url": url, "extension": [
            {"url": "https://dpc.cms.gov/checksum", "valueString": format!("sha256:{checksum}")},
            {"url": "https://dpc.cms.gov/file_length", "valueDecimal": length},
        ]}),
    );
    bulk.server.on("GET", "/files/p", ndjson(PATIENTS));
    bulk
}

#[test]
fn a_file_is_held_to_the_checksum_and_length_of_the_manifest() {
    let right = sha256(PATIENTS);
    promising(&right, PATIENTS.len()).export(&[]).ok();
    for (checksum, length, words) in [
        (sha256("other"), PATIENTS.len(), "SHA-256"),
        (right, 7, "promises 7 bytes"),
    ] {
        let bulk = promising(&checksum, length);
        bulk.export(&[]).fails(5).says(words);
        assert!(bulk.names().is_empty());
        // It was asked for once more: a connection may have lost something.
        assert_eq!(bulk.server.requests_to("/files/p").len(), 2);
        bulk.export(&["--no-verify"]).ok();
    }
}

#[test]
fn lines_that_come_inside_a_binary_are_taken_out_of_it() {
    let bulk = Bulk::open();
    let data = STANDARD.encode(PATIENTS);
    let binary = json!({"resourceType": "Binary", "id": "1", "contentType": "application/fhir+ndjson", "data": data});
    let answer = Answer::new(
        200,
        "application/fhir+json;charset=UTF-8",
        binary.to_string(),
    );
    bulk.file("output", "Patient", "/Binary/1", answer);
    bulk.export(&[]).ok();
    assert_eq!(bulk.files()[0].1, PATIENTS.as_bytes());
}

#[test]
fn an_export_of_binaries_is_left_as_it_is() {
    let bulk = Bulk::open();
    let line =
        json!({"resourceType": "Binary", "id": "1", "contentType": "image/png", "data": "aaaa"});
    let text = format!("{line}\n{line}\n");
    let answer = Answer::new(200, "application/fhir+json", &text);
    bulk.file("output", "Binary", "/files/b", answer);
    bulk.export(&[]).ok();
    assert_eq!(bulk.files()[0].1, text.as_bytes());
}

#[test]
fn compressed_files_hold_the_same_lines() {
    let bulk = Bulk::with_three_files();
    bulk.export(&["--compress"]).ok();
    let files = bulk.files();
    let (name, bytes) = &files[2];
    assert_eq!(name, "Patient_files_p.ndjson.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..])
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, PATIENTS);
}

#[test]
fn the_manifest_is_kept_with_places_and_hashes_and_without_signatures() {
    let bulk = Bulk::open();
    bulk.manifest(|manifest| manifest["requiresAccessToken"] = false.into());
    bulk.file(
        "output",
        "Patient",
        "/files/p?signature=secret",
        ndjson(PATIENTS),
    );
    let missing = Answer::outcome(403, "forbidden", "no");
    bulk.file("deleted", "Bundle", "/files/d?signature=secret", missing);
    bulk.export(&[]).fails(5);
    let text = bulk.medplum.read("out/manifest.json");
    assert!(!text.contains("secret"), "{text}");
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(manifest["transactionTime"], "2026-01-31T10:00:00.000Z");
    let file = &manifest["output"][0];
    assert_eq!(file["path"], "Patient_files_p.ndjson");
    assert_eq!(file["url"], bulk.server.url("/files/p"));
    let digest = blake3::hash(PATIENTS.as_bytes()).to_hex();
    assert_eq!(file["digest"]["value"], digest.as_str());
    assert_eq!(file["resources"], 2);
    assert_eq!(manifest["deleted"][0]["path"], serde_json::Value::Null);
}

#[test]
fn a_manifest_of_the_users_own_stops_the_export_before_the_server_is_asked() {
    let bulk = Bulk::with_three_files();
    let _ = bulk.medplum.file("out/manifest.json", "mine");
    bulk.export(&[]).fails(2).says("manifest.json");
    assert_eq!(bulk.medplum.read("out/manifest.json"), "mine");
    assert_eq!(bulk.kick_offs(), 0);
}

#[test]
fn a_server_that_says_too_much_is_asked_by_fewer_at_a_time() {
    let bulk = Bulk::open();
    for n in 0..6 {
        let path = format!("/files/{n}");
        let text = lines("Patient", n..n + 1);
        bulk.file("output", "Patient", &path, ndjson(&text));
        let refusal = || Answer::outcome(429, "throttled", "slower").header("Retry-After", "0");
        bulk.server
            .on_sequence("GET", &path, [refusal(), refusal(), ndjson(&text)]);
    }
    bulk.export(&["--parallel", "4"]).ok().says("slower");
    assert_eq!(bulk.names().len(), 6);
}
