//! Inputs that can be read once, change while they are read, or are not what an export wrote.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::basics::{import, patients};
use crate::support::{Answer, Medplum, Store};

/// A command line of `bash` that imports from this store.
fn bash(medplum: &Medplum, store: &Store, line: &str) -> crate::support::Run {
    let line = line.replace("IMPORT", "$0 bulk import");
    let line = format!("{line} --base-url {}", store.server.url("/"));
    let binary = crate::support::medplum::binary();
    medplum
        .program(["bash", "-c", &line, binary.to_str().unwrap()])
        .run()
}

#[test]
fn what_a_shell_puts_in_the_place_of_a_command_is_read_once_and_all_of_it() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", patients(60));
    for line in [
        "IMPORT <(cat a.ndjson) -o json",
        "cat a.ndjson | IMPORT /dev/stdin -o json",
        "gzip < a.ndjson | IMPORT /dev/stdin -o json",
    ] {
        let run = bash(&medplum, &store, line).ok().says("read once");
        let report = run.json();
        let settled = [&report["created"], &report["updated"]];
        let settled: u64 = settled.iter().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!((settled, &report["notSent"]), (60, &json!(0)), "{line}");
    }
    assert_eq!(store.names().len(), 60);
    bash(&medplum, &store, "IMPORT <(cat a.ndjson) --order auto")
        .fails(2)
        .says("--order given");
}

#[test]
fn a_fifo_is_imported_and_does_not_hang() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", patients(30));
    let fifo = medplum.path("fifo.ndjson");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    bash(
        &medplum,
        &store,
        "cat a.ndjson > fifo.ndjson & IMPORT fifo.ndjson",
    )
    .ok();
    assert_eq!(store.names().len(), 30);
}

/// The server changes the file when the first Bundle comes: after the first pass, before the second has read it all.
fn import_while(change: impl Fn(&Medplum) + Send + Sync + 'static) -> (Store, crate::support::Run) {
    let (store, medplum) = (Store::open(), std::sync::Arc::new(Medplum::new()));
    // Two types, so that the file is opened again for the second.
    let observations = (0..3000)
        .map(|number| format!("{{\"resourceType\":\"Observation\",\"id\":\"o{number}\"}}\n"));
    medplum.file("a.ndjson", patients(60) + &observations.collect::<String>());
    let (of, done) = (std::sync::Arc::clone(&medplum), AtomicBool::new(false));
    store.server.guard(move |_| {
        if !done.swap(true, Ordering::SeqCst) {
            change(&of);
        }
        None::<Answer>
    });
    let run = import(&medplum, &store, &["a.ndjson", "-o", "json"]);
    (store, run)
}

#[test]
fn a_file_that_is_cut_while_it_is_read_is_told() {
    let (_, run) = import_while(|medplum| {
        medplum.file("a.ndjson", patients(60));
    });
    run.fails(1).says("a.ndjson changed while it was read");
}

#[test]
fn a_file_that_grows_by_another_type_while_it_is_read_is_told() {
    let (_, run) = import_while(|medplum| {
        let more = "{\"resourceType\":\"Encounter\",\"id\":\"e\"}\n";
        medplum.file("a.ndjson", medplum.read("a.ndjson") + more);
    });
    run.fails(1).says("a.ndjson changed while it was read");
}

fn export(medplum: &Medplum, text: &str, entry: &serde_json::Value) {
    medplum.file("out/Patient.00001.ndjson", text);
    let manifest = json!({"transactionTime": "2026-01-01T00:00:00Z", "output": [entry]});
    medplum.file("out/manifest.json", manifest.to_string());
}

#[test]
fn the_folder_of_an_export_whose_file_is_not_what_it_wrote_is_not_imported() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let text = patients(20);
    let hash = sha256(&text);
    let entry = |bytes: usize, hash: &str| json!({"type": "Patient", "url": "http://x/1", "path": "Patient.00001.ndjson", "bytes": bytes, "sha256": hash});
    // Cut, and with one byte changed.
    for (there, words) in [
        (patients(10), "bytes, and the manifest says"),
        (text.replace("p13", "q13"), "SHA-256"),
    ] {
        export(&medplum, &there, &entry(text.len(), &hash));
        import(&medplum, &store, &["out"])
            .fails(2)
            .says("Patient.00001.ndjson")
            .says(words);
    }
    assert!(store.server.requests().is_empty());
    export(&medplum, &text, &entry(text.len(), &hash));
    import(&medplum, &store, &["out"]).ok();
    assert_eq!(store.names().len(), 20);
}

/// The manifest gives the bytes on disk and the digest of the lines: each compressed file was called damaged.
#[test]
fn the_folder_of_a_compressed_export_is_imported() {
    use std::io::Write;
    let text = patients(20);
    let hash = sha256(&text);
    for (hash, code) in [(hash.clone(), 0), (hash.replace(&hash[..4], "0000"), 2)] {
        let (store, medplum) = (Store::open(), Medplum::new());
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        let name = "Patient.00001.ndjson.gz";
        let entry = json!({"type": "Patient", "url": "http://x/1", "path": name, "bytes": packed.len(), "sha256": hash});
        let manifest = json!({"transactionTime": "2026-01-01T00:00:00Z", "output": [entry]});
        medplum.file(&format!("out/{name}"), packed);
        medplum.file("out/manifest.json", manifest.to_string());
        import(&medplum, &store, &["out"]).fails(code);
        assert_eq!(store.names().len(), if code == 0 { 20 } else { 0 });
    }
}

fn sha256(text: &str) -> String {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(text.as_bytes());
    digest.iter().fold(String::new(), |mut hex, byte| {
        use std::fmt::Write;
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

#[test]
fn a_manifest_that_leads_out_of_its_folder_is_not_followed() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let secret = medplum.file("private/x.ndjson", patients(1));
    std::fs::create_dir_all(medplum.path("out")).unwrap();
    std::os::unix::fs::symlink("../private/x.ndjson", medplum.path("out/link.ndjson")).unwrap();
    for path in [
        "../private/x.ndjson",
        secret.to_str().unwrap(),
        "link.ndjson",
    ] {
        let entry = json!({"type": "Patient", "url": "http://x/1", "path": path});
        export(&medplum, "", &entry);
        import(&medplum, &store, &["out"]).fails(2).says("folder");
    }
    assert!(store.server.requests().is_empty());
}

#[test]
fn an_export_that_was_killed_while_it_replaced_another_is_not_imported() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let entry = json!({"type": "Patient", "url": "http://x/1", "path": "Patient.00001.ndjson"});
    export(&medplum, &patients(3), &entry);
    medplum.file("out/.medplum-export/replacing.json", "{}");
    import(&medplum, &store, &["out"])
        .fails(2)
        .says("medplum bulk resume out");
    assert!(store.server.requests().is_empty());
}

/// Only the two names of this import are its own.
#[test]
fn data_whose_name_ends_as_outcomes_do_is_imported() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("d/patient.outcomes.ndjson", patients(2));
    import(&medplum, &store, &["d"]).ok();
    assert_eq!(store.names().len(), 2);
}
