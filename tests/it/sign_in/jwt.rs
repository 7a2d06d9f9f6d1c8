//! `jwt-assertion` and `jwt-bearer` against a token endpoint that reads every assertion to the letter.

use std::collections::HashSet;
use std::fs;

use serde_json::json;

use crate::support::assertions::Client;
use crate::support::backend::KID;
use crate::support::fhir::PATIENT;
use crate::support::keys::{PASSPHRASE, key, public_jwk};
use crate::support::{Answer, Backend};

fn busy(status: u16) -> Answer {
    Answer::empty(status).header("Retry-After", "0")
}

fn epic_refusal() -> Answer {
    let body = r#"{"error":"invalid_client","error_description":null}"#;
    Answer::new(400, "application/json", body)
}

#[test]
fn a_private_key_signs_in_as_smart_backend_services_asks() {
    let site = Backend::smart();
    site.set_key(&key("rsa-pkcs1.pem"), &["--scope", "system/*.rs"]);
    site.get().ok();
    let request = site.server.request_to("/oauth2/token");
    let names: Vec<String> = request.form().into_iter().map(|(name, _)| name).collect();
    let expected = [
        "grant_type",
        "scope",
        "client_assertion_type",
        "client_assertion",
    ];
    assert_eq!(names, expected);
    assert_eq!(request.form()[1].1, "system/*.rs");
    let assertion = site.tokens.assertion();
    assert_eq!(
        assertion.header,
        json!({"typ": "JWT", "alg": "RS384", "kid": KID})
    );
    let claims: Vec<&String> = assertion.claims.as_object().unwrap().keys().collect();
    assert_eq!(claims, ["iss", "sub", "aud", "jti", "iat", "exp"]);
    let asked = site.server.request_to("/fhir/R4/Patient/1");
    assert_eq!(asked.header("Authorization"), Some("Bearer token-1"));
}

#[test]
fn every_try_brings_a_new_assertion() {
    let site = Backend::smart();
    site.set_key(&key("rsa-pkcs8.pem"), &[]);
    site.tokens.fail_next([busy(503), busy(429)]);
    site.get().ok();
    let assertions = site.tokens.assertions();
    let ids: HashSet<String> = assertions
        .iter()
        .map(|jwt| jwt.claims["jti"].to_string())
        .collect();
    assert_eq!((assertions.len(), ids.len()), (3, 3));
}

#[test]
fn a_refusal_in_epics_words_is_doubted_once_with_a_new_assertion() {
    let site = Backend::smart();
    site.set_key(&key("rsa-pkcs1.pem"), &[]);
    site.tokens.fail_next([epic_refusal()]);
    site.get().ok();
    assert_eq!(site.tokens.assertions().len(), 2);

    site.tokens.revoke();
    site.tokens.fail_next([epic_refusal(), epic_refusal()]);
    let run = site.get().fails(3).says("invalid_client").says("aud http");
    let run = run.says(&format!("alg RS384, kid {KID}")).says("keys jwks");
    assert_eq!(site.tokens.assertions().len(), 4, "{run}");
}

#[test]
fn a_refusal_of_another_kind_is_final() {
    let site = Backend::smart();
    site.set_key(&key("rsa-pkcs1.pem"), &[]);
    let body = r#"{"error":"unauthorized_client"}"#;
    site.tokens
        .fail_next([Answer::new(400, "application/json", body)]);
    site.get().fails(3).says("unauthorized_client");
    assert_eq!(site.tokens.assertions().len(), 1);
}

