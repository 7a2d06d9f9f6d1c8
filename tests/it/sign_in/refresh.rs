//! A stored login renewed: rotation, many processes at once, processes that die, tokens of seconds.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::medplum::ReadOnly;
use crate::support::run::Running;
use crate::support::{Answer, Clinic, Medplum, Server};

const PROCESSES: usize = 50;

/// A clinic with a login whose access token has run out.
fn expired() -> Clinic {
    let clinic = Clinic::open();
    let (run, _) = clinic.log_in(&[]);
    run.ok();
    expire(&clinic);
    clinic
}

fn expire(clinic: &Clinic) {
    clinic.auth.revoke_access_tokens();
    clinic.medplum.age_tokens("clinic", 3600);
    clinic.server.forget();
}

fn login_of(clinic: &Clinic) -> (String, String) {
    let login = clinic.medplum.stored("clinic", "activeLogin");
    let text = |key: &str| login[key].as_str().unwrap().to_owned();
    (text("accessToken"), text("refreshToken"))
}

/// The old refresh token is gone with the answer, whatever is wrong with the access token beside the new one.
#[test]
fn a_new_refresh_token_is_stored_also_beside_an_access_token_that_cannot_be_used() {
    for (kind, access_token) in [
        ("mac", "t-1234567890"),
        ("Bearer", "t-12345\r\nx"),
        ("Bearer", ""),
    ] {
        let clinic = expired();
        let rotated = clinic.auth.new_refresh_token();
        let answer =
            json!({"access_token": access_token, "token_type": kind, "refresh_token": rotated});
        let answer = Answer::json(200, answer.to_string());
        clinic.auth.fail(Some(answer));
        clinic.get().fails(3);
        assert_eq!(login_of(&clinic).1, rotated, "{kind} {access_token:?}");
        clinic.auth.fail(None);
        clinic.get().ok();
    }
}

/// The refresh token that came with the answer is the one that serves next time.
#[test]
fn each_renewal_stores_the_new_refresh_token_everywhere() {
    let clinic = expired();
    let mut seen = vec![login_of(&clinic)];
    for round in 0..3 {
        clinic.get().ok();
        assert_eq!(
            clinic.server.lines(),
            ["POST /oauth2/token", "GET /fhir/R4/Patient/1"],
            "{round}"
        );
        let now = login_of(&clinic);
        assert!(!seen.contains(&now), "{round}");
        assert!(clinic.auth.knows_refresh_token(&now.1));
        assert_eq!(
            clinic.medplum.stored("clinic", "logins"),
            json!([clinic.medplum.stored("clinic", "activeLogin")])
        );
        let tokens = clinic.medplum.stored("clinic", "tokens");
        assert_eq!(
            tokens.as_array().unwrap().len(),
            1,
            "no old refresh token stays: {tokens}"
        );
        assert_eq!(tokens[0]["refreshToken"].as_str(), Some(now.1.as_str()));
        seen.push(now);
        expire(&clinic);
    }
    let form = clinic.auth.token_requests().pop().unwrap().form();
    let names: Vec<&str> = form.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["grant_type", "refresh_token", "client_id"],
        "no scope: the same is granted again"
    );
}

/// What the answer leaves out stays as it was (RFC 6749 §6): refresh token, scope, launch context.
#[test]
fn what_a_renewal_leaves_out_is_kept() {
    let mut clinic = Clinic::open();
    clinic.auth = clinic.auth.field("patient", json!("pat-1"));
    let (run, _) = clinic.log_in(&[]);
    run.ok();
    let (_, refresh_token) = login_of(&clinic);
    expire(&clinic);
    let answer = json!({"access_token": "renewed", "expires_in": 60, "token_type": "Bearer"});
    clinic.auth.fail(Some(Answer::new(
        200,
        "application/json",
        answer.to_string(),
    )));
    clinic
        .medplum
        .run(["token", "-p", "clinic"])
        .ok()
        .prints("renewed\n");
    assert_eq!(login_of(&clinic), ("renewed".into(), refresh_token));
    let shown = clinic.medplum.run(["whoami", "-p", "clinic"]).ok().stdout;
    assert!(
        shown.contains("pat-1") && shown.contains("user-7"),
        "{shown}"
    );
}

#[test]
fn fifty_commands_at_once_renew_a_login_once() {
    let clinic = expired();
    let settings = clinic.medplum.options("clinic");
    let running: Vec<Running> = (0..PROCESSES)
        .map(|_| clinic.medplum.spawn(["get", "-p", "clinic", "Patient/1"]))
        .collect();
    for run in running {
        run.finish().ok();
    }
    assert_eq!(
        clinic.server.requests_to("/oauth2/token").len(),
        1,
        "token requests"
    );
    assert_eq!(
        clinic.server.requests_to("/fhir/R4/Patient/1").len(),
        PROCESSES
    );
    assert_eq!(clinic.medplum.options("clinic"), settings);
}

