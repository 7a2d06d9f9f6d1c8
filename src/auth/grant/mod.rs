//! One file per auth type: what it puts into a token request.

pub mod authorization_code;
pub mod client_credentials;
pub mod device_code;
pub mod jwt_assertion;
pub mod jwt_bearer;
pub mod refresh;
pub mod token_exchange;

use url::Url;

use super::AuthError;
use super::assertion::{Signer, SigningKey};
use super::client_auth::{self, ClientProof};
use super::exchange::TokenRequest;
use super::keys::Passphrase;
use crate::profile::{Algorithm, AuthType, ClientAuth, Key, Profile, ProfileError};

/// The auth types that ask the token endpoint without a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    ClientCredentials,
    JwtBearer,
    JwtAssertion,
    TokenExchange,
}

/// A grant with its key read, ready for any number of tries.
#[derive(Debug)]
pub enum Prepared {
    ClientCredentials,
    JwtBearer(Signer),
    JwtAssertion(Signer),
    TokenExchange,
}

impl Grant {
    /// The grant a profile asks for; without an auth type its key decides, else its id and secret.
    pub fn of(profile: &Profile) -> Option<Self> {
        match profile.auth_type {
            Some(AuthType::ClientCredentials) => Some(Self::ClientCredentials),
            Some(AuthType::JwtBearer) => Some(Self::JwtBearer),
            Some(AuthType::JwtAssertion) => Some(Self::JwtAssertion),
            Some(AuthType::TokenExchange) => Some(Self::TokenExchange),
            Some(AuthType::Basic | AuthType::AuthorizationCode | AuthType::DeviceCode) => None,
            None if profile.private_key_path.is_some() => Some(Self::JwtAssertion),
            None => {
                let has_proof = profile.has_client_secret() || profile.client_cert.is_some();
                let has_pair = profile.client_id.is_some() && has_proof;
                has_pair.then_some(Self::ClientCredentials)
            }
        }
    }

    /// The auth type it belongs to.
    pub fn auth_type(self) -> AuthType {
        match self {
            Self::ClientCredentials => AuthType::ClientCredentials,
            Self::JwtBearer => AuthType::JwtBearer,
            Self::JwtAssertion => AuthType::JwtAssertion,
            Self::TokenExchange => AuthType::TokenExchange,
        }
    }

    /// What an auth type asks of a profile and this one does not have, in words.
    pub fn missing(self, profile: &Profile) -> Option<&'static str> {
        let id = &profile.client_id;
        let has_secret = profile.has_client_secret();
        let key = &profile.private_key_path;
        let has_other_proof =
            key.is_some() || profile.client_cert.is_some() || profile.client_auth.is_some();
        match self {
            Self::TokenExchange if profile.exchange.subject.is_none() => {
                Some("a token to exchange (--subject-token-file)")
            }
            Self::ClientCredentials if id.is_some() && has_other_proof => None,
            Self::ClientCredentials if id.is_none() || !has_secret => {
                Some("a client id and a client secret")
            }
            Self::JwtAssertion if id.is_none() || key.is_none() => {
                Some("a client id and a private key (--private-key-path)")
            }
            Self::JwtBearer if id.is_none() => Some("a client id"),
            Self::JwtBearer if !has_secret && key.is_none() => {
                Some("a client secret or a private key")
            }
            Self::JwtBearer if profile.subject.is_none() => {
                Some("a subject (--subject), the user it signs in")
            }
            _ => None,
        }
    }

    /// How the client proves itself with this grant, on a server that advertises these ways.
    pub fn client_auth(self, profile: &Profile, advertised: &[String]) -> ClientAuth {
        match self {
            // It is the grant itself that is signed; servers that want more are told so by the profile.
            Self::JwtBearer => profile.client_auth.unwrap_or(ClientAuth::Public),
            Self::JwtAssertion => ClientAuth::Public,
            Self::ClientCredentials | Self::TokenExchange => {
                client_auth::choose(profile, advertised)
            }
        }
    }

    /// Whether the client's secret is needed, so that a program that prints it has to run.
    pub fn uses_secret(self, profile: &Profile) -> bool {
        if profile.client_auth.is_some_and(ClientAuth::uses_secret) && self != Self::JwtAssertion {
            return true;
        }
        match self {
            Self::ClientCredentials | Self::TokenExchange => {
                profile.client_auth.is_none() && profile.has_client_secret()
            }
            Self::JwtBearer => {
                profile.private_key_path.is_none() || profile.algorithm == Some(Algorithm::Hs256)
            }
            Self::JwtAssertion => false,
        }
    }

    /// Reads the key, if the grant needs one. May ask a person for its passphrase.
    ///
    /// # Errors
    /// The key cannot be used.
    pub fn prepare(
        self,
        profile: &Profile,
        passphrase: &Passphrase,
    ) -> Result<Prepared, AuthError> {
        let incomplete = || AuthError::Incomplete {
            profile: profile.name.clone(),
            auth_type: self.auth_type(),
            missing: self.missing(profile).unwrap_or("a key"),
        };
        if let (Self::JwtAssertion, Some(way)) = (self, profile.client_auth)
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
        match self {
            Self::ClientCredentials => Ok(Prepared::ClientCredentials),
            Self::TokenExchange => Ok(Prepared::TokenExchange),
            Self::JwtBearer => jwt_bearer::signer(profile, passphrase)?
                .map(Prepared::JwtBearer)
                .ok_or_else(incomplete),
            Self::JwtAssertion => Signer::with_key(profile, passphrase)?
                .map(Prepared::JwtAssertion)
                .ok_or_else(incomplete),
        }
    }
}

impl Prepared {
    /// What signs the assertions, when there are any.
    pub fn signing_key(&self) -> Option<SigningKey> {
        match self {
            Self::ClientCredentials | Self::TokenExchange => None,
            Self::JwtBearer(signer) | Self::JwtAssertion(signer) => Some(signer.signing_key()),
        }
    }

    /// A new token request; called once for every try.
    ///
    /// # Errors
    /// The assertion cannot be made.
    pub fn request(
        &self,
        profile: &Profile,
        token_url: &Url,
        proof: &ClientProof,
    ) -> Result<TokenRequest, AuthError> {
        let request = match self {
            // Its assertion is the client's proof.
            Self::JwtAssertion(signer) => {
                return jwt_assertion::request(profile, token_url, signer);
            }
            Self::ClientCredentials => client_credentials::request(profile),
            Self::JwtBearer(signer) => jwt_bearer::request(profile, token_url, signer)?,
            Self::TokenExchange => token_exchange::request(profile)?,
        };
        proof.add_to(request, profile, token_url)
    }
}
