//! Key files whose text came to harm on its way, and keys where their path belongs: read, or told without being shown.

use std::fs;

use crate::support::keys::{PASSPHRASE, key_file};
use crate::support::{Backend, Medplum};

const PEM: [&str; 7] = [
    "rsa-pkcs1.pem",
    "rsa-pkcs8.pem",
    "rsa-encrypted.pem",
    "rsa-encrypted-old.pem",
    "p384-sec1.pem",
    "p384-pkcs8.pem",
    "p256-sec1.pem",
];

/// A key file without the note before its key.
fn text(name: &str) -> String {
    let text = fs::read_to_string(key_file(name)).unwrap();
    text[text.find("-----BEGIN").unwrap()..].to_owned()
}

/// Runs of base64 out of a key, long enough to be nothing else.
fn parts(pem: &str) -> Vec<String> {
    let lines = pem
        .lines()
        .filter(|line| !line.contains('-') && line.len() > 20);
    lines.map(|line| line[..20].to_owned()).collect()
}

/// Report 1: `echo $KEY > key.pem` in CI makes blanks of line ends, secret stores take them away, variables hold `\n` as
/// two characters. The whole key stood in the error.
#[test]
fn a_key_whose_line_ends_came_to_harm_is_read_or_told_by_its_label() {
    let mut runs = Vec::new();
    for name in PEM {
        let pem = text(name);
        for (how, harmed) in [
            ("blanks", pem.replace('\n', " ")),
            ("gone", pem.replace('\n', "")),
            ("two characters", pem.replace('\n', "\\n")),
            (
                "in front",
                format!("KEY=\"{}\"\n", pem.replace('\n', "\\n")),
            ),
            ("quoted", format!("KEY='{pem}'\n")),
            ("utf-16", pem.clone()),
        ] {
            let medplum = Medplum::new().env("MEDPLUM_KEY_PASSPHRASE", PASSPHRASE);
            if how == "utf-16" {
                let units = "\u{feff}".encode_utf16().chain(harmed.encode_utf16());
                let bytes: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
                medplum.file("key.pem", bytes);
            } else {
                medplum.file("key.pem", &harmed);
            }
            let run = medplum.run(["keys", "jwks", "key.pem"]);
            // What is printed is the public part, whose base64 may be that of the file.
            for part in parts(&pem) {
                assert!(!run.stderr.contains(&part), "{name}, {how}\n{run}");
            }
            runs.push((name, how, run));
        }
    }
    for (name, how, run) in runs {
        if name == "rsa-encrypted-old.pem" {
            run.fails(2).says("not supported");
            continue;
        }
        let path = key_file(name);
        let whole = Medplum::new()
            .env("MEDPLUM_KEY_PASSPHRASE", PASSPHRASE)
            .run(["keys", "jwks", &path.to_string_lossy()])
            .ok();
        assert_eq!(run.ok().json(), whole.json(), "{name}, {how}");
    }
}

#[test]
fn what_cannot_be_read_of_a_key_is_told_by_its_cause_alone() {
    let pem = text("rsa-pkcs8.pem");
    let cut = &pem[..pem.len() / 2];
    for (harmed, cause) in [
        (
            cut.to_owned(),
            "PRIVATE KEY block is damaged: it has no end",
        ),
        (
            cut.replace('\n', ""),
            "PRIVATE KEY block is damaged: it has no end",
        ),
        (
            pem.replace("MII", "M!I"),
            "PRIVATE KEY block is damaged: it holds something",
        ),
        (
            pem.replace("-----BEGIN PRIVATE KEY-----\n", "-----BEGIN PRIVATE KEY "),
            "its BEGIN line is damaged",
        ),
    ] {
        let medplum = Medplum::new();
        medplum.file("key.pem", &harmed);
        let run = medplum
            .run(["keys", "jwks", "key.pem"])
            .fails(2)
            .says(cause);
        for part in parts(&pem) {
            assert!(!run.everything().contains(&part), "{run}");
        }
    }
}

/// Report 1: clap said "unexpected argument '-----BEGIN…'", the others "cannot read the key file -----BEGIN…".
#[test]
fn a_key_in_place_of_its_path_is_told_without_being_shown() {
    let pem = text("rsa-pkcs8.pem");
    for key in [pem.clone(), pem.replace('\n', " "), format!("/tmp/{pem}")] {
        let site = Backend::smart();
        let base = site.server.url("/");
        let flags = [
            "--base-url",
            &base,
            "--auth-type",
            "jwt-assertion",
            "--client-id",
            "c",
        ];
        let get = |medplum: &Medplum, more: &[&str]| {
            medplum.run(["get", "Patient/1"].iter().chain(&flags).chain(more))
        };
        let equals = format!("--private-key-path={key}");
        let mut runs = vec![
            get(&site.medplum, &["--private-key-path", &key]),
            get(&site.medplum, &[&equals]),
            site.medplum.run(["keys", "jwks", &key]),
        ];
        let of_env = Medplum::new().env("MEDPLUM_PRIVATE_KEY_PATH", &key);
        runs.push(get(&of_env, &[]));
        for run in &runs {
            assert_eq!(run.code, 2, "{run}");
            assert!(run.stderr.contains("stands a key itself"), "{run}");
            assert!(run.stderr.contains("--private-key-path"), "{run}");
        }
        // The test's own command line is no output.
        let set = ["profile", "set", "x", &equals].map(str::to_owned);
        runs.push(
            site.medplum
                .run(set.iter().chain(&flags.map(str::to_owned))),
        );
        runs.push(site.medplum.run(["profile", "describe", "x"]));
        runs.push(site.medplum.run(["get", "-p", "x", "Patient/1"]));
        runs.push(site.medplum.run(["doctor", "-p", "x"]));
        for run in runs {
            for part in parts(&pem) {
                assert!(!run.everything().contains(&part), "{run}");
            }
        }
    }
}
