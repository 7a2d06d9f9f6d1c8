//! `device-code`: RFC 8628 §3.1 and §3.4.

use super::super::request::TokenRequest;
use super::authorization_code::DEFAULT_SCOPE;
use crate::profile::Profile;
use crate::secret::Secret;

/// The grant type of the token requests.
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The request for a code, without the client's proof.
pub fn authorization_request(profile: &Profile) -> TokenRequest {
    let scope = profile.scope.as_deref().unwrap_or(DEFAULT_SCOPE);
    TokenRequest::form().with("scope", Some(scope))
}

/// The token request, sent until the person has answered; without the client's proof.
pub fn token_request(device_code: &Secret) -> TokenRequest {
    TokenRequest::new(GRANT_TYPE)
        .with_secret("device_code", device_code.clone())
        .good_once()
}
