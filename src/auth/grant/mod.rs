//! One file per auth type: what it puts into a token request.

pub mod client_credentials;
pub mod refresh;

use url::Url;

use super::AuthError;
use super::exchange::TokenRequest;
use crate::profile::{AuthType, Profile};

/// The auth types that ask the token endpoint without a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    ClientCredentials,
}

impl Grant {
    /// The auth type it belongs to.
    pub fn auth_type(self) -> AuthType {
        match self {
            Self::ClientCredentials => AuthType::ClientCredentials,
        }
    }

    /// A new token request; called once for every try.
    ///
    /// # Errors
    /// The profile's key cannot be used.
    pub fn request(self, profile: &Profile, _token_url: &Url) -> Result<TokenRequest, AuthError> {
        match self {
            Self::ClientCredentials => Ok(client_credentials::request(profile)),
        }
    }
}
