//! `client-credentials`: RFC 6749 §4.4.

use super::super::exchange::TokenRequest;
use crate::profile::Profile;

/// The token request without the client's proof; the scope goes along when one is set.
pub fn request(profile: &Profile) -> TokenRequest {
    TokenRequest::new("client_credentials").with("scope", profile.scope.as_deref())
}
