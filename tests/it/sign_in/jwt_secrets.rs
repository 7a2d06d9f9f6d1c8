//! No assertion, secret, key or passphrase in any output, however much a server repeats of what it was told.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::support::keys::{PASSPHRASE, jwk, key};
use crate::support::{Answer, Backend, Run};

const SECRET: &str = "bearer-secret-of-32-characters-!";

/// What must not be printed in any spelling: the passphrase, the secret, the assertions sent, the private numbers.
fn known(site: &Backend) -> Vec<String> {
    let mut known = vec![PASSPHRASE.to_owned(), SECRET.to_owned()];
    for request in site.server.requests_to("/oauth2/token") {
        for (name, value) in request.form() {
            if name.ends_with("assertion") {
                known.push(value.rsplit_once('.').unwrap().1.to_owned());
                known.push(value);
            }
        }
    }
    let d = jwk("rsa.jwk")["d"].as_str().unwrap().to_owned();
    known.push(STANDARD.encode(URL_SAFE_NO_PAD.decode(&d).unwrap()));
    known.push(d);
    for pem in ["rsa-pkcs1.pem", "rsa-encrypted.pem"] {
        let text = fs::read_to_string(key(pem)).unwrap();
        known.push(text.lines().nth(3).unwrap().to_owned());
    }
    let mut all = Vec::new();
    for value in known {
        let form: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        all.push(form.replace('+', "%20"));
        all.push(STANDARD.encode(&value));
        all.extend([form, value]);
    }
    all
}

#[track_caller]
fn assert_keeps_secrets(site: &Backend, run: &Run) {
    for value in known(site) {
        assert!(
            !run.everything().contains(&value),
            "{value} was printed\n{run}"
        );
    }
}

/// A token endpoint that repeats the whole request in its refusal.
fn loose_tongue(site: &Backend, json: bool) {
    site.server.handler(move |request| {
        let told = request.text();
        let fields: Vec<String> = request.form().into_iter().map(|(_, value)| value).collect();
        let all = format!("{told} {}", fields.join(" "));
        (request.path() == "/oauth2/token").then(|| {
            if json {
                let body = serde_json::json!({"error": "invalid_grant", "error_description": all});
                Answer::new(400, "application/json", body.to_string())
            } else {
                Answer::new(500, "text/plain", all)
            }
        })
    });
}

fn sites() -> [Backend; 2] {
    let smart = Backend::smart();
    let passphrase = smart.medplum.file("pass.txt", PASSPHRASE);
    let path = passphrase.to_string_lossy();
    smart.set_key(&key("rsa-encrypted.pem"), &["--key-passphrase-file", &path]);
    let bearer = Backend::bearer();
    bearer.set_bearer(&[]);
    [smart, bearer]
}

#[test]
fn the_trace_shows_what_an_assertion_says_and_not_the_assertion() {
    for site in sites() {
        let run = site.medplum.run(["get", "-vv", "-p", "site", "Patient/1"]);
        let run = run.ok().says("aud http://").says("alg ");
        assert_keeps_secrets(&site, &run);
        let run = site.medplum.run(["login", "-vv", "-p", "site"]).ok();
        assert_keeps_secrets(&site, &run);
        for command in [
            &["whoami", "-p", "site"][..],
            &["profile", "describe", "site"],
        ] {
            assert_keeps_secrets(&site, &site.medplum.run(command).ok());
        }
    }
}

#[test]
fn a_server_that_repeats_the_assertion_does_not_get_it_printed() {
    for json in [true, false] {
        for site in sites() {
            loose_tongue(&site, json);
            for verbosity in ["-q", "-vv"] {
                let run = site
                    .medplum
                    .run(["get", verbosity, "-p", "site", "Patient/1"]);
                assert_ne!(run.code, 0, "{run}");
                assert_keeps_secrets(&site, &run);
            }
        }
    }
}

#[test]
fn what_is_wrong_with_a_key_is_said_without_the_key() {
    let site = Backend::smart();
    for (file, passphrase) in [
        ("rsa-encrypted.pem", PASSPHRASE),
        ("rsa.jwk", ""),
        ("rsa-pkcs1.pem", ""),
    ] {
        let text = fs::read_to_string(key(file)).unwrap();
        // Cut within the key, and broken in the middle of it.
        for damaged in [
            text[..text.len() / 2].to_owned(),
            text.replacen(&text[400..402], "§", 1),
        ] {
            let path = site.medplum.file("damaged", damaged);
            site.set_key(&path.to_string_lossy(), &[]);
            let run = site
                .medplum
                .command(["get", "-vv", "-p", "site", "Patient/1"])
                .env("MEDPLUM_KEY_PASSPHRASE", passphrase)
                .run()
                .fails(2)
                .says("damaged");
            assert_keeps_secrets(&site, &run);
        }
    }
}

#[test]
fn the_passphrase_is_never_stored() {
    let site = Backend::smart();
    let path = key("rsa-encrypted.pem");
    let base = site.server.url("/");
    let mut args = vec![
        "login",
        "-p",
        "new",
        "--base-url",
        &base,
        "--token-url",
        "oauth2/token",
    ];
    args.extend(["--client-id", "backend-client", "--private-key-path", &path]);
    args.extend(["--key-id", crate::support::backend::KID]);
    let login = site
        .medplum
        .command(args)
        .env("MEDPLUM_KEY_PASSPHRASE", PASSPHRASE);
    login.run().ok();
    assert!(!site.medplum.profile_text("new").contains(PASSPHRASE));
}
