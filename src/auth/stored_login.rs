//! A stored login renewed. Servers that rotate refresh tokens take the old one back with the answer, so the new one is
//! on disk before anything else happens.

use super::cache::Cache;
use super::client_auth::ClientProof;
use super::dpop::{Nonces, Prover};
use super::endpoints::Endpoint;
use super::{AuthError, Token, TokenRefusal, exchange, grant};
use crate::http::Http;
use crate::profile::Profile;

/// All that renewing a login takes; the caller holds the lock on the profile's tokens.
pub(super) struct Renewal<'a> {
    pub http: &'a Http,
    pub profile: &'a Profile,
    pub cache: &'a Cache,
    pub at: &'a Endpoint,
    pub proof: &'a ClientProof,
    pub nonces: &'a Nonces,
}

impl Renewal<'_> {
    /// Renews a login.
    ///
    /// # Errors
    /// [`AuthError::Expired`] without a refresh token, [`AuthError::LoginOver`] when the server takes it no more.
    pub(super) async fn renew(&self, login: &Token) -> Result<Token, AuthError> {
        let Self { profile, cache, .. } = self;
        let Some(refresh_token) = &login.refresh_token else {
            return Err(AuthError::Expired {
                profile: profile.name.clone(),
            });
        };
        // The refresh token of a public client is bound to the same key (RFC 9449 §5).
        let key = login.bound_to.clone();
        let prover = key.map(|key| Prover::new(key, self.nonces));
        let make = |clock| {
            let request = grant::refresh::request(refresh_token);
            let request = self.proof.add_to(request, profile, self.at.url(), clock)?;
            Ok(request.with_dpop(prover.as_ref()))
        };
        match exchange::exchange(self.http, self.at, &profile.asks.token_params, make).await {
            Ok(mut token) => {
                token.keep_from(login);
                cache
                    .renew_login(profile, login, &token)
                    .map_err(AuthError::NotStored)?;
                Ok(token)
            }
            Err(AuthError::Refused(refusal)) if is_about_the_login(&refusal) => {
                // Where there are no locks, another process may have renewed it in the meantime.
                match cache.read(profile, true)? {
                    Some(other)
                        if other.access_token != login.access_token
                            && other.is_fresh()
                            && other.bound_to.is_some() == login.bound_to.is_some() =>
                    {
                        Ok(other)
                    }
                    _ => Err(AuthError::LoginOver {
                        profile: profile.name.clone(),
                        refusal,
                    }),
                }
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a refusal means that the refresh token is good no more. The RFC's word is `invalid_grant` (RFC 6749 §5.2);
/// Medplum's server says `invalid_request`, others nothing.
fn is_about_the_login(refusal: &TokenRefusal) -> bool {
    let is_about_the_client = matches!(
        refusal.code.as_deref(),
        Some("invalid_client" | "unauthorized_client" | "unsupported_grant_type" | "invalid_scope")
    );
    matches!(refusal.status.as_u16(), 400 | 401) && !is_about_the_client
}
