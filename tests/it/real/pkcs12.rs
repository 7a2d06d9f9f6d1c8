//! PKCS#12 and encrypted keys as openssl writes them, for TLS with nginx and for signing.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::oidc_provider::Provider;
use crate::support::Medplum;
use crate::support::keys::{jwk, key};
use crate::support::mtls::Doors;
use crate::support::tls::Authority;

const SCOPE: &str = "system/*.read";
const PASSPHRASE: &str = "p12 pass-phr\u{e4}se";

#[track_caller]
fn openssl(args: &[&str]) {
    let run = Command::new("openssl").args(args).output().unwrap();
    assert!(
        run.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&run.stderr)
    );
}

/// A file of the key and the certificates in these PEM files.
fn p12(folder: &Path, name: &str, key: &str, cert: &str, more: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let out = path.to_str().unwrap();
    let own = ["pkcs12", "-export", "-inkey", key, "-in", cert, "-out", out];
    openssl(&[&own[..], more].concat());
    path
}

/// Ways in which openssl and others protect such files: PBES2 with AES, 3DES and RC2 with SHA-1, nothing.
fn ways(passphrase: &str) -> Vec<(&'static str, Vec<String>)> {
    let pass = format!("pass:{passphrase}");
    let way = |args: &[&str]| {
        let args = args.iter().copied().chain(["-passout", &pass]);
        args.map(str::to_owned).collect::<Vec<_>>()
    };
    vec![
        ("modern", way(&[])),
        ("legacy", way(&["-legacy"])),
        (
            "3des",
            way(&[
                "-keypbe",
                "PBE-SHA1-3DES",
                "-certpbe",
                "PBE-SHA1-3DES",
                "-macalg",
                "sha1",
            ]),
        ),
        ("nomac", way(&["-nomac"])),
        ("plain-certs", way(&["-certpbe", "NONE"])),
    ]
}

fn words(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

#[test]
fn nginx_takes_the_certificate_of_a_pkcs12_file_and_of_an_encrypted_key() {
    let client = json!({"client_id": "box", "redirect_uris": [], "response_types": [], "scope": SCOPE,
        "grant_types": ["client_credentials"], "token_endpoint_auth_method": "tls_client_auth",
        "tls_client_auth_san_dns": "box.example"});
    let provider = Provider::start(&json!({"mtls": "headers", "clients": [client]}), 300);
    let authority = Authority::new();
    let doors = Doors::start(&provider.origin, &authority);
    let medplum = Medplum::new().env("MEDPLUM_KEY_PASSPHRASE", PASSPHRASE);
    let ca = authority.file(&medplum).display().to_string();
    let (cert, key) = authority.pair(&["box.example"]);
    let cert = medplum.file("box.pem", cert).display().to_string();
    let key = medplum.file("box.key", key).display().to_string();
    let folder = medplum.path("");
    let mut given: Vec<(String, Vec<String>)> = Vec::new();
    for (name, args) in ways(PASSPHRASE) {
        let file = p12(&folder, name, &key, &cert, &words(&args));
        given.push((
            name.into(),
            vec!["--client-cert".into(), file.display().to_string()],
        ));
    }
    for (name, cipher) in [("aes", "-aes-256-cbc"), ("des3", "-des3")] {
        let path = medplum.path(&format!("{name}.key")).display().to_string();
        let pass = format!("pass:{PASSPHRASE}");
        let out = ["-out", &path, "-passout", &pass];
        openssl(
            &[
                &["pkcs8", "-topk8", "-in", &key, "-v2", &cipher[1..]][..],
                &out,
            ]
            .concat(),
        );
        let files = ["--client-cert", &cert, "--client-key", &path].map(str::to_owned);
        given.push((name.into(), files.to_vec()));
        let both =
            std::fs::read_to_string(&cert).unwrap() + &std::fs::read_to_string(&path).unwrap();
        let both = medplum
            .file(&format!("{name}-both.pem"), both)
            .display()
            .to_string();
        given.push((name.into(), vec!["--client-cert".into(), both]));
    }
    let count = given.len();
    let base = doors.url("/");
    let token = doors.url("/token");
    for (name, files) in given {
        let get = [
            "get",
            "Patient/1",
            "--base-url",
            &base,
            "--token-url",
            &token,
            "--ca-cert",
            &ca,
        ];
        let client = ["--client-id", "box", "--scope", SCOPE, "-vv"];
        let run = medplum
            .run([&get[..], &client, &words(&files)].concat())
            .ok();
        assert!(run.stdout.contains("1.00"), "{name}: {run}");
        for secret in [PASSPHRASE, "PRIVATE KEY"] {
            assert!(!run.everything().contains(secret), "{name}: {run}");
        }
        // Without the passphrase nothing is sent.
        let other = Medplum::new();
        for (passphrase, words) in [("", "no passphrase"), ("wrong", "does not open")] {
            let command = other.command([&get[..], &client, &words_of(&files)].concat());
            let run = command.env("MEDPLUM_KEY_PASSPHRASE", passphrase).run();
            assert!(run.stderr.contains(words), "{name}: {run}");
            assert_eq!(run.code, 2);
        }
    }
    let reads = doors
        .log()
        .iter()
        .filter(|line| line.starts_with("GET /fhir"))
        .count();
    assert_eq!(reads, count, "{:#?}", doors.log());
}

fn words_of(args: &[String]) -> Vec<&str> {
    words(args)
}

#[test]
fn a_key_in_a_pkcs12_file_signs_and_is_shown_as_any_other() {
    let medplum = Medplum::new().env("MEDPLUM_KEY_PASSPHRASE", PASSPHRASE);
    for (pem, name) in [("rsa-pkcs8.pem", "rsa.jwk"), ("p384-pkcs8.pem", "p384.jwk")] {
        let cert = medplum.path("self.pem").display().to_string();
        let pem = key(pem);
        openssl(&[
            "req", "-x509", "-key", &pem, "-subj", "/CN=box", "-days", "2", "-out", &cert,
        ]);
        for (way, args) in ways(PASSPHRASE)
            .into_iter()
            .chain([("empty", ways("").remove(0).1)])
        {
            let file = p12(
                &medplum.path(""),
                &format!("{name}-{way}"),
                &pem,
                &cert,
                &words(&args),
            );
            let file = file.display().to_string();
            let set = medplum.run(["keys", "jwks", &file]).ok().json();
            for member in ["kty", "n", "e", "crv", "x", "y"] {
                assert_eq!(
                    set["keys"][0].get(member),
                    jwk(name).get(member),
                    "{way}: {member}"
                );
            }
            let show = ["keys", "show", &file];
            assert_eq!(medplum.run(show).ok().json()["part"], "private");
            if way != "empty" {
                let other = Medplum::new();
                let command = other.command(show).env("MEDPLUM_KEY_PASSPHRASE", "wrong");
                command
                    .run()
                    .fails(2)
                    .says("does not open with this passphrase");
            }
        }
    }
    let cut = medplum.file("cut.p12", [0x30, 0x82, 0x0a, 0x0b, 2, 1, 3, 0x30]);
    medplum
        .run(["keys", "show", cut.to_str().unwrap()])
        .fails(2)
        .says("PKCS#12");
}
