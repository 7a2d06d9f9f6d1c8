//! `medplum doctor` on servers that are well: the steps, the shapes of the report, and what it keeps to itself.

use serde_json::json;

use crate::support::backend::KID;
use crate::support::doctor::{examine, speaks};
use crate::support::keys::key;
use crate::support::medplum::tree;
use crate::support::oauth::CLIENT_SECRET;
use crate::support::sandbox::Sandbox;
use crate::support::{Backend, Medplum, Site};

const STEPS: [&str; 9] = [
    "address",
    "tls",
    "discovery",
    "key",
    "assertion",
    "token",
    "scope",
    "metadata",
    "read",
];

/// A site whose server speaks of itself; its profile leaves the token URL to discovery.
fn site() -> Site {
    let site = Site::without_profile();
    speaks(&site.server, &json!({}));
    site.set_profile(&["--auth-type", "client-credentials"]);
    site
}

/// A backend of the same kind, with the profile of an RSA key.
fn backend() -> Backend {
    let backend = Backend::smart();
    speaks(&backend.server, &json!({}));
    backend.set_key(&key("rsa-pkcs8.pem"), &[]);
    backend
}

#[test]
fn a_healthy_server_passes_every_step_for_each_way_in_of_machines() {
    let site = site();
    let verdict = examine(&site.medplum, &[]).finds_all_well();
    assert!(verdict.detail("discovery").contains("/oauth2/token"));
    assert!(verdict.detail("token").contains("a new token"));
    let verdict = examine(&site.medplum, &["--client-auth", "post"]).finds_all_well();
    assert_eq!(verdict.json["notes"], json!([]));

    let smart = backend();
    let verdict = examine(&smart.medplum, &["--scope", "system/*.rs"]).finds_all_well();
    assert!(verdict.detail("key").contains("RSA 2048 bits"));
    let said = verdict.detail("assertion");
    let aud = format!(r#""aud":"{}""#, smart.server.url("/oauth2/token"));
    for part in [
        r#""alg":"RS384""#,
        KID,
        aud.as_str(),
        r#""iss":"backend-client""#,
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }

    let bearer = Backend::bearer();
    speaks(&bearer.server, &json!({}));
    bearer.set_bearer(&[]);
    let verdict = examine(&bearer.medplum, &[]).finds_all_well();
    assert!(verdict.detail("key").contains("HS256"));
}

#[test]
fn basic_a_given_token_and_no_credentials_are_read_with_and_skip_what_they_do_not_have() {
    for flags in [
        &[
            "--auth-type",
            "basic",
            "--client-id",
            "user",
            "--client-secret",
            "pass-word-7",
        ][..],
        &["--access-token", "token-of-somebody"],
        &[],
    ] {
        let server = crate::support::Server::start();
        speaks(&server, &json!({}));
        let (medplum, base) = (Medplum::new(), server.url("/"));
        let mut args = vec!["profile", "set", "site", "--base-url", &base];
        args.extend(flags);
        medplum.run(args).ok();
        let verdict = examine(&medplum, &[]).finds_all_well();
        for step in ["key", "assertion", "token", "scope"] {
            let steps = verdict.json["steps"].as_array().unwrap();
            let step = steps.iter().find(|one| one["name"] == step).unwrap();
            assert_eq!(step["skipped"], true, "{}", verdict.run);
        }
        let sent = server.request_to("/fhir/R4/Patient");
        assert_eq!(sent.header("Authorization").is_some(), !flags.is_empty());
    }
}

#[test]
fn the_report_for_programs_is_one_object_with_the_steps_in_their_order() {
    let verdict = examine(&site().medplum, &[]);
    let names: Vec<&str> = verdict
        .json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        names,
        ["profile", "steps", "cause", "candidates", "notes", "exit"]
    );
    let steps = verdict.json["steps"].as_array().unwrap();
    let order: Vec<&str> = steps
        .iter()
        .map(|step| step["name"].as_str().unwrap())
        .collect();
    assert_eq!(order, STEPS);
    for step in steps {
        assert!(
            step["ok"].is_boolean() && step["ms"].is_u64() && step["detail"].is_string(),
            "{step}"
        );
    }
    assert_eq!(verdict.run.stderr, "", "{}", verdict.run);
}

