//! A token for a profile: kept, renewed when its time comes, and asked for again when a server refuses it.

mod about;
mod asked_scope;
mod examined;
mod obtain;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use tokio::sync::Mutex;

use super::applicant::Applicant;
use super::authorization::Authorization;
use super::cache::Cache;
use super::introspection::{self, Said};
use super::keys::Prompt;
use super::way::Method;
use super::{AuthError, Token, credential, secret_command};
use crate::http::Http;
use crate::profile::store::ProfileFile;
use crate::profile::{Key, Profile, ProfileError};
use crate::secret::Secret;

/// A token no older than this is not replaced because of a 403.
const YOUNG: SignedDuration = SignedDuration::from_secs(60);

/// Gives the authorization for requests, and a new one when a server refuses it.
#[derive(Debug)]
pub struct TokenSource {
    method: Method,
    profile: Profile,
    http: Http,
    cache: Cache,
    applicant: Applicant,
    /// The token that requests go out with.
    current: Mutex<Option<Token>>,
}

impl TokenSource {
    /// The source of a profile. `file` is the profile file, if there is one.
    ///
    /// # Errors
    /// [`AuthError::Incomplete`] and [`AuthError::Withheld`].
    pub fn for_profile(
        profile: &Profile,
        file: Option<&ProfileFile>,
        http: &Http,
        cache: Cache,
    ) -> Result<Self, AuthError> {
        let has_login = profile.may_use_login && file.is_some_and(|file| cache.has_login(file));
        let method = Method::of(profile, has_login)?;
        let mut profile = profile.clone();
        if matches!(method, Method::Login) && profile.client_id.is_none() {
            profile.client_id = profile.login_client_id().map(str::to_owned);
        }
        Ok(Self {
            method,
            applicant: Applicant::new(&profile, http),
            profile,
            http: http.clone(),
            cache,
            current: Mutex::new(None),
        })
    }

    /// The same, with somebody who can be asked for the passphrase of a key.
    #[must_use]
    pub fn with_prompt(mut self, prompt: Arc<dyn Prompt>) -> Self {
        self.applicant.set_prompt(prompt);
        self
    }

    /// What to put on the next request; `None` when nothing is configured.
    ///
    /// # Errors
    /// No token can be had.
    pub async fn authorization(&self) -> Result<Option<Authorization>, AuthError> {
        Ok(Some(match &self.method {
            Method::Anonymous => return Ok(None),
            Method::Basic => {
                let profile = secret_command::with_secret(&self.profile).await?;
                let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
                Authorization::basic(&Secret::basic(
                    &text(profile.client_id.as_deref()),
                    &text(profile.client_secret.as_ref().map(Secret::expose)),
                ))?
            }
            Method::Given(given) => {
                let token = Box::pin(credential::token(Key::AccessToken, given, None)).await?;
                Authorization::given(&token, !self.is_fixed())?
            }
            Method::Login | Method::LoggedOut(_) | Method::Grant(_) => {
                Authorization::of_token(self.token().await?, &self.applicant.nonces)?
            }
        }))
    }

    /// What the server itself says of a token and of who signed in, where it offers that.
    pub async fn ask_about(&self, token: &Token) -> Said {
        let authorization = self.authorization().await.ok().flatten();
        let asked = (token, authorization);
        introspection::ask(
            &self.http,
            &self.profile,
            &self.cache,
            &self.applicant,
            asked,
        )
        .await
    }

    /// Another authorization after a server refused this one; `None` when there is no way to get one.
    ///
    /// # Errors
    /// The token endpoint refused, or a stored login cannot be renewed.
    pub async fn renew(&self, refused: &Authorization) -> Result<Option<Authorization>, AuthError> {
        let Some(refused) = &refused.renewable else {
            return Ok(None);
        };
        if let Method::Given(given) = &self.method {
            // A file may have been replaced, and a program is asked once more.
            let token = Box::pin(credential::token(Key::AccessToken, given, Some(refused))).await?;
            if token == *refused {
                return Ok(None);
            }
            return self.authorization().await;
        }
        let mut current = self.current.lock().await;
        if current
            .as_ref()
            .is_none_or(|token| token.access_token == *refused)
        {
            *current = Some(self.obtain(Some(refused)).await?);
        }
        drop(current);
        self.authorization().await
    }

