//! `jwt-assertion`: SMART backend services, client credentials proved by a signed assertion (RFC 7523 §2.2).

use url::Url;

use super::super::AuthError;
use super::super::assertion::{self, Claims, Signer};
use super::super::client_auth::ASSERTION_TYPE;
use super::super::exchange::TokenRequest;
use crate::profile::Profile;

/// The token request. The assertion names the client, so no `client_id` goes along.
pub fn request(
    profile: &Profile,
    token_url: &Url,
    signer: &Signer,
) -> Result<TokenRequest, AuthError> {
    let client = profile.client_id.as_deref().unwrap_or_default();
    let assertion = signer.sign(&Claims {
        issuer: client,
        subject: client,
        audience: &assertion::audience(profile, token_url)?,
    })?;
    Ok(TokenRequest::new("client_credentials")
        .with("scope", profile.scope.as_deref())
        .with("client_assertion_type", Some(ASSERTION_TYPE))
        .with_assertion("client_assertion", assertion))
}

/// The subject that is stored but not sent: SMART says `sub` is the client id.
pub fn ignored_subject(profile: &Profile) -> Option<&str> {
    profile
        .subject
        .as_deref()
        .filter(|subject| Some(*subject) != profile.client_id.as_deref())
}