/// The audience is the token URL; a path is joined to the base, an absolute one is used as given.
#[test]
fn the_audience_follows_the_rules() {
    for (audience, expected) in [
        (None, None),
        (Some("/oauth2/token"), None),
        (Some("oauth2/token"), None),
        (Some("https://ehr.example"), Some("https://ehr.example")),
        (
            Some("https://ehr.example/t/"),
            Some("https://ehr.example/t/"),
        ),
        (Some("urn:example:ehr"), Some("urn:example:ehr")),
    ] {
        let site = Backend::of(Client {
            id: "backend-client".to_owned(),
            keys: json!({"keys": [public_jwk("rsa.jwk", KID)]}),
            audience: expected.unwrap_or_default().to_owned(),
            ..Client::default()
        });
        let flags: Vec<&str> = audience
            .iter()
            .flat_map(|one| ["--audience", one])
            .collect();
        site.set_key(&key("rsa.jwk"), &flags);
        let run = site.get();
        assert_eq!(site.tokens.reasons(), [""; 0], "{audience:?}");
        run.ok();
    }
}

#[test]
fn without_an_auth_type_a_private_key_means_jwt_assertion() {
    let site = Backend::smart();
    let path = key("rsa-pkcs8.pem");
    let base = site.server.url("/");
    // Everything from the environment, as in a CI job.
    let run = site
        .medplum
        .command(["get", "Patient/1"])
        .env("MEDPLUM_BASE_URL", base)
        .env("MEDPLUM_TOKEN_URL", "oauth2/token")
        .env("MEDPLUM_CLIENT_ID", "backend-client")
        .env("MEDPLUM_CLIENT_SECRET", "left from before")
        .env("MEDPLUM_PRIVATE_KEY_PATH", path)
        .env("MEDPLUM_KEY_ID", KID)
        .run();
    let shown: serde_json::Value = serde_json::from_str(PATIENT).unwrap();
    assert_eq!(run.ok().json(), shown);
}

#[test]
fn the_algorithm_and_the_jku_are_those_asked_for() {
    let site = Backend::of(Client {
        id: "backend-client".to_owned(),
        keys: json!({"keys": [public_jwk("rsa.jwk", KID)]}),
        key_url: Some("https://client.example/jwks.json".to_owned()),
        algorithms: vec!["RS512"],
        ..Client::default()
    });
    let flags = [
        "--algorithm",
        "RS512",
        "--jku",
        "https://client.example/jwks.json",
    ];
    site.set_key(&key("rsa-pkcs8.pem"), &flags);
    site.get().ok();
    assert_eq!(
        site.tokens.assertion().header["jku"],
        "https://client.example/jwks.json"
    );
    assert_eq!(site.medplum.options("site")["algorithm"], "RS512");
}

#[test]
fn an_unknown_algorithm_is_refused_before_it_is_stored() {
    let site = Backend::smart();
    let args = [
        "profile",
        "set",
        "x",
        "--base-url",
        "https://a.example",
        "--algorithm",
        "none",
    ];
    site.medplum.run(args).fails(2).says("RS384");
    assert!(!site.medplum.profile_path("x").exists());
}

#[test]
fn a_token_is_renewed_with_a_new_assertion_when_it_expires_or_is_refused() {
    let site = Backend::smart();
    site.set_key(&key("p384-sec1.pem"), &["--key-id", "p384"]);
    site.medplum.run(["login", "-p", "site"]).ok();
    let options = site.medplum.options("site");
    site.get().ok();
    assert_eq!(site.tokens.assertions().len(), 1);
    site.medplum.age_tokens("site", 300);
    site.get().ok();
    assert_eq!(site.tokens.assertions().len(), 2);
    site.tokens.revoke();
    site.get().ok();
    assert_eq!(site.tokens.assertions().len(), 3);
    assert_eq!(site.medplum.options("site"), options);
}

#[test]
fn the_key_is_not_read_while_a_token_is_good() {
    let site = Backend::smart();
    let path = site.medplum.path("mine.pem");
    fs::copy(key("rsa-pkcs1.pem"), &path).unwrap();
    site.set_key("mine.pem", &[]);
    let stored = site.medplum.options("site")["privateKeyPath"].clone();
    assert_eq!(stored, path.to_string_lossy().into_owned());
    site.get().ok();
    fs::remove_file(&path).unwrap();
    site.get().ok();
    site.medplum.age_tokens("site", 300);
    let run = site.get().fails(2).says(&path.to_string_lossy());
    assert_eq!(site.tokens.assertions().len(), 1, "{run}");
}

