//! A client that proves itself by its certificate (RFC 8705): oidc-provider behind nginx, which asks for it.

use std::path::PathBuf;

use serde_json::json;

use super::oidc_provider::Provider;
use crate::support::Medplum;
use crate::support::mtls::Doors;
use crate::support::tls::Authority;

const SCOPE: &str = "system/*.read";

/// A provider that knows `box` by the name in its certificate.
fn provider() -> Provider {
    let client = json!({"client_id": "box", "redirect_uris": [], "response_types": [], "scope": SCOPE,
        "grant_types": ["client_credentials"], "token_endpoint_auth_method": "tls_client_auth",
        "tls_client_auth_san_dns": "box.example"});
    Provider::start(&json!({"mtls": "headers", "clients": [client]}), 300)
}

/// A certificate of this name and its key, in two files of a user.
fn pair(medplum: &Medplum, authority: &Authority, name: &str) -> [String; 2] {
    let (certificate, key) = authority.pair(&[name]);
    let file =
        |kind: &str, text: String| -> PathBuf { medplum.file(&format!("{name}.{kind}"), text) };
    [file("pem", certificate), file("key", key)].map(|path| path.display().to_string())
}

fn user(doors: &Doors, authority: &Authority, name: &str) -> Medplum {
    let medplum = Medplum::new();
    let ca = authority.file(&medplum).display().to_string();
    let [cert, key] = pair(&medplum, authority, name);
    let base = doors.url("/");
    let token = doors.url("/token");
    let args = [
        "profile",
        "set",
        "site",
        "--base-url",
        &base,
        "--token-url",
        &token,
    ];
    let more = ["--client-id", "box", "--scope", SCOPE, "--ca-cert", &ca];
    let files = ["--client-cert", &cert, "--client-key", &key];
    medplum.run([&args[..], &more, &files].concat()).ok();
    medplum
}

#[test]
fn the_certificate_gets_the_token_and_opens_the_fhir_server_and_nobody_else_sees_it() {
    let (provider, authority) = (provider(), Authority::new());
    let doors = Doors::start(&provider.origin, &authority);
    let medplum = user(&doors, &authority, "box.example");
    let run = medplum.run(["get", "-p", "site", "Patient/1", "-vv"]).ok();
    assert!(run.stdout.contains("1.00"), "{run}");
    assert!(!run.everything().contains("PRIVATE KEY"), "{run}");
    assert_eq!(provider.grants("client_credentials").len(), 1);
    let other = doors.file_url("/file");
    medplum.run(["get", "-p", "site", &other]).ok();
    assert_eq!(
        doors.log(),
        [
            "POST /token SUCCESS",
            "GET /fhir/R4/Patient/1 SUCCESS",
            "GET /file NONE"
        ]
    );
    // Its key may stand in the same file.
    let [cert, key] = pair(&medplum, &authority, "box.example");
    let both = std::fs::read_to_string(cert).unwrap() + &std::fs::read_to_string(key).unwrap();
    let both = medplum.file("both.pem", both).display().to_string();
    let update = ["profile", "set", "site", "--update", "--client-cert", &both];
    medplum
        .run([&update[..], &["--client-key", &both]].concat())
        .ok();
    medplum.run(["login", "-p", "site"]).ok();
}

#[test]
fn a_certificate_of_another_name_or_another_authority_is_refused_in_the_servers_words() {
    let (provider, authority) = (provider(), Authority::new());
    let doors = Doors::start(&provider.origin, &authority);
    let other_name = user(&doors, &authority, "somebody.example");
    let get = ["get", "-p", "site", "Patient/1"];
    other_name.run(get).fails(3).says("invalid_client");
    let own = user(&doors, &authority, "box.example");
    // A secret instead: the server knows the client by its certificate alone.
    let flags = [
        "--client-auth",
        "post",
        "--client-secret",
        "a-secret-of-no-use",
    ];
    own.run([&get[..], &flags].concat())
        .fails(3)
        .says("invalid_client");
    let [cert, key] = pair(&own, &Authority::new(), "box.example");
    let files = ["--client-cert", &cert, "--client-key", &key];
    let run = own.run([&get[..], &files].concat());
    // nginx answers that by itself, with a page.
    run.fails(3).says("The SSL certificate error");
    let log = doors.log();
    assert!(
        log.iter().all(|line| !line.starts_with("GET /fhir"))
            && log.iter().any(|line| line.contains("FAILED")),
        "{log:#?}"
    );
}

#[test]
fn files_that_hold_no_certificate_or_no_key_are_named_before_anything_is_sent() {
    let (provider, authority) = (provider(), Authority::new());
    let doors = Doors::start(&provider.origin, &authority);
    let medplum = user(&doors, &authority, "box.example");
    let nothing = medplum.file("nothing.pem", "nothing").display().to_string();
    for files in [["nowhere.pem", "nowhere.pem"], [&nothing, &nothing]] {
        let flags = ["get", "-p", "site", "Patient/1", "--client-cert", files[0]];
        let run = medplum.run([&flags[..], &["--client-key", files[1]]].concat());
        run.fails(2).says(files[0]);
    }
    assert!(doors.log().is_empty());
}
