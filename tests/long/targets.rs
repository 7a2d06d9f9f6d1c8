//! What is read, what it is made of, and what must hold of everything that is accepted. `tests/long/main.rs` tries these
//! readers, and so do the fuzz targets of the same names, which begin with the same seeds and words.

use std::sync::atomic::{AtomicU64, Ordering};

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
    /// What the reader looks for.
    pub words: fn() -> Vec<Vec<u8>>,
    /// Whether it took the input.
    read: fn(&[u8]) -> bool,
}

pub(crate) static ALL: [Target; 6] = [
    Target {
        name: "lines",
        seeds: &lines::SEEDS,
        words: || lines::WORDS.map(|word| word.as_bytes().to_vec()).to_vec(),
        read: lines::read,
    },
    Target {
        name: "token-answer",
        seeds: &[
            include_str!("../../fuzz/seeds/token-answer/bearer"),
            include_str!("../../fuzz/seeds/token-answer/launch"),
            include_str!("../../fuzz/seeds/token-answer/refusal"),
            include_str!("../../fuzz/seeds/token-answer/outcome"),
            include_str!("../../fuzz/seeds/token-answer/form"),
            include_str!("../../fuzz/seeds/token-answer/html"),
            include_str!("../../fuzz/seeds/token-answer/xml"),
        ],
        words: || dictionary(include_str!("../../fuzz/token-answer.dict")),
        read: token_answer,
    },
    Target {
        name: "device-answer",
        seeds: &[
            include_str!("../../fuzz/seeds/device-answer/whole"),
            include_str!("../../fuzz/seeds/device-answer/texts"),
            include_str!("../../fuzz/seeds/device-answer/refusal"),
        ],
        words: || dictionary(include_str!("../../fuzz/device-answer.dict")),
        read: device_answer,
    },
    Target {
        name: "discovery",
        seeds: &[
            include_str!("../../fuzz/seeds/discovery/smart"),
            include_str!("../../fuzz/seeds/discovery/statement"),
        ],
        words: || dictionary(include_str!("../../fuzz/discovery.dict")),
        read: discovery,
    },
    Target {
        name: "env",
        seeds: &[
            include_str!("../../fuzz/seeds/env/settings"),
            include_str!("../../fuzz/seeds/env/odd"),
        ],
        words: || dictionary(include_str!("../../fuzz/env.dict")),
        read: env,
    },
    Target {
        name: "id-token",
        seeds: &[
            include_str!("../../fuzz/seeds/id-token/one"),
            include_str!("../../fuzz/seeds/id-token/several"),
            include_str!("../../fuzz/seeds/id-token/text"),
        ],
        words: || dictionary(include_str!("../../fuzz/id-token.dict")),
        read: id_token,
    },
];

/// Tokens that were read are remembered by the process; here they would be millions.
const FORGET_EVERY: u64 = 500;

/// The target of a name.
pub(crate) fn named(name: &str) -> Option<&'static Target> {
    ALL.iter().find(|target| target.name == name)
}

impl Target {
    /// Reads an input; whether the reader took it.
    pub(crate) fn read(&self, input: &[u8]) -> bool {
        static READ: AtomicU64 = AtomicU64::new(0);
        if READ
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(FORGET_EVERY)
        {
            medplum::secret::forget();
        }
        (self.read)(input)
    }
}

/// The words of a dictionary of libFuzzer: one in quotes a line, with `\\`, `\"` and `\xNN` in it.
fn dictionary(text: &str) -> Vec<Vec<u8>> {
    text.lines().map(word).collect()
}

fn word(line: &str) -> Vec<u8> {
    let quoted = line
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let mut rest = quoted.expect("a word in quotes").bytes();
    let mut word = Vec::new();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'\\' => match rest.next().expect("what is escaped") {
                b'x' => {
                    let digits: Vec<u8> = rest.by_ref().take(2).collect();
                    let digits = String::from_utf8(digits).expect("two digits");
                    u8::from_str_radix(&digits, 16).expect("two digits")
                }
                other => other,
            },
            byte => byte,
        };
        word.push(byte);
    }
    word
}

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