#[test]
fn the_subject_is_stored_and_left_out_with_a_notice() {
    let site = Backend::smart();
    site.set_key(&key("rsa-pkcs1.pem"), &["--subject", "john_doe"]);
    site.get().ok().says("subject john_doe is not sent");
    assert_eq!(site.tokens.assertion().claims["sub"], "backend-client");
    assert_eq!(site.medplum.options("site")["subject"], "john_doe");
    assert!(!site.get().ok().stderr.contains("john_doe"));
}

#[test]
fn a_key_that_cannot_be_used_is_named_and_nothing_is_sent() {
    let site = Backend::smart();
    let gone = site.medplum.path("gone.pem");
    let empty = site.medplum.file("empty.pem", "");
    let binary = site.medplum.file("binary.der", [0x30, 0x82, 0xff, 0x00]);
    let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
    for (file, flags, reason) in [
        (path(&gone), &[][..], "No such file"),
        (path(&empty), &[], "holds no key"),
        (path(&binary), &[], "holds no key"),
        (key("rsa-public.pem"), &[], "public key only"),
        (key("certificate.pem"), &[], "CERTIFICATE and no key"),
        (key("rsa-1024.pem"), &[], "1024 bits; at least 2048"),
        (key("p521.pem"), &[], "P-256 and P-384"),
        (key("ed25519.pem"), &[], "Ed25519"),
        (key("rsa-pss.pem"), &[], "RSA-PSS"),
        (
            key("rsa-pkcs1.pem"),
            &["--algorithm", "ES384"],
            "RS384, RS256, RS512",
        ),
        (
            key("p256-sec1.pem"),
            &["--algorithm", "ES384"],
            "it can with ES256",
        ),
        (
            key("rsa-pkcs1.pem"),
            &["--algorithm", "HS256"],
            "cannot sign with HS256",
        ),
        (key("set.jwks"), &[], "no key `the-registered-kid`"),
        (
            key("set.jwks"),
            &["--key-id", ""],
            "set-rsa, set-p256, set-p384",
        ),
        (key("rsa-encrypted.pem"), &[], "--key-passphrase-file"),
        (key("rsa-encrypted-old.pem"), &[], "openssl pkcs8 -topk8"),
        (key("rsa-encrypted-pbes1.pem"), &[], "openssl pkcs8 -topk8"),
    ] {
        site.set_key(&file, flags);
        let run = site.get().fails(2).says(&file).says(reason);
        assert_eq!(site.server.lines(), [""; 0], "{run}");
    }
}

#[test]
fn an_encrypted_key_opens_with_the_passphrase_of_a_file_or_of_the_environment() {
    for (file, kid) in [
        ("rsa-encrypted.pem", KID),
        ("rsa-encrypted-3des.pem", KID),
        ("p384-encrypted-scrypt.pem", "p384"),
    ] {
        let site = Backend::smart();
        let passphrase = site.medplum.file("pass.txt", format!("{PASSPHRASE}\n"));
        site.set_key(&key(file), &["--key-id", kid]);
        let get = ["get", "-p", "site", "Patient/1"];
        let with = |value| {
            site.medplum
                .command(get)
                .env("MEDPLUM_KEY_PASSPHRASE", value)
        };
        with("wrong")
            .run()
            .fails(2)
            .says("does not open")
            .says(file);
        with(PASSPHRASE).run().ok();
        site.medplum.age_tokens("site", 300);
        site.set_key(
            &key(file),
            &["--key-id", kid, "--key-passphrase-file", "pass.txt"],
        );
        let stored = site.medplum.options("site")["keyPassphraseFile"].clone();
        assert_eq!(stored, passphrase.to_string_lossy().into_owned());
        site.get().ok();
        assert_eq!(site.tokens.assertions().len(), 2);
        fs::remove_file(passphrase).unwrap();
        site.medplum.age_tokens("site", 300);
        site.get().fails(2).says("pass.txt");
    }
}

