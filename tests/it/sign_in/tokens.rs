//! The life of a token: kept, renewed in time, asked for again once after a 401; and `login`, `whoami`, `token`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::fhir::names_token_endpoint;
use crate::support::medplum::ReadOnly;
use crate::support::{Answer, Medplum, Server, Site, TokenEndpoint};

/// A site whose tokens state their life like this.
fn with_lifetime(expires_in: Value) -> Site {
    let mut site = Site::open();
    site.tokens = site.tokens.lifetime(expires_in);
    site
}

/// A20: every command asked for a new token. BCDA writes the number as a string (A21: it was dropped).
#[test]
fn a_token_serves_the_next_command_however_its_life_is_written() {
    for expires_in in [json!(1200), json!("1200"), json!(1200.0)] {
        let site = with_lifetime(expires_in.clone());
        for _ in 0..3 {
            site.get().ok();
        }
        assert_eq!((site.tokens.count(), site.gets()), (1, 3), "{expires_in}");
    }
}

#[test]
fn a_token_without_a_stated_life_is_used() {
    for expires_in in [Value::Null, json!("soon"), json!(0), json!(-5)] {
        let site = with_lifetime(expires_in.clone());
        site.get().ok();
        assert_eq!((site.tokens.count(), site.gets()), (1, 1), "{expires_in}");
    }
}

/// A19: with a grace of 300 s every token of the recommended life counted as expired.
#[test]
fn a_short_token_serves_until_shortly_before_its_end() {
    for (lifetime, age, requests) in [
        (60, 0, 1),
        (60, 30, 1),
        (60, 59, 2),
        (60, 70, 2),
        (300, 200, 1),
        (300, 299, 2),
        (3600, 3000, 1),
        (3600, 3598, 2),
    ] {
        let site = with_lifetime(json!(lifetime));
        site.get().ok();
        site.medplum.age_tokens("site", age);
        site.get().ok();
        assert_eq!(
            site.tokens.count(),
            requests,
            "a token of {lifetime} s after {age} s"
        );
    }
}

#[test]
fn a_token_is_not_used_for_another_scope_or_client() {
    let site = Site::open();
    site.get().ok();
    site.medplum
        .run(["get", "-p", "site", "--scope", "system/*.rs", "Patient/1"])
        .ok();
    assert_eq!(site.tokens.count(), 2);
    let other = ["--client-id", "other", "--client-secret", "wrong"];
    site.medplum
        .run(["get", "-p", "site", "Patient/1"].iter().chain(&other))
        .fails(3);
    assert_eq!(site.tokens.count(), 3);
}

#[test]
fn a_revoked_token_is_asked_for_again_once() {
    let site = Site::open();
    site.get().ok();
    site.tokens.revoke();
    site.server.forget();
    let run = site.get().ok();
    assert_eq!(run.json()["id"], "1");
    assert_eq!(
        site.server.lines(),
        [
            "GET /fhir/R4/Patient/1",
            "POST /oauth2/token",
            "GET /fhir/R4/Patient/1"
        ]
    );
    // The new one was kept.
    site.get().ok();
    assert_eq!(site.tokens.count(), 2);
}

/// AB2D says 403 to a token that has expired. A young one is not asked for again: the 403 is meant then.
#[test]
fn a_403_to_an_old_token_is_answered_with_a_new_one_once() {
    for (age, tokens, code) in [(0, 1, 3), (120, 2, 0)] {
        let site = Site::open();
        site.get().ok();
        site.medplum.age_tokens("site", age);
        site.server.handler(|request| {
            (request.path() == "/fhir/R4/Patient/1"
                && request.header("Authorization") == Some("Bearer token-1"))
            .then(|| Answer::empty(403))
        });
        site.get().fails(code);
        assert_eq!(site.tokens.count(), tokens, "a token of {age} s");
    }
}

