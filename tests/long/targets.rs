//! What is read, what it is made of, and what must hold of everything that is accepted.

use jiff::Timestamp;
use medplum::auth::device::Code;
use medplum::auth::discovery::document::{Document, Statement};
use medplum::auth::token_answer::TokenAnswer;
use medplum::auth::{Token, id_token};
use medplum::foreign::{Foreign, LONGEST};
use medplum::profile::env_file;
use medplum::secret::Secret;
use reqwest::StatusCode;
use url::Url;

use crate::lines;

/// A reader.
pub(crate) struct Target {
    pub name: &'static str,
    pub seeds: &'static [&'static str],
    pub words: &'static [&'static str],
    /// Whether it took the input.
    pub read: fn(&[u8]) -> bool,
}

pub(crate) const ALL: [Target; 6] = [
    Target {
        name: "lines",
        seeds: &lines::SEEDS,
        words: &lines::WORDS,
        read: lines::read,
    },
    Target {
        name: "token-answer",
        seeds: &[
            r#"{"access_token":"eyJhbGciOiJSUzM4NCJ9.e30.c2ln","token_type":"Bearer","expires_in":3600,"scope":"system/*.rs","refresh_token":"r-1","id_token":"a.b.c"}"#,
            r#"{"access_token":"t","expires_in":"300.5","project":{"reference":"Project/1","display":"P"},"patient":"1","fhirContext":[{"reference":"X/1"}]}"#,
            r#"{"error":"invalid_client","error_description":"no such client eyJhbGciOiJub25lIn0.e30.x"}"#,
            r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"login","details":{"text":"no"}}]}"#,
            "access_token=t%2D1&token_type=bearer&expires_in=60&scope=a+b",
            "<html><head><title>502 Bad Gateway</title></head><body>no</body></html>",
            "<?xml version=\"1.0\"?><Error><Code>X</Code><Message>y</Message></Error>",
        ],
        words: &[
            "\"access_token\":",
            "\"expires_in\":",
            "\"error\":",
            "\"issue\":[",
            "\u{feff}",
            "<title>",
            "eyJ",
            "&error=",
            "\"scope\":",
        ],
        read: token_answer,
    },
    Target {
        name: "device-answer",
        seeds: &[
            r#"{"device_code":"d-123456","user_code":"ABCD-EFGH","verification_uri":"https://h.example/device","verification_uri_complete":"https://h.example/device?c=A","expires_in":1800,"interval":5}"#,
            r#"{"device_code":"d","user_code":"A","verification_url":"http://h.example/","expires_in":"600","interval":"5"}"#,
            r#"{"error":"invalid_client"}"#,
        ],
        words: &[
            "\"expires_in\":",
            "\"interval\":",
            "\"user_code\":",
            "\"verification_uri\":",
            "https://",
            "javascript:",
        ],
        read: device_answer,
    },
    Target {
        name: "discovery",
        seeds: &[
            r#"{"issuer":"https://h.example","token_endpoint":"https://h.example/token","authorization_endpoint":"https://h.example/authorize","token_endpoint_auth_methods_supported":["client_secret_basic","private_key_jwt"],"scopes_supported":["openid"],"capabilities":["permission-v2"],"mtls_endpoint_aliases":{"token_endpoint":"https://m.example/token"},"authorization_response_iss_parameter_supported":true}"#,
            r#"{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1","rest":[{"security":{"extension":[{"url":"http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris","extension":[{"url":"token","valueUri":"https://h.example/token"}]}]},"resource":[{"type":"Patient","interaction":[{"code":"read"}]}]}]}"#,
        ],
        words: &[
            "\"token_endpoint\":",
            "\"rest\":",
            "\"extension\":",
            "\"valueUri\":",
            "\"resource\":",
            "true",
            "[[",
            "{\"a\":",
        ],
        read: discovery,
    },
    Target {
        name: "env",
        seeds: &[
            "MEDPLUM_BASE_URL=https://h.example\nMEDPLUM_CLIENT_ID='a'\nMEDPLUM_CLIENT_SECRET=\"x$y\\n#z\" # comment\n",
            "export A = b\n# c\nB=`multi\nline`\r\nC=\"multi\nline\"\nD='it''s'\n=\nE",
        ],
        words: &[
            "export ", "=", "\"", "'", "`", "#", "\\n", "${A}", "$", "\n", "MEDPLUM_",
        ],
        read: env,
    },
    Target {
        name: "id-token",
        seeds: &[
            r#"{"iss":"https://i.example","aud":"app","exp":4102444800,"nonce":"n-1","sub":"s","fhirUser":"Practitioner/1"}"#,
            r#"{"iss":"https://i.example","aud":["app","b"],"azp":"app","exp":4102444800.5,"nonce":"n-1"}"#,
            "not JSON",
        ],
        words: &["\"exp\":", "\"aud\":", "\"iss\":", "\"nonce\":\"n-1\"", "."],
        read: id_token,
    },
];

/// One line of bounded length that steers nothing.
fn check(words: Option<Foreign>) {
    if let Some(words) = words {
        assert!(words.chars().count() <= LONGEST + 1, "{words}");
        assert!(!words.contains(|c: char| c.is_control()), "{words:?}");
    }
}

fn token_answer(input: &[u8]) -> bool {
    let kinds = [
        "application/json",
        "application/x-www-form-urlencoded",
        "text/html",
        "",
    ];
    let kind = kinds[input.len() % kinds.len()];
    for status in [StatusCode::OK, StatusCode::BAD_REQUEST] {
        let answer = TokenAnswer::read(status, kind, input);
        check(answer.words());
        check(answer.code());
        if let Some(fields) = answer.fields()
            && let Some(token) = Token::from_answer(fields, Timestamp::now())
        {
            let _ = (token.is_fresh(), token.has_expired());
            return true;
        }
    }
    false
}

fn device_answer(input: &[u8]) -> bool {
    let answer = TokenAnswer::read(StatusCode::OK, "application/json", input);
    let url = Url::parse("https://h.example/device").expect("it is one");
    match Code::read(&answer, &url) {
        Ok(code) => {
            check(Some(code.shown().clone()));
            assert!(
                std::time::Instant::now()
                    .checked_add(code.expires())
                    .is_some()
            );
            true
        }
        Err(_) => false,
    }
}

fn discovery(input: &[u8]) -> bool {
    serde_json::from_slice::<Document>(input).is_ok()
        | serde_json::from_slice::<Statement>(input).is_ok()
}

fn env(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    let (settings, _) = env_file::parse(&text);
    for (name, _) in &settings {
        assert!(!name.is_empty() && !name.contains('\n'), "{name:?}");
    }
    !settings.is_empty()
}

fn id_token(input: &[u8]) -> bool {
    let encoded = base64_url(input);
    let token = Secret::public(format!("e30.{encoded}.c2ln"));
    let expected = id_token::Expected {
        client_id: "app",
        nonce: "n-1",
        issuer: Some("https://i.example"),
    };
    let by_claims = id_token::check(&token, expected, Timestamp::now()).is_ok();
    let raw = Secret::public(String::from_utf8_lossy(input));
    by_claims | id_token::check(&raw, expected, Timestamp::now()).is_ok()
}

fn base64_url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len() * 4 / 3 + 4);
    for chunk in bytes.chunks(3) {
        let bits = (u32::from(chunk[0]) << 16)
            | (u32::from(*chunk.get(1).unwrap_or(&0)) << 8)
            | u32::from(*chunk.get(2).unwrap_or(&0));
        for digit in 0..=chunk.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    text
}