#[test]
fn jwt_bearer_sends_an_assertion_signed_with_the_secret() {
    let site = Backend::bearer();
    site.set_bearer(&["--scope", "openid profile"]);
    site.get().ok();
    let form = site.server.request_to("/oauth2/token").form();
    let field = |name: &str| {
        form.iter()
            .find(|(field, _)| field == name)
            .unwrap()
            .1
            .clone()
    };
    assert_eq!(
        field("grant_type"),
        "urn:ietf:params:oauth:grant-type:jwt-bearer"
    );
    assert_eq!(
        (field("client_id").as_str(), field("scope").as_str()),
        ("bearer-client", "openid profile")
    );
    let assertion = site.tokens.assertion();
    assert_eq!(assertion.header, json!({"typ": "JWT", "alg": "HS256"}));
    assert!(assertion.claims["iat"].is_i64());
}

#[test]
fn jwt_bearer_signs_with_a_private_key_when_there_is_one() {
    let site = Backend::of(Client {
        id: "bearer-client".to_owned(),
        keys: json!({"keys": [public_jwk("p256.jwk", "p256")]}),
        user: Some(("bearer-client".to_owned(), "john_doe".to_owned())),
        ..Client::default()
    });
    let path = key("p256-pkcs8.pem");
    let flags = [
        "--auth-type",
        "jwt-bearer",
        "--client-id",
        "bearer-client",
        "--subject",
        "john_doe",
    ];
    site.set_profile(
        &[
            &flags[..],
            &["--private-key-path", &path, "--key-id", "p256"],
        ]
        .concat(),
    );
    site.get().ok();
    assert_eq!(site.tokens.assertion().header["alg"], "ES256");
}

/// The Medplum CLI's A16: after a jwt-bearer login its other commands use client credentials.
#[test]
fn jwt_bearer_tokens_are_renewed_by_later_commands() {
    let site = Backend::bearer();
    site.set_bearer(&[]);
    site.medplum.run(["login", "-p", "site"]).ok();
    site.get().ok();
    assert_eq!(site.tokens.assertions().len(), 1);
    site.medplum.age_tokens("site", 300);
    site.get().ok();
    assert_eq!(site.tokens.assertions().len(), 2);
    assert_eq!(site.tokens.reasons(), [""; 0]);
}

#[test]
fn a_token_of_one_user_is_not_used_for_another() {
    let site = Backend::bearer();
    site.set_bearer(&[]);
    site.get().ok();
    let args = ["get", "-p", "site", "Patient/1", "--subject", "jane_doe"];
    site.medplum.run(args).fails(3).says("invalid_grant");
    assert_eq!(site.tokens.assertions().len(), 2);
    site.get().ok();
    assert_eq!(site.tokens.assertions().len(), 2);
}

#[test]
fn settings_that_are_missing_are_named() {
    let site = Backend::smart();
    let path = key("rsa-pkcs1.pem");
    for (flags, missing) in [
        (
            &["--auth-type", "jwt-assertion", "--client-id", "x"][..],
            "--private-key-path",
        ),
        (
            &["--auth-type", "jwt-assertion", "--private-key-path", &path],
            "a client id",
        ),
        (&["--private-key-path", &path], "a client id"),
        (&["--auth-type", "jwt-bearer"], "a client id"),
        (
            &["--auth-type", "jwt-bearer", "--client-id", "x"],
            "a client secret or a private key",
        ),
        (
            &[
                "--auth-type",
                "jwt-bearer",
                "--client-id",
                "x",
                "--client-secret",
                "secret",
            ],
            "--subject",
        ),
    ] {
        site.set_profile(flags);
        site.get().fails(2).says(missing);
    }
    assert_eq!(site.server.lines(), [""; 0]);
}