    /// Whether an answer may mean that another token is needed: a 401, and also a 403 to a token of some age that the
    /// client can get by itself. AB2D says 403 to one that has expired.
    pub fn may_be_stale(&self, sent: &Authorization, status: StatusCode) -> bool {
        let is_old = || {
            sent.issued
                .is_some_and(|issued| Timestamp::now().duration_since(issued) > YOUNG)
        };
        status == StatusCode::UNAUTHORIZED
            || status == StatusCode::FORBIDDEN && self.has_grant() && is_old()
    }

    /// A token that is good for the next request.
    ///
    /// # Errors
    /// [`AuthError::NoLogin`] when the profile has no way to a token at all.
    pub async fn token(&self) -> Result<Token, AuthError> {
        match &self.method {
            Method::Given(given) => {
                let token = Box::pin(credential::token(Key::AccessToken, given, None)).await?;
                return Ok(Token::opaque(token));
            }
            Method::Anonymous | Method::Basic | Method::LoggedOut(_) => {
                return Err(self.no_login());
            }
            Method::Login | Method::Grant(_) => {}
        }
        let mut current = self.current.lock().await;
        if let Some(token) = current.as_ref().filter(|token| self.is_good(token)) {
            return Ok(token.clone());
        }
        let token = match self.cached()? {
            Some(token) if self.is_good(&token) => token,
            last => match self.obtain(None).await {
                Err(error) if error.is_passing() => self.last_of(last, error)?,
                token => token?,
            },
        };
        *current = Some(token.clone());
        Ok(token)
    }

    /// Asks the token endpoint whatever the cache holds. The caller stores what it gets, together with the settings
    /// that it was got with.
    ///
    /// # Errors
    /// As [`TokenSource::token`].
    pub async fn log_in(&self) -> Result<Token, AuthError> {
        match &self.method {
            Method::Grant(grant) => self.granted(*grant).await,
            _ => self.token().await,
        }
    }

    /// Whether a token serves another request. A login that cannot be renewed serves to its last moment.
    pub(super) fn is_good(&self, token: &Token) -> bool {
        token.is_fresh() || self.is_login() && token.refresh_token.is_none() && !token.has_expired()
    }

    /// The token in the cache when there is no other and its time is not over: better than none.
    fn last_of(&self, last: Option<Token>, error: AuthError) -> Result<Token, AuthError> {
        let is_alive = |token: &Token| token.lifetime.is_some() && !token.has_expired();
        let Some(token) = last.filter(is_alive) else {
            return Err(error);
        };
        self.http.trace.notice(&format!(
            "No new token could be had, so the last one is used while it lasts: {error}"
        ));
        Ok(token)
    }

    /// The token in the profile; one that is not bound to a key is none where such a one is asked for.
    pub(super) fn cached(&self) -> Result<Option<Token>, ProfileError> {
        let token = self.cache.read(&self.scoped()?, self.is_login())?;
        Ok(token.filter(|token| !self.profile.dpop || token.bound_to.is_some()))
    }

    /// Why the stored login cannot be used.
    pub(super) fn no_usable_login(&self) -> Result<AuthError, ProfileError> {
        Ok(match self.cache.read(&self.profile, true)? {
            Some(_) => AuthError::LoginNotBound {
                profile: self.profile.name.clone(),
            },
            None => self.no_login(),
        })
    }

    pub(super) fn no_login(&self) -> AuthError {
        AuthError::NoLogin {
            profile: self.profile.name.clone(),
            server: self.profile.base_url.to_string(),
        }
    }
}
