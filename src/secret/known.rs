//! The secrets that this process has held, masked in every text that a person or a log may see.

use std::fmt::{self, Write};
use std::sync::RwLock;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use reqwest::header::HeaderName;

use super::jwt::without_jwts;

/// What stands where a secret was.
pub const MASK: &str = "********";

/// What is shorter, or reads like a word, is masked in foreign words only: there it may be quoted, and in ours it would
/// black out what we say. A hostile server may give `http://` as a token.
const SHORTEST_MASKED: usize = 5;
/// What is shorter still is no secret, whatever it is used for.
const SHORTEST: usize = 3;
const LONGEST_WORD: usize = 16;
/// What is shorter is masked where it stands by itself only: within a word or a number it is there by accident.
const SHORTEST_WITHIN: usize = 8;

/// Every secret this process has held, longest first, in each spelling it could be printed in.
static KNOWN: RwLock<Vec<String>> = RwLock::new(Vec::new());
/// Those that are masked in foreign words only.
static WORDS: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// A secret string: never shown by `Debug` or `Display`, and masked in all text that goes through [`mask`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value and has it masked from now on.
    pub fn new(value: impl Into<String>) -> Self {
        let value = value.into();
        remember(&value);
        Self(value)
    }

    /// A value that travels with secrets but is none: not masked in text.
    pub fn public(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the wire and for the private profile file.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Has `base64(id:secret)` masked from now on, however id and secret were sent: whoever has both can say them back as one.
    pub fn hide_as_basic(&self, id: &str) {
        remember(&STANDARD.encode(format!("{id}:{}", self.0)));
    }

    /// `base64(id:secret)`, the credential of HTTP Basic (RFC 7617), itself a secret.
    pub fn basic(id: &str, secret: &str) -> Self {
        Self::new(STANDARD.encode(format!("{id}:{secret}")))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(redacted)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self::new(value)
    }
}

fn remember(value: &str) {
    if value.len() < SHORTEST {
        return;
    }
    let (words, others): (Vec<_>, Vec<_>) = spellings(value)
        .into_iter()
        .partition(|spelling| reads_like_a_word(spelling));
    add(&WORDS, words);
    add(&KNOWN, others);
}

/// A secret as others may write it: in JSON (PHP writes `\/` there, Python `\u00e9`), in a form or a URL, in HTML, in base64.
fn spellings(value: &str) -> Vec<String> {
    let json = serde_json::to_string(value).unwrap_or_default();
    let json = &json[1..json.len().saturating_sub(1)];
    let form: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let percent = form.replace('+', "%20");
    let html = value
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    vec![
        value.to_owned(),
        json.to_owned(),
        json.replace('/', "\\/"),
        in_ascii(json),
        in_small_hex(&form),
        in_small_hex(&percent),
        form,
        percent,
        html.replace('"', "&quot;").replace('\'', "&#39;"),
        html.replace('"', "&#34;").replace('\'', "&#x27;"),
        html,
        STANDARD.encode(value),
        STANDARD_NO_PAD.encode(value),
        URL_SAFE_NO_PAD.encode(value),
    ]
}

/// JSON without a character beyond ASCII.
fn in_ascii(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            ascii.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(ascii, "\\u{unit:04x}");
        }
    }
    ascii
}

/// `%2f` for `%2F`.
fn in_small_hex(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let mut small = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (hex, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        small.push('%');
        small.push_str(&hex.to_ascii_lowercase());
        small.push_str(rest);
    }
    small
}

fn add(list: &RwLock<Vec<String>>, spellings: impl IntoIterator<Item = String>) {
    let mut list = list
        .write()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    for spelling in spellings {
        if !list.contains(&spelling) {
            list.push(spelling);
        }
    }
    list.sort_by_key(|spelling| std::cmp::Reverse(spelling.len()));
}

/// Forgets every secret, for programs that read millions of answers to try the readers.
pub fn forget() {
    for list in [&KNOWN, &WORDS] {
        list.write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clear();
    }
}

/// Whether a secret could stand in a sentence of ours by accident.
fn reads_like_a_word(value: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphabetic() || " :/.,-".contains(c);
    let is_one_case = value == value.to_ascii_lowercase() || value == value.to_ascii_uppercase();
    value.len() < SHORTEST_MASKED
        || value.len() < LONGEST_WORD && is_one_case && value.chars().all(is_plain)
}

/// The text with every secret this process knows replaced, in whatever spelling it appears; those that read like words
/// stay.
pub fn mask(text: &str) -> String {
    let known = KNOWN
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut masked = text.to_owned();
    for spelling in known.iter() {
        if !masked.contains(spelling.as_str()) {
            continue;
        }
        masked = if spelling.len() < SHORTEST_WITHIN {
            without_word(&masked, spelling)
        } else {
            masked.replace(spelling.as_str(), MASK)
        };
    }
    masked
}

