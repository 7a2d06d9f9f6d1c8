//! A login by browser against `oidc-provider`, through its own pages, with Debian's Chromium.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::oidc_provider::{Provider, chromium, peer};
use crate::support::Medplum;
use crate::support::browser::free_port;
use crate::support::run::Running;

const SCOPE: &str = "openid fhirUser patient/*.read";
const TOKEN_SECONDS: u32 = 5;

/// A public client that may use any port of 127.0.0.1, and a confidential one with one registered callback; PKCE for
/// both, refresh tokens that serve once, access tokens of five seconds.
fn provider(callback: &str) -> Provider {
    let client = |id: &str, callback: &str, more: Value| {
        let mut client = json!({"client_id": id, "redirect_uris": [callback], "response_types": ["code"],
            "grant_types": ["authorization_code", "refresh_token"], "scope": SCOPE});
        client
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        client
    };
    let public = json!({"token_endpoint_auth_method": "none", "application_type": "native"});
    let secret = json!({"client_secret": "a secret/of+it%", "token_endpoint_auth_method": "client_secret_basic"});
    let config = json!({"login": "forms", "pkce": "always", "refreshTokens": "always",
        "provider": {"rotateRefreshToken": true},
        "clients": [client("public", "http://127.0.0.1/signed/in", public), client("confidential", callback, secret)]});
    Provider::start(&config, TOKEN_SECONDS)
}

/// A machine whose `$BROWSER` is Chromium with a person who agrees, or does not.
fn machine(refuse: bool) -> Medplum {
    peer("node_modules/playwright-core/package.json");
    let medplum = Medplum::new();
    let program = medplum.home().join("chromium");
    let screenshot = std::env::var("MEDPLUM_TEST_SCREENSHOTS").map(|folder| {
        format!(
            "--screenshot '{folder}/{}.png'",
            if refuse { "refused" } else { "signed-in" }
        )
    });
    let script = format!(
        "#!/bin/sh\nexec node '{}' --executable '{}' --result '{}' {} {} \"$1\"\n",
        peer("browser.mjs").display(),
        chromium().display(),
        medplum.home().join("page.json").display(),
        if refuse { "--refuse" } else { "" },
        screenshot.unwrap_or_default(),
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    medplum.env("BROWSER", program)
}

/// What the browser showed in the end.
#[track_caller]
fn page(medplum: &Medplum) -> Value {
    let file = medplum.home().join("page.json");
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Ok(text) = fs::read_to_string(&file) {
            fs::remove_file(&file).unwrap();
            return serde_json::from_str(&text).unwrap();
        }
        assert!(Instant::now() < deadline, "the browser wrote no page down");
        thread::sleep(Duration::from_millis(20));
    }
}

fn set_profile(medplum: &Medplum, provider: &Provider, flags: &[&str]) {
    let args = [
        "profile",
        "set",
        "clinic",
        "--auth-type",
        "authorization-code",
        "--base-url",
        &provider.origin,
    ];
    medplum
        .run(args.iter().chain(&["--scope", SCOPE]).chain(flags))
        .ok();
}

#[test]
fn chromium_signs_in_and_the_login_is_renewed() {
    let provider = provider("http://localhost/unused");
    let medplum = machine(false);
    let flags = [
        "--client-id",
        "public",
        "--callback-url",
        "http://127.0.0.1:0/signed/in",
    ];
    set_profile(&medplum, &provider, &flags);
    let run = medplum.run(["login", "-p", "clinic", "-vv"]);
    let page = page(&medplum);
    assert_eq!(run.code, 0, "{page:#}\n{run}");
    assert_eq!(page["heading"], "You are signed in", "{page:#}");
    assert_eq!(page["status"], 200, "{page:#}");
    // The policy lets the style through and nothing else; nothing was asked for and nothing complained.
    assert_eq!(
        (&page["mark"], &page["scripts"]),
        (&json!("rgb(24, 121, 78)"), &json!(0)),
        "{page:#}"
    );
    assert_eq!(page["console"], json!([]), "{page:#}");

    let patient = ["get", "-p", "clinic", "Patient/1"];
    assert!(medplum.run(patient).ok().stdout.contains("1.00"));
    let shown = medplum.run(["whoami", "-p", "clinic"]).ok().stdout;
    assert!(shown.contains("practitioner-1"), "{shown}");

    // Many at once when the token is over: one renewal, and the provider takes each refresh token once.
    thread::sleep(Duration::from_secs(TOKEN_SECONDS.into()));
    let before = provider.grants("refresh_token").len();
    let started = Instant::now();
    let running: Vec<Running> = (0..50).map(|_| medplum.spawn(patient)).collect();
    for run in running {
        run.finish().ok();
    }
    let renewals = provider.grants("refresh_token");
    assert!(
        renewals.iter().all(|renewal| renewal["token"] == "issued"),
        "{renewals:#?}"
    );
    // Fifty processes on a small machine can take longer than one token lives.
    let most = 1 + started.elapsed().as_secs() / u64::from(TOKEN_SECONDS - 1);
    let count = (renewals.len() - before) as u64;
    assert!((1..=most).contains(&count), "{renewals:#?}");

    medplum
        .run(["logout", "-p", "clinic"])
        .ok()
        .says("Logged out");
    assert!(!medplum.profile_keys("clinic").contains_key("activeLogin"));
    let revoked: Vec<Value> = provider
        .requests()
        .into_iter()
        .filter(|request| request["url"] == "/token/revocation")
        .collect();
    assert!(
        revoked.iter().all(|request| request["status"] == 200) && !revoked.is_empty(),
        "{revoked:#?}"
    );
}

#[test]
fn a_confidential_client_signs_in_at_its_registered_callback() {
    let callback = format!("http://localhost:{}/app/callback?tenant=7", free_port());
    let provider = provider(&callback);
    let medplum = machine(false);
    let flags = [
        "profile",
        "set",
        "clinic",
        "--auth-type",
        "authorization-code",
        "--base-url",
        &provider.origin,
        "--scope",
        SCOPE,
        "--callback-url",
        &callback,
        "--client-id",
        "confidential",
        "--client-secret-file",
        "-",
    ];
    medplum.command(flags).stdin("a secret/of+it%\n").run().ok();
    let run = medplum.run(["login", "-p", "clinic"]);
    let page = page(&medplum);
    assert_eq!(run.code, 0, "{page:#}\n{run}");
    assert_eq!(page["url"], callback.split('?').next().unwrap());
    medplum.run(["get", "-p", "clinic", "Patient/1"]).ok();
    let issued = provider.grants("authorization_code");
    assert_eq!(
        (&issued[0]["client"], &issued[0]["secret_in"]),
        (&json!("confidential"), &json!("header"))
    );
}

#[test]
fn a_person_who_cancels_is_told_so() {
    let provider = provider("http://localhost/unused");
    let medplum = machine(true);
    let flags = [
        "--client-id",
        "public",
        "--callback-url",
        "http://127.0.0.1:0/signed/in",
    ];
    set_profile(&medplum, &provider, &flags);
    let before = medplum.profile_text("clinic");
    let run = medplum.run(["login", "-p", "clinic"]);
    let page = page(&medplum);
    assert_eq!(run.code, 3, "{page:#}\n{run}");
    run.says("access_denied");
    assert_eq!(page["heading"], "You are not signed in", "{page:#}");
    assert!(
        page["text"].as_str().unwrap().contains("access_denied"),
        "{page:#}"
    );
    assert_eq!(medplum.profile_text("clinic"), before);
    assert_eq!(provider.grants("authorization_code").len(), 0);
}
