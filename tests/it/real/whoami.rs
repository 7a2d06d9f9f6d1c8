//! `whoami` asks the server: oidc-provider's introspection, and whether HTTP Basic is taken.

use serde_json::json;

use crate::support::{Answer, Medplum, Peer, Server};

#[test]
fn introspection_of_oidc_provider_says_that_the_token_is_active_and_of_whom() {
    let client = json!({"client_id": "box", "client_secret": "a-secret-of-the-box", "redirect_uris": [],
        "response_types": [], "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "client_secret_basic"});
    let peer = Peer::oidc_with(&json!({"clients": [client]}));
    let medplum = Medplum::new();
    let base = peer.url("");
    let args = [
        "whoami",
        "--base-url",
        &base,
        "--client-id",
        "box",
        "--scope",
        "system/Patient.read",
    ];
    let secret = ["--client-secret", "a-secret-of-the-box"];
    let run = medplum.run([&args[..], &secret].concat()).ok();
    let line = run
        .stdout
        .lines()
        .find(|line| line.starts_with("Introspection:"));
    let line = line.unwrap_or_else(|| panic!("{run}"));
    for part in [
        " active",
        "client box",
        "scope system/Patient.read",
        "until 20",
    ] {
        assert!(line.contains(part), "{part}: {run}");
    }
}

/// A server that names endpoints at another origin than its token endpoint.
#[test]
fn an_introspection_endpoint_elsewhere_gets_neither_token_nor_secret() {
    let (server, other) = (Server::start(), Server::start());
    let document = json!({
        "token_endpoint": server.url("/token"),
        "introspection_endpoint": other.url("/introspect"),
        "userinfo_endpoint": other.url("/userinfo"),
    });
    let smart = "/fhir/R4/.well-known/smart-configuration";
    let answer = Answer::new(200, "application/json", document.to_string());
    server.on("GET", smart, answer);
    let token = r#"{"access_token":"a-good-token","expires_in":300}"#;
    server.on(
        "POST",
        "/token",
        Answer::new(200, "application/json", token),
    );
    let base = server.url("/");
    let args = [
        "whoami",
        "--base-url",
        &base,
        "--client-id",
        "box",
        "--client-secret",
        "some-secret",
    ];
    Medplum::new().run(args).ok();
    assert_eq!(other.lines(), [""; 0]);
    assert!(server.lines().contains(&"POST /token".to_owned()));
}

#[test]
fn what_the_server_says_is_shown_on_clean_lines() {
    let server = Server::start();
    let document = json!({
        "token_endpoint": server.url("/token"),
        "introspection_endpoint": server.url("/introspect"),
        "userinfo_endpoint": server.url("/userinfo"),
    });
    let smart = "/fhir/R4/.well-known/smart-configuration";
    let json_of = |text: String| Answer::new(200, "application/json", text);
    server.on("GET", smart, json_of(document.to_string()));
    server.on(
        "POST",
        "/token",
        json_of(r#"{"access_token":"a-good-token","expires_in":300}"#.into()),
    );
    let said =
        json!({"active": false, "scope": "x\u{1b}[2J\nHint: evil", "sub": "u-1", "exp": 1e300});
    server.on("POST", "/introspect", json_of(said.to_string()));
    let user = json!({"name": "Ada\u{1b}]0;x\u{7}", "fhirUser": "Practitioner/1"});
    server.on("GET", "/userinfo", json_of(user.to_string()));
    let base = server.url("/");
    let args = [
        "whoami",
        "--base-url",
        &base,
        "--client-id",
        "box",
        "--client-secret",
        "some-secret",
    ];
    let run = Medplum::new().run(args).ok();
    assert!(
        run.stdout.contains("not active") && run.stdout.contains("Practitioner/1"),
        "{run}"
    );
    assert!(
        !run.stdout.contains('\u{1b}') && !run.stdout.contains("\nHint"),
        "{run}"
    );
    let asked = server.request_to("/introspect");
    assert!(asked.header("Authorization").unwrap().starts_with("Basic "));
    let asked = server.request_to("/userinfo");
    assert_eq!(asked.header("Authorization"), Some("Bearer a-good-token"));
}

#[test]
fn a_wrong_password_of_basic_is_not_taken_for_granted() {
    let server = Server::start();
    server.handler(|request| {
        let right = request.header("Authorization") == Some("Basic bWU6cmlnaHQtcGFzc3dvcmQ=");
        (request.path() == "/fhir/R4/Patient").then(|| {
            if right {
                Answer::json(200, r#"{"resourceType":"Bundle","total":1}"#)
            } else {
                Answer::outcome(401, "login", "who are you?")
            }
        })
    });
    let base = server.url("/");
    let whoami = |password: &str| {
        let args = [
            "whoami",
            "--base-url",
            &base,
            "--auth-type",
            "basic",
            "--client-id",
            "me",
        ];
        Medplum::new().run([&args[..], &["--client-secret", password]].concat())
    };
    let run = whoami("right-password").ok();
    assert!(run.stdout.contains("does not refuse"), "{run}");
    let run = whoami("wrong-password").fails(3).says("who are you?");
    assert!(run.stdout.contains("refuses"), "{run}");
}
