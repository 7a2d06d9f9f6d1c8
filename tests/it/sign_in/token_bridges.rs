//! `token` for other programs: JSON, and a header line that curl takes.

use crate::support::{Answer, Medplum, Server, Site};

#[test]
fn a_token_as_json_says_its_type_its_end_and_its_scope() {
    let server = Server::start();
    let answer = r#"{"access_token":"token-of-json","expires_in":300,"scope":"system/*.read"}"#;
    server.on(
        "POST",
        "/token",
        Answer::new(200, "application/json", answer),
    );
    let medplum = Medplum::new();
    let (base, url) = (server.url("/"), server.url("/token"));
    let args = ["token", "--base-url", &base, "--token-url", &url];
    let client = ["--client-id", "some-id", "--client-secret", "some-secret"];
    let run = medplum
        .run([&args[..], &client, &["-o", "json"]].concat())
        .ok();
    let json = run.json();
    assert_eq!(json["access_token"], "token-of-json");
    assert_eq!(json["token_type"], "Bearer");
    assert_eq!(json["scope"], "system/*.read");
    let until: jiff::Timestamp = json["expires_at"].as_str().unwrap().parse().unwrap();
    let left = until.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((1..=301).contains(&left), "{left}");
    // Without it the token alone, as before.
    let run = medplum.run([&args[..], &client].concat()).ok();
    assert_eq!(run.stdout, "token-of-json\n");
}

/// The line of the documents, word for word but for the URL.
#[test]
fn curl_takes_the_header_from_stdin() {
    let site = Site::open();
    let url = site.server.url("/fhir/R4/Patient/1");
    let line = format!("medplum token -p site --header | curl -sS --fail -H @- {url}");
    let run = site.medplum.shell(&line).ok();
    assert_eq!(run.json()["id"], "1");
    let request = site.server.request_to("/fhir/R4/Patient/1");
    assert_eq!(request.header("Authorization"), Some("Bearer token-1"));
    assert!(request.header("User-Agent").unwrap().starts_with("curl/"));
}

#[test]
fn basic_has_a_header_too_and_nobody_has_none() {
    let server = Server::start();
    let base = server.url("/");
    let medplum = Medplum::new();
    let token = ["token", "--header", "--base-url", &base];
    let basic = [
        "--auth-type",
        "basic",
        "--client-id",
        "me",
        "--client-secret",
        "some-secret",
    ];
    let run = medplum.run([&token[..], &basic].concat()).ok();
    assert_eq!(run.stdout, "Authorization: Basic bWU6c29tZS1zZWNyZXQ=\n");
    medplum.run(token).fails(3).prints("");
    let given = ["--access-token", "a-given-token"];
    let run = medplum.run([&token[..], &given].concat()).ok();
    assert_eq!(run.stdout, "Authorization: Bearer a-given-token\n");
}

#[test]
fn a_token_bound_to_a_key_makes_no_header() {
    let server = Server::start();
    let answer = r#"{"access_token":"bound-token","token_type":"DPoP","expires_in":300}"#;
    server.on(
        "POST",
        "/token",
        Answer::new(200, "application/json", answer),
    );
    let (base, url) = (server.url("/"), server.url("/token"));
    let args = ["token", "--dpop", "--base-url", &base, "--token-url", &url];
    let client = ["--client-id", "some-id", "--client-secret", "some-secret"];
    let medplum = Medplum::new();
    let run = medplum
        .run([&args[..], &client, &["--header"]].concat())
        .fails(2);
    assert!(!run.everything().contains("bound-token"), "{run}");
    run.says("DPoP").says("medplum get");
    let run = medplum
        .run([&args[..], &client, &["-o", "json"]].concat())
        .ok();
    assert_eq!(run.json()["token_type"], "DPoP");
}
