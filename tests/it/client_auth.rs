//! How the client proves itself: each way in each grant, at renewal and at revocation, and never two at once.

use serde_json::{Value, json};

use crate::support::authorization::PUBLIC_CLIENT;
use crate::support::keys::{key, public_jwk};
use crate::support::oauth::basic;
use crate::support::{Answer, Clinic, Medplum, Server};

const SECRET: &str = "s3cr:t+100%/of it";

/// What proof a token request holds, by the names of the registry; several are joined.
fn proofs(request: &crate::support::Request) -> String {
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
    if has("client_id") && found.is_empty() {
        found.push("none");
    }
    found.join("+")
}

/// RFC 6749 §2.3: one way per request. The grants that prove the client by themselves refuse another way.
#[test]
fn each_grant_sends_the_one_way_it_was_told_or_refuses_it() {
    let ways = [
        ("header", "header"),
        ("raw", "raw"),
        ("post", "post"),
        ("client_secret_jwt", "assertion"),
        ("private_key_jwt", "assertion"),
        ("none", "none"),
    ];
    for grant in ["client-credentials", "jwt-assertion", "jwt-bearer"] {
        for (way, sent) in ways {
            let server = Server::start();
            let token = json!({"access_token": "t-1", "token_type": "Bearer", "expires_in": 300});
            server.on(
                "POST",
                "/oauth2/token",
                Answer::json(200, token.to_string()),
            );
            server.on("GET", "/fhir/R4/Patient/1", Answer::json(200, "{}"));
            let medplum = Medplum::new();
            let (base, key) = (server.url("/"), key("rsa.jwk"));
            let mut args = vec![
                "get",
                "Patient/1",
                "--base-url",
                &base,
                "--auth-type",
                grant,
            ];
            args.extend(["--token-url", "oauth2/token", "--client-id", "id-1"]);
            args.extend(["--client-secret", SECRET, "--private-key-path", &key]);
            args.extend(["--subject", "user", "--client-auth", way]);
            let run = medplum.run(args);
            // The assertion of jwt-bearer is the grant: the client may prove itself beside it (RFC 7521 §4.1).
            let fits = grant != "jwt-assertion" || way == "private_key_jwt";
            if !fits {
                let _ = run.fails(2).says(way).says("a request carries one proof");
                assert!(
                    server.lines().is_empty(),
                    "{grant} {way}: {:?}",
                    server.lines()
                );
                continue;
            }
            let _ = run.ok();
            let request = server.request_to("/oauth2/token");
            assert_eq!(proofs(&request), sent, "{grant} {way}");
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
        let _ = run.ok();
        clinic.auth.revoke_access_tokens();
        clinic.medplum.age_tokens("clinic", 3600);
        let _ = clinic.get().ok();
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
    let _ = login(&["--client-auth", "private_key_jwt"])
        .fails(2)
        .says("private key");
    let _ = login(&["--client-auth", "client_secret_jwt"])
        .fails(2)
        .says("client secret");
    let signed = [
        "--client-auth",
        "client_secret_jwt",
        "--client-secret",
        SECRET,
    ];
    let _ = login(&[&signed[..], &["--algorithm", "RS384"]].concat())
        .fails(2)
        .says("HS256, HS384 or HS512");
    let _ = login(&["--client-auth", "both"])
        .fails(2)
        .says("known are header");
    assert!(clinic.auth.token_requests().is_empty());
}
