//! Authorization requests left at `oidc-provider` before the browser opens (PAR, RFC 9126), by each way of client
//! authentication, and its `iss` in the answer (RFC 9207).

use serde_json::{Value, json};

use super::oidc_provider::Provider;
use crate::support::Medplum;
use crate::support::keys::{key, public_jwk};

const CALLBACK: &str = "http://127.0.0.1:0/signed/in";
const SECRET: &str = "a-secret-of-the-tests";

/// Clients that prove themselves in different ways; the provider takes requests that were left before, or no others.
fn provider(par: &str) -> Provider {
    let client = |id: &str, more: Value| {
        let mut client = json!({"client_id": id, "redirect_uris": ["http://127.0.0.1/signed/in"],
            "application_type": "native", "response_types": ["code"],
            "grant_types": ["authorization_code", "refresh_token"], "scope": "openid fhirUser patient/*.read"});
        let more = more.as_object().unwrap().clone();
        client.as_object_mut().unwrap().extend(more);
        client
    };
    let jwks = json!({"keys": [public_jwk("rsa.jwk", "k-1")]});
    let clients = [
        client("par-public", json!({"token_endpoint_auth_method": "none"})),
        client(
            "par-header",
            json!({"token_endpoint_auth_method": "client_secret_basic", "client_secret": SECRET}),
        ),
        client(
            "par-post",
            json!({"token_endpoint_auth_method": "client_secret_post", "client_secret": SECRET}),
        ),
        client(
            "par-key",
            json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": jwks,
            "token_endpoint_auth_signing_alg": "RS384"}),
        ),
    ];
    Provider::start(
        &json!({"par": par, "pkce": "always", "clients": clients}),
        300,
    )
}

/// A machine whose browser signs in at once, and a profile for a client.
fn machine(provider: &Provider, id: &str, flags: &[&str]) -> Medplum {
    // The login opens a page of its own listener, which leads to the provider's once.
    let script = "#!/bin/sh\nat=$(curl -sS -o /dev/null -w '%{redirect_url}' \"$1\")\necho \"$at\" >> \"$HOME/urls\"\nexec curl -sSL -c \"$HOME/jar\" -b \"$HOME/jar\" -o /dev/null \"$at\"\n";
    let medplum = Medplum::new().opening_with(script);
    let args = [
        "profile",
        "set",
        "x",
        "--auth-type",
        "authorization-code",
        "--base-url",
        &provider.origin,
    ];
    let more = [
        "--client-id",
        id,
        "--callback-url",
        CALLBACK,
        "--scope",
        "openid fhirUser patient/*.read",
    ];
    medplum.run([&args[..], &more, flags].concat()).ok();
    medplum
}

fn opened(medplum: &Medplum) -> String {
    std::fs::read_to_string(medplum.home().join("urls")).unwrap()
}

#[test]
fn a_request_is_left_before_where_the_provider_wants_it() {
    let provider = provider("required");
    let private_key = key("rsa.jwk");
    for (id, flags) in [
        ("par-public", &[][..]),
        ("par-header", &["--client-secret", SECRET]),
        (
            "par-post",
            &["--client-secret", SECRET, "--client-auth", "post"],
        ),
        (
            "par-key",
            &[
                "--private-key-path",
                &private_key,
                "--client-auth",
                "private_key_jwt",
                "--key-id",
                "k-1",
            ],
        ),
    ] {
        let medplum = machine(&provider, id, flags);
        medplum.run(["login", "-p", "x"]).ok();
        let url = opened(&medplum);
        assert!(url.contains("request_uri=urn"), "{url}");
        for name in ["state=", "nonce=", "scope=", "code_challenge="] {
            assert!(!url.contains(name), "{name} was left before: {url}");
        }
        assert!(
            medplum
                .run(["get", "-p", "x", "Patient/1"])
                .ok()
                .stdout
                .contains("Patient")
        );
    }
}

#[test]
fn a_request_is_left_before_where_that_is_offered_and_asked_for() {
    let provider = provider("offered");
    let medplum = machine(&provider, "par-public", &[]);
    medplum.run(["login", "-p", "x"]).ok();
    assert!(opened(&medplum).contains("code_challenge="));
    medplum.run(["login", "-p", "x", "--par"]).ok();
    assert!(
        opened(&medplum)
            .lines()
            .last()
            .unwrap()
            .contains("request_uri=")
    );
    // A provider that does not offer it says so before anybody is sent anywhere.
    let none = Provider::start(&json!({}), 300);
    let medplum = machine(&none, "par-public", &["--par"]);
    medplum.run(["login", "-p", "x"]).fails(2).says("--par");
}
