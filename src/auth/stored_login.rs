//! A stored login renewed. Servers that rotate refresh tokens take the old one back with the answer, so the new one is
//! on disk before anything else happens.

use std::sync::Arc;

use serde_json::Value;

use super::cache::Cache;
use super::client_auth::ClientProof;
use super::dpop::{Nonces, Prover};
use super::endpoints::Endpoint;
use super::id_token::{self, IDENTITY};
use super::keys::KeyError;
use super::{AuthError, Token, TokenRefusal, exchange, grant};
use crate::files::Lock;
use crate::http::Http;
use crate::profile::Profile;
use crate::signals;

/// All that renewing a login takes, and the lock on the profile's tokens.
pub(super) struct Renewal {
    pub http: Http,
    pub profile: Profile,
    pub cache: Cache,
    pub at: Endpoint,
    pub proof: Arc<ClientProof>,
    pub nonces: Nonces,
    /// Held to the end, whoever still waits for it then.
    pub lock: Option<Arc<Lock>>,
}

impl Renewal {
    /// Renews a login, to the end: whoever waits for it may be interrupted, but the token that the server has given up
    /// for a new one is worth nothing any more.
    ///
    /// # Errors
    /// [`AuthError::Expired`] without a refresh token, [`AuthError::LoginOver`] when the server takes it no more.
    pub(super) async fn renew(self, login: Token) -> Result<Token, AuthError> {
        let hold = signals::hold();
        let renewing = tokio::spawn(async move {
            let renewed = self.exchange_and_store(&login).await;
            drop(self.lock);
            drop(hold);
            renewed
        });
        let renewed = renewing.await;
        signals::go_on().await;
        match renewed {
            Ok(renewed) => renewed,
            Err(error) => Err(KeyError::Signing(error.to_string()).into()),
        }
    }

    async fn exchange_and_store(&self, login: &Token) -> Result<Token, AuthError> {
        let Some(refresh_token) = &login.refresh_token else {
            return Err(AuthError::Expired {
                profile: self.profile.name.clone(),
            });
        };
        // The refresh token of a public client is bound to the same key (RFC 9449 §5).
        let key = login.bound_to.clone();
        let prover = key.map(|key| Prover::new(key, &self.nonces));
        let make = |clock| {
            let request = grant::refresh::request(refresh_token);
            let proof = &self.proof;
            let request = proof.add_to(request, &self.profile, self.at.url(), clock)?;
            Ok(request.with_dpop(prover.as_ref()))
        };
        let params = &self.profile.asks.token_params;
        let (answered, rotated) = exchange::rotating(&self.http, &self.at, params, make).await;
        if let (Err(_), Some(rotated)) = (&answered, rotated) {
            // The access token cannot be used, but the old refresh token is gone.
            let mut kept = login.clone();
            kept.refresh_token = Some(rotated);
            self.store(login, &kept).await?;
        }
        match answered {
            Ok(mut token) => {
                self.check_person(login, &token)?;
                token.keep_from(login);
                self.store(login, &token).await?;
                Ok(token)
            }
            Err(AuthError::Refused(refusal)) if is_about_the_login(&refusal) => {
                // Where there are no locks, another process may have renewed it in the meantime.
                match self.cache.read(&self.profile, true)? {
                    Some(other)
                        if other.access_token != login.access_token
                            && other.is_fresh()
                            && other.bound_to.is_some() == login.bound_to.is_some() =>
                    {
                        Ok(other)
                    }
                    _ => Err(AuthError::LoginOver {
                        profile: self.profile.name.clone(),
                        refusal,
                    }),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// A renewed token must be of the person who signed in.
    fn check_person(&self, login: &Token, token: &Token) -> Result<(), AuthError> {
        let first = login.context.get(IDENTITY).and_then(Value::as_object);
        let (Some(first), Some(text)) = (first, &token.id_token) else {
            return Ok(());
        };
        id_token::check_renewed(text, first).map_err(|reason| AuthError::OfAnother {
            profile: self.profile.name.clone(),
            reason: reason.into(),
        })
    }

    /// On a thread of its own: the profile's lock or its keyring may be busy.
    async fn store(&self, login: &Token, token: &Token) -> Result<(), AuthError> {
        let (cache, profile) = (self.cache.clone(), self.profile.clone());
        let (login, token) = (login.clone(), token.clone());
        tokio::task::spawn_blocking(move || cache.renew_login(&profile, &login, &token))
            .await
            .unwrap_or(Ok(()))
            .map_err(AuthError::NotStored)
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
