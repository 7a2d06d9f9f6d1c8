//! `jwt-bearer`: an assertion as the grant itself (RFC 7523 §2.1), signed with the private key or the client's secret.

use super::super::AuthError;
use super::super::assertion::{self, Claims, Signer};
use super::super::keys::Passphrase;
use super::super::request::TokenRequest;
use super::{Asked, Grant, incomplete};
use crate::profile::{Algorithm, AuthType, ClientAuth, Key, Profile, ProfileError};

/// The client for a user, by an assertion that says so.
#[derive(Debug)]
pub struct JwtBearer;

impl Grant for JwtBearer {
    fn auth_type(&self) -> AuthType {
        AuthType::JwtBearer
    }

    fn missing(&self, profile: &Profile) -> Option<&'static str> {
        if profile.client_id.is_none() {
            return Some("a client id");
        }
        if !profile.has_client_secret() && !profile.has_private_key() {
            return Some("a client secret or a private key");
        }
        let has_subject = profile.subject.is_some();
        (!has_subject).then_some("a subject (--subject), the user it signs in")
    }

    /// It is the grant itself that is signed; servers that want more are told so by the profile.
    fn client_auth(&self, profile: &Profile, _advertised: &[String]) -> ClientAuth {
        profile.client_auth.unwrap_or(ClientAuth::Public)
    }

    fn uses_secret(&self, profile: &Profile) -> bool {
        profile.client_auth.is_some_and(ClientAuth::uses_secret)
            || !profile.has_private_key()
            || profile.algorithm.is_some_and(Algorithm::is_of_secret)
    }

    /// The algorithm decides between key and secret, else the key stands first.
    fn signer(
        &self,
        profile: &Profile,
        passphrase: &Passphrase,
    ) -> Result<Option<Signer>, AuthError> {
        let of_secret = profile.algorithm.is_some_and(Algorithm::is_of_secret);
        if !of_secret && let Some(signer) = Signer::with_key(profile, passphrase)? {
            return Ok(Some(signer));
        }
        let Some(secret) = &profile.client_secret else {
            let missing = self.missing(profile);
            let missing =
                missing.unwrap_or("a client secret, which the algorithm signs with (--algorithm)");
            return Err(incomplete(profile, self.auth_type(), missing));
        };
        let algorithm = match profile.algorithm {
            None => Algorithm::Hs256,
            Some(algorithm) if of_secret => algorithm,
            Some(algorithm) => {
                return Err(ProfileError::BadSetting {
                    key: Key::Algorithm,
                    value: algorithm.name().into(),
                    reason: "a client secret signs with HS256, HS384 or HS512, and there is no private key".into(),
                }
                .into());
            }
        };
        let key_id = profile.key_id.as_deref();
        Ok(Some(Signer::with_secret(secret, key_id, algorithm)))
    }

    fn request(&self, asked: &Asked<'_>) -> Result<TokenRequest, AuthError> {
        let profile = asked.profile;
        let client = profile.client_id.as_deref();
        let assertion = asked.signer(self.auth_type())?.sign(&Claims {
            issuer: profile.issuer.as_deref().or(client).unwrap_or_default(),
            subject: profile.subject.as_deref().unwrap_or_default(),
            audience: &assertion::audience(profile, asked.token_url)?,
            clock: asked.clock,
        })?;
        let request = TokenRequest::new("urn:ietf:params:oauth:grant-type:jwt-bearer")
            .with("scope", profile.scope.as_deref())
            .with_assertion("assertion", assertion);
        asked.proved(request)
    }
}
