//! A login and a secret belong to their server, whatever variable names another one.

use serde_json::json;

use crate::support::authorization::PUBLIC_CLIENT;
use crate::support::clinic::CALLBACK;
use crate::support::{Answer, Clinic, Medplum, Server, Site, TokenEndpoint};

fn open_server() -> Server {
    let server = Server::start();
    server.handler(|request| (request.method == "GET").then(|| Answer::json(200, "{}")));
    server
}

/// What was sent, which must hold no credential; something must have been.
#[track_caller]
fn assert_saw_no_credential(server: &Server) {
    assert!(!server.requests().is_empty(), "nothing arrived at all");
    for request in server.requests() {
        assert!(request.header("Authorization").is_none(), "{request:?}");
        assert!(!request.text().contains("secret"), "{request:?}");
    }
}

/// D6: the login of api.medplum.com went to the server of an exported variable, and then its refresh token.
#[test]
fn a_login_that_names_no_server_does_not_follow_a_variable() {
    let foreign = open_server();
    let token = TokenEndpoint::on(&foreign, "/oauth2/token");
    let medplum = Medplum::new();
    let login = json!({"accessToken": "secret-access", "refreshToken": "secret-refresh"});
    medplum.write_profile(
        "default",
        &json!({"options": {"name": "default"}, "activeLogin": login, "logins": [login]}),
    );
    let base = foreign.url("/");
    let get = || {
        medplum
            .command(["get", "Patient/1"])
            .env("MEDPLUM_BASE_URL", &base)
    };
    let _ = get()
        .run()
        .fails(3)
        .says("belong to another server")
        .says(&format!("medplum login -p default --base-url {base}"));
    assert_eq!((foreign.lines().len(), token.count()), (0, 0));
    // By a flag one server is asked for once: as somebody without a login.
    let _ = medplum.run(["get", "Patient/1", "--base-url", &base]).ok();
    assert_saw_no_credential(&foreign);
}

/// The same with a login of ours, whose entry says what server it is for, and no profile does.
#[test]
fn a_login_goes_to_the_server_that_it_was_got_from() {
    let (site, foreign) = (Site::without_profile(), open_server());
    let flags = [
        "--client-id",
        "MY_CLIENT_ID",
        "--client-secret",
        "MY_CLIENT_SECRET",
    ];
    let login = site
        .medplum
        .command(["login", "-p", "x"].iter().chain(&flags));
    let _ = login
        .env("MEDPLUM_BASE_URL", site.server.url("/"))
        .run()
        .ok();
    // The login alone is left: nothing in the profile tells for which server it is.
    let mut keys = site.medplum.profile_keys("x");
    keys["options"] = json!(json!({"name": "x", "clientId": "MY_CLIENT_ID"}).to_string());
    let text = serde_json::to_string(&keys).unwrap();
    site.medplum.write_profile_text("x", &text);
    let get = |base: &str| {
        let get = site.medplum.command(["get", "-p", "x", "Patient/1"]);
        get.env("MEDPLUM_BASE_URL", base).run()
    };
    let _ = get(&site.server.url("/")).ok();
    let sent = site.server.request_to("/fhir/R4/Patient/1");
    assert_eq!(sent.header("Authorization"), Some("Bearer token-1"));
    let _ = get(&foreign.url("/"))
        .fails(3)
        .says(&site.server.url("/fhir/R4"));
    assert_eq!(foreign.lines(), [""; 0]);
    let other = [
        "get",
        "-p",
        "x",
        "Patient/1",
        "--base-url",
        &foreign.url("/"),
    ];
    let _ = site.medplum.run(other).ok();
    assert_saw_no_credential(&foreign);
}

/// D6: the README's `bot` recipe, below a variable that names another server.
#[test]
fn a_secret_of_a_profile_without_a_server_is_for_the_default_one() {
    let (site, foreign) = (Site::without_profile(), open_server());
    let flags = [
        "--client-id",
        "MY_CLIENT_ID",
        "--client-secret",
        "MY_CLIENT_SECRET",
    ];
    let _ = site
        .medplum
        .run(["profile", "set", "bot"].iter().chain(&flags))
        .ok();
    let base = site.server.url("/");
    let get = ["get", "-p", "bot", "Patient/1"];
    let remedy = format!("medplum profile set bot --update --base-url {base}");
    for run in [
        site.medplum
            .command(get)
            .env("MEDPLUM_BASE_URL", &base)
            .run(),
        site.medplum.run(get.iter().chain(&["--base-url", &base])),
    ] {
        let _ = run
            .fails(3)
            .says("the profile for https://api.medplum.com/")
            .says(&remedy);
    }
    assert_eq!((site.server.lines().len(), site.tokens.count()), (0, 0));
    // What the hint says helps.
    let _ = site.medplum.run(remedy.split(' ').skip(1)).ok();
    let _ = site.medplum.run(get).ok();
    assert_eq!((site.gets(), site.tokens.count()), (1, 1));
    let elsewhere = site
        .medplum
        .command(get)
        .env("MEDPLUM_BASE_URL", foreign.url("/"))
        .run();
    let _ = elsewhere.ok();
    assert_eq!(foreign.lines(), [""; 0]);
}

/// A login of another server is held back, and does not stand in the way of one for the server that is meant now.
#[test]
fn a_new_login_replaces_one_that_is_of_another_server() {
    let mut clinic = Clinic::without_profile();
    let login = json!({"accessToken": "secret-access", "refreshToken": "secret-refresh"});
    let options = json!({"name": "clinic", "clientId": PUBLIC_CLIENT, "callbackUrl": CALLBACK});
    clinic.medplum.write_profile(
        "clinic",
        &json!({"options": options, "activeLogin": login, "logins": [login]}),
    );
    clinic
        .medplum
        .set_env("MEDPLUM_BASE_URL", clinic.server.url("/"));
    clinic
        .get()
        .fails(3)
        .says("the login of profile `clinic`, which names no server");
    clinic.log_in(&[]).0.ok();
    clinic.get().ok();
    let told = format!("{:?}", clinic.server.requests());
    assert!(!told.contains("secret-"), "{told}");
}