#[test]
fn a_lasting_403_ends_after_one_renewal() {
    let site = Site::open();
    site.get().ok();
    site.medplum.age_tokens("site", 120);
    site.server
        .on("GET", "/fhir/R4/Patient/1", Answer::empty(403));
    site.server.forget();
    site.get().fails(3).says("403");
    assert_eq!((site.tokens.count(), site.gets()), (2, 2));
}

/// A 401 says that nothing was done, so a request with a body may be sent again too.
#[test]
fn a_revoked_token_does_not_lose_a_post() {
    let site = Site::open();
    site.get().ok();
    site.tokens.revoke();
    site.server
        .on("POST", "/fhir/R4/Patient", Answer::json(201, "{}"));
    site.medplum
        .run(["post", "-p", "site", "Patient", r#"{"active":true}"#])
        .ok()
        .prints("{}\n");
    let posts = site.server.requests_to("/fhir/R4/Patient");
    assert_eq!(posts.len(), 2);
    assert_eq!(posts[0].text(), posts[1].text());
}

/// A1: a lasting 401 made 412 requests in 5 s. A2: a 401 erased the profile.
#[test]
fn a_lasting_401_ends_after_one_renewal_and_keeps_the_settings() {
    let site = Site::open();
    let settings = site.medplum.options("site");
    site.tokens.refuse_all_tokens();
    let run = site.get().fails(3).prints("");
    run.says("401")
        .says("a good token is needed")
        .says(&site.server.url("/fhir/R4/Patient/1"));
    assert!(
        site.gets() <= 2 && site.tokens.count() <= 2,
        "{:?}",
        site.server.lines()
    );
    assert_eq!(site.medplum.options("site"), settings);
}

/// A2: the same for what cannot be renewed at all.
#[test]
fn a_401_without_a_way_to_renew_is_one_request_and_keeps_everything() {
    let site = Site::open();
    site.medplum.run(["login", "-p", "site"]).ok();
    let before = site.medplum.profile_text("site");
    site.tokens.refuse_all_tokens();
    let given = site.medplum.run([
        "get",
        "-p",
        "site",
        "--access-token",
        "revoked",
        "Patient/1",
    ]);
    given.fails(3).prints("").says("401");
    let basic = site
        .medplum
        .run(["get", "-p", "site", "--auth-type", "basic", "Patient/1"]);
    basic.fails(3).prints("").says("401");
    assert_eq!(site.gets(), 2);
    assert_eq!(site.medplum.profile_text("site"), before);
}

/// A2: a stored login that has expired and cannot be renewed is said to have, and stays; never a silent try without it.
#[test]
fn a_stored_login_that_cannot_be_renewed_is_an_error_and_stays() {
    let server = Server::start();
    server.on(
        "GET",
        "/fhir/R4/Patient/1",
        Answer::outcome(401, "login", "expired"),
    );
    let medplum = Medplum::new();
    let options = json!({"name": "x", "baseUrl": server.url("/"), "fhirUrlPath": "fhir/R4", "clientId": "theirs"});
    let login = json!({"accessToken": "expired-login"});
    medplum.write_profile(
        "x",
        &json!({"options": options, "activeLogin": login, "logins": [login]}),
    );
    medplum
        .run(["get", "-p", "x", "Patient/1"])
        .fails(3)
        .prints("")
        .says("login");
    for request in server.requests_to("/fhir/R4/Patient/1") {
        assert_eq!(
            request.header("Authorization"),
            Some("Bearer expired-login")
        );
    }
    assert_eq!(medplum.options("x"), options);
}

/// The Medplum CLI's login is used by this program.
#[test]
fn a_login_that_the_medplum_cli_stored_is_used() {
    let server = Server::start();
    server.on("GET", "/fhir/R4/Patient/1", Answer::json(200, "{}"));
    let medplum = Medplum::new();
    let options = json!({"name": "x", "baseUrl": server.url("/"), "fhirUrlPath": "fhir/R4"});
    let login = json!({"accessToken": "their-login"});
    medplum.write_profile(
        "x",
        &json!({"options": options, "activeLogin": login, "logins": [login]}),
    );
    medplum.run(["get", "-p", "x", "Patient/1"]).ok();
    assert_eq!(
        server
            .request_to("/fhir/R4/Patient/1")
            .header("Authorization"),
        Some("Bearer their-login")
    );
}

/// A11: tokens of other servers were refused unless they were JWTs that named our client in Medplum's own way.
#[test]
fn tokens_are_opaque() {
    let jwt = |claims: &str| {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!(
            "{}.{}.c2ln-{{n}}",
            part(r#"{"alg":"RS256","typ":"JWT"}"#),
            part(claims)
        )
    };
    for pattern in [
        jwt(r#"{"azp":"MY_CLIENT_ID","exp":4102444800}"#),
        jwt(r#"{"client_id":"someone else","exp":4102444800}"#),
        jwt(r#"{"exp":"a string"}"#),
        jwt(r#"{"exp":1}"#),
        "a.b.{n}".to_owned(),
        "opaque{n}".to_owned(),
    ] {
        let mut site = Site::open();
        site.tokens = site.tokens.pattern(&pattern);
        for _ in 0..2 {
            site.get().ok();
        }
        assert_eq!(site.tokens.count(), 1, "{pattern}");
    }
}

#[test]
fn login_stores_the_login_where_the_medplum_cli_looks_for_it() {
    let site = Site::open();
    site.medplum.run(["login", "-p", "site"]).ok();
    assert_eq!(
        site.medplum.stored("site", "activeLogin")["accessToken"],
        "token-1"
    );
    site.medplum
        .run(["token", "-p", "site"])
        .ok()
        .prints("token-1\n");
    site.get().ok();
    assert_eq!(site.tokens.count(), 1);
}

#[test]
fn login_renews_a_login_that_is_still_good() {
    let site = Site::open();
    for token in ["token-1", "token-2"] {
        site.medplum.run(["login", "-p", "site"]).ok();
        assert_eq!(
            site.medplum.stored("site", "activeLogin")["accessToken"],
            token
        );
    }
}

/// A5: `login -p X` without flags emptied the profile and went to api.medplum.com.
#[test]
fn login_without_flags_uses_what_is_stored_and_keeps_it() {
    let site = Site::open();
    let settings = site.medplum.options("site");
    site.medplum.run(["login", "-p", "site"]).ok();
    assert_eq!(site.medplum.options("site"), settings);
    assert_eq!(site.server.lines(), ["POST /oauth2/token"]);
}

#[test]
fn login_with_flags_updates_those_settings_only() {
    let site = Site::open();
    let mut settings = site.medplum.options("site");
    site.medplum
        .run(["login", "-p", "site", "--scope", "system/*.rs"])
        .ok();
    settings["scope"] = json!("system/*.rs");
    assert_eq!(site.medplum.options("site"), settings);
    assert!(site.tokens.requests()[0].text().contains("scope=system"));
}

#[test]
fn login_with_all_flags_makes_the_profile() {
    let site = Site::without_profile();
    let base = site.server.url("/");
    let flags = [
        "--base-url",
        &base,
        "--client-id",
        "MY_CLIENT_ID",
        "--client-secret",
        "MY_CLIENT_SECRET",
    ];
    let login = [
        "login",
        "-p",
        "new",
        "--auth-type",
        "client-credentials",
        "--token-url",
        "oauth2/token",
    ];
    site.medplum.run(login.iter().chain(&flags)).ok();
    assert_eq!(site.medplum.options("new")["baseUrl"], base);
    site.medplum.run(["get", "-p", "new", "Patient/1"]).ok();
    assert_eq!(site.tokens.count(), 1);
}

#[test]
fn a_login_that_fails_keeps_settings_and_the_login_before_it() {
    let site = Site::open();
    site.medplum.run(["login", "-p", "site"]).ok();
    let before = site.medplum.profile_keys("site");
    site.tokens.fail(Answer::new(
        401,
        "application/json",
        r#"{"error":"invalid_client"}"#,
    ));
    site.medplum
        .run(["login", "-p", "site"])
        .fails(3)
        .prints("")
        .says("invalid_client");
    assert_eq!(site.medplum.profile_keys("site"), before);
}

/// A22: `whoami` crashed on servers that are not Medplum.
#[test]
fn whoami_names_the_server_after_a_login_to_a_foreign_server() {
    let site = Site::open();
    site.medplum.run(["login", "-p", "site"]).ok();
    let run = site.medplum.run(["whoami", "-p", "site"]).ok();
    let server = format!("Server:  {}", site.server.url(""));
    assert!(
        run.stdout.lines().any(|line| line.starts_with(&server)),
        "{run}"
    );
    assert!(
        !run.stdout.contains("undefined") && !run.stdout.contains("null"),
        "{run}"
    );
}

#[test]
fn whoami_names_profile_and_project_of_a_medplum_login() {
    let mut site = Site::open();
    let (project, profile) = (
        json!({"reference": "Project/p1", "display": "Our project"}),
        json!({"reference": "ClientApplication/c1", "display": "Our client"}),
    );
    site.tokens = site
        .tokens
        .field("project", project)
        .field("profile", profile);
    site.medplum.run(["login", "-p", "site"]).ok();
    let run = site.medplum.run(["whoami", "-p", "site"]).ok();
    for line in [
        "Server:  http",
        "Profile: Our client",
        "Project: Our project",
    ] {
        assert!(run.stdout.contains(line), "{line}\n{run}");
    }
}

#[test]
fn whoami_and_token_without_a_login_say_so() {
    let medplum = Medplum::new();
    let run = medplum.run(["whoami"]).fails(3);
    assert!(run.everything().contains("Not logged in"), "{run}");
    medplum.run(["token"]).fails(3).prints("").says("Error: ");
    medplum
        .run(["profile", "set", "x", "--base-url", "https://a.example"])
        .ok();
    medplum.run(["whoami", "-p", "x"]).fails(3);
    medplum.run(["token", "-p", "x"]).fails(3).prints("");
}

#[test]
fn token_renews_what_has_run_out() {
    let site = with_lifetime(json!(60));
    site.medplum.run(["login", "-p", "site"]).ok();
    site.medplum.age_tokens("site", 61);
    site.medplum
        .run(["token", "-p", "site"])
        .ok()
        .prints("token-2\n");
}

/// The home folder of many CI jobs cannot be written: a notice, and the work is done.
#[test]
fn a_token_that_cannot_be_kept_is_a_notice() {
    let server = Server::start();
    names_token_endpoint(&server, "/fhir/R4", "/oauth2/token");
    let tokens = TokenEndpoint::on(&server, "/oauth2/token");
    server.on("GET", "/fhir/R4/Patient/1", Answer::json(200, "{}"));
    let medplum = Medplum::of_an_ordinary_user();
    let base = server.url("");
    let client = [
        "--base-url",
        &base,
        "--client-id",
        "MY_CLIENT_ID",
        "--client-secret",
        "MY_CLIENT_SECRET",
    ];
    medplum
        .run(["profile", "set", "x"].iter().chain(&client))
        .ok();
    let folder = medplum.home().join(".medplum");
    let _locks = folder
        .join(".locks")
        .is_dir()
        .then(|| ReadOnly::folder(folder.join(".locks")));
    let _folder = ReadOnly::folder(folder);
    let run = medplum
        .run(["get", "-p", "x", "Patient/1"])
        .ok()
        .prints("{}\n");
    assert!(run.stderr.contains(".medplum"), "no notice\n{run}");
    assert_eq!(tokens.count(), 1);

    let home = Medplum::of_an_ordinary_user();
    let _closed = ReadOnly::folder(home.home());
    home.run(["get", "Patient/1"].iter().chain(&client))
        .ok()
        .prints("{}\n");
}
