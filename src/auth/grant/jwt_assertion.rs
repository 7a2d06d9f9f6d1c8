//! `jwt-assertion`: SMART backend services, client credentials proved by a signed assertion (RFC 7523 §2.2).

use super::super::AuthError;
use super::super::assertion::{self, Claims, Signer};
use super::super::client_auth::ASSERTION_TYPE;
use super::super::keys::Passphrase;
use super::super::request::TokenRequest;
use super::{Asked, Grant, incomplete};
use crate::profile::{AuthType, ClientAuth, Key, Profile, ProfileError};

const MISSING: &str = "a client id and a private key (--private-key-path)";

/// The client by itself, by its key.
#[derive(Debug)]
pub struct JwtAssertion;

impl Grant for JwtAssertion {
    fn auth_type(&self) -> AuthType {
        AuthType::JwtAssertion
    }

    fn is_of_a_system(&self) -> bool {
        true
    }

    fn missing(&self, profile: &Profile) -> Option<&'static str> {
        let is_complete = profile.client_id.is_some() && profile.has_private_key();
        (!is_complete).then_some(MISSING)
    }

    /// The assertion is the proof, and a request carries one.
    fn client_auth(&self, _profile: &Profile, _advertised: &[String]) -> ClientAuth {
        ClientAuth::Public
    }

    fn uses_secret(&self, _profile: &Profile) -> bool {
        false
    }

    fn signer(
        &self,
        profile: &Profile,
        passphrase: &Passphrase,
    ) -> Result<Option<Signer>, AuthError> {
        if let Some(way) = profile.client_auth
            && way != ClientAuth::PrivateKeyJwt
        {
            return Err(ProfileError::BadSetting {
                key: Key::ClientAuth,
                value: way.name().into(),
                reason:
                    "jwt-assertion proves the client by its key, and a request carries one proof"
                        .into(),
            }
            .into());
        }
        match Signer::with_key(profile, passphrase)? {
            None => Err(incomplete(profile, self.auth_type(), MISSING)),
            signer => Ok(signer),
        }
    }

    /// SMART says that `sub` is the client id.
    fn notice(&self, profile: &Profile) -> Option<String> {
        let subject = profile.subject.as_deref()?;
        (Some(subject) != profile.client_id.as_deref()).then(|| {
            format!(
                "The subject {subject} is not sent: with jwt-assertion the subject is the client id"
            )
        })
    }

    /// The assertion names the client, so no `client_id` goes along.
    fn request(&self, asked: &Asked<'_>) -> Result<TokenRequest, AuthError> {
        let profile = asked.profile;
        let client = profile.client_id.as_deref().unwrap_or_default();
        let signer = asked.signer(self.auth_type())?;
        let assertion = signer.sign(&Claims {
            issuer: client,
            subject: client,
            audience: &assertion::audience(profile, asked.token_url)?,
            clock: asked.clock,
        })?;
        Ok(TokenRequest::new("client_credentials")
            .with("scope", profile.scope.as_deref())
            .with("client_assertion_type", Some(ASSERTION_TYPE))
            .with_assertion("client_assertion", assertion))
    }
}
