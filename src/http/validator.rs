//! What tells one version of a file's bytes from another (RFC 9110 §8.8).

use std::time::Duration;

use reqwest::header::{DATE, ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED};
use serde::{Deserialize, Serialize};

/// A Last-Modified this much older than Date is a strong validator (RFC 9110 §8.8.2.2).
const STRONG_AGE: Duration = Duration::from_secs(1);

/// What tells one version of a file's bytes from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Validator {
    /// A strong entity tag, with its quotes.
    Etag(String),
    /// The time of the last change as the server wrote it.
    LastModified(String),
}

impl Validator {
    /// The strong validator of an answer, if it has one.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name: HeaderName| Some(headers.get(name)?.to_str().ok()?.trim().to_owned());
        if let Some(etag) = text(ETAG) {
            // A weak tag says nothing of bytes, and Last-Modified is no better then.
            return (etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"'))
                .then_some(Self::Etag(etag));
        }
        let changed = text(LAST_MODIFIED)?;
        let at = httpdate::parse_http_date(&changed).ok()?;
        let now = httpdate::parse_http_date(&text(DATE)?).ok()?;
        let age = now.duration_since(at).ok()?;
        (age >= STRONG_AGE).then_some(Self::LastModified(changed))
    }

    /// The value of `If-Range`.
    pub fn if_range(&self) -> Option<HeaderValue> {
        let (Self::Etag(text) | Self::LastModified(text)) = self;
        HeaderValue::from_str(text).ok()
    }

    /// Whether an answer is of the same bytes.
    pub fn is_of(&self, headers: &HeaderMap) -> bool {
        let (name, text) = match self {
            Self::Etag(text) => (ETAG, text),
            Self::LastModified(text) => (LAST_MODIFIED, text),
        };
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.trim() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn only_strong_validators_count() {
        let of = |pairs: &[(HeaderName, &str)]| Validator::of(&headers(pairs));
        let changed = "Sun, 22 Nov 2026 10:00:00 GMT";
        assert_eq!(
            of(&[(ETAG, "\"1\"")]),
            Some(Validator::Etag("\"1\"".into()))
        );
        assert_eq!(of(&[(ETAG, "W/\"1\"")]), None);
        assert_eq!(of(&[(ETAG, "1")]), None);
        let later = [
            (LAST_MODIFIED, changed),
            (DATE, "Sun, 22 Nov 2026 10:00:01 GMT"),
        ];
        assert_eq!(of(&later), Some(Validator::LastModified(changed.into())));
        assert_eq!(of(&[(LAST_MODIFIED, changed), (DATE, changed)]), None);
        assert_eq!(of(&[(LAST_MODIFIED, changed)]), None);
        // DPC writes milliseconds here.
        assert_eq!(
            of(&[
                (LAST_MODIFIED, "1795341600000"),
                (DATE, "Sun, 22 Nov 2026 10:00:01 GMT")
            ]),
            None
        );
    }
}
