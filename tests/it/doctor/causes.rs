//! One server for each fault that can be proved from outside: `medplum doctor` names that one, and none other, first.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::assertions::Client;
use crate::support::backend::KID;
use crate::support::doctor::{CAPABILITIES, examine, speaks};
use crate::support::keys::{key, public_jwk};
use crate::support::{Answer, Backend, Medplum, Server, Site};

const RSA: &str = "rsa-pkcs8.pem";

fn client() -> Client {
    let keys = json!({"keys": [public_jwk("rsa.jwk", KID), public_jwk("p256.jwk", "p256")]});
    Client {
        id: "backend-client".to_owned(),
        keys,
        refusal: Some(r#"{"error":"invalid_client","error_description":null}"#),
        ..Client::default()
    }
}

/// A backend for this client whose server publishes these fields, and words its refusals as Epic does: not at all.
fn backend(client: Client, smart: &Value) -> Backend {
    let backend = Backend::of(client);
    speaks(&backend.server, smart);
    backend
}

#[test]
fn an_algorithm_that_the_server_does_not_take_is_named_first() {
    let client = Client {
        algorithms: vec!["ES384"],
        ..client()
    };
    let smart = json!({"token_endpoint_auth_signing_alg_values_supported": ["ES384"]});
    let backend = backend(client, &smart);
    backend.set_key(&key(RSA), &[]);
    let verdict = examine(&backend.medplum, &[]).blames("token", 3, "signed with RS384");
    assert!(
        verdict.json["cause"]
            .as_str()
            .unwrap()
            .starts_with("algorithm: ")
    );
}

#[test]
fn an_audience_that_is_not_the_token_url_is_named_first() {
    let site = backend(client(), &json!({}));
    site.set_key(&key(RSA), &["--audience", "https://sso.example/token"]);
    let cause = "aud: the assertion is for https://sso.example/token";
    examine(&site.medplum, &[]).blames("token", 3, cause);
    // A token URL that differs by a slash is an audience that differs.
    let client = Client {
        audience: site.server.url("/oauth2/token"),
        ..client()
    };
    let site = backend(client, &json!({}));
    let other = site.server.url("/oauth2/token?x=1");
    site.set_key(&key(RSA), &[]);
    examine(&site.medplum, &["--token-url", &other]).blames(
        "token",
        3,
        "aud: the assertion is for ",
    );
}

fn date(minutes: i64) -> String {
    let time = Timestamp::now() + SignedDuration::from_mins(minutes);
    httpdate::fmt_http_date(time.into())
}

/// A backend whose clock is ahead by this many minutes, by its `Date` and its judgement.
fn skewed(minutes: i64) -> Backend {
    let backend = backend(
        Client {
            clock: minutes * 60,
            ..client()
        },
        &json!({}),
    );
    let answer = Answer::json(200, CAPABILITIES).header("Date", &date(minutes));
    backend.server.on("GET", "/fhir/R4/metadata", answer);
    backend.set_key(&key(RSA), &[]);
    backend
}

#[test]
fn a_clock_that_is_ten_minutes_off_is_named_first() {
    let behind = "the clock here is 10 minutes behind the server's";
    examine(&skewed(10).medplum, &[]).blames("token", 3, behind);
    let ahead = "the clock here is 10 minutes ahead of the server's";
    examine(&skewed(-10).medplum, &[]).blames("token", 3, ahead);
}

#[test]
fn an_assertion_that_has_expired_when_it_arrives_is_named_first() {
    let verdict = examine(&skewed(5).medplum, &[]);
    verdict.blames("token", 3, "the assertion has expired ");
}

#[test]
fn the_clock_of_the_token_endpoint_counts_when_it_differs_from_that_of_the_fhir_server() {
    let site = backend(client(), &json!({}));
    site.set_key(&key(RSA), &[]);
    let body = r#"{"error":"invalid_client"}"#;
    let refusal = Answer::new(400, "application/json", body).header("Date", &date(10));
    // One more by the server's clock, one more because Epic refuses good ones.
    site.tokens
        .fail_next([refusal.clone(), refusal.clone(), refusal]);
    examine(&site.medplum, &[]).blames("token", 3, "the clock here is 10 minutes behind");
}

#[test]
fn a_clock_that_is_right_and_a_skew_that_does_no_harm_are_not_blamed() {
    let site = backend(
        Client {
            id: "another".to_owned(),
            ..client()
        },
        &json!({}),
    );
    let answer = Answer::json(200, CAPABILITIES).header("Date", &date(0));
    site.server.on("GET", "/fhir/R4/metadata", answer);
    site.set_key(&key(RSA), &[]);
    examine(&site.medplum, &[]).suspects("token", 3, &["unknown key", "wrong client id"]);
    // A minute is forgiven; the doctor still speaks of it.
    let site = backend(client(), &json!({}));
    let answer = Answer::json(200, CAPABILITIES).header("Date", &date(-1));
    site.server.on("GET", "/fhir/R4/metadata", answer);
    site.set_key(&key(RSA), &[]);
    let verdict = examine(&site.medplum, &[]).finds_all_well();
    assert!(
        verdict.json["notes"][0]
            .as_str()
            .unwrap()
            .contains("ahead of the server's")
    );
}

#[test]
fn a_key_that_cannot_sign_so_or_is_too_short_is_named_before_anything_is_sent() {
    for (file, flags, cause) in [
        (
            "p256-pkcs8.pem",
            &["--algorithm", "RS384"][..],
            "EC P-256, which cannot sign with RS384",
        ),
        ("rsa-1024.pem", &[], "1024 bits; at least 2048 are needed"),
        ("rsa-public.pem", &[], "public key only"),
        ("ed25519.pem", &[], "ed25519.pem"),
    ] {
        let site = backend(client(), &json!({}));
        site.set_key(&key(file), flags);
        examine(&site.medplum, &[]).blames("key", 2, cause);
        assert_eq!(site.server.requests_to("/oauth2/token").len(), 0);
    }
}

/// A backend whose client published a key set that holds these keys.
fn published(keys: &Value) -> Backend {
    let server = Server::start();
    server.on(
        "GET",
        "/keys",
        Answer::new(200, "application/json", keys.to_string()),
    );
    let url = server.url("/keys");
    let backend = backend(
        Client {
            keys: keys.clone(),
            key_url: Some(url.clone()),
            ..client()
        },
        &json!({}),
    );
    backend.set_key(&key(RSA), &["--jku", &url]);
    // Both live as long as the test.
    Box::leak(Box::new(server));
    backend
}

#[test]
fn a_key_that_is_not_in_the_published_set_is_named_first() {
    let other = |kid| json!({"keys": [public_jwk("p384.jwk", kid)]});
    for (keys, cause) in [
        (other("another"), "is not at http://"),
        (json!({"keys": []}), "only: none"),
        (other(KID), "is another one (kty EC)"),
        (
            json!({"keys": [public_jwk("rsa.jwk", "its-other-name")]}),
            "set --key-id its-other-name",
        ),
        (
            json!({"keys": [public_jwk("rsa.jwk", KID), public_jwk("p384.jwk", KID)]}),
            "several keys with the id",
        ),
    ] {
        let verdict = examine(&published(&keys).medplum, &[]).blames("token", 3, cause);
        assert!(
            verdict.json["cause"]
                .as_str()
                .unwrap()
                .starts_with("key set: ")
        );
    }
    let verdict = examine(
        &published(&json!({"keys": [public_jwk("rsa.jwk", KID)]})).medplum,
        &[],
    );
    assert!(
        verdict
            .finds_all_well()
            .detail("key")
            .contains("published at")
    );
}

#[test]
fn a_web_page_from_the_token_endpoint_is_named_first() {
    for status in [200, 403, 502] {
        let site = Site::without_profile();
        speaks(&site.server, &json!({}));
        site.set_profile(&["--auth-type", "client-credentials"]);
        let page = "<html><title>Sign in</title></html>";
        site.tokens.fail(Answer::new(status, "text/html", page));
        let code = if status >= 500 { 1 } else { 3 };
        let verdict = examine(&site.medplum, &["--retries", "0"]);
        verdict.blames("token", code, "answers with a web page");
    }
}

#[test]
fn a_wrong_base_url_is_named_first_and_the_right_one_is_found_beside_it() {
    for (fault, code) in [
        (Answer::outcome(404, "not-found", "no such path"), 4),
        (
            Answer::new(200, "text/html", "<!doctype html><title>App</title>"),
            1,
        ),
    ] {
        for (right, shown) in [
            ("/fhir", "--fhir-url-path fhir"),
            ("/baseR4", "--fhir-url-path baseR4"),
            ("/nowhere/fhir", "nor at the usual paths"),
        ] {
            let server = Server::start();
            let fault = fault.clone();
            server.handler(move |_| Some(fault.clone()));
            server.on(
                "GET",
                &format!("{right}/metadata"),
                Answer::json(200, CAPABILITIES),
            );
            let (medplum, base) = (Medplum::new(), server.url("/"));
            let flags = [
                "--base-url",
                &base,
                "--client-id",
                "id",
                "--client-secret",
                "secret-of-mine",
            ];
            medplum
                .run([&["profile", "set", "site"], &flags[..]].concat())
                .ok();
            let verdict = examine(&medplum, &[]).blames("discovery", code, "the base URL is wrong");
            verdict.blames("discovery", code, shown);
            // The secret stays here.
            for request in server.requests() {
                assert_eq!(
                    (request.method.as_str(), request.header("Authorization")),
                    ("GET", None)
                );
            }
        }
    }
}

#[test]
fn a_base_that_leads_elsewhere_is_named_first() {
    let (server, elsewhere) = (Server::start(), Server::start());
    speaks(&elsewhere, &json!({}));
    server.on(
        "GET",
        "/fhir/R4/metadata",
        Answer::redirect(301, &elsewhere.url("/fhir/R4/metadata")),
    );
    let (medplum, base) = (Medplum::new(), server.url("/"));
    let flags = [
        "--base-url",
        &base,
        "--client-id",
        "id",
        "--client-secret",
        "secret-of-mine",
    ];
    medplum
        .run([&["profile", "set", "site"], &flags[..]].concat())
        .ok();
    examine(&medplum, &[]).blames("discovery", 1, "the server has moved, or wants https");
}

#[test]
fn a_scope_that_is_missing_is_named_first() {
    // The server grants less than was asked for.
    let site = Site::without_profile();
    speaks(&site.server, &json!({}));
    let tokens = site
        .tokens
        .clone()
        .field("scope", json!("system/Patient.rs"));
    site.set_profile(&[
        "--auth-type",
        "client-credentials",
        "--scope",
        "system/Patient.rs system/Group.rs",
    ]);
    let verdict = examine(&site.medplum, &[]).blames(
        "scope",
        3,
        "missing scope: the server does not give this client system/Group.rs",
    );
    assert!(
        !verdict.json["cause"]
            .as_str()
            .unwrap()
            .contains("system/Patient.rs")
    );
    drop(tokens);
    // It asks for one that is not there.
    let client = Client {
        scope: Some("system/*.rs"),
        refusal: None,
        ..client()
    };
    let site = backend(client, &json!({}));
    site.set_key(&key(RSA), &[]);
    examine(&site.medplum, &[]).blames("token", 3, "wants a scope, and none is asked for");
    let verdict = examine(&site.medplum, &["--scope", "system/Patient.rs"]);
    verdict.blames(
        "token",
        3,
        "the scope asked for is not one that the server gives",
    );
}

#[test]
fn urls_of_two_environments_are_named_before_anything_is_sent() {
    let medplum = Medplum::new();
    let flags = [
        "--base-url",
        "https://fhir.epic.com/interconnect-fhir-oauth",
        "--fhir-url-path",
        "api/FHIR/R4",
    ];
    let production = [
        "--token-url",
        "https://epic.hospital.example/oauth2/token",
        "--client-id",
        "x",
    ];
    let args = [&["profile", "set", "site"], &flags[..], &production[..]].concat();
    medplum
        .run([args, vec!["--private-key-path", &key(RSA)]].concat())
        .ok();
    examine(&medplum, &[]).blames(
        "address",
        2,
        "wrong environment: the FHIR base fhir.epic.com is Epic's sandbox",
    );
}

#[test]
fn a_host_without_an_address_and_a_port_without_a_server_end_with_the_network_code() {
    let medplum = Medplum::new();
    let args = [
        "profile",
        "set",
        "site",
        "--base-url",
        "http://no-such-host.invalid/",
    ];
    medplum.run(args).ok();
    examine(&medplum, &[]).blames("address", 6, "no-such-host.invalid has no address");
    let base = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    medplum
        .run(["profile", "set", "site", "--base-url", &base])
        .ok();
    examine(&medplum, &[]).suspects("tls", 6, &["check the base URL"]);
}

#[test]
fn a_client_that_is_to_prove_itself_in_another_way_is_named_first() {
    let site = Site::without_profile();
    speaks(
        &site.server,
        &json!({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}),
    );
    site.tokens.fail(Answer::new(
        401,
        "application/json",
        r#"{"error":"invalid_client"}"#,
    ));
    site.set_profile(&["--auth-type", "client-credentials"]);
    examine(&site.medplum, &[]).blames("token", 3, "and the server takes private_key_jwt");
}

#[test]
fn a_token_url_that_is_not_the_servers_is_named_first() {
    let site = Site::without_profile();
    speaks(&site.server, &json!({}));
    let answer = Answer::new(401, "application/json", r#"{"error":"invalid_client"}"#);
    site.server.on("POST", "/old/token", answer);
    site.set_profile(&[
        "--auth-type",
        "client-credentials",
        "--token-url",
        "old/token",
    ]);
    examine(&site.medplum, &[]).blames("token", 3, "take --token-url out of the profile");
}

#[test]
fn a_token_that_the_fhir_server_refuses_is_told_from_one_that_was_not_given() {
    let site = Site::without_profile();
    speaks(&site.server, &json!({}));
    site.set_profile(&["--auth-type", "client-credentials"]);
    site.tokens.refuse_all_tokens();
    examine(&site.medplum, &[]).suspects("read", 3, &["do not belong together"]);
}
