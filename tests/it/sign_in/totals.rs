//! No wait for a server has no end: one that sends a byte now and then, and one that accepts and never answers. The clock of the
//! program runs thirty times as fast.

use std::time::Duration;

use serde_json::json;

use crate::support::keys::key;
use crate::support::{Answer, Medplum, Run, Server};

const SMART: &str = "/fhir/R4/.well-known/smart-configuration";

/// The whole body would take most of an hour.
fn dripping() -> Answer {
    let body = " ".repeat(100_000);
    Answer::new(200, "application/json", body).slow(1, Duration::from_millis(30))
}

fn hasty(medplum: &Medplum, args: &[&str]) -> Run {
    let mut words = vec!["faketime", "-f", "+0 x30", "medplum"];
    words.extend(args);
    medplum.program(words).run()
}

/// A server that names all its endpoints and answers well, and whoever has a profile `x` for it.
fn server() -> (Server, Medplum) {
    let server = Server::start();
    let url = |path: &str| server.url(path);
    let document = json!({"issuer": url(""), "token_endpoint": url("/token"), "authorization_endpoint": url("/authorize"),
        "device_authorization_endpoint": url("/device"), "pushed_authorization_request_endpoint": url("/par"),
        "introspection_endpoint": url("/introspect"), "userinfo_endpoint": url("/userinfo"), "revocation_endpoint": url("/revoke")});
    server.on("GET", SMART, Answer::json(200, document.to_string()));
    let token = json!({"access_token": "token-of-totals-1", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "refresh-of-totals-1"});
    server.on("POST", "/token", Answer::json(200, token.to_string()));
    server.on(
        "POST",
        "/introspect",
        Answer::json(200, "{\"active\":true}"),
    );
    server.on("GET", "/userinfo", Answer::json(200, "{}"));
    server.on("GET", "/fhir/R4/Patient/1", Answer::json(200, "{}"));
    let medplum = Medplum::new();
    let base = server.url("/");
    medplum.set_client(&base, &[]);
    (server, medplum)
}

#[test]
fn every_request_of_a_sign_in_has_one_limit_from_its_first_byte_to_its_last() {
    let secret = ["--client-secret", "secret-of-totals"];
    let device = ["--auth-type", "device-code"];
    let person = ["--auth-type", "authorization-code", "--no-browser"];
    let jwk = key("rsa.jwk");
    let cases: [(&str, &str, Vec<&str>); 5] = [
        (
            "POST",
            "/token",
            [&["get", "-p", "x", "Patient/1"][..], &secret].concat(),
        ),
        (
            "GET",
            SMART,
            [&["get", "-p", "x", "Patient/1"][..], &secret].concat(),
        ),
        (
            "POST",
            "/par",
            [&["login", "-p", "x", "--par"][..], &person].concat(),
        ),
        (
            "POST",
            "/device",
            [&["login", "-p", "x"][..], &device].concat(),
        ),
        ("GET", "/jwks", vec!["keys", "jwks", &jwk, "--check"]),
    ];
    std::thread::scope(|scope| {
        for (method, path, args) in cases {
            scope.spawn(move || {
                let (server, medplum) = server();
                server.on(method, path, dripping());
                let url = server.url(path);
                let mut args = args;
                if path == "/jwks" {
                    args.push(&url);
                }
                let run = hasty(&medplum, &args)
                    .fails(6)
                    .says("not whole within 60 s");
                assert!(run.stderr.contains(path), "{run}");
                assert_eq!(server.requests_to(path).len(), 1, "asked once: {path}");
            });
        }
    });
}

#[test]
fn whoami_says_what_it_knows_when_the_server_does_not_end() {
    for path in ["/introspect", "/userinfo"] {
        let (server, medplum) = server();
        let method = if path == "/userinfo" { "GET" } else { "POST" };
        server.on(method, path, dripping());
        let set = [
            "profile",
            "set",
            "x",
            "--update",
            "--client-secret",
            "secret-of-totals",
        ];
        medplum.run(set).ok();
        medplum.run(["login", "-p", "x"]).ok();
        let run = hasty(&medplum, &["whoami", "-p", "x"]).ok();
        assert!(run.everything().contains("within 15 s"), "{path}: {run}");
        assert_eq!(server.requests_to(path).len(), 1);
    }
}

/// `logout` and `profile remove` end, forget the tokens here, and say which are good still.
#[test]
fn a_revocation_that_does_not_end_says_what_was_not_given_back() {
    for command in [&["logout", "-p", "x"][..], &["profile", "remove", "x"]] {
        for (taken, left) in [
            (0, "1 refresh token and 1 access token may be good"),
            (1, "1 access token may be good"),
        ] {
            let (server, medplum) = server();
            let mut answers = vec![Answer::empty(200); taken];
            answers.push(Answer::silence());
            server.on_sequence("POST", "/revoke", answers);
            let set = [
                "profile",
                "set",
                "x",
                "--update",
                "--client-secret",
                "secret-of-totals",
            ];
            medplum.run(set).ok();
            medplum.run(["login", "-p", "x"]).ok();
            let run = hasty(&medplum, command).ok().says("no answer within 15 s");
            assert!(run.stderr.contains(left), "{run}");
            assert_eq!(server.requests_to("/revoke").len(), taken + 1);
            let path = medplum.profile_path("x");
            let text = std::fs::read_to_string(path).unwrap_or_default();
            assert!(!text.contains("of-totals-1"), "{text}");
        }
    }
}
