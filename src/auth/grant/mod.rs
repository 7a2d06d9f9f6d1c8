//! The auth types that ask the token endpoint: one file for each, and the one match that chooses between them.

pub mod authorization_code;
pub mod client_credentials;
pub mod device_code;
pub mod jwt_assertion;
pub mod jwt_bearer;
pub mod refresh;
pub mod token_exchange;

use std::fmt;

use url::Url;

use super::AuthError;
use super::assertion::{Clock, Signer, SigningKey};
use super::client_auth::{self, ClientProof};
use super::keys::Passphrase;
use super::request::TokenRequest;
use crate::profile::{AuthType, ClientAuth, Profile};

/// An auth type that asks the token endpoint without a person.
pub trait Grant: fmt::Debug + Sync {
    /// The auth type it belongs to.
    fn auth_type(&self) -> AuthType;

    /// What it asks of a profile and this one does not have, in words.
    fn missing(&self, profile: &Profile) -> Option<&'static str>;

    /// How the client proves itself with it, on a server that advertises these ways.
    fn client_auth(&self, profile: &Profile, advertised: &[String]) -> ClientAuth {
        client_auth::choose(profile, advertised)
    }

    /// Whether a client signs in by itself, so that the scopes for systems are its own.
    fn is_of_a_system(&self) -> bool {
        false
    }

    /// Whether the client's secret is needed, so that a program that prints it has to run.
    fn uses_secret(&self, profile: &Profile) -> bool {
        match profile.client_auth {
            Some(way) => way.uses_secret(),
            None => profile.has_client_secret(),
        }
    }

    /// Reads the key that signs its assertions, if it sends any. May ask a person for its passphrase.
    ///
    /// # Errors
    /// The key cannot be used.
    fn signer(
        &self,
        _profile: &Profile,
        _passphrase: &Passphrase,
    ) -> Result<Option<Signer>, AuthError> {
        Ok(None)
    }

    /// A setting that it passes over, told to the person.
    fn notice(&self, _profile: &Profile) -> Option<String> {
        None
    }

    /// A new token request with the client's proof; called once for every try.
    ///
    /// # Errors
    /// Something it needs cannot be read or made.
    fn request(&self, asked: &Asked<'_>) -> Result<TokenRequest, AuthError>;
}

/// What a token request is made of.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub profile: &'a Profile,
    pub token_url: &'a Url,
    /// What signs, for the grants that have a [`Grant::signer`].
    pub signer: Option<&'a Signer>,
    pub proof: &'a ClientProof,
    /// The clock that assertions are made by.
    pub clock: Clock,
}

/// The grant a profile asks for; without an auth type its key decides, else its id and secret.
pub fn of(profile: &Profile) -> Option<&'static dyn Grant> {
    match profile.auth_type {
        Some(AuthType::ClientCredentials) => Some(&client_credentials::ClientCredentials),
        Some(AuthType::JwtBearer) => Some(&jwt_bearer::JwtBearer),
        Some(AuthType::JwtAssertion) => Some(&jwt_assertion::JwtAssertion),
        Some(AuthType::TokenExchange) => Some(&token_exchange::TokenExchange),
        Some(AuthType::Basic | AuthType::AuthorizationCode | AuthType::DeviceCode) => None,
        None if profile.has_private_key() => Some(&jwt_assertion::JwtAssertion),
        None => {
            let has_proof = profile.has_client_secret()
                || profile.client_cert.is_some()
                || profile.client_assertion.is_some();
            let has_pair = profile.client_id.is_some() && has_proof;
            has_pair.then_some(&client_credentials::ClientCredentials)
        }
    }
}

/// A grant with its key read, ready for any number of tries.
#[derive(Debug)]
pub struct Prepared {
    grant: &'static dyn Grant,
    signer: Option<Signer>,
}

impl Prepared {
    /// Reads the key, if the grant needs one. May ask a person for its passphrase.
    ///
    /// # Errors
    /// The key cannot be used.
    pub fn new(
        grant: &'static dyn Grant,
        profile: &Profile,
        passphrase: &Passphrase,
    ) -> Result<Self, AuthError> {
        let signer = grant.signer(profile, passphrase)?;
        Ok(Self { grant, signer })
    }

    /// What signs the assertions, when there are any.
    pub fn signing_key(&self) -> Option<SigningKey> {
        self.signer.as_ref().map(Signer::signing_key)
    }

    /// A new token request; called once for every try.
    ///
    /// # Errors
    /// As [`Grant::request`].
    pub fn request(
        &self,
        profile: &Profile,
        token_url: &Url,
        proof: &ClientProof,
        clock: Clock,
    ) -> Result<TokenRequest, AuthError> {
        self.grant.request(&Asked {
            profile,
            token_url,
            signer: self.signer.as_ref(),
            proof,
            clock,
        })
    }
}

impl Asked<'_> {
    /// Puts the client's proof into a request.
    fn proved(&self, request: TokenRequest) -> Result<TokenRequest, AuthError> {
        self.proof
            .add_to(request, self.profile, self.token_url, self.clock)
    }

    /// What signs, which must have been read.
    fn signer(&self, auth_type: AuthType) -> Result<&Signer, AuthError> {
        self.signer
            .ok_or_else(|| incomplete(self.profile, auth_type, "a key"))
    }
}

fn incomplete(profile: &Profile, auth_type: AuthType, missing: &'static str) -> AuthError {
    AuthError::Incomplete {
        profile: profile.name.clone(),
        auth_type,
        missing,
    }
}
