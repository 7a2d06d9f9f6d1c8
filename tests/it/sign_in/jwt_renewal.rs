//! Tokens of `jwt-assertion` and `jwt-bearer` that end: many commands at once, long work, kills in between.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::keys::key;
use crate::support::run::KILLED;
use crate::support::{Answer, Backend};

/// A site for each of the two auth types, with an expired token.
fn expired() -> [Backend; 2] {
    let smart = Backend::smart();
    smart.set_key(&key("p256-pkcs8.pem"), &["--key-id", "p256"]);
    let bearer = Backend::bearer();
    bearer.set_bearer(&[]);
    for site in [&smart, &bearer] {
        site.get().ok();
        site.medplum.age_tokens("site", 300);
    }
    [smart, bearer]
}

#[test]
fn fifty_commands_with_an_expired_token_make_one_token_request() {
    for site in expired() {
        let running: Vec<_> = (0..50)
            .map(|_| site.medplum.spawn(["get", "-p", "site", "Patient/1"]))
            .collect();
        for command in running {
            command.finish().ok();
        }
        assert_eq!(site.tokens.assertions().len(), 2);
        assert_eq!(site.tokens.reasons(), [""; 0]);
    }
}

#[test]
fn a_kill_at_any_moment_of_a_renewal_leaves_the_profile_whole() {
    for site in expired() {
        let options = site.medplum.options("site");
        for moment in 0..50 {
            let command = site.medplum.spawn(["get", "-p", "site", "Patient/1"]);
            thread::sleep(Duration::from_millis(moment));
            command.kill();
            let run = command.finish();
            assert!([0, KILLED].contains(&run.code), "{run}");
            assert_eq!(site.medplum.options("site"), options);
            site.medplum.age_tokens("site", 300);
        }
        site.get().ok();
        assert_eq!(site.tokens.reasons(), [""; 0]);
    }
}

/// The Medplum CLI's A17: its exports end with the first token.
#[test]
fn an_export_that_outlives_its_tokens_finishes() {
    let site = Backend::smart();
    site.tokens.lifetime(2);
    site.set_key(&key("rsa-pkcs8.pem"), &[]);
    let status = site.server.url("/fhir/R4/job");
    let kick_off = Answer::empty(202).header("Content-Location", &status);
    site.server.on("GET", "/fhir/R4/$export", kick_off);
    let wait = || Answer::empty(202).header("Retry-After", "1");
    let manifest = json!({
        "transactionTime": "2026-01-01T00:00:00Z",
        "request": site.server.url("/fhir/R4/$export"),
        "requiresAccessToken": true,
        "output": [{"type": "Patient", "url": site.server.url("/fhir/R4/files/1"), "count": 1}],
        "error": [],
    });
    let done = Answer::new(200, "application/json", manifest.to_string());
    let polls = (0..5).map(|_| wait()).chain([done]);
    site.server.on_sequence("GET", "/fhir/R4/job", polls);
    site.server.on("DELETE", "/fhir/R4/job", Answer::empty(202));
    let line = "{\"resourceType\":\"Patient\",\"id\":\"1\"}\n";
    let file = Answer::new(200, "application/fhir+ndjson", line);
    site.server.on("GET", "/fhir/R4/files/1", file);
    let export = ["bulk", "export", "-p", "site", "-d", "out"];
    let run = site.medplum.run(export).ok();
    assert!(site.tokens.assertions().len() >= 3, "{run}");
    assert_eq!(site.tokens.reasons(), [""; 0]);
}
