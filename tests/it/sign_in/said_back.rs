//! Secrets of a few characters that a server says back, as they are and as programs write them: they are ours, so they are masked.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use crate::support::{Answer, Medplum, Server};

/// All shorter than what looks like a token by itself; some read like words, some are written another way everywhere.
const SECRETS: [&str; 9] = [
    "ab1",
    "zqj",
    "hunter",
    "HUNTER",
    "Xy9_",
    "p&s/3\"x",
    "pä'ss<1>",
    "two words",
    "a/b+c=d?e%41",
];

/// What programs make of a secret.
fn spellings(secret: &str) -> Vec<String> {
    let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let json = json!(secret).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let ascii = json.replace('ä', "\\u00e4");
    let html = secret
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    vec![
        secret.to_owned(),
        form.replace('+', "%20"),
        small_hex(&form),
        form,
        json.replace('/', "\\/"),
        json,
        ascii,
        html.replace('"', "&quot;").replace('\'', "&#39;"),
        STANDARD.encode(format!("me:{secret}")),
        STANDARD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
    ]
}

fn small_hex(form: &str) -> String {
    let escapes = form.match_indices('%').map(|(at, _)| at);
    let mut bytes = form.as_bytes().to_vec();
    for at in escapes {
        bytes[at + 1..at + 3].make_ascii_lowercase();
    }
    String::from_utf8(bytes).unwrap()
}

/// Where a server can put words of its own.
fn answers(text: &str) -> Vec<(&'static str, Answer)> {
    let json = |status, value: serde_json::Value| Answer::json(status, value.to_string());
    let line = text.replace(|c: char| !(' '..='~').contains(&c), "?");
    let outcome = json!({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "login",
        "details": {"text": text}, "diagnostics": text}]});
    vec![
        (
            "token",
            json(
                400,
                json!({"error": "invalid_client", "error_description": text}),
            ),
        ),
        ("token", json(401, json!({"error": text}))),
        ("token", Answer::new(400, "text/plain", text)),
        ("token", json(400, outcome.clone())),
        (
            "token",
            json(200, json!({"error_description": text, "x": text})),
        ),
        ("token", Answer::new(200, &format!("text/x; {line}"), text)),
        (
            "token",
            json(
                200,
                json!({"access_token": "good-token-1", "token_type": text}),
            ),
        ),
        (
            "token",
            json(400, json!({"error": "x"}))
                .header("X-Said", &line)
                .header("Location", &line),
        ),
        ("Patient/1", json(400, outcome)),
        (
            "Patient/1",
            Answer::new(500, "text/plain", text).header("X-Said", &line),
        ),
        (
            "Patient/1",
            Answer::empty(401).header(
                "WWW-Authenticate",
                &format!("Bearer error_description=\"{line}\""),
            ),
        ),
    ]
}

#[test]
fn a_secret_of_any_length_that_is_said_back_is_masked_in_every_spelling() {
    std::thread::scope(|scope| {
        for secret in SECRETS {
            scope.spawn(move || is_masked(secret));
        }
    });
}

fn is_masked(secret: &str) {
    let spelled = spellings(secret);
    let answers = answers(&format!("no: {} .", spelled.join(" | ")));
    for (number, (at, answer)) in answers.into_iter().enumerate() {
        let way = if number % 2 == 0 { "header" } else { "post" };
        let server = Server::start();
        let token = json!({"access_token": "good-token-1", "token_type": "Bearer"});
        server.on("POST", "/token", Answer::json(200, token.to_string()));
        match at {
            "token" => server.on("POST", "/token", answer),
            _ => server.on("GET", "/fhir/R4/Patient/1", answer),
        }
        let base = server.url("/");
        let get = [
            "-vv",
            "get",
            "Patient/1",
            "--retries",
            "0",
            "--base-url",
            &base,
        ];
        let flags = [
            "--client-id",
            "me",
            "--client-secret",
            secret,
            "--client-auth",
            way,
        ];
        let medplum = Medplum::new();
        let run = medplum.run([&get[..], &flags, &["--token-url", "token"]].concat());
        assert_ne!(run.code, 0, "{run}");
        assert!(!server.requests_to("/token").is_empty());
        let seen = run.everything();
        for spelling in &spelled {
            let shown = seen.find(spelling.as_str());
            assert!(
                shown.is_none(),
                "{secret} as {spelling} from {at} by {way}\n{run}"
            );
        }
    }
}
