//! `device-code` against `oidc-provider`: a person with Chromium enters the code that the command shows.

use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::oidc_provider::{Provider, chromium, peer};
use crate::support::Medplum;
use crate::support::keys::{key, public_jwk};

const SCOPE: &str = "openid patient/*.read";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const TOKEN_SECONDS: u32 = 5;
const SECRET: &str = "a secret/of+it%-that-is-long-enough";

/// A client for each way to prove itself, refresh tokens that serve once.
fn provider() -> Provider {
    let client = |id: &str, method: &str| {
        let mut client = json!({"client_id": id, "redirect_uris": [], "response_types": [], "scope": SCOPE,
            "grant_types": [GRANT, "refresh_token"], "token_endpoint_auth_method": method});
        match method {
            "none" => {}
            "private_key_jwt" => {
                client["jwks"] = json!({"keys": [public_jwk("rsa.jwk", "k1")]});
                client["token_endpoint_auth_signing_alg"] = "RS384".into();
            }
            _ => client["client_secret"] = SECRET.into(),
        }
        client
    };
    let clients = [
        client("public", "none"),
        client("basic", "client_secret_basic"),
        client("posting", "client_secret_post"),
        client("signed", "client_secret_jwt"),
        client("keyed", "private_key_jwt"),
    ];
    Provider::start(
        &json!({"login": "forms", "refreshTokens": "always", "clients": clients,
            "features": {"deviceFlow": {"enabled": true}}, "provider": {"rotateRefreshToken": true}}),
        TOKEN_SECONDS,
    )
}

/// What Chromium shows in the end.
#[track_caller]
fn person(address: &str, more: &[&str]) -> String {
    peer("node_modules/playwright-core/package.json");
    let done = Command::new("node")
        .arg(peer("device.mjs"))
        .args(["--executable", &chromium().display().to_string()])
        .args(more)
        .arg(address)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        done.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&done.stderr)
    );
    said
}

fn user(provider: &Provider, flags: &[&str]) -> Medplum {
    let medplum = Medplum::new();
    let set = ["profile", "set", "clinic", "--base-url", &provider.origin];
    let way = ["--auth-type", "device-code", "--scope", SCOPE];
    medplum.run([&set[..], &way, flags].concat()).ok();
    medplum
}

#[test]
fn a_person_enters_the_code_and_the_login_is_renewed_and_ended() {
    let provider = provider();
    let header = ["--client-id", "basic", "--client-secret", SECRET];
    let signed = ["--client-id", "signed", "--client-secret", SECRET];
    let signed = [&signed[..], &["--client-auth", "client_secret_jwt"]].concat();
    let posting = ["--client-id", "posting", "--client-secret", SECRET];
    let posting = [&posting[..], &["--client-auth", "post"]].concat();
    let file = key("rsa.jwk");
    let keyed = [
        "--client-id",
        "keyed",
        "--private-key-path",
        &file,
        "--key-id",
        "k1",
    ];
    let clients: [&[&str]; 5] = [
        &["--client-id", "public"],
        &header,
        &signed,
        &posting,
        &keyed,
    ];
    for (index, flags) in clients.into_iter().enumerate() {
        let medplum = user(&provider, flags);
        let running = medplum.spawn(["login", "-p", "clinic", "-q"]);
        // Shown even with -q: without it nobody can sign in.
        let code = running.stderr_line("enter this code: ");
        let code = code.rsplit(": ").next().unwrap().trim().to_owned();
        let plain = format!("{}/device", provider.origin);
        let complete = format!("{plain}?user_code={code}");
        let _ = running.stderr_line(&complete);
        let shown = if index == 0 {
            person(&plain, &["--code", &code])
        } else {
            person(&complete, &[])
        };
        assert!(shown.contains("Success"), "{shown}");
        running.finish().ok();
        let get = ["get", "-p", "clinic", "Patient/1"];
        assert!(medplum.run(get).ok().stdout.contains("1.00"));

        thread::sleep(Duration::from_secs(TOKEN_SECONDS.into()));
        let before = provider.grants("refresh_token").len();
        medplum.run(get).ok();
        let renewals = provider.grants("refresh_token");
        assert_eq!(renewals.len(), before + 1, "{renewals:#?}");
        assert_eq!(renewals.last().unwrap()["token"], "issued");

        medplum.run(["logout", "-p", "clinic"]).ok();
        medplum
            .run(get)
            .fails(3)
            .says("not logged in")
            .says("medplum login");
    }
    let revoked: Vec<Value> = provider
        .requests()
        .into_iter()
        .filter(|request| request["url"] == "/token/revocation")
        .collect();
    assert!(
        revoked.len() >= 5 && revoked.iter().all(|request| request["status"] == 200),
        "{revoked:#?}"
    );
}

#[test]
fn a_person_who_aborts_is_exit_3_and_nothing_is_stored() {
    let provider = provider();
    let medplum = user(&provider, &["--client-id", "public"]);
    let running = medplum.spawn(["login", "-p", "clinic"]);
    let address = running.stderr_line("?user_code=");
    let _ = person(address.trim(), &["--refuse"]);
    let run = running.finish().fails(3).says("the sign-in was refused");
    assert!(
        !medplum.profile_keys("clinic").contains_key("activeLogin"),
        "{run}"
    );
}
