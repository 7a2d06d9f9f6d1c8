//! Named outputs: a plain file is replaced whole, and whatever else a name stands for is written through and stays.

use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::process::Command;

use crate::support::fhir::PATIENT;
use crate::support::{Answer, Medplum, Server};

/// A device that is always full, of our own: nobody's `/dev/full` is at stake. `None` without the right to make one.
fn full_device(medplum: &Medplum) -> Option<std::path::PathBuf> {
    let path = medplum.path("full");
    let made = Command::new("mknod")
        .arg(&path)
        .args(["c", "1", "7"])
        .status();
    made.is_ok_and(|status| status.success()).then_some(path)
}

fn served() -> (Server, Medplum) {
    let server = Server::start();
    for _ in 0..4 {
        server.on("GET", "/fhir/R4/Patient/1", Answer::json(200, PATIENT));
    }
    let bundle = format!(
        r#"{{"resourceType":"Bundle","type":"searchset","entry":[{{"resource":{PATIENT}}}]}}"#
    );
    server.on("GET", "/fhir/R4/Patient", Answer::json(200, bundle));
    let medplum = Medplum::new().env("MEDPLUM_BASE_URL", server.url(""));
    (server, medplum)
}

#[test]
fn an_output_that_is_a_device_stays_one_and_a_write_that_fails_is_exit_1() {
    let (_server, medplum) = served();
    let Some(full) = full_device(&medplum) else {
        eprintln!("no right to make a device here; the FIFO and the symlink stand for it");
        return;
    };
    let name = full.to_str().unwrap();
    let is_device = || {
        fs::symlink_metadata(&full)
            .unwrap()
            .file_type()
            .is_char_device()
    };
    let _ = medplum
        .run(["get", "Patient/1", "--output", name])
        .fails(1)
        .says("cannot write");
    assert!(is_device());
    let _ = medplum
        .run(["get", "Patient", "--all", "--output", name])
        .fails(1)
        .says("cannot write");
    assert!(is_device());
    let _ = medplum
        .run(["keys", "generate", "--alg", "ES384", "--out", name])
        .fails(1)
        .says("cannot write");
    assert!(is_device());
}

#[test]
fn an_output_that_is_a_fifo_or_a_symlink_is_written_through() {
    let (_server, medplum) = served();
    let fifo = medplum.path("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let reader = std::thread::spawn({
        let fifo = fifo.clone();
        move || fs::read_to_string(fifo).unwrap()
    });
    let _ = medplum
        .run(["get", "Patient/1", "--output", fifo.to_str().unwrap()])
        .ok();
    assert!(fs::symlink_metadata(&fifo).unwrap().file_type().is_fifo());
    assert!(reader.join().unwrap().contains("\"Patient\""));

    fs::create_dir(medplum.path("elsewhere")).unwrap();
    symlink("elsewhere/answer.json", medplum.path("link")).unwrap();
    for _ in 0..2 {
        let _ = medplum.run(["get", "Patient/1", "--output", "link"]).ok();
        assert!(
            medplum
                .read("elsewhere/answer.json")
                .contains("\"Patient\"")
        );
    }
    assert!(
        fs::symlink_metadata(medplum.path("link"))
            .unwrap()
            .is_symlink()
    );
}

#[test]
fn a_base_url_without_its_scheme_is_refused_with_the_one_that_is_meant() {
    let medplum = Medplum::new();
    for (text, proposed) in [
        ("localhost:9443", "write http://localhost:9443"),
        ("127.0.0.1:8080/fhir", "write http://127.0.0.1:8080/fhir"),
        ("fhir.example.com/r4", "write https://fhir.example.com/r4"),
        (
            "fhir.example.com:8443",
            "write https://fhir.example.com:8443",
        ),
        ("ftp://example.com", "only http and https"),
    ] {
        let run = medplum.run(["profile", "set", "x", "--base-url", text]);
        let _ = run.fails(2).says(proposed);
    }
}
