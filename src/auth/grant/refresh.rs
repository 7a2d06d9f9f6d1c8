//! A stored login renewed: RFC 6749 §6.

use super::super::exchange::TokenRequest;
use crate::profile::Profile;
use crate::secret::Secret;

/// The token request; no scope, so the server grants the same one again.
pub fn request(profile: &Profile, refresh_token: &Secret) -> TokenRequest {
    TokenRequest::new("refresh_token")
        .with_secret("refresh_token", refresh_token.clone())
        .with_client(profile)
}
