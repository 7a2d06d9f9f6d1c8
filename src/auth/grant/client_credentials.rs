//! `client-credentials`: RFC 6749 §4.4, with the client's secret in header or body.

use super::super::exchange::TokenRequest;
use crate::profile::Profile;

/// The token request; the scope goes along when one is set.
pub fn request(profile: &Profile) -> TokenRequest {
    TokenRequest::new("client_credentials")
        .with("scope", profile.scope.as_deref())
        .with_client(profile)
}