/// Somebody else's text with every secret replaced, the short ones too where they stand by themselves, and with every JWT:
/// a server may say back one that is made anew for each request, such as a DPoP proof.
pub fn mask_foreign(text: &str) -> String {
    let mut masked = without_jwts(&mask(text), MASK);
    let words = WORDS
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    for word in words.iter() {
        if masked.contains(word.as_str()) {
            masked = without_word(&masked, word);
        }
    }
    masked
}

fn without_word(text: &str, word: &str) -> String {
    let parts_words = |c: char| !c.is_alphanumeric();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        out.push_str(before);
        let begins = out.chars().next_back().is_none_or(parts_words) || ends_in_escape(&out);
        let ends = after.chars().next().is_none_or(parts_words);
        out.push_str(if begins && ends { MASK } else { word });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Whether a text ends in a character as URLs (`%3D`) or JSON (`\n`, `\u003d`) write it, which is no part of a word.
fn ends_in_escape(text: &str) -> bool {
    let hex = |digits: usize| {
        let at = text.len().checked_sub(digits)?;
        let (before, hex) = text.split_at_checked(at)?;
        hex.bytes()
            .all(|byte| byte.is_ascii_hexdigit())
            .then_some(before)
    };
    hex(2).is_some_and(|before| before.ends_with('%'))
        || hex(4).is_some_and(|before| before.ends_with("\\u"))
        || ["\\n", "\\r", "\\t", "\\b", "\\f"]
            .iter()
            .any(|escape| text.ends_with(escape))
}

/// Headers that say what a message is and how it travels: their values open nothing.
const HARMLESS_HEADERS: [&str; 50] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "alt-svc",
    "cache-control",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "date",
    "epic-client-id",
    "etag",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-exist",
    "if-none-match",
    "if-unmodified-since",
    "keep-alive",
    "last-modified",
    "link",
    "location",
    "origin",
    "pragma",
    "prefer",
    "preference-applied",
    "retry-after",
    "server",
    "strict-transport-security",
    "transfer-encoding",
    "user-agent",
    "vary",
    "via",
    "warning",
    "x-correlation-id",
    "x-medplum",
    "x-powered-by",
    "x-progress",
    "x-request-id",
    "x-tenant",
    "x-tenant-id",
];

/// Whether a header's value is known to be no secret, whoever wrote it. Of others nothing is known.
pub fn is_harmless_header(name: &HeaderName) -> bool {
    HARMLESS_HEADERS.contains(&name.as_str())
}

/// Whether a header's value must not be shown.
pub fn is_sensitive_header(name: &HeaderName) -> bool {
    let name = name.as_str();
    [
        "auth",
        "cookie",
        "token",
        "secret",
        "key",
        "password",
        "dpop",
        "assertion",
    ]
    .iter()
    .any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_masked_in_every_spelling() {
        let secret = Secret::new("p@ss \"word\"&more");
        let text = format!(
            "plain {} json {} form {}",
            secret.expose(),
            serde_json::to_string(secret.expose()).unwrap(),
            url::form_urlencoded::byte_serialize(secret.expose().as_bytes()).collect::<String>(),
        );
        let masked = mask(&text);
        assert!(!masked.contains("word"), "{masked}");
        assert_eq!(format!("{secret} {secret:?}"), "******** (redacted)");
    }

    #[test]
    fn a_short_secret_is_masked_as_a_whole_word_alone() {
        drop(Secret::new("zq7x1"));
        let ours = "3zq7x1 and zq7x19 files";
        assert_eq!(
            (mask(ours), mask_foreign(ours)),
            (ours.to_owned(), ours.to_owned())
        );
        for (text, masked) in [
            ("zq7x1", "********"),
            ("is zq7x1, a=zq7x1&b", "is ********, a=********&b"),
            (
                "a%3Dzq7x1 {\"s\":\"\\nzq7x1\"}",
                "a%3D******** {\"s\":\"\\n********\"}",
            ),
            ("a\\u003dzq7x1", "a\\u003d********"),
        ] {
            assert_eq!(mask(text), masked);
        }
    }

    #[test]
    fn a_secret_that_reads_like_a_word_is_masked_where_others_speak() {
        for word in ["zqxw", "gopher://", "endpunkt"] {
            drop(Secret::new(word));
        }
        let ours = "the endpunkt gopher://h.example/ answered";
        assert_eq!(mask(ours), ours);
        assert_eq!(
            mask_foreign("zqxw is no user, zqxwv is; endpunkt"),
            "******** is no user, zqxwv is; ********"
        );
    }
}
