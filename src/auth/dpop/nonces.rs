//! What servers want in the next proof: their latest nonces (RFC 9449 §8, §9).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::{HeaderMap, HeaderName};
use url::Url;

/// The header of a nonce (RFC 9449 §8.1).
const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Whether a server gives tokens or takes them: its nonces for one are of no use for the other (RFC 9449 §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Side {
    Tokens,
    Resources,
}

/// The latest nonce of each origin.
#[derive(Clone, Debug, Default)]
pub struct Nonces(Arc<Mutex<HashMap<(Side, String), String>>>);

impl Nonces {
    /// The nonce for the next proof there.
    pub(super) fn of(&self, side: Side, url: &Url) -> Option<String> {
        let nonces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        nonces.get(&(side, origin(url))).cloned()
    }

    /// Keeps the nonce of an answer; whether there was one.
    pub(super) fn keep(&self, side: Side, url: &Url, headers: &HeaderMap) -> bool {
        let Some(nonce) = headers.get(NONCE).and_then(|value| value.to_str().ok()) else {
            return false;
        };
        let mut nonces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        nonces.insert((side, origin(url)), nonce.to_owned());
        true
    }
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn nonces_are_of_one_origin_and_one_side() {
        let nonces = Nonces::default();
        let url = |text: &str| Url::parse(text).unwrap();
        let headers = HeaderMap::from_iter([(NONCE, HeaderValue::from_static("n1"))]);
        let at = url("https://a.example/r4/Patient");
        assert!(nonces.keep(Side::Resources, &at, &headers));
        let of = |side, text| nonces.of(side, &url(text));
        assert_eq!(
            of(Side::Resources, "https://a.example:443/other"),
            Some("n1".into())
        );
        assert_eq!(of(Side::Tokens, "https://a.example/token"), None);
        assert_eq!(of(Side::Resources, "https://a.example:8443/"), None);
        assert!(!nonces.keep(Side::Resources, &at, &HeaderMap::new()));
        assert_eq!(of(Side::Resources, "https://a.example/"), Some("n1".into()));
    }
}
