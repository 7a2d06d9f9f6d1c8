//! Assertions that a program signs, here openssl, before verifiers that others wrote: oidc-provider and Authlib.

use serde_json::{Value, json};

use crate::support::keys::{key, public_jwk};
use crate::support::{Answer, Medplum, Peer, Server};

const KID: &str = "kms-key-1";

/// A shell script as the program; it signs as a key store does, with a key that no flag names.
fn script(medplum: &Medplum, name: &str, text: &str) -> String {
    let path = medplum.file(name, format!("#!/bin/sh\n{text}\n"));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).unwrap();
    path.display().to_string()
}

fn openssl(digest: &str, file: &str) -> String {
    format!("openssl dgst -{digest} -sign {}", key(file))
}

/// Programs by what they print: bytes and base64, of ECDSA raw and DER.
fn programs() -> Vec<(&'static str, &'static str, String)> {
    let (rsa, ec) = (
        openssl("sha384", "rsa-pkcs8.pem"),
        openssl("sha384", "p384-pkcs8.pem"),
    );
    // DER to r and s in 48 bytes each, as Azure and PKCS#11 give them.
    let raw = "openssl asn1parse -inform DER | sed -n 's/.*INTEGER *://p' | while read n; do printf '%096s' \"$n\" | tr ' ' 0 | \
               tail -c 96; done | sed 's/../\\\\x&/g' | xargs -0 printf '%b'";
    vec![
        ("RS384", "rsa.jwk", format!("exec {rsa}")),
        ("RS384", "rsa.jwk", format!("{rsa} | base64")),
        (
            "RS384",
            "rsa.jwk",
            format!("{rsa} | base64 -w 0 | tr '+/' '-_' | tr -d ="),
        ),
        ("RS256", "rsa.jwk", openssl("sha256", "rsa-pkcs8.pem")),
        ("ES384", "p384.jwk", ec.clone()),
        ("ES384", "p384.jwk", format!("{ec} | base64 -w 64")),
        ("ES384", "p384.jwk", format!("{ec} | {raw} | base64")),
        ("ES256", "p256.jwk", openssl("sha256", "p256-pkcs8.pem")),
    ]
}

#[test]
fn oidc_provider_takes_assertions_that_openssl_signed_in_every_form() {
    let client = |id: &str, name: &str, alg: &str| {
        json!({"client_id": id, "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": alg,
            "grant_types": ["client_credentials"], "redirect_uris": [], "response_types": [],
            "jwks": {"keys": [public_jwk(name, KID)]}})
    };
    let clients: Vec<Value> = programs()
        .iter()
        .enumerate()
        .map(|(at, (alg, name, _))| client(&format!("box-{at}"), name, alg))
        .collect();
    let provider = Peer::oidc_with(&json!({
        "clients": clients,
        "provider": {"enabledJWA": {"clientAuthSigningAlgValues": ["RS256", "RS384", "ES256", "ES384"]}},
    }));
    let medplum = Medplum::new();
    let base = provider.url("");
    for (at, (alg, name, text)) in programs().into_iter().enumerate() {
        let program = script(&medplum, &format!("sign-{at}"), &text);
        let id = format!("box-{at}");
        let login = [
            "token",
            "--base-url",
            &base,
            "--client-id",
            &id,
            "--scope",
            "system/Patient.read",
        ];
        let sign = ["--sign-command", &program, "--key-id", KID];
        for way in [
            &["--auth-type", "jwt-assertion"][..],
            &[
                "--auth-type",
                "client-credentials",
                "--client-auth",
                "private_key_jwt",
            ],
        ] {
            let run = medplum.run([&login[..], &sign, way, &["--algorithm", alg]].concat());
            assert_eq!(run.code, 0, "{alg} {name} {text}: {run}");
        }
    }
}

#[test]
fn authlib_takes_a_jwt_bearer_grant_that_openssl_signed() {
    let medplum = Medplum::new();
    let public = public_jwk("p256.jwk", KID);
    let peer = Peer::jwt_bearer(&json!({"clients": [{"issuer": "box", "client_id": "box",
        "jwks": {"keys": [public]}, "users": ["ada"]}]}));
    let program = script(&medplum, "sign", &openssl("sha256", "p256-pkcs8.pem"));
    let (base, token) = (peer.url(""), peer.url("/token"));
    let args = [
        "token",
        "--base-url",
        &base,
        "--token-url",
        &token,
        "--client-id",
        "box",
    ];
    let bearer = [
        "--auth-type",
        "jwt-bearer",
        "--subject",
        "ada",
        "--scope",
        "openid",
    ];
    let sign = [
        "--sign-command",
        &program,
        "--key-id",
        KID,
        "--algorithm",
        "ES256",
    ];
    medplum.run([&args[..], &bearer, &sign].concat()).ok();
}

