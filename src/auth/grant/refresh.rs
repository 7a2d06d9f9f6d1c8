//! A stored login renewed: RFC 6749 §6.

use super::super::request::TokenRequest;
use crate::secret::Secret;

/// The token request without the client's proof; no scope, so the server grants the same one again.
pub fn request(refresh_token: &Secret) -> TokenRequest {
    TokenRequest::new("refresh_token")
        .with_secret("refresh_token", refresh_token.clone())
        .good_once()
}
