//! A token for a profile: which way to prove who we are, and when to ask again.

mod assertion;
pub mod browser;
pub mod cache;
pub mod client_auth;
pub mod device;
pub mod discovery;
pub mod dpop;
mod error;
pub mod exchange;
pub mod grant;
pub mod id_token;
pub mod keys;
pub mod revocation;
pub mod scope;
pub mod secret_command;
mod stored_login;
mod token;
mod token_answer;

use std::borrow::Cow;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use tokio::sync::{Mutex, OnceCell};
use url::Url;

use crate::http::{Http, Request, Response};
use crate::profile::store::ProfileFile;
use crate::profile::{AuthType, ClientAuth, Profile, ProfileError};
use crate::secret::Secret;
pub use assertion::SigningKey;
use cache::Cache;
use client_auth::ClientProof;
use dpop::{BoundKey, Nonces, Prover};
pub use error::AuthError;
pub use exchange::TokenRefusal;
use grant::{Grant, Prepared};
use keys::{KeyError, Passphrase, Prompt};
pub use token::Token;

/// A token no older than this is not replaced because of a 403.
const YOUNG: SignedDuration = SignedDuration::from_secs(60);

/// How a client proves itself, decided once from the profile.
#[derive(Clone, Debug)]
enum Method {
    /// Nothing is configured: requests go out without credentials.
    Anonymous,
    /// HTTP Basic on every request (RFC 7617).
    Basic,
    /// An access token given by the user.
    Fixed(Secret),
    /// A login stored in the profile file.
    Login,
    /// A login is wanted, and none is stored.
    LoggedOut,
    /// A token from the token endpoint.
    Grant(Grant),
}

/// Gives the authorization for requests, and a new one when a server refuses it.
#[derive(Debug)]
pub struct TokenSource {
    method: Method,
    profile: Profile,
    http: Http,
    cache: Cache,
    passphrase: Passphrase,
    /// The key, read when the first token is asked for.
    prepared: OnceCell<Prepared>,
    /// What proves the client in token requests, chosen when the first one is sent.
    proof: OnceCell<ClientProof>,
    held: Mutex<Option<Token>>,
    /// What servers want in DPoP proofs.
    nonces: Nonces,
}

/// What to put on a request.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// The value of the `Authorization` header, marked sensitive.
    pub header: HeaderValue,
    /// The token in it, when a new one can be had.
    renewable: Option<Secret>,
    /// When that token was issued, as far as is known.
    issued: Option<Timestamp>,
    /// The token in it and what proves that it is ours, when it is bound to a key.
    bound: Option<(Secret, Prover)>,
}

impl TokenSource {
    /// The one place that decides between auth types. `file` is the profile file, if there is one.
    ///
    /// # Errors
    /// [`AuthError::Incomplete`] and [`AuthError::Withheld`].
    pub fn for_profile(
        profile: &Profile,
        file: Option<&ProfileFile>,
        http: &Http,
        cache: Cache,
    ) -> Result<Self, AuthError> {
        let has_pair = profile.client_id.is_some() && profile.has_client_secret();
        let login = profile.may_use_login && file.is_some_and(|file| cache.has_login(file));
        let incomplete = |auth_type, missing| match &profile.withheld_for {
            Some(owner) => AuthError::Withheld {
                server: profile.base_url.to_string(),
                owner: owner.clone(),
            },
            None => AuthError::Incomplete {
                profile: profile.name.clone(),
                auth_type,
                missing,
            },
        };
        let method = match (profile.auth_type, &profile.access_token) {
            (Some(AuthType::Basic), _) if has_pair => Method::Basic,
            (Some(auth_type @ AuthType::Basic), _) => {
                return Err(incomplete(auth_type, "a client id and a client secret"));
            }
            (None, Some(token)) => Method::Fixed(token.clone()),
            _ => match (Grant::of(profile), &profile.withheld_for) {
                (Some(grant), _) if grant.missing(profile).is_none() => Method::Grant(grant),
                _ if login => Method::Login,
                _ if profile.needs_person() => Method::LoggedOut,
                (Some(grant), _) => {
                    let missing = grant.missing(profile).unwrap_or_default();
                    return Err(incomplete(grant.auth_type(), missing));
                }
                (None, Some(owner)) => {
                    return Err(AuthError::Withheld {
                        server: profile.base_url.to_string(),
                        owner: owner.clone(),
                    });
                }
                (None, None) => Method::Anonymous,
            },
        };
        let way = match &method {
            Method::Basic => Some("basic"),
            Method::Fixed(_) => Some("an access token that was given"),
            _ => None,
        };
        if let Some(way) = way.filter(|_| profile.dpop) {
            return Err(AuthError::NothingToBind { way });
        }
        let mut profile = profile.clone();
        if matches!(method, Method::Login) && profile.client_id.is_none() {
            profile.client_id = profile.login_client_id().map(str::to_owned);
        }
        Ok(Self {
            method,
            passphrase: Passphrase {
                file: profile.key_passphrase_file.clone(),
                value: profile.key_passphrase.clone(),
                prompt: None,
            },
            profile,
            http: http.clone(),
            cache,
            prepared: OnceCell::new(),
            proof: OnceCell::new(),
            held: Mutex::new(None),
            nonces: Nonces::default(),
        })
    }

