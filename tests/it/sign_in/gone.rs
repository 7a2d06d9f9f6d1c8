//! A token endpoint that is gone, and a server that names no other: an error, and a guess only where it is Medplum's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::support::{Answer, Medplum, Server};

const SMART: &str = "/fhir/R4/.well-known/smart-configuration";

/// A server whose documents and token endpoint go when the switch is thrown; `/oauth2/token` is there to the end.
fn server() -> (Server, Arc<AtomicBool>) {
    let server = Server::start();
    let is_gone = Arc::new(AtomicBool::new(false));
    let document = json!({"token_endpoint": server.url("/token")}).to_string();
    let token = json!({"access_token": "token-1", "token_type": "Bearer", "expires_in": 1, "refresh_token": "refresh-1"});
    let gone = Arc::clone(&is_gone);
    server.handler(move |request| {
        let is_gone = gone.load(Ordering::SeqCst);
        Some(match request.path() {
            SMART if !is_gone => Answer::json(200, &document),
            "/token" if !is_gone => Answer::json(200, token.to_string()),
            "/oauth2/token" => Answer::json(200, token.to_string()),
            "/fhir/R4/Patient/1" => Answer::json(200, "{}"),
            _ => Answer::empty(404),
        })
    });
    (server, is_gone)
}

#[test]
fn an_endpoint_that_is_gone_with_nothing_in_its_place_is_an_error_and_no_guess() {
    let (server, is_gone) = server();
    let medplum = Medplum::new();
    let base = server.url("/");
    medplum.set_client(&base, &["--client-secret", "secret-of-x"]);
    let get = ["get", "-p", "x", "Patient/1"];
    medplum.run(get).ok();
    medplum.age_tokens("x", 3600);
    is_gone.store(true, Ordering::SeqCst);
    medplum.run(get).fails(3).says("404");
    // It was looked for anew, and nothing of ours went where nobody named an endpoint.
    assert_eq!(server.requests_to(SMART).len(), 2);
    assert_eq!(server.requests_to("/token").len(), 2);
    assert!(server.requests_to("/oauth2/token").is_empty());
}

/// A login to a Medplum server names its project: there the place is known.
#[test]
fn the_login_of_a_medplum_server_is_renewed_where_medplum_has_its_endpoint() {
    let (server, is_gone) = server();
    let medplum = Medplum::new();
    let base = server.url("/");
    medplum.set_client(&base, &[]);
    for (project, expected) in [(json!({"reference": "Project/1"}), 1), (json!(null), 0)] {
        is_gone.store(false, Ordering::SeqCst);
        let mut login = json!({"accessToken": "old-access", "refreshToken": "refresh-1"});
        if !project.is_null() {
            login["project"] = project;
        }
        medplum.write_profile(
            "x",
            &json!({"options": medplum.options("x"), "activeLogin": login}),
        );
        // The first one learns where the endpoint is, and the second one that it is gone.
        let refuse = Answer::outcome(401, "login", "a good token is needed");
        server.on_sequence(
            "GET",
            "/fhir/R4/Patient/1",
            [
                refuse.clone(),
                Answer::json(200, "{}"),
                refuse,
                Answer::json(200, "{}"),
            ],
        );
        let get = ["get", "-p", "x", "Patient/1"];
        medplum.run(get).ok();
        is_gone.store(true, Ordering::SeqCst);
        server.forget();
        let run = medplum.run(get);
        assert_eq!(run.code, if expected == 1 { 0 } else { 3 }, "{run}");
        assert_eq!(server.requests_to("/token").len(), 1);
        assert_eq!(server.requests_to("/oauth2/token").len(), expected, "{run}");
    }
}

/// A token request follows no redirect, and whoever set up the endpoint learns where it leads.
#[test]
fn an_endpoint_that_redirects_is_not_followed_and_is_told_with_where_it_leads() {
    let other = Server::start();
    let target = other.url("/realms/x/token");
    for (location, shown) in [
        (target.as_str(), target.as_str()),
        ("/moved?code=hidden-1", "/moved?code=********"),
    ] {
        for status in [301, 302, 307, 308] {
            let server = Server::start();
            server.on("POST", "/token", Answer::redirect(status, location));
            let base = server.url("/");
            let medplum = Medplum::new();
            let get = [
                "get",
                "Patient/1",
                "--base-url",
                &base,
                "--client-id",
                "me",
                "--client-secret",
                "secret-of-x",
            ];
            let run = medplum
                .run([&get[..], &["--token-url", "token"]].concat())
                .fails(3);
            let run = run.says("it leads to").says(shown).says("--token-url");
            assert!(!run.stderr.contains("hidden-1"), "{run}");
            assert_eq!(server.lines(), ["POST /token"]);
        }
    }
    assert_eq!(other.lines(), [""; 0]);
}
