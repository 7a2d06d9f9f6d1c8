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
    fn signing_parameters_of_a_url_are_masked_and_search_codes_are_not() {
        let url =
            Url::parse("https://b.example/f.ndjson?X-Amz-Signature=abc&code=1234-5&sig=x").unwrap();
        assert_eq!(
            url_for_people(&url),
            "https://b.example/f.ndjson?X-Amz-Signature=********&code=1234-5&sig=********"
        );
    }
}
