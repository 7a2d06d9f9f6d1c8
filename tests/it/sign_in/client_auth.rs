//! How the client proves itself: each way in each grant, at renewal and at revocation, and never two at once.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::support::authorization::PUBLIC_CLIENT;
use crate::support::jwt::Jwt;
use crate::support::keys::{key, public_jwk};
use crate::support::mtls::Doors;
use crate::support::oauth::basic;
use crate::support::tls::Authority;
use crate::support::{Answer, Clinic, Medplum, Request, Server};

const SECRET: &str = "s3cr:t+100%/of it";

/// What proof a token request holds, by the names of the registry; several are joined. nginx says what certificate it
/// came with.
fn proofs(request: &Request) -> String {
    let form = request.form();
    let has = |name: &str| form.iter().any(|(key, _)| key == name);
    let mut found = Vec::new();
    match request
        .header("Authorization")
        .map(|value| basic(value).unwrap())
    {
        Some((_, secret)) if secret == SECRET => found.push("raw"),
        Some(_) => found.push("header"),
        None => {}
    }
    for (field, name) in [("client_secret", "post"), ("client_assertion", "assertion")] {
        if has(field) {
            found.push(name);
        }
    }
    if request.header("X-Verified") == Some("SUCCESS") {
        found.push("certificate");
    }
    if has("client_id") && found.is_empty() {
        found.push("none");
    }
    found.join("+")
}

/// The client that a token request names, in one place or another.
fn client_of(request: &Request) -> String {
    if let Some(value) = request.header("Authorization") {
        return basic(value).unwrap().0;
    }
    let form: HashMap<_, _> = request.form().into_iter().collect();
    if let Some(id) = form.get("client_id") {
        return id.clone();
    }
    let assertion = Jwt::parse(&form["client_assertion"]).unwrap();
    assertion.claims["sub"].as_str().unwrap().to_owned()
}

/// Behind nginx with TLS: a server that gives tokens for every grant, with the pages a person would see in between.
fn server(authority: &Authority) -> (Server, Doors) {
    let server = Server::start();
    let doors = Doors::start(&server.url(""), authority);
    let token = json!({"access_token": "t-1", "token_type": "Bearer", "expires_in": 300});
    server.on("POST", "/token", Answer::json(200, token.to_string()));
    let configuration = json!({"token_endpoint": doors.url("/token"),
        "authorization_endpoint": doors.url("/authorize"),
        "device_authorization_endpoint": doors.url("/device")});
    let path = "/r4/.well-known/smart-configuration";
    server.on("GET", path, Answer::json(200, configuration.to_string()));
    let code = json!({"device_code": "d-1", "user_code": "WDJB-MJHT", "expires_in": 60, "interval": 1,
        "verification_uri": "https://example.com/device"});
    server.on("POST", "/device", Answer::json(200, code.to_string()));
    server.handler(|request| {
        let query = request.target.strip_prefix("/authorize?")?;
        let asked: HashMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).collect();
        let back = format!(
            "{}?code=c-1&state={}",
            asked["redirect_uri"], asked["state"]
        );
        Some(Answer::empty(302).header("Location", &back))
    });
    (server, doors)
}

