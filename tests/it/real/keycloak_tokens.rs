//! What becomes of Keycloak's tokens: renewal, reuse, offline tokens, exchange, and keys that change.

use std::fs;

use serde_json::{Value, json};

use super::keycloak::{Front, Keycloak, SECRET, keycloak};
use crate::support::jwt::Jwt;
use crate::support::keys::{key, public_jwk};
use crate::support::{Answer, Server};

fn signed_in(keycloak: &'static Keycloak, scope: &str) -> Front {
    let front = keycloak.front(&keycloak.realm("clinic"));
    let args = ["--auth-type", "authorization-code", "--client-id", "app"];
    let more = [
        "--scope",
        scope,
        "--callback-url",
        "http://127.0.0.1:0/signed/in",
    ];
    front.set_profile(&[&args[..], &more].concat());
    front.log_in(&[]);
    front
}

fn refresh_token(front: &Front) -> String {
    front.medplum.stored("clinic", "activeLogin")["refreshToken"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Waits until the clock shows another second.
fn next_second() {
    let second = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.unwrap().as_secs()
    };
    let before = second();
    while second() == before {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Each refresh token serves once. One that comes again ends the login of whoever holds it, and is told as what it is.
#[test]
fn keycloak_rotates_refresh_tokens_and_tells_of_one_that_comes_again() {
    let Some(keycloak) = keycloak() else { return };
    let front = signed_in(keycloak, "openid");
    let first = refresh_token(&front);
    // Keycloak tells the order of tokens by whole seconds.
    next_second();
    let path = front.medplum.profile_path("clinic");
    front.medplum.age_tokens("clinic", 3600);
    let old = fs::read(&path).unwrap();
    front.run(&["get", "Patient/1"]).ok();
    assert_ne!(refresh_token(&front), first);
    next_second();
    front.medplum.age_tokens("clinic", 3600);
    front.run(&["get", "Patient/1"]).ok();

    next_second();
    // A copy of the profile from before, as from a backup or another machine.
    fs::write(&path, old).unwrap();
    for words in ["serves once", "medplum login"] {
        let run = front.run(&["get", "Patient/1"]).fails(3).prints("");
        let run = run.says("invalid_grant").says(words);
        assert!(run.stderr.contains("medplum login"), "{run}");
        assert!(!run.everything().contains(&first), "{run}");
    }
    let count = front.server.requests_to("/fhir/R4/Patient/1").len();
    assert_eq!(count, 2, "nothing goes out without a token");
}

/// Its `refresh_expires_in` is 0, and means that the token does not end.
#[test]
fn keycloak_offline_tokens_outlive_the_session() {
    let Some(keycloak) = keycloak() else { return };
    let front = signed_in(keycloak, "openid offline_access");
    let kind = Jwt::parse(&refresh_token(&front)).unwrap().claims;
    assert_eq!(kind["typ"], "Offline", "{kind}");
    front.medplum.age_tokens("clinic", 40 * 24 * 3600);
    front.run(&["get", "Patient/1"]).ok();
    let said = front.run(&["whoami"]).ok().everything();
    assert!(said.contains("offline_access"), "{said}");
    let last = refresh_token(&front);
    front.run(&["logout"]).ok();
    assert_eq!(keycloak.introspect(&last), json!({"active": false}));
}

/// RFC 8693, as Keycloak's standard token exchange has it: the subject token must be meant for the client that exchanges it.
#[test]
fn keycloak_exchanges_a_token_of_another_client() {
    let Some(keycloak) = keycloak() else { return };
    let portal = keycloak.front(&keycloak.realm("clinic"));
    let machine = [
        "--auth-type",
        "client-credentials",
        "--client-secret",
        SECRET,
    ];
    portal.set_profile(&[&machine[..], &["--client-id", "portal"]].concat());
    let subject = portal.run(&["token", "-q"]).ok().stdout;
    portal.set_profile(&[&machine[..], &["--client-id", "secret"]].concat());
    let foreign = portal.run(&["token", "-q"]).ok().stdout;
    for (subject, code) in [(&subject, 0), (&foreign, 3)] {
        let front = keycloak.front(&keycloak.realm("clinic"));
        let file = front
            .medplum
            .file("subject", subject.trim())
            .display()
            .to_string();
        let args = [
            "--auth-type",
            "token-exchange",
            "--subject-token-file",
            &file,
        ];
        let client = [
            "--client-id",
            "exchange",
            "--client-secret",
            SECRET,
            "--scope",
            "openid",
        ];
        front.set_profile(&[&args[..], &client].concat());
        let run = front.run(&["get", "Patient/1"]).fails(code);
        if code == 0 {
            let token = front.run(&["token", "-q"]).ok().stdout;
            assert_eq!(Jwt::parse(token.trim()).unwrap().claims["azp"], "exchange");
        } else {
            assert!(run.stderr.contains("audience"), "{run}");
        }
    }
}

/// The realm signs with a new key from one day to the next; a login from before goes on.
#[test]
fn keycloak_may_change_its_own_keys_under_a_login() {
    let Some(keycloak) = keycloak() else { return };
    let front = signed_in(keycloak, "openid");
    let kid = |front: &Front| {
        let token = front.run(&["token", "-q"]).ok().stdout;
        Jwt::parse(token.trim()).unwrap().header["kid"].clone()
    };
    let before = kid(&front);
    let config = json!({"priority": ["1000"], "enabled": ["true"], "active": ["true"], "algorithm": ["RS256"], "keySize": ["2048"]});
    keycloak.administer(
        "components",
        &json!({"name": "newer", "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider", "config": config}),
    );
    front.medplum.age_tokens("clinic", 3600);
    front.run(&["get", "Patient/1"]).ok();
    assert_ne!(kid(&front), before);
}

/// The client's own keys: a new one is good as soon as it is published, the old one until it is no more.
#[test]
fn keycloak_fetches_the_published_keys_of_a_client_again_when_they_change() {
    let Some(keycloak) = keycloak() else { return };
    let published = Server::start();
    let publish = |keys: &[(&str, &str)]| {
        let keys: Vec<Value> = keys
            .iter()
            .map(|(file, kid)| public_jwk(file, kid))
            .collect();
        let set = json!({"keys": keys}).to_string();
        published.on(
            "GET",
            "/jwks.json",
            Answer::new(200, "application/json", set),
        );
    };
    publish(&[("p384.jwk", "old")]);
    keycloak.administer(
        "clients",
        &json!({"clientId": "published", "serviceAccountsEnabled": true, "standardFlowEnabled": false,
            "clientAuthenticatorType": "client-jwt", "attributes":
            {"use.jwks.url": "true", "jwks.url": published.url("/jwks.json")}}),
    );
    let front = keycloak.front(&keycloak.realm("clinic"));
    let try_with = |file: &str, kid: &str| {
        let key = key(file);
        let args = ["--auth-type", "jwt-assertion", "--client-id", "published"];
        let keys = [
            "--private-key-path",
            &key,
            "--key-id",
            kid,
            "--scope",
            "openid",
        ];
        front.set_profile(&[&args[..], &keys].concat());
        front.run(&["login"])
    };
    try_with("p384.jwk", "old").ok();
    // Keycloak asks for published keys once in a second at most: `now > last + min-time-between-requests`.
    next_second();
    try_with("rsa.jwk", "new").fails(3).says("invalid_client");
    next_second();
    publish(&[("p384.jwk", "old"), ("rsa.jwk", "new")]);
    try_with("rsa.jwk", "new").ok();
    try_with("p384.jwk", "old").ok();
    assert!(published.requests_to("/jwks.json").len() >= 2);
}
