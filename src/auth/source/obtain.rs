//! A new token: by a grant or by the login renewed, from where the token endpoint is now.

use std::sync::Arc;

use super::super::discovery;
use super::super::grant::Grant;
use super::super::way::Method;
use super::super::{AuthError, Endpoints, Token, credential, secret_command, stored_login};
use super::TokenSource;
use crate::files::Lock;
use crate::secret::Secret;

/// The lock on the profile's tokens, where there is a place for one.
type Held = Option<Arc<Lock>>;

impl TokenSource {
    /// A new token, asked for by one process at a time; the others find it in the cache.
    pub(super) async fn obtain(&self, refused: Option<&Secret>) -> Result<Token, AuthError> {
        let lock = self.cache.lock_tokens().await?.map(Arc::new);
        let cached = self.cached()?;
        if let Some(token) = &cached
            && self.is_good(token)
            && Some(&token.access_token) != refused
        {
            return Ok(token.clone());
        }
        match &self.method {
            Method::Grant(grant) => {
                let token = self.granted(*grant).await?;
                if let Err(error) = self.cache.write(&self.scoped()?, &token) {
                    // A read-only home in CI: every command asks for its own token then.
                    self.http
                        .trace
                        .notice(&format!("The token could not be cached: {error}"));
                }
                Ok(token)
            }
            Method::Login => match cached {
                Some(login) => self.renewed(&login, lock).await,
                None => Err(self.no_usable_login()?),
            },
            _ => Err(self.no_login()),
        }
    }

    /// A token by a grant; from where the endpoint has moved to, if it has.
    pub(super) async fn granted(&self, grant: &'static dyn Grant) -> Result<Token, AuthError> {
        // The key first: nothing is sent when it cannot be used.
        self.applicant.prepare(grant).await?;
        let endpoints = self.endpoints().await?;
        match Box::pin(self.asked(grant, &endpoints)).await {
            Ok(token) => Ok(token),
            Err(error) => match self.moved(&endpoints, &error).await {
                Some(endpoints) => Box::pin(self.asked(grant, &endpoints)).await,
                None => Err(error),
            },
        }
    }

    /// A token from these endpoints. A scope that was chosen here and that the client may not have is left out again.
    pub(super) async fn asked(
        &self,
        grant: &'static dyn Grant,
        endpoints: &Endpoints,
    ) -> Result<Token, AuthError> {
        let scope = self.scope_by(endpoints.found());
        let scope = scope.as_deref();
        self.say_scope(scope);
        let asked = self.applicant.ask(grant, endpoints, scope).await;
        match asked {
            Err(AuthError::Refused(refusal))
                if self.profile.scope.is_none()
                    && scope.is_some()
                    && refusal.code.as_deref() == Some("invalid_scope") =>
            {
                self.applicant.ask(grant, endpoints, None).await
            }
            asked => asked,
        }
    }

    /// The stored login, renewed; by the endpoint that has moved, if it has.
    async fn renewed(&self, login: &Token, lock: Held) -> Result<Token, AuthError> {
        if login.refresh_token.is_none() {
            return Err(AuthError::Expired {
                profile: self.profile.name.clone(),
            });
        }
        let endpoints = self.endpoints().await?;
        match Box::pin(self.renewed_at(&endpoints, login, &lock)).await {
            Ok(token) => Ok(token),
            Err(error) => match self.moved(&endpoints, &error).await {
                Some(endpoints) => Box::pin(self.renewed_at(&endpoints, login, &lock)).await,
                None => Err(error),
            },
        }
    }

    async fn renewed_at(
        &self,
        endpoints: &Endpoints,
        login: &Token,
        lock: &Held,
    ) -> Result<Token, AuthError> {
        let profile = secret_command::with_secret(&self.profile).await?;
        let profile = Box::pin(credential::filled(profile)).await?;
        let proof = self.applicant.proof_of_login(&profile, endpoints).await?;
        let renewal = stored_login::Renewal {
            http: self.http.clone(),
            profile: profile.into_owned(),
            cache: self.cache.clone(),
            at: endpoints.token(proof.way()),
            proof,
            nonces: self.applicant.nonces.clone(),
            lock: lock.clone(),
        };
        renewal.renew(login.clone()).await
    }

    /// The endpoints as the user set them or as they are known.
    async fn endpoints(&self) -> Result<Endpoints, AuthError> {
        let found = match self.profile.token_url {
            Some(_) => None,
            None => Some(Box::pin(discovery::known(&self.http, &self.profile, &self.cache)).await?),
        };
        Endpoints::of(&self.profile, found)
    }

    /// The endpoints as the server names them now, when those that were remembered are gone and others are named.
    async fn moved(&self, before: &Endpoints, error: &AuthError) -> Option<Endpoints> {
        let found = before.found().filter(|found| found.is_remembered)?;
        if self.profile.token_url.is_some() || !error.is_of_a_gone_endpoint() {
            return None;
        }
        self.http.trace.line(
            1,
            &format!("* {error}: asking the server where its token endpoint is now"),
        );
        let now = Box::pin(discovery::ask_again(&self.http, &self.profile, &self.cache))
            .await
            .ok()?;
        if now.token_url == found.token_url {
            return None;
        }
        Endpoints::of(&self.profile, Some(now)).ok()
    }
}
