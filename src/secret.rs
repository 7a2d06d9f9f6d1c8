//! Values that must not be shown: their own type, and masks for every text a person or a log may see.

use std::fmt;
use std::sync::RwLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderName;
use url::Url;

/// What stands where a secret was.
pub const MASK: &str = "********";

/// Shorter values are not masked in free text: they would black out ordinary words.
const SHORTEST_MASKED: usize = 5;

/// Every secret this process has held, longest first, in each spelling it could be printed in.
static KNOWN: RwLock<Vec<String>> = RwLock::new(Vec::new());

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
    if value.len() < SHORTEST_MASKED {
        return;
    }
    let json = serde_json::to_string(value).unwrap_or_default();
    let form: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let percent = form.replace('+', "%20");
    let spellings = [
        value.to_owned(),
        json.trim_matches('"').to_owned(),
        form,
        percent,
        STANDARD.encode(value),
    ];
    let mut known = KNOWN
        .write()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    for spelling in spellings {
        if !known.contains(&spelling) {
            known.push(spelling);
        }
    }
    known.sort_by_key(|spelling| std::cmp::Reverse(spelling.len()));
}

/// The text with every secret this process knows replaced, in whatever spelling it appears.
pub fn mask(text: &str) -> String {
    let known = KNOWN
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut masked = text.to_owned();
    for spelling in known.iter() {
        if masked.contains(spelling.as_str()) {
            masked = masked.replace(spelling.as_str(), MASK);
        }
    }
    masked
}

/// The shortest run of characters that may be a token nobody told us of.
const SHORTEST_TOKEN: usize = 24;

/// Words of a token endpoint with every secret that this process knows masked, and with what looks like a token: it
/// may quote one that it never sent us.
pub fn mask_tokens(text: &str) -> String {
    let text = mask(text);
    let mut shown = String::with_capacity(text.len());
    for run in text.split_inclusive(|c| !is_token_character(c)) {
        let end = run.trim_end_matches(|c| !is_token_character(c)).len();
        let (word, after) = run.split_at(end);
        let stop = word.trim_end_matches(['.', '-']).len();
        let (word, stop) = word.split_at(stop);
        // The slash is of base64, and it parts the path of a URL.
        if word.contains("//") || word.starts_with('/') {
            let parts = word.split('/');
            let parts: Vec<&str> = parts.map(shown_word).collect();
            shown.push_str(&parts.join("/"));
        } else {
            shown.push_str(shown_word(word));
        }
        shown.push_str(stop);
        shown.push_str(after);
    }
    shown
}

/// RFC 6750 §2.1.
fn is_token_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~' | '+' | '/' | '=')
}

fn shown_word(word: &str) -> &str {
    if looks_like_token(word) { MASK } else { word }
}

/// A long run of letters with digits among them. Names that people give have few digits, and UUIDs are the ids by which
/// a vendor finds a request in its log.
fn looks_like_token(word: &str) -> bool {
    let count = |is: fn(&u8) -> bool| word.bytes().filter(is).count();
    let is_jwt = word.starts_with("eyJ") && word.contains('.');
    let is_uuid = word.len() == 36
        && word.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    let is_mixed = count(u8::is_ascii_digit) >= 3 && count(u8::is_ascii_alphabetic) >= 3;
    is_jwt || word.len() >= SHORTEST_TOKEN && is_mixed && !is_uuid
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

/// A URL fit to be shown: password and the values of signing and token parameters masked.
pub fn url_for_people(url: &Url) -> String {
    let mut shown = url.clone();
    if shown.password().is_some() {
        let _ = shown.set_password(Some(MASK));
    }
    if url
        .query_pairs()
        .any(|(name, _)| is_sensitive_parameter(&name))
    {
        let query = url.query().unwrap_or_default().split('&').map(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            if is_sensitive_parameter(name) {
                format!("{name}={MASK}")
            } else {
                pair.to_owned()
            }
        });
        shown.set_query(Some(&query.collect::<Vec<_>>().join("&")));
    }
    mask(shown.as_str())
}

/// The same URL without query and fragment, for what is kept on disk.
pub fn url_without_query(url: &Url) -> String {
    let mut bare = url.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    let _ = bare.set_password(None);
    let _ = bare.set_username("");
    bare.into()
}

fn is_sensitive_parameter(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // Signed URLs of S3, GCS, Azure and CloudFront, and OAuth's own parameters.
    [
        "signature",
        "credential",
        "token",
        "secret",
        "password",
        "assertion",
        "policy",
        "key-pair",
    ]
    .iter()
    .any(|part| name.contains(part))
        || matches!(
            name.as_str(),
            "sig"
                | "state"
                | "nonce"
                | "code_verifier"
                | "code_challenge"
                | "awsaccesskeyid"
                | "apikey"
                | "api_key"
                | "key"
        )
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
    fn what_looks_like_a_token_is_masked_and_other_words_stay() {
        for (text, shown) in [
            (
                "token eyJhbGciOiJSUzM4NCJ9.eyJzdWIi.c2ln is bad.",
                "token ******** is bad.",
            ),
            (
                "old=1//0gYx3kT9fQ2sLmNbV7cX8zAp1Qw5 end",
                "old=1//******** end",
            ),
            ("a1/b2c3d4E5f6G7h8I9j0K1+l2M3==, no", "********, no"),
            (
                "AADSTS700016: Trace ID: 0d4b6c6a-7c4b-4f0e-9d2d-2f8c1a3b4c5d at 2026-11-28 10:00:00Z",
                "AADSTS700016: Trace ID: 0d4b6c6a-7c4b-4f0e-9d2d-2f8c1a3b4c5d at 2026-11-28 10:00:00Z",
            ),
            (
                "org.springframework.security.oauth2.core.OAuth2AuthenticationException",
                "org.springframework.security.oauth2.core.OAuth2AuthenticationException",
            ),
            (
                "https://h.example/fhir/R4/auth/token/introspection-endpoint/of/v1",
                "https://h.example/fhir/R4/auth/token/introspection-endpoint/of/v1",
            ),
        ] {
            assert_eq!(mask_tokens(text), shown);
        }
    }

    #[test]
    fn signing_parameters_of_a_url_are_masked_and_search_codes_are_not() {
        let url =
            Url::parse("https://b.example/f.ndjson?X-Amz-Signature=abc&code=1234-5&sig=x").unwrap();
        assert_eq!(
            url_for_people(&url),
            "https://b.example/f.ndjson?X-Amz-Signature=********&code=1234-5&sig=********"
        );
    }
}