/// A token endpoint that would take anything, and how often it was asked.
fn endpoint() -> Server {
    let server = Server::start();
    let token = r#"{"access_token":"a-good-token","expires_in":300}"#;
    server.on(
        "POST",
        "/token",
        Answer::new(200, "application/json", token),
    );
    server
}

#[test]
fn what_is_no_signature_of_this_key_is_refused_and_nothing_is_sent() {
    let server = endpoint();
    let medplum = Medplum::new();
    let (base, token) = (server.url("/"), server.url("/token"));
    let args = [
        "token",
        "--base-url",
        &base,
        "--token-url",
        &token,
        "--client-id",
        "box",
    ];
    let ec = ["--key-id", KID, "--algorithm", "ES384"];
    let (public, other) = (key("p384-public.pem"), openssl("sha384", "p384-pkcs8.pem"));
    let checked = ["--private-key-path", &public];
    for (text, flags, words) in [
        ("true".to_owned(), &ec[..], "nothing"),
        ("cat".to_owned(), &ec, "a signature with ES384"),
        ("head -c 95 /dev/zero".to_owned(), &ec, "95 bytes"),
        (
            "echo no such key >&2; exit 3".to_owned(),
            &ec,
            "no such key",
        ),
        (openssl("sha256", "rsa-pkcs8.pem"), &ec, "256 bytes"),
        (
            openssl("sha256", "p384-pkcs8.pem"),
            &checked[..],
            "public key does not know",
        ),
        (
            "head -c 96 /dev/urandom".to_owned(),
            &checked,
            "public key does not know",
        ),
    ] {
        let program = script(&medplum, "sign", &text);
        let sign = ["--auth-type", "jwt-assertion", "--sign-command", &program];
        let run = medplum.run([&args[..], &sign, flags].concat()).fails(3);
        assert!(run.stderr.contains(words), "{text}: {run}");
    }
    let program = script(&medplum, "sign", &other);
    let sign = ["--auth-type", "jwt-assertion", "--sign-command", &program];
    for (flags, words) in [
        (&["--algorithm", "ES384"][..], "--key-id"),
        (&["--key-id", KID], "--algorithm"),
        (&["--key-id", KID, "--algorithm", "HS256"], "a key pair"),
    ] {
        medplum
            .run([&args[..], &sign, flags].concat())
            .fails(2)
            .says(words);
    }
    assert_eq!(server.lines(), [""; 0]);
    // The public key says id and algorithm, and knows the signature.
    medplum.run([&args[..], &sign, &checked].concat()).ok();
    assert_eq!(server.lines(), ["POST /token"]);
}

#[test]
fn the_program_gets_the_text_and_no_secret_of_ours_is_stored_and_never_taken_from_env_files() {
    let server = endpoint();
    let medplum = Medplum::new().env("MEDPLUM_KEY_PASSPHRASE", "a-secret-of-ours");
    let (base, token) = (server.url("/"), server.url("/token"));
    let seen = medplum.path("seen").display().to_string();
    let text = format!("env > {seen}; {}", openssl("sha384", "p384-pkcs8.pem"));
    let program = script(&medplum, "sign", &text);
    let set = [
        "profile",
        "set",
        "kms",
        "--base-url",
        &base,
        "--token-url",
        &token,
    ];
    let client = ["--auth-type", "jwt-assertion", "--client-id", "box"];
    let sign = [
        "--sign-command",
        &program,
        "--key-id",
        KID,
        "--algorithm",
        "ES384",
    ];
    medplum.run([&set[..], &client, &sign].concat()).ok();
    medplum.run(["token", "-p", "kms"]).ok();
    let env = std::fs::read_to_string(&seen).unwrap();
    assert!(
        env.contains("PATH=") && !env.contains("a-secret-of-ours"),
        "{env}"
    );

    std::fs::remove_file(&seen).unwrap();
    server.forget();
    let other = Medplum::new();
    let lines = format!(
        "MEDPLUM_BASE_URL={base}\nMEDPLUM_TOKEN_URL={token}\nMEDPLUM_CLIENT_ID=box\nMEDPLUM_AUTH_TYPE=jwt-assertion\n\
         MEDPLUM_SIGN_COMMAND={program}\nMEDPLUM_KEY_ID={KID}\nMEDPLUM_ALGORITHM=ES384\n"
    );
    other.file(".env", lines);
    let run = other.run(["token"]);
    assert!(run.code != 0, "{run}");
    assert!(!std::path::Path::new(&seen).exists());
    assert_eq!(server.lines(), [""; 0]);
}
