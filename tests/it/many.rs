//! Many processes on one profile at once, and processes that die at any moment.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::run::Running;
use crate::support::{Answer, Medplum, Run, Site};

const PROCESSES: usize = 50;

/// A3, A20: parallel commands read half-written files and each asked for a token of its own.
#[test]
fn fifty_commands_at_once_share_one_token_and_lose_nothing() {
    let site = Site::open();
    site.server.on(
        "GET",
        "/fhir/R4/Patient",
        Answer::json(200, r#"{"resourceType":"Bundle","type":"searchset"}"#),
    );
    let settings = site.medplum.options("site");
    let running: Vec<Running> = (0..PROCESSES)
        .map(|_| site.medplum.spawn(["get", "-p", "site", "Patient"]))
        .collect();
    for run in running {
        let _ = run.finish().ok();
    }
    assert_eq!(site.tokens.count(), 1, "token requests");
    assert_eq!(site.server.requests_to("/fhir/R4/Patient").len(), PROCESSES);
    assert_eq!(site.medplum.options("site"), settings);
}

/// A3: two writers, one loses. Some processes store a token each, for a scope of their own, while others change settings.
#[test]
fn tokens_and_settings_written_at_once_all_arrive() {
    let site = Site::open();
    let scopes: Vec<String> = (0..16).map(|at| format!("scope-{at}")).collect();
    let settings = [
        ("--issuer", "issuer"),
        ("--subject", "subject"),
        ("--callback-url", "callbackUrl"),
    ];
    let get = |scope: &String| {
        site.medplum
            .spawn(["get", "-p", "site", "--scope", scope, "Patient/1"])
    };
    let mut running: Vec<Running> = scopes.iter().map(get).collect();
    for at in 0..PROCESSES - scopes.len() {
        let (flag, _) = settings[at % settings.len()];
        let value = format!("https://v.example/{at}");
        running.push(
            site.medplum
                .spawn(["profile", "set", "site", "--update", flag, &value]),
        );
    }
    for run in running {
        let _ = run.finish().ok();
    }
    let options = site.medplum.options("site");
    for (_, key) in settings {
        assert!(
            options[key]
                .as_str()
                .is_some_and(|value| value.starts_with("https://v.")),
            "{key}: {options}"
        );
    }
    assert_eq!(options["clientSecret"], "MY_CLIENT_SECRET");
    for run in scopes.iter().map(get) {
        let _ = run.finish().ok();
    }
    assert_eq!(site.tokens.count(), scopes.len(), "a stored token was lost");
}

/// A3: a kill during a write left a profile of 0 bytes. The file is large, so that writing it takes a while, and the
/// moment of the kill moves over the whole run of the command; whenever it falls, the file must be the old or the new.
#[test]
fn a_kill_at_any_moment_leaves_a_whole_file() {
    const ROUNDS: u32 = 24;
    let medplum = Medplum::new();
    let ballast = "x".repeat(8 << 20);
    let scope = |medplum: &Medplum| medplum.options("x")["scope"].as_str().unwrap().to_owned();
    medplum.write_profile(
        "x",
        &json!({"options": {"name": "x", "scope": "0"}, "theirs": ballast}),
    );
    let update =
        |scope: String| medplum.spawn(["profile", "set", "x", "--update", "--scope", &scope]);
    let started = Instant::now();
    let _ = update("whole".into()).finish().ok();
    let whole_run = started.elapsed();

    let mut last = "whole".to_owned();
    for round in 0..ROUNDS {
        let new = format!("round-{round}");
        let running = update(new.clone());
        thread::sleep(whole_run * round / ROUNDS + Duration::from_micros(1));
        running.kill();
        let _: Run = running.finish();
        let now = scope(&medplum);
        assert!(
            now == last || now == new,
            "{now:?} is neither {last:?} nor {new:?}"
        );
        assert_eq!(
            medplum.stored("x", "theirs").as_str().unwrap().len(),
            ballast.len()
        );
        last = now;
    }
    let _ = update("after".into()).finish().ok();
    assert_eq!(scope(&medplum), "after");
    assert_eq!(
        medplum
            .run(["profile", "list"])
            .ok()
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
}