#[test]
fn the_report_for_people_has_a_line_for_each_step_and_stops_at_the_one_that_fails() {
    let site = site();
    let run = site.medplum.run(["doctor", "-p", "site"]).ok();
    for (line, step) in run
        .stdout
        .lines()
        .filter(|line| !line.starts_with(' '))
        .zip(STEPS)
    {
        assert!(
            line.starts_with("ok") || line.starts_with("skipped"),
            "{run}"
        );
        assert!(line.contains(step) && line.contains(" ms"), "{step}: {run}");
    }
    assert!(run.stdout.ends_with("All is well.\n"), "{run}");
    let run = site
        .medplum
        .run(["doctor", "-p", "site", "--client-secret", "another-secret"]);
    let run = run.fails(3).says("Error: the step `token` failed");
    let list = "It is one of these, the most likely first; they cannot be told apart from outside:\n  1. wrong client secret";
    assert!(run.stdout.contains(list), "{run}");
    assert!(!run.stdout.contains("metadata  "), "{run}");
    assert!(!run.everything().contains('\u{1b}'), "{run}");
}

#[test]
fn neither_secret_nor_token_nor_signature_is_printed_and_nothing_is_stored() {
    let site = site();
    let smart = backend();
    let bearer = Backend::bearer();
    speaks(&bearer.server, &json!({}));
    bearer.set_bearer(&[]);
    for medplum in [&site.medplum, &smart.medplum, &bearer.medplum] {
        let before = tree_of(medplum);
        for format in [&["-vv"][..], &["-o", "json", "-vv"]] {
            let run = medplum
                .run([&["doctor", "-p", "site"], format].concat())
                .ok();
            let all = run.everything();
            let mut secrets = vec![CLIENT_SECRET.to_owned(), "bearer-secret-of-32".to_owned()];
            secrets.push("token-1".to_owned());
            secrets.push("token-2".to_owned());
            for jwt in smart
                .tokens
                .assertions()
                .iter()
                .chain(&bearer.tokens.assertions())
            {
                secrets.push(jwt.signature_text());
            }
            for secret in secrets {
                assert!(!all.contains(&secret), "{secret} was printed\n{run}");
            }
        }
        assert_eq!(before, tree_of(medplum), "the doctor changed something");
    }
}

fn tree_of(medplum: &Medplum) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let is_lock = |path: &std::path::Path| path.to_string_lossy().contains(".locks");
    tree(&medplum.home())
        .into_iter()
        .filter(|(path, _)| !is_lock(path))
        .collect()
}

#[test]
fn the_sandbox_is_a_healthy_server() {
    let medplum = Medplum::new();
    let sandbox = Sandbox::start(&medplum, &["--patients", "3"]);
    sandbox.set_profile(&medplum);
    let run = medplum.run(["doctor", "-p", "sandbox", "-o", "json"]).ok();
    assert_eq!(run.json()["exit"], 0, "{run}");
    let run = medplum
        .run(["doctor", "-p", "sandbox", "--read", "Patient?_count=2"])
        .ok();
    assert!(
        run.stdout.contains("GET Patient?_count=2 gives a Bundle"),
        "{run}"
    );
}

#[test]
fn an_unknown_profile_and_a_missing_login_are_reports_too() {
    let medplum = Medplum::new();
    examine(&medplum, &[]).blames("profile", 2, "does not exist");
    let site = site();
    let base = site.server.url("/");
    let flags = [
        "--auth-type",
        "authorization-code",
        "--client-id",
        "x",
        "--base-url",
        &base,
    ];
    let user = Medplum::new();
    user.run([&["profile", "set", "site"], &flags[..]].concat())
        .ok();
    examine(&user, &[]).blames("token", 3, "medplum login");
}