/// RFC 6749 §2.3: one way per request. jwt-assertion is a way by itself (RFC 7523 §2.2) and refuses another; the
/// assertion of jwt-bearer is the grant, so that the client may prove itself beside it (RFC 7521 §4.1).
#[test]
fn each_grant_sends_the_one_way_it_was_told_or_refuses_it() {
    const GRANTS: [&str; 6] = [
        "client-credentials",
        "authorization-code",
        "device-code",
        "token-exchange",
        "jwt-bearer",
        "jwt-assertion",
    ];
    const WAYS: [(&str, &str); 7] = [
        ("header", "header"),
        ("raw", "raw"),
        ("post", "post"),
        ("client_secret_jwt", "assertion"),
        ("private_key_jwt", "assertion"),
        ("tls_client_auth", "certificate"),
        ("none", "none"),
    ];
    let authority = Authority::new();
    for grant in GRANTS {
        let (server, doors) = server(&authority);
        let runs = WAYS.map(|(way, sent)| {
            let id = format!("of-{way}");
            let medplum = Medplum::new();
            let ca = authority.file(&medplum).display().to_string();
            let script = format!("#!/bin/sh\nexec curl -sSL --cacert '{ca}' -o /dev/null \"$1\"\n");
            let medplum = medplum.opening_with(&script);
            let (base, key) = (doors.url("/"), key("rsa.jwk"));
            let mut args = vec!["login", "--base-url", &base, "--fhir-url-path", "r4"];
            args.extend([
                "--auth-type",
                grant,
                "--client-id",
                &id,
                "--client-auth",
                way,
            ]);
            args.extend(["--client-secret", SECRET, "--private-key-path", &key]);
            args.extend([
                "--subject",
                "user",
                "--subject-token",
                "their-token",
                "--ca-cert",
                &ca,
            ]);
            let (certificate, its_key) = authority.pair(&["box.example"]);
            let files = [("box.pem", certificate), ("box.key", its_key)]
                .map(|(name, text)| medplum.file(name, text).display().to_string());
            if grant == "authorization-code" {
                args.extend(["--callback-url", "http://127.0.0.1:0/back"]);
            }
            if way == "tls_client_auth" {
                args.extend(["--client-cert", &files[0], "--client-key", &files[1]]);
            }
            (way, sent, id.clone(), medplum.spawn(args), medplum)
        });
        for (way, sent, id, running, _machine) in runs {
            let run = running.finish();
            let requests: Vec<_> = server
                .requests()
                .into_iter()
                .filter(|request| request.method == "POST" && client_of(request) == id)
                .collect();
            let at = format!("{grant} {way}\n{run}\n{requests:#?}");
            if grant == "jwt-assertion" && way != "private_key_jwt" {
                run.fails(2).says(way).says("a request carries one proof");
                assert!(requests.is_empty(), "{at}");
                continue;
            }
            assert_eq!(run.code, 0, "{at}");
            // At the device authorization endpoint the client proves itself too (RFC 8628 §3.1).
            let expected = if grant == "device-code" { 2 } else { 1 };
            assert_eq!(requests.len(), expected, "{at}");
            for request in &requests {
                assert_eq!(proofs(request), sent, "{at}");
            }
        }
    }
}

/// A browser login, its renewal and its end, at a server that takes nothing but an assertion.
#[test]
fn a_browser_login_its_renewal_and_logout_carry_an_assertion() {
    let rsa = key("rsa.jwk");
    let by_key: (Value, &[&str]) = (
        public_jwk("rsa.jwk", "k"),
        &[
            "--client-auth",
            "private_key_jwt",
            "--private-key-path",
            &rsa,
        ],
    );
    let by_secret: (Value, &[&str]) = (
        json!(SECRET),
        &[
            "--client-auth",
            "client_secret_jwt",
            "--client-secret",
            SECRET,
            "--algorithm",
            "HS512",
        ],
    );
    for (signer, flags) in [by_key, by_secret] {
        let mut clinic = Clinic::without_profile();
        clinic.auth = clinic.auth.asserting(signer);
        let client = ["--client-id", PUBLIC_CLIENT, "--scope", "openid"];
        clinic.set_profile(&[&client, flags].concat());
        let (run, _) = clinic.log_in(&[]);
        run.ok();
        clinic.auth.revoke_access_tokens();
        clinic.medplum.age_tokens("clinic", 3600);
        clinic.get().ok();
        assert_eq!(clinic.auth.token_requests().len(), 2);
        let refresh = clinic.medplum.stored("clinic", "activeLogin")["refreshToken"].clone();
        let run = clinic.medplum.run(["logout", "-p", "clinic"]).ok();
        assert!(
            !clinic.auth.knows_refresh_token(refresh.as_str().unwrap()),
            "{run}"
        );
    }
}

/// Nobody is sent to a browser for a code that cannot be redeemed.
#[test]
fn a_way_without_its_key_or_with_a_wrong_algorithm_is_exit_2_before_anything_is_sent() {
    let clinic = Clinic::open();
    let login = |flags: &[&str]| clinic.login(flags).finish();
    login(&["--client-auth", "private_key_jwt"])
        .fails(2)
        .says("private key");
    login(&["--client-auth", "client_secret_jwt"])
        .fails(2)
        .says("client secret");
    let signed = [
        "--client-auth",
        "client_secret_jwt",
        "--client-secret",
        SECRET,
    ];
    login(&[&signed[..], &["--algorithm", "RS384"]].concat())
        .fails(2)
        .says("HS256, HS384 or HS512");
    login(&["--client-auth", "both"])
        .fails(2)
        .says("known are header");
    assert!(clinic.auth.token_requests().is_empty());
}
