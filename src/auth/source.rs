//! A token for a profile: kept, renewed when its time comes, and asked for again when a server refuses it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use tokio::sync::Mutex;

use super::applicant::Applicant;
use super::assertion::SigningKey;
use super::authorization::Authorization;
use super::cache::Cache;
use super::discovery::{self, Found};
use super::endpoints::Endpoints;
use super::grant::Grant;
use super::introspection::{self, Said};
use super::keys::Prompt;
use super::request::TokenRequest;
use super::way::{Method, Way};
use super::{AuthError, Token, credential, scope, secret_command, stored_login};
use crate::files::Lock;
use crate::http::Http;
use crate::profile::store::ProfileFile;
use crate::profile::{GivenToken, Key, Profile, ProfileError};
use crate::secret::Secret;

/// The lock on the profile's tokens, where there is a place for one.
type Held = Option<Arc<Lock>>;

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

    /// How requests are authorized.
    pub fn way(&self) -> Way {
        self.method.way()
    }

    /// The name of the way in use, for people.
    pub fn describe(&self) -> &'static str {
        self.way().name()
    }

    /// Whether requests go out without credentials because none are configured.
    pub fn is_anonymous(&self) -> bool {
        self.way() == Way::Anonymous
    }

    /// Whether every request goes out with the same credential, also after the server refused it.
    pub fn is_fixed(&self) -> bool {
        matches!(
            self.method,
            Method::Given(GivenToken::Value(_)) | Method::Basic
        )
    }

    /// Whether tokens come from the token endpoint by the client's own credentials.
    pub fn has_grant(&self) -> bool {
        matches!(self.way(), Way::Grant(_))
    }

    /// Whether the way in has tokens at all.
    pub fn has_tokens(&self) -> bool {
        matches!(
            self.way(),
            Way::StoredLogin | Way::LoggedOut(_) | Way::Grant(_)
        )
    }

    /// Whether a login is stored for this server.
    pub fn is_login(&self) -> bool {
        self.way() == Way::StoredLogin
    }

    /// The way of signing in, whether a login is stored just now or not.
    pub fn kind(&self) -> &'static str {
        match self.way() {
            Way::StoredLogin | Way::LoggedOut(_) => "login",
            way => way.name(),
        }
    }

    /// The project and the member that a stored login to Medplum names.
    pub fn login_names(&self) -> Vec<String> {
        let login = match &self.method {
            Method::Login => self.cache.read(&self.profile, true).ok().flatten(),
            _ => None,
        };
        let context = login.map(|login| login.context).unwrap_or_default();
        let named = ["project", "profile"].into_iter();
        named
            .filter_map(|name| Some(context.get(name)?.get("reference")?.as_str()?.to_owned()))
            .collect()
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

    /// For the doctor: a token from these endpoints whatever the cache holds, and the requests that follow go out with
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

    /// For the doctor: reads the key and says what signs; `None` when nothing does.
    ///
    /// # Errors
    /// The key cannot be used.
    pub async fn signing_key(&self) -> Result<Option<SigningKey>, AuthError> {
        match self.method {
            Method::Grant(grant) => self.applicant.signing_key(grant).await,
            _ => Ok(None),
        }
    }

    /// For the doctor: the token request that would go out; nothing is sent.
    ///
    /// # Errors
    /// The key cannot be used.
    pub async fn rehearse(&self, endpoints: &Endpoints) -> Result<Option<TokenRequest>, AuthError> {
        match self.method {
            Method::Grant(grant) => self.applicant.rehearse(grant, endpoints).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Whether a token serves another request. A login that cannot be renewed serves to its last moment.
    fn is_good(&self, token: &Token) -> bool {
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

    /// A new token, asked for by one process at a time; the others find it in the cache.
    async fn obtain(&self, refused: Option<&Secret>) -> Result<Token, AuthError> {
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
    async fn granted(&self, grant: &'static dyn Grant) -> Result<Token, AuthError> {
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
    async fn asked(
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

    /// The profile with the scope that is asked for, which tells its tokens from others in the cache: by what is
    /// remembered of the server, since nobody is to be asked to find a token.
    fn scoped(&self) -> Result<Profile, ProfileError> {
        let mut profile = self.profile.clone();
        if profile.token_url.is_none() {
            profile.scope = self.scope_by(self.remembered()?.as_ref());
        }
        Ok(profile)
    }

    /// The scope to ask for: a client by itself that names none asks for the smallest that serves, of those that the
    /// server lists (SMART wants one from backend services); one that is named is spelled as the server spells it.
    fn scope_by(&self, found: Option<&Found>) -> Option<String> {
        let is_of_a_system = matches!(&self.method, Method::Grant(grant) if grant.is_of_a_system());
        match (&self.profile.scope, found.filter(|_| is_of_a_system)) {
            (Some(asked), Some(found)) => Some(scope::translated(asked, &found.capabilities)),
            (None, Some(found)) => scope::smallest(self.profile.asks.writes, &found.system_scopes),
            (asked, None) => asked.clone(),
        }
    }

    fn say_scope(&self, scope: Option<&str>) {
        match (&self.profile.scope, scope) {
            (None, Some(scope)) => self.http.trace.notice(&format!(
                "No scope is set, so {scope} is asked for (--scope names another)"
            )),
            (Some(set), Some(scope)) if set != scope => self.http.trace.notice(&format!(
                "The scope is asked for as {scope}, as the server spells it"
            )),
            _ => {}
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
        let now = Box::pin(discovery::look(&self.http, &self.profile, false))
            .await
            .ok()?;
        discovery::keep(&self.http, &self.profile, &self.cache, &now);
        if now.token_url == found.token_url {
            return None;
        }
        Endpoints::of(&self.profile, Some(now)).ok()
    }

    /// For the doctor: what the profile file remembers of the endpoints.
    ///
    /// # Errors
    /// The file is broken or cannot be read.
    pub fn remembered(&self) -> Result<Option<Found>, ProfileError> {
        discovery::remembered(&self.profile, &self.cache)
    }

    /// The token in the profile; one that is not bound to a key is none where such a one is asked for.
    fn cached(&self) -> Result<Option<Token>, ProfileError> {
        let token = self.cache.read(&self.scoped()?, self.is_login())?;
        Ok(token.filter(|token| !self.profile.dpop || token.bound_to.is_some()))
    }

    /// Why the stored login cannot be used.
    fn no_usable_login(&self) -> Result<AuthError, ProfileError> {
        Ok(match self.cache.read(&self.profile, true)? {
            Some(_) => AuthError::LoginNotBound {
                profile: self.profile.name.clone(),
            },
            None => self.no_login(),
        })
    }

    fn no_login(&self) -> AuthError {
        AuthError::NoLogin {
            profile: self.profile.name.clone(),
            server: self.profile.base_url.to_string(),
        }
    }
}
