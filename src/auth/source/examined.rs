//! What the doctor asks a source of tokens.

use super::super::assertion::SigningKey;
use super::super::discovery::{self, Found};
use super::super::request::TokenRequest;
use super::super::way::Method;
use super::super::{AuthError, Endpoints, Token};
use super::TokenSource;
use crate::profile::ProfileError;

impl TokenSource {
    /// a token from these endpoints whatever the cache holds, and the requests that follow go out with
    /// it. Nothing is stored but a stored login that was renewed: the old one may be worth nothing then.
    ///
    /// # Errors
    /// As [`TokenSource::token`].
    pub async fn token_anew(&self, endpoints: Option<&Endpoints>) -> Result<Token, AuthError> {
        let token = match (&self.method, endpoints) {
            (Method::Grant(grant), Some(endpoints)) => self.asked(*grant, endpoints).await?,
            _ => self.log_in().await?,
        };
        *self.current.lock().await = Some(token.clone());
        Ok(token)
    }

    /// reads the key and says what signs; `None` when nothing does.
    ///
    /// # Errors
    /// The key cannot be used.
    pub async fn signing_key(&self) -> Result<Option<SigningKey>, AuthError> {
        match self.method {
            Method::Grant(grant) => self.applicant.signing_key(grant).await,
            _ => Ok(None),
        }
    }

    /// the token request that would go out; nothing is sent.
    ///
    /// # Errors
    /// The key cannot be used.
    pub async fn rehearse(&self, endpoints: &Endpoints) -> Result<Option<TokenRequest>, AuthError> {
        match self.method {
            Method::Grant(grant) => self.applicant.rehearse(grant, endpoints).await.map(Some),
            _ => Ok(None),
        }
    }

    /// what the profile file remembers of the endpoints.
    ///
    /// # Errors
    /// The file is broken or cannot be read.
    pub fn remembered(&self) -> Result<Option<Found>, ProfileError> {
        discovery::remembered(&self.profile, &self.cache)
    }
}
