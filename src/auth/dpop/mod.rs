//! Tokens bound to a key: proofs of possession (DPoP, RFC 9449), and the nonces that servers want in them.

mod key;
mod nonces;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use url::Url;

use super::keys::KeyError;
use crate::http::Request;
use crate::secret::Secret;
pub use key::BoundKey;
pub use nonces::Nonces;
use nonces::Side;

/// The header of a proof (RFC 9449 §4.1).
const PROOF: HeaderName = HeaderName::from_static("dpop");
/// What a server says that wants a nonce, or another one (RFC 9449 §8 and §9).
const USE_NONCE: &str = "use_dpop_nonce";
/// A server may change its nonce while a request is under way, and again; with many requests at a time one of them can be
/// late often. A server that asks for more changes in a row than this is not followed any further.
pub(crate) const MOST_NONCES: u32 = 20;

/// A key in use: it signs requests, and learns nonces from the answers.
#[derive(Clone, Debug)]
pub struct Prover {
    pub key: BoundKey,
    nonces: Nonces,
}

impl Prover {
    /// A key with the nonces known so far.
    pub fn new(key: BoundKey, nonces: &Nonces) -> Self {
        Self {
            key,
            nonces: nonces.clone(),
        }
    }

    /// Puts a proof on a token request.
    ///
    /// # Errors
    /// [`KeyError::Signing`].
    pub(super) fn sign_token_request(&self, request: &mut Request) -> Result<(), KeyError> {
        self.sign(Side::Tokens, request, None)
    }

    /// Puts a proof on a request that has this token.
    ///
    /// # Errors
    /// [`KeyError::Signing`].
    pub(super) fn sign_with(&self, token: &Secret, request: &mut Request) -> Result<(), KeyError> {
        self.sign(Side::Resources, request, Some(token))
    }

    fn sign(
        &self,
        side: Side,
        request: &mut Request,
        token: Option<&Secret>,
    ) -> Result<(), KeyError> {
        let nonce = self.nonces.of(side, &request.url);
        let proof = self
            .key
            .proof(&request.method, &request.url, nonce.as_deref(), token)?;
        let mut value = HeaderValue::from_str(proof.expose())
            .map_err(|error| KeyError::Signing(error.to_string()))?;
        value.set_sensitive(true);
        request.headers.insert(PROOF, value);
        Ok(())
    }

    /// Learns from a token endpoint's answer. Whether it asks for the same request with another nonce
    /// (RFC 9449 §8: 400 with this error code).
    pub(super) fn token_endpoint_wants_nonce(
        &self,
        url: &Url,
        headers: &HeaderMap,
        code: Option<&str>,
    ) -> bool {
        self.nonces.keep(Side::Tokens, url, headers) && code == Some(USE_NONCE)
    }

    /// Learns from a server's answer. Whether it asks for the same request with another nonce (RFC 9449 §9: 401 with
    /// this challenge).
    pub(crate) fn server_wants_nonce(
        &self,
        url: &Url,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> bool {
        let has_nonce = self.nonces.keep(Side::Resources, url, headers);
        let mut challenges = headers.get_all(WWW_AUTHENTICATE).into_iter();
        has_nonce
            && status == StatusCode::UNAUTHORIZED
            && challenges.any(|value| String::from_utf8_lossy(value.as_bytes()).contains(USE_NONCE))
    }
}
