//! `client-credentials`: RFC 6749 §4.4.

use super::super::AuthError;
use super::super::request::TokenRequest;
use super::{Asked, Grant};
use crate::profile::{AuthType, ClientAuth, Profile};

/// The client by itself, by whatever proves it.
#[derive(Debug)]
pub struct ClientCredentials;

impl Grant for ClientCredentials {
    fn auth_type(&self) -> AuthType {
        AuthType::ClientCredentials
    }

    fn is_of_a_system(&self) -> bool {
        true
    }

    fn missing(&self, profile: &Profile) -> Option<&'static str> {
        let has_other_proof = profile.has_private_key()
            || profile.client_assertion.is_some()
            || profile.client_cert.is_some()
            || profile.client_auth.is_some();
        let has_proof = profile.has_client_secret() || has_other_proof;
        (profile.client_id.is_none() || !has_proof).then_some("a client id and a client secret")
    }

    /// Scope and audience go along when they are set; where an assertion proves the client, the audience is its own.
    fn request(&self, asked: &Asked<'_>) -> Result<TokenRequest, AuthError> {
        let signs = matches!(
            asked.proof.way(),
            ClientAuth::SecretJwt | ClientAuth::PrivateKeyJwt
        );
        let audience = asked.profile.audience.as_deref().filter(|_| !signs);
        let request = TokenRequest::new("client_credentials")
            .with("scope", asked.profile.scope.as_deref())
            .with("audience", audience);
        asked.proved(request)
    }
}
