//! Names that were mistyped and settings that are missing are told before anybody is asked.

use serde_json::json;

use crate::support::{Answer, Medplum, Server, Site};

#[test]
fn a_login_for_a_name_that_nobody_has_asks_nobody_and_names_those_that_are_near() {
    let site = Site::open();
    let before = site.medplum.profile_text("site");
    for name in ["sites", "stie", "Site", "sit"] {
        let run = site.medplum.run(["login", "-p", name]).fails(2);
        let run = run.says("does not exist").says("did you mean site?");
        assert!(run.stderr.contains(name), "{run}");
        // A flag that names no server makes no profile beside one of nearly that name.
        let scope = ["login", "-p", name, "--scope", "a", "--client-id", "x"];
        let run = site.medplum.run(scope).fails(2).says("did you mean site?");
        assert_eq!(run.stdout, "");
        let run = site.medplum.run(["get", "-p", name, "Patient/1"]).fails(2);
        run.says("did you mean site?");
    }
    let run = site.medplum.run(["login", "-p", "elsewhere"]).fails(2);
    run.says("medplum login -p elsewhere --base-url URL");
    let run = site.medplum.run(["login", "-p", "two words"]).fails(2);
    run.says("medplum login -p 'two words' --base-url URL");
    assert_eq!(site.server.lines(), [""; 0]);
    assert_eq!(site.medplum.profile_text("site"), before);
    // Whoever names the server means it.
    let base = site.server.url("/");
    let flags = [
        "--base-url",
        &base,
        "--client-id",
        "MY_CLIENT_ID",
        "--client-secret",
        "MY_CLIENT_SECRET",
    ];
    let login = [&["login", "-p", "sites"][..], &flags].concat();
    site.medplum.run(login).ok();
    assert_eq!(site.tokens.count(), 1);
}

#[test]
fn a_login_that_lacks_something_says_what_and_asks_no_host() {
    let server = Server::start();
    let base = server.url("/");
    for (flags, missing) in [
        (&[][..], "a client id"),
        (&["--auth-type", "device-code"], "a client id"),
        (&["--client-secret", "s3cret-1"], "a client id"),
        (
            &["--auth-type", "client-credentials"],
            "a client id and a client secret",
        ),
        (
            &["--auth-type", "client-credentials", "--client-id", "me"],
            "a client secret",
        ),
        (
            &["--auth-type", "jwt-assertion", "--client-id", "me"],
            "a private key",
        ),
        (
            &[
                "--auth-type",
                "jwt-bearer",
                "--client-id",
                "me",
                "--client-secret",
                "s3cret-1",
            ],
            "a subject",
        ),
        (
            &["--auth-type", "token-exchange", "--client-id", "me"],
            "a token to exchange",
        ),
        (
            &["--auth-type", "basic", "--client-id", "me"],
            "a client secret",
        ),
    ] {
        let medplum = Medplum::new();
        let login = [
            "login",
            "-p",
            "new one",
            "--base-url",
            &base,
            "--no-browser",
        ];
        let run = medplum.run([&login[..], flags].concat());
        let run = run.fails(2).says(missing);
        assert!(!run.stderr.contains("NAME"), "{flags:?}: {run}");
        assert!(!medplum.profile_path("new one").exists(), "{flags:?}");
    }
    assert_eq!(server.lines(), [""; 0]);
}

/// Hints are lines to paste: the name of the profile stands in them.
#[test]
fn a_hint_names_the_profile_that_it_is_about() {
    let server = Server::start();
    server.on(
        "POST",
        "/token",
        Answer::json(400, json!({"error": "invalid_grant"}).to_string()),
    );
    let base = server.url("/");
    let medplum = Medplum::new();
    let set = [
        "profile",
        "set",
        "my clinic",
        "--base-url",
        &base,
        "--token-url",
        "token",
    ];
    medplum
        .run(
            [
                &set[..],
                &["--auth-type", "authorization-code", "--client-id", "me"],
            ]
            .concat(),
        )
        .ok();
    let get = ["get", "-p", "my clinic", "Patient/1"];
    medplum
        .run(get)
        .fails(3)
        .says("medplum login -p 'my clinic'");
    let login = json!({"accessToken": "old-access", "refreshToken": "old-refresh"});
    let options = medplum.options("my clinic");
    medplum.write_profile(
        "my clinic",
        &json!({"options": options, "activeLogin": login}),
    );
    server.on("GET", "/fhir/R4/Patient/1", Answer::empty(401));
    medplum
        .run(get)
        .fails(3)
        .says("log in again with `medplum login -p 'my clinic'`");
    let update = [
        "profile",
        "set",
        "my clinic",
        "--update",
        "--auth-type",
        "client-credentials",
    ];
    medplum.run(update).ok();
    medplum.write_profile(
        "my clinic",
        &json!({"options": medplum.options("my clinic")}),
    );
    medplum
        .run(get)
        .fails(2)
        .says("medplum profile set 'my clinic' --update");
}
