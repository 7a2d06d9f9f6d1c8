//! Each grant with each way to prove the client, at `oidc-provider`: the registered way passes, at renewal and at
//! revocation too, and every other one is refused as RFC 6749 §5.2 says.

use serde_json::{Value, json};

use super::oidc_provider::Provider;
use crate::support::Medplum;
use crate::support::keys::{key, public_jwk};

const SECRET: &str = "a secret/of+it%-that:is&long=enough";
const SCOPE: &str = "openid system/*.read";
/// What is registered, and how a user says it.
const WAYS: [(&str, &str); 5] = [
    ("client_secret_basic", "header"),
    ("client_secret_post", "post"),
    ("client_secret_jwt", "client_secret_jwt"),
    ("private_key_jwt", "private_key_jwt"),
    ("none", "none"),
];
const KEY: &str = "rsa.jwk";

fn provider() -> Provider {
    let clients = WAYS.map(|(method, way)| {
        let grants = match way {
            // RFC 6749 §4.4: client credentials are not for public clients.
            "none" => json!(["authorization_code", "refresh_token"]),
            _ => json!(["authorization_code", "refresh_token", "client_credentials"]),
        };
        let mut client = json!({"client_id": format!("of-{way}"), "redirect_uris": ["http://127.0.0.1/back"],
            "response_types": ["code"], "application_type": "native", "scope": SCOPE, "grant_types": grants,
            "token_endpoint_auth_method": method});
        match way {
            "none" => {}
            "private_key_jwt" => {
                client["jwks"] = json!({"keys": [public_jwk(KEY, "k1")]});
                client["token_endpoint_auth_signing_alg"] = "RS384".into();
            }
            _ => client["client_secret"] = SECRET.into(),
        }
        client
    });
    Provider::start(
        &json!({"clients": clients, "refreshTokens": "always", "provider": {"rotateRefreshToken": true}}),
        300,
    )
}

/// A machine whose browser agrees to everything, since the provider does.
fn machine() -> Medplum {
    let medplum = Medplum::new();
    let jar = medplum.home().join("jar");
    medplum.opening_with(&format!(
        "#!/bin/sh\nexec curl -sSL -c '{0}' -b '{0}' -o /dev/null \"$1\"\n",
        jar.display()
    ))
}

fn flags(provider: &Provider, registered: &str, way: &str, grant: &str) -> Vec<String> {
    let id = format!("of-{registered}");
    let key = key(KEY);
    let mut flags = vec![
        "--base-url",
        &provider.origin,
        "--client-id",
        &id,
        "--client-auth",
        way,
    ];
    flags.extend(["--auth-type", grant, "--scope", SCOPE]);
    flags.extend(["--callback-url", "http://127.0.0.1:0/back"]);
    match way {
        "none" => {}
        "private_key_jwt" => flags.extend(["--private-key-path", &key, "--key-id", "k1"]),
        _ => flags.extend(["--client-secret", SECRET]),
    }
    flags.into_iter().map(str::to_owned).collect()
}

fn user(provider: &Provider, registered: &str, way: &str, grant: &str) -> Medplum {
    let medplum = machine();
    let set = ["profile", "set", "p"].map(str::to_owned);
    let flags = flags(provider, registered, way, grant);
    medplum.run(set.into_iter().chain(flags)).ok();
    medplum
}

#[test]
fn client_credentials_pass_by_the_registered_way_and_by_no_other() {
    let provider = provider();
    for (_, registered) in WAYS {
        for (_, way) in WAYS {
            let medplum = user(&provider, registered, way, "client-credentials");
            let run = medplum.run(["get", "-p", "p", "Patient/1"]);
            let at = format!("{registered} by {way}\n{run}");
            // The provider takes a secret from header and body alike, whichever is registered.
            let in_clear = ["header", "post"];
            let passes = registered == way && way != "none"
                || in_clear.contains(&registered) && in_clear.contains(&way);
            if passes {
                assert_eq!(run.code, 0, "{at}");
                continue;
            }
            assert_eq!(run.code, 3, "{at}");
            let last = provider.grants("client_credentials").pop().unwrap();
            let error = last["error"].as_str().unwrap().to_owned();
            let reason = match (registered, way) {
                // It is who it says, but may not have this grant; the RFC's word would be `unauthorized_client`.
                ("none", "none") => "invalid_request",
                _ => "invalid_client",
            };
            assert_eq!(error, reason, "{at}");
            assert!(run.stderr.contains(reason), "{at}");
        }
    }
}

#[test]
fn a_login_its_renewal_and_its_end_pass_by_the_registered_way() {
    let provider = provider();
    for (_, way) in WAYS {
        let medplum = user(&provider, way, way, "authorization-code");
        let run = medplum.run(["login", "-p", "p"]);
        assert_eq!(run.code, 0, "{way}\n{run}");
        medplum.age_tokens("p", 3600);
        let before = provider.grants("refresh_token").len();
        let run = medplum.run(["get", "-p", "p", "Patient/1"]);
        assert_eq!(run.code, 0, "{way}\n{run}");
        let renewals = provider.grants("refresh_token");
        assert_eq!(renewals.len(), before + 1, "{way}: {renewals:#?}");
        assert_eq!(renewals.last().unwrap()["token"], "issued", "{way}");
        let revoked = revocations(&provider);
        let run = medplum.run(["logout", "-p", "p"]).ok();
        assert!(!run.stderr.contains("did not take"), "{way}\n{run}");
        let now = revocations(&provider);
        assert!(now.len() > revoked.len(), "{way}");
        assert!(
            now.iter().all(|request| request["status"] == 200),
            "{way}: {now:#?}"
        );
    }
}

#[test]
fn a_code_is_not_redeemed_by_another_way() {
    let provider = provider();
    for (registered, way) in [
        ("none", "header"),
        ("private_key_jwt", "none"),
        ("client_secret_jwt", "post"),
        ("header", "client_secret_jwt"),
    ] {
        let medplum = user(&provider, registered, way, "authorization-code");
        let run = medplum.run(["login", "-p", "p"]);
        let run = run.fails(3).says("invalid_client");
        assert!(
            !medplum.profile_keys("p").contains_key("activeLogin"),
            "{run}"
        );
    }
}

fn revocations(provider: &Provider) -> Vec<Value> {
    let requests = provider.requests().into_iter();
    requests
        .filter(|request| request["url"] == "/token/revocation")
        .collect()
}