    /// The same, with somebody who can be asked for the passphrase of a key.
    #[must_use]
    pub fn with_prompt(mut self, prompt: Arc<dyn Prompt>) -> Self {
        self.passphrase.prompt = Some(prompt);
        self
    }

    /// Whether requests go out without credentials because none are configured.
    pub fn is_anonymous(&self) -> bool {
        matches!(self.method, Method::Anonymous)
    }

    /// Whether every request goes out with the same credential, whatever the server says of it.
    pub fn is_fixed(&self) -> bool {
        matches!(self.method, Method::Fixed(_) | Method::Basic)
    }

    /// The name of the way in use, for people.
    pub fn describe(&self) -> &'static str {
        match &self.method {
            Method::Anonymous => "none",
            Method::Basic => "basic",
            Method::Fixed(_) => "access token",
            Method::Login => "stored login",
            Method::LoggedOut => self
                .profile
                .auth_type
                .unwrap_or(AuthType::AuthorizationCode)
                .name(),
            Method::Grant(grant) => grant.auth_type().name(),
        }
    }

    /// The way of signing in, whether a login is stored just now or not.
    pub fn kind(&self) -> &'static str {
        match &self.method {
            Method::Login | Method::LoggedOut => "login",
            _ => self.describe(),
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
        match &self.method {
            Method::Anonymous => Ok(None),
            Method::Basic => {
                let profile = secret_command::with_secret(&self.profile).await?;
                let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
                let credential = Secret::basic(
                    &text(profile.client_id.as_deref()),
                    &text(profile.client_secret.as_ref().map(Secret::expose)),
                );
                Ok(Some(Authorization {
                    header: header("Basic", &credential)?,
                    renewable: None,
                    issued: None,
                    bound: None,
                }))
            }
            Method::Fixed(token) => Ok(Some(Authorization {
                header: header("Bearer", token)?,
                renewable: None,
                issued: None,
                bound: None,
            })),
            Method::Login | Method::LoggedOut | Method::Grant(_) => {
                let token = self.token().await?;
                let scheme = match token.bound_to {
                    Some(_) => "DPoP",
                    None => "Bearer",
                };
                let prove = |key| (token.access_token.clone(), Prover::new(key, &self.nonces));
                Ok(Some(Authorization {
                    header: header(scheme, &token.access_token)?,
                    issued: token.lifetime.map(|(issued, _)| issued),
                    bound: token.bound_to.map(prove),
                    renewable: Some(token.access_token),
                }))
            }
        }
    }

    /// Another authorization after a server refused this one; `None` when there is no way to get one.
    ///
    /// # Errors
    /// The token endpoint refused, or a stored login cannot be renewed.
    pub async fn renew(&self, refused: &Authorization) -> Result<Option<Authorization>, AuthError> {
        let Some(refused) = &refused.renewable else {
            return Ok(None);
        };
        let mut held = self.held.lock().await;
        if held
            .as_ref()
            .is_none_or(|token| token.access_token == *refused)
        {
            *held = Some(self.obtain(Some(refused)).await?);
        }
        drop(held);
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
            Method::Fixed(token) => return Ok(Token::opaque(token.clone())),
            Method::Anonymous | Method::Basic | Method::LoggedOut => {
                return Err(self.no_login());
            }
            Method::Login | Method::Grant(_) => {}
        }
        let mut held = self.held.lock().await;
        if let Some(token) = held.as_ref().filter(|token| self.is_good(token)) {
            return Ok(token.clone());
        }
        let token = match self.cached()? {
            Some(token) if self.is_good(&token) => token,
            _ => self.obtain(None).await?,
        };
        *held = Some(token.clone());
        Ok(token)
    }

    /// Asks the token endpoint whatever the cache holds. The caller stores what it gets, together with the settings
    /// that it was got with.
    ///
    /// # Errors
    /// As [`TokenSource::token`].
    pub async fn log_in(&self) -> Result<Token, AuthError> {
        match &self.method {
            Method::Grant(grant) => self.request(*grant, None).await,
            _ => self.token().await,
        }
    }

    /// As [`TokenSource::log_in`], and the requests that follow go out with this token. Nothing is stored but a stored
    /// login that was renewed: the old one may be worth nothing then.
    ///
    /// # Errors
    /// As [`TokenSource::token`].
    pub async fn token_anew(&self, endpoint: Option<&TokenEndpoint>) -> Result<Token, AuthError> {
        let token = match &self.method {
            Method::Grant(grant) => self.request(*grant, endpoint).await?,
            _ => self.token().await?,
        };
        *self.held.lock().await = Some(token.clone());
        Ok(token)
    }

    /// Reads the key and says what signs; `None` when nothing does.
    ///
    /// # Errors
    /// The key cannot be used.
    pub async fn signing_key(&self) -> Result<Option<SigningKey>, AuthError> {
        let Method::Grant(grant) = self.method else {
            return Ok(None);
        };
        let (_, prepared) = self.ready(grant).await?;
        Ok(prepared.signing_key())
    }

    /// The token request that would go out, for people who look for a mistake in it; nothing is sent.
    ///
    /// # Errors
    /// The key cannot be used.
    pub async fn rehearse(
        &self,
        endpoint: &TokenEndpoint,
    ) -> Result<Option<exchange::TokenRequest>, AuthError> {
        let Method::Grant(grant) = self.method else {
            return Ok(None);
        };
        let (profile, prepared) = self.ready(grant).await?;
        let proof = self.proof(grant, &profile, endpoint).await?;
        let url = endpoint.url_for(proof.way());
        prepared.request(&profile, url, proof).map(Some)
    }

    /// Whether tokens come from the token endpoint by the client's own credentials.
    pub fn has_grant(&self) -> bool {
        matches!(self.method, Method::Grant(_))
    }

    /// Whether the way in has tokens at all.
    pub fn has_tokens(&self) -> bool {
        matches!(
            self.method,
            Method::Login | Method::LoggedOut | Method::Grant(_)
        )
    }

    /// Whether a login is stored for this server.
    pub fn is_login(&self) -> bool {
        matches!(self.method, Method::Login)
    }

    /// Whether a token serves another request. A login that cannot be renewed serves to its last moment.
    fn is_good(&self, token: &Token) -> bool {
        token.is_fresh() || self.is_login() && token.refresh_token.is_none() && !token.has_expired()
    }

    /// A new token, asked for by one process at a time; the others find it in the cache.
    async fn obtain(&self, refused: Option<&Secret>) -> Result<Token, AuthError> {
        let _lock = self.cache.lock_tokens().await;
        let cached = self.cached()?;
        if let Some(token) = &cached
            && self.is_good(token)
            && Some(&token.access_token) != refused
        {
            return Ok(token.clone());
        }
        match &self.method {
            Method::Grant(grant) => {
                let token = self.request(*grant, None).await?;
                if let Err(error) = self.cache.write(&self.profile, &token) {
                    // A read-only home in CI: every command asks for its own token then.
                    self.http
                        .trace
                        .notice(&format!("The token could not be cached: {error}"));
                }
                Ok(token)
            }
            Method::Login => {
                let Some(login) = cached else {
                    return Err(self.no_usable_login()?);
                };
                let endpoint = self.endpoint().await?;
                let profile = secret_command::with_secret(&self.profile).await?;
                let proof = self.proof_of_login(&profile, &endpoint).await?;
                let renewal = stored_login::Renewal {
                    http: &self.http,
                    profile: &profile,
                    cache: &self.cache,
                    token_url: endpoint.url_for(proof.way()),
                    proof,
                    nonces: &self.nonces,
                };
                renewal.renew(&login).await
            }
            _ => Err(self.no_login()),
        }
    }

    /// The token in the profile; one that is not bound to a key is none where such a one is asked for.
    fn cached(&self) -> Result<Option<Token>, ProfileError> {
        let token = self.cache.read(&self.profile, self.is_login())?;
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

    async fn request(
        &self,
        grant: Grant,
        endpoint: Option<&TokenEndpoint>,
    ) -> Result<Token, AuthError> {
        // The key first: nothing is sent when it cannot be used.
        let (profile, prepared) = self.ready(grant).await?;
        let endpoint = match endpoint {
            Some(endpoint) => endpoint.clone(),
            None => self.endpoint().await?,
        };
        let proof = self.proof(grant, &profile, &endpoint).await?;
        let token_url = endpoint.url_for(proof.way());
        let prover = self.new_prover()?;
        exchange::exchange(&self.http, token_url, || {
            let request = prepared.request(&profile, token_url, proof)?;
            Ok(request.with_dpop(prover.as_ref()))
        })
        .await
    }

    /// A new key for a new token, when tokens are to be bound.
    fn new_prover(&self) -> Result<Option<Prover>, KeyError> {
        let key = self.profile.dpop.then(BoundKey::generate).transpose()?;
        Ok(key.map(|key| Prover::new(key, &self.nonces)))
    }

    /// The profile with its secret, when the grant needs one, and the grant with its key read.
    async fn ready(&self, grant: Grant) -> Result<(Cow<'_, Profile>, &Prepared), AuthError> {
        let profile = if grant.uses_secret(&self.profile) {
            secret_command::with_secret(&self.profile).await?
        } else {
            Cow::Borrowed(&self.profile)
        };
        let prepared = self
            .prepared
            .get_or_try_init(|| self.prepare(grant, &profile))
            .await?;
        Ok((profile, prepared))
    }

    /// What proves the client with a grant; chosen once.
    async fn proof(
        &self,
        grant: Grant,
        profile: &Profile,
        endpoint: &TokenEndpoint,
    ) -> Result<&ClientProof, AuthError> {
        let way = grant.client_auth(profile, &endpoint.client_auth);
        self.proof_by(way, profile, grant.auth_type()).await
    }

    async fn proof_of_login(
        &self,
        profile: &Profile,
        endpoint: &TokenEndpoint,
    ) -> Result<&ClientProof, AuthError> {
        let way = client_auth::choose(profile, &endpoint.client_auth);
        let auth_type = profile.auth_type.unwrap_or(AuthType::AuthorizationCode);
        self.proof_by(way, profile, auth_type).await
    }

    async fn proof_by(
        &self,
        way: ClientAuth,
        profile: &Profile,
        auth_type: AuthType,
    ) -> Result<&ClientProof, AuthError> {
        self.proof
            .get_or_try_init(|| prove(way, profile, auth_type, &self.passphrase))
            .await
    }

    async fn prepare(&self, grant: Grant, profile: &Profile) -> Result<Prepared, AuthError> {
        if grant == Grant::JwtAssertion
            && let Some(subject) = grant::jwt_assertion::ignored_subject(&self.profile)
        {
            self.http.trace.notice(&format!(
                "The subject {subject} is not sent: with jwt-assertion the subject is the client id"
            ));
        }
        let (profile, passphrase) = (profile.clone(), self.passphrase.clone());
        // Reading a key can mean waiting for a person.
        tokio::task::spawn_blocking(move || grant.prepare(&profile, &passphrase))
            .await
            .unwrap_or_else(|error| Err(KeyError::Signing(error.to_string()).into()))
    }

    async fn endpoint(&self) -> Result<TokenEndpoint, AuthError> {
        if let Some(url) = &self.profile.token_url {
            return Ok(TokenEndpoint::at(url.clone()));
        }
        let endpoints = discovery::endpoints(&self.http, &self.profile, &self.cache).await?;
        if self.profile.fhir_base.scheme() == "https" && endpoints.token_url.scheme() != "https" {
            return Err(AuthError::Insecure {
                url: endpoints.token_url.to_string(),
            });
        }
        Ok(TokenEndpoint::found(&endpoints))
    }
}