/// The same when only the server knows that the token is over: all of them are told 401, one asks.
#[test]
fn fifty_commands_that_are_told_401_renew_a_login_once() {
    let clinic = Clinic::open();
    let (run, _) = clinic.log_in(&[]);
    run.ok();
    clinic.auth.revoke_access_tokens();
    clinic.server.forget();
    let running: Vec<Running> = (0..PROCESSES)
        .map(|_| clinic.medplum.spawn(["get", "-p", "clinic", "Patient/1"]))
        .collect();
    for run in running {
        run.finish().ok();
    }
    assert_eq!(
        clinic.server.requests_to("/oauth2/token").len(),
        1,
        "token requests"
    );
}

/// A2: a refresh that failed erased the profile.
#[test]
fn a_login_that_is_over_asks_for_another_and_changes_nothing() {
    let medplum_words = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid","details":{"text":"Invalid refresh token"}}]}"#;
    for (answer, words) in [
        (None, "invalid_grant"),
        (
            Some(Answer::new(
                400,
                "application/json",
                r#"{"error":"invalid_request"}"#,
            )),
            "invalid_request",
        ),
        (
            Some(Answer::json(400, medplum_words)),
            "Invalid refresh token",
        ),
        (Some(Answer::new(401, "text/plain", "no")), "401"),
    ] {
        let clinic = expired();
        clinic.auth.end_logins();
        clinic.auth.fail(answer);
        let before = clinic.medplum.profile_text("clinic");
        let run = clinic
            .get()
            .fails(3)
            .prints("")
            .says(words)
            .says("log in again with `medplum login -p clinic`");
        assert!(!run.stderr.contains("r3fresh"), "{run}");
        assert_eq!(clinic.medplum.profile_text("clinic"), before);
        assert_eq!(
            clinic.server.requests_to("/fhir/R4/Patient/1").len(),
            0,
            "never unauthenticated"
        );
    }
}

