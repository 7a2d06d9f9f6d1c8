//! `logout`: tokens go back to the server and out of the file; settings stay.

use serde_json::json;

use crate::support::{Answer, Clinic, Medplum, Server};

#[test]
fn logout_gives_the_tokens_back_and_keeps_the_settings() {
    let clinic = Clinic::open();
    let settings = clinic.medplum.options("clinic");
    let (run, _) = clinic.log_in(&[]);
    run.ok();
    let login = clinic.medplum.stored("clinic", "activeLogin");
    let run = clinic.medplum.run(["logout", "-p", "clinic", "-vv"]).ok();
    let run = run.prints("").says("Logged out");
    for token in [&login["accessToken"], &login["refreshToken"]] {
        assert!(!run.everything().contains(token.as_str().unwrap()), "{run}");
    }
    let hints: Vec<String> = clinic
        .server
        .requests_to("/oauth2/revoke")
        .iter()
        .map(|request| request.form()[1].1.clone())
        .collect();
    assert_eq!(hints, ["refresh_token", "access_token"]);
    assert!(
        !clinic
            .auth
            .knows_refresh_token(login["refreshToken"].as_str().unwrap())
    );
    assert_eq!(clinic.medplum.options("clinic"), settings);
    let keys = clinic.medplum.profile_keys("clinic");
    for key in ["activeLogin", "logins", "tokens"] {
        assert!(!keys.contains_key(key), "{keys:?}");
    }
    clinic.get().fails(3).says("medplum login");
}

#[test]
fn tokens_go_even_if_the_server_does_not_take_them_back() {
    for answer in [Answer::empty(503), Answer::reset(), Answer::empty(404)] {
        let clinic = Clinic::open();
        let (run, _) = clinic.log_in(&[]);
        run.ok();
        clinic.server.on("POST", "/oauth2/revoke", answer);
        let run = clinic.medplum.run(["logout", "-p", "clinic"]).ok();
        run.says("Warning").says("Logged out");
        assert!(
            !clinic
                .medplum
                .profile_keys("clinic")
                .contains_key("activeLogin")
        );
    }
}

/// A server whose SMART document names no revocation endpoint may have one in its issuer's.
#[test]
fn the_issuers_own_document_is_asked_too() {
    let server = Server::start();
    let issuer = server.url("/realm");
    let smart = json!({"token_endpoint": server.url("/t"), "issuer": issuer});
    let path = "/fhir/R4/.well-known/smart-configuration";
    server.on(
        "GET",
        path,
        Answer::new(200, "application/json", smart.to_string()),
    );
    let openid = json!({"issuer": issuer, "revocation_endpoint": server.url("/revoke")});
    let path = "/realm/.well-known/openid-configuration";
    server.on(
        "GET",
        path,
        Answer::new(200, "application/json", openid.to_string()),
    );
    server.on("POST", "/revoke", Answer::empty(200));
    let medplum = with_their_login(&server, &json!({"accessToken": "their-login"}));
    let run = medplum.run(["logout", "-p", "x"]).ok();
    assert_eq!(server.requests_to("/revoke").len(), 1, "{run}");
}

/// Medplum's server has no revocation endpoint; its logout does the same.
#[test]
fn a_medplum_login_is_ended_where_medplum_ends_logins() {
    let server = Server::start();
    server.on("POST", "/oauth2/logout", Answer::json(200, "{}"));
    let login = json!({"accessToken": "their-login", "refreshToken": "r", "project": {"reference": "Project/1"},
        "profile": {"reference": "Practitioner/2"}});
    let medplum = with_their_login(&server, &login);
    medplum.run(["logout", "-p", "x"]).ok().says("Logged out");
    let request = server.request_to("/oauth2/logout");
    assert_eq!(request.header("Authorization"), Some("Bearer their-login"));
}

#[test]
fn without_a_way_to_give_tokens_back_they_are_forgotten() {
    let server = Server::start();
    let medplum = with_their_login(&server, &json!({"accessToken": "their-login"}));
    let run = medplum.run(["logout", "-p", "x"]).ok();
    run.says("takes no tokens back").says("Logged out");
    assert_eq!(
        medplum.profile_keys("x").keys().collect::<Vec<_>>(),
        ["options"]
    );
    medplum.run(["logout", "-p", "x"]).ok().says("no login");
    medplum.run(["logout", "-p", "nobody"]).fails(2);
}

/// A token of another server is forgotten, not sent.
#[test]
fn tokens_are_given_back_to_their_own_server_only() {
    let clinic = Clinic::open();
    let (run, _) = clinic.log_in(&[]);
    run.ok();
    let foreign = Server::start();
    let there = foreign.url("/");
    let moved = ["logout", "-p", "clinic", "--base-url", &there];
    clinic.medplum.run(moved).ok();
    assert!(
        clinic
            .medplum
            .profile_keys("clinic")
            .get("activeLogin")
            .is_none()
    );
    for request in foreign.requests() {
        assert_eq!(
            (request.header("Authorization"), request.text()),
            (None, String::new())
        );
    }
}

fn with_their_login(server: &Server, login: &serde_json::Value) -> Medplum {
    let medplum = Medplum::new();
    let options = json!({"name": "x", "baseUrl": server.url("/"), "fhirUrlPath": "fhir/R4", "clientId": "theirs"});
    medplum.write_profile(
        "x",
        &json!({"options": options, "activeLogin": login, "logins": [login]}),
    );
    medplum
}
