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

#[test]
fn a_folder_whose_manifest_is_damaged_is_not_taken_for_a_plain_one() {
    let entry = r#"{"type":"Patient","url":"http://x/1","path":"1.Patient.ndjson"}"#;
    let whole = format!(
        r#"{{"complete":true,"transactionTime":"2026-01-01T00:00:00Z","listed":{{"output":1,"deleted":0,"error":0}},"output":[{entry}],"deleted":[]}}"#
    );
    let of = |from: &str, to: &str| whole.replace(from, to).into_bytes();
    let twice = format!("\"output\":[{entry}],\"output\":[]");
    let mut not_utf8 = of("1.Patient.ndjson", "~");
    for byte in not_utf8.iter_mut().filter(|byte| **byte == b'~') {
        *byte = 0xff;
    }
    let (cannot, lists) = ("it cannot be read", "not as long as");
    for (manifest, words) in [
        (whole.as_bytes()[..whole.len() / 2].to_vec(), cannot),
        (of(&format!("\"output\":[{entry}]"), &twice), cannot),
        (not_utf8, cannot),
        (format!("[{whole}]").into_bytes(), cannot),
        (Vec::new(), cannot),
        (of("\"complete\":true", "\"complete\":0"), cannot),
        (
            of("\"complete\":true", "\"complete\":false"),
            "not complete",
        ),
        (of(entry, r#"{"url":"http://x/1"}"#), "without its `path`"),
        (of(entry, ""), lists),
        (br#"{"transactionTime":"x"}"#.to_vec(), "no list `output`"),
        (
            br#"{"complete":true,"output":[]}"#.to_vec(),
            "lists no files",
        ),
    ] {
        for has_state in [false, true] {
            let (store, medplum) = (Store::open(), Medplum::new());
            medplum.file("out/1.Patient.ndjson", patients(1));
            if has_state {
                let done = r#"{"version":2,"request":{},"phase":"done"}"#;
                medplum.file("out/.medplum-export/job.json", done);
            }
            medplum.file("out/manifest.json", &manifest);
            import(&medplum, &store, &["out"])
                .fails(2)
                .says(words)
                .says("name");
            assert!(store.names().is_empty(), "{words}");
            // Files that are named are what the user wants.
            import(&medplum, &store, &["out/1.Patient.ndjson"]).ok();
            assert_eq!(store.names().len(), 1);
        }
    }
}

#[test]
fn a_manifest_of_another_program_makes_no_export_of_a_folder() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("out/1.Patient.ndjson", patients(3));
    let other = r#"{"name":"app","version":"1","icons":[{"src":"a"}]}"#;
    medplum.file("out/manifest.json", other);
    import(&medplum, &store, &["out"])
        .ok()
        .says("manifest.json is of another program");
    assert_eq!(store.names().len(), 3);
}