/// A server that is down, or does not know the client, says nothing about the login.
#[test]
fn a_renewal_that_fails_for_another_reason_is_not_the_end_of_the_login() {
    for (answer, code) in [
        (
            Answer::new(401, "application/json", r#"{"error":"invalid_client"}"#),
            3,
        ),
        (Answer::empty(500), 1),
        (Answer::reset(), 6),
    ] {
        let clinic = expired();
        let before = clinic.medplum.profile_text("clinic");
        clinic.auth.fail(Some(answer));
        let run = clinic.get().fails(code);
        assert!(!run.stderr.contains("is over"), "{run}");
        assert_eq!(clinic.medplum.profile_text("clinic"), before);
        clinic.auth.fail(None);
        clinic.get().ok();
    }
}

/// The old refresh token is void once the new one is out: not to store it is to lose the login.
#[test]
fn a_new_refresh_token_that_cannot_be_stored_is_an_error() {
    let clinic = Clinic::open();
    let medplum = Medplum::of_an_ordinary_user();
    let options = json!({"name": "x", "baseUrl": clinic.server.url("/"), "clientId": "app-1"});
    let login = json!({"accessToken": "over", "refreshToken": clinic.auth.new_refresh_token()});
    medplum.write_profile("x", &json!({"options": options, "activeLogin": login}));
    let _folder = ReadOnly::folder(medplum.home().join(".medplum"));
    let run = medplum.run(["get", "-p", "x", "Patient/1"]).fails(1);
    run.prints("").says("could not be stored");
}

/// The Medplum CLI's login has no lifetime: the server's 401 tells.
#[test]
fn a_login_that_the_medplum_cli_stored_is_renewed_for_both() {
    let clinic = Clinic::open();
    let options = json!({"name": "theirs", "baseUrl": clinic.server.url("/"), "fhirUrlPath": "fhir/R4", "clientId": "app-1"});
    let login = json!({"accessToken": "over", "refreshToken": clinic.auth.new_refresh_token(),
        "project": {"reference": "Project/1"}, "profile": {"reference": "Practitioner/2"}});
    clinic.medplum.write_profile(
        "theirs",
        &json!({"options": options, "activeLogin": login, "logins": [login], "other": 1}),
    );
    clinic
        .medplum
        .run(["get", "-p", "theirs", "Patient/1"])
        .ok();
    let stored = clinic.medplum.stored("theirs", "activeLogin");
    assert_ne!(stored["accessToken"], "over");
    assert_eq!(stored["project"], login["project"]);
    assert_eq!(clinic.medplum.stored("theirs", "other"), json!(1));
    clinic
        .medplum
        .run(["get", "-p", "theirs", "Patient/1"])
        .ok();
    assert_eq!(clinic.auth.token_requests().len(), 1);
}

/// A login belongs to the client that it was got for.
#[test]
fn a_login_is_not_used_for_another_client() {
    let clinic = Clinic::open();
    let (run, _) = clinic.log_in(&[]);
    run.ok();
    clinic.server.forget();
    clinic
        .medplum
        .run(["get", "-p", "clinic", "--client-id", "other", "Patient/1"])
        .fails(3)
        .says("medplum login");
    assert_eq!(clinic.server.lines(), [""; 0]);
}

/// Other settings come while a renewal is on its way: the login of the old server is not put beside them.
#[test]
fn a_renewal_that_ends_after_the_profile_moved_is_not_stored() {
    let clinic = expired();
    let slow = json!({"access_token": "late", "expires_in": 60, "refresh_token": "late-refresh"});
    clinic.auth.fail(Some(
        Answer::new(200, "application/json", slow.to_string()).slow(20, Duration::from_millis(150)),
    ));
    let late = clinic.medplum.spawn(["get", "-p", "clinic", "Patient/1"]);
    clinic.server.wait_for("/oauth2/token");
    let moved = [
        "profile",
        "set",
        "clinic",
        "--update",
        "--base-url",
        "https://b.example",
    ];
    clinic.medplum.run(moved).ok();
    late.finish().fails(3);
    let keys = clinic.medplum.profile_keys("clinic");
    assert!(
        !keys.contains_key("activeLogin") && !keys.contains_key("tokens"),
        "{keys:?}"
    );
}

/// A17: a long export could not finish. Tokens of a second, a server that takes its time.
#[test]
fn a_long_export_outlives_many_tokens_of_a_login() {
    let mut clinic = Clinic::open();
    clinic.auth = clinic.auth.lifetime(json!(1));
    let (run, _) = clinic.log_in(&[]);
    run.ok();
    export(&clinic.server, &clinic);
    let started = Instant::now();
    let out = clinic.medplum.path("out");
    let args = ["bulk", "export", "-p", "clinic", "-d"].map(Into::into);
    let run = clinic
        .medplum
        .run(args.into_iter().chain([out.clone().into_os_string()]))
        .ok();
    assert!(started.elapsed() > Duration::from_secs(3), "{run}");
    assert_eq!(
        std::fs::read_dir(&out)
            .unwrap()
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .ends_with("_ndjson.ndjson")
            })
            .count(),
        1,
        "{run}"
    );
    assert!(clinic.auth.token_requests().len() >= 4, "{run}");
}

/// An export of four polls, a second apart, where every request needs a token of less than a second and a half.
fn export(server: &Server, clinic: &Clinic) {
    let tokens = clinic.auth.clone();
    let started: std::sync::Mutex<Option<Instant>> = std::sync::Mutex::default();
    let (status, file) = (
        server.url("/fhir/R4/status/1"),
        server.url("/fhir/R4/files/1.ndjson"),
    );
    let ages: std::sync::Mutex<HashMap<String, Instant>> = std::sync::Mutex::default();
    server.handler(move |request| {
        let path = request.path().strip_prefix("/fhir/R4/")?;
        let known = ["$export", "status/1", "files/1.ndjson"].contains(&path);
        known.then_some(())?;
        let token = request.header("Authorization").unwrap_or_default().to_owned();
        let mut ages = ages.lock().unwrap();
        let born = *ages.entry(token.clone()).or_insert_with(Instant::now);
        if !tokens.accepts(Some(&token)) || born.elapsed() > Duration::from_millis(1500) {
            return Some(Answer::outcome(401, "expired", "the token is over"));
        }
        Some(match (path, request.method.as_str()) {
            (_, "DELETE") => Answer::empty(202),
            ("$export", _) => {
                *started.lock().unwrap() = Some(Instant::now());
                Answer::empty(202).header("Content-Location", &status)
            }
            ("status/1", _) => {
                let waited = started.lock().unwrap().unwrap().elapsed();
                if waited < Duration::from_secs(4) {
                    Answer::empty(202).header("Retry-After", "1")
                } else {
                    let manifest = json!({"transactionTime": "2026-01-01T00:00:00Z", "request": "x", "requiresAccessToken": true,
                        "output": [{"type": "Patient", "url": file, "count": 1}], "error": []});
                    Answer::new(200, "application/json", manifest.to_string())
                }
            }
            _ => Answer::new(200, "application/fhir+ndjson", "{\"resourceType\":\"Patient\",\"id\":\"1\"}\n"),
        })
    });
}