/// A token endpoint and what is known of it.
#[derive(Clone, Debug)]
pub struct TokenEndpoint {
    url: Url,
    mtls_url: Option<Url>,
    /// How clients may prove themselves there; empty when the server does not say.
    client_auth: Vec<String>,
}

impl TokenEndpoint {
    /// One of which only the URL is known.
    pub fn at(url: Url) -> Self {
        Self {
            url,
            mtls_url: None,
            client_auth: Vec::new(),
        }
    }

    /// The one that discovery found.
    pub fn found(endpoints: &discovery::Endpoints) -> Self {
        Self {
            url: endpoints.token_url.clone(),
            mtls_url: endpoints.mtls_token_url.clone(),
            client_auth: endpoints.client_auth.clone(),
        }
    }

    /// Its URL; clients that show a certificate may have one of their own (RFC 8705 §5).
    pub fn url_for(&self, way: ClientAuth) -> &Url {
        match &self.mtls_url {
            Some(url) if way == ClientAuth::Certificate => url,
            _ => &self.url,
        }
    }

    /// How clients may prove themselves there.
    pub fn client_auth(&self) -> &[String] {
        &self.client_auth
    }
}

/// The proof of a client with its key read, which can mean waiting for a person.
async fn prove(
    way: ClientAuth,
    profile: &Profile,
    auth_type: AuthType,
    passphrase: &Passphrase,
) -> Result<ClientProof, AuthError> {
    let (profile, passphrase) = (profile.clone(), passphrase.clone());
    tokio::task::spawn_blocking(move || ClientProof::prepare(way, &profile, auth_type, &passphrase))
        .await
        .unwrap_or_else(|error| Err(KeyError::Signing(error.to_string()).into()))
}

impl Authorization {
    /// Puts it on a request, with a new proof when the token is bound to a key.
    ///
    /// # Errors
    /// The proof cannot be made.
    pub fn put_on(&self, request: &mut Request) -> Result<(), AuthError> {
        request.headers.insert(AUTHORIZATION, self.header.clone());
        if let Some((token, prover)) = &self.bound {
            prover.prove_with(token, request)?;
        }
        Ok(())
    }

    /// Takes the nonce of an answer. Whether the server wants the same request again with it.
    pub fn wants_nonce(&self, answer: &Response) -> bool {
        self.bound.as_ref().is_some_and(|(_, prover)| {
            prover.server_wants_nonce(&answer.url, answer.status, &answer.headers)
        })
    }
}

fn header(scheme: &str, credential: &Secret) -> Result<HeaderValue, ProfileError> {
    let mut value =
        HeaderValue::from_str(&format!("{scheme} {}", credential.expose())).map_err(|_| {
            ProfileError::BadSetting {
                key: crate::profile::Key::AccessToken,
                value: crate::secret::MASK.into(),
                reason: "it holds characters that no header can carry".into(),
            }
        })?;
    value.set_sensitive(true);
    Ok(value)
}
