//! The folder of an export is imported only when its files have the digests that its manifest gives.

use serde_json::{Value, json};
use sha2::Digest;

use super::basics::{import, patients};
use crate::support::{Medplum, Store};

/// A folder whose one file has this digest by its manifest, and these bytes.
fn folder(digest: &Value, sha256: &Value, text: &str) -> Medplum {
    let medplum = Medplum::new();
    let path = "Patient.00001.ndjson";
    let mut entry =
        json!({"type": "Patient", "url": "http://x/1", "path": path, "bytes": text.len()});
    entry["digest"] = digest.clone();
    if !sha256.is_null() {
        entry["sha256"] = sha256.clone();
    }
    medplum.file(&format!("out/{path}"), text);
    let manifest = json!({"transactionTime": "2026-01-01T00:00:00Z", "output": [entry]});
    medplum.file("out/manifest.json", manifest.to_string());
    medplum
}

#[test]
fn a_folder_is_imported_by_the_digest_it_has_and_not_when_another_was_promised() {
    let (text, none) = (patients(20), Value::Null);
    let blake3 = blake3::hash(text.as_bytes()).to_hex();
    let sha256 = format!("{:x}", sha2::Sha256::digest(&text));
    let of = |algorithm: &str, value: &str| json!({"algorithm": algorithm, "value": value});
    for (digest, older) in [
        (of("blake3", &blake3), &none),
        (of("blake3", &blake3.to_uppercase()), &none),
        (of("sha256", &sha256), &json!(sha256)),
        (none.clone(), &json!(sha256)),
        (none.clone(), &none),
    ] {
        let (store, medplum) = (Store::open(), folder(&digest, older, &text));
        import(&medplum, &store, &["out"]).ok();
        assert_eq!(store.names().len(), 20, "{digest}");
    }
    let other = patients(21);
    for (digest, older, words) in [
        (
            of("blake3", blake3::hash(other.as_bytes()).to_hex().as_str()),
            &none,
            "its BLAKE3 is",
        ),
        (
            of("sha256", &sha256.replace(&sha256[..4], "0000")),
            &none,
            "its SHA-256 is",
        ),
        (
            of("blake3", &blake3),
            &json!("0".repeat(64)),
            "its SHA-256 is",
        ),
        (of("blake4", &blake3), &none, "not known here"),
        (of("blake3", &blake3[2..]), &none, "cannot be one"),
        (json!(true), &none, "not known here"),
        (none.clone(), &json!(12), "cannot be one"),
    ] {
        let (store, medplum) = (Store::open(), folder(&digest, older, &text));
        import(&medplum, &store, &["out"])
            .fails(2)
            .says("Patient.00001.ndjson")
            .says(words);
        assert!(store.names().is_empty(), "{digest}");
        assert!(store.server.requests().is_empty(), "{digest}");
    }
}
