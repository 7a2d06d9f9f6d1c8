//! A person signs in with a browser: `authorization-code` from the first URL to a checked token.

mod answer;
mod connection;
mod listener;
mod open;
mod page;

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedReceiver;
use url::Url;

use super::client_auth::ClientProof;
use super::dpop::{BoundKey, Nonces, Prover};
use super::grant::authorization_code::{self, AuthorizationRequest, DEFAULT_SCOPE};
use super::keys::Passphrase;
use super::{
    AuthError, Token, TokenEndpoint, client_auth, discovery, exchange, id_token, prove, scope,
    secret_command,
};
use crate::exit::{NETWORK, NOT_ALLOWED, USAGE, Verdict};
use crate::foreign::Foreign;
use crate::http::Http;
use crate::profile::{AuthType, Key, Profile, ProfileError};
use crate::secret::Secret;
use answer::{Answer, Awaited};
pub use connection::Reply;
use discovery::Endpoints;
use listener::Listener;

/// The redirect URI of the Medplum CLI.
const DEFAULT_CALLBACK: &str = "http://localhost:9615";

/// Why a login by browser came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum BrowserError {
    #[error("{server} names no authorize URL")]
    NoAuthorizeUrl { server: String },
    #[error("port {port} is in use, so nothing can wait for the answer at {callback}")]
    PortInUse { port: u16, callback: String },
    #[error("cannot wait for the answer at {callback}: {reason}")]
    NoListener { callback: String, reason: String },
    #[error("the sign-in was refused: {code}{}", .words.as_ref().map(|words| format!(" - {words}")).unwrap_or_default())]
    Denied {
        code: Foreign,
        words: Option<Foreign>,
    },
    #[error("the answer of the sign-in cannot be used: {0}")]
    BadAnswer(Foreign),
    #[error("nobody signed in within {} s", .0.as_secs())]
    TooLate(Duration),
    #[error("no answer can come: {callback} is not on this machine, and stdin has ended")]
    NoWayBack { callback: String },
    #[error("the id_token of the server is not good: {0}")]
    IdToken(Foreign),
}

impl Verdict for BrowserError {
    fn verdict(&self) -> (u8, Option<String>) {
        let (code, hint) = match self {
            Self::NoAuthorizeUrl { .. } => (USAGE, "name it with --authorize-url"),
            Self::PortInUse { .. } => (
                USAGE,
                "end the program there (another login?), or name another port with --callback-url http://localhost:PORT, \
                 as registered with the server; port 0 takes any free one",
            ),
            Self::NoListener { .. } => (
                USAGE,
                "name a callback that this user may listen on with --callback-url, as registered with the server",
            ),
            Self::NoWayBack { .. } => (
                USAGE,
                "paste the address that the browser ended at, or register a callback such as http://localhost:9615",
            ),
            Self::TooLate(_) => (
                NETWORK,
                "run it again; allow more time with --login-timeout, or sign in on another machine with --no-browser",
            ),
            Self::Denied { code, .. } if code == "access_denied" => {
                (NOT_ALLOWED, "run `medplum login` again to sign in")
            }
            Self::Denied { code, .. } if code == "invalid_scope" => {
                (NOT_ALLOWED, "ask for what the server knows with --scope")
            }
            Self::Denied { .. } => (
                NOT_ALLOWED,
                "check --client-id, --scope and --callback-url against what is registered with the server",
            ),
            Self::BadAnswer(_) | Self::IdToken(_) => return (NOT_ALLOWED, None),
        };
        (code, Some(hint.to_owned()))
    }
}

/// What the person at the keyboard is told; the command line renders it.
pub trait Person: Send + Sync {
    /// The browser is open, the rest happens there; unless it comes back here, the answer is to be pasted.
    fn browser_is_open(&self, server: &Url, comes_back: bool);
    /// This URL is to be opened by hand, on any machine when the answer can be pasted.
    fn open_this(&self, url: &Url, reason: Option<&str>);
    /// Something came back that does not belong to this login.
    fn refused(&self, reason: &str);
}

/// How to sign in.
pub struct SignIn<'a> {
    pub person: &'a dyn Person,
    /// Whether to open a browser here.
    pub open: bool,
    pub timeout: Duration,
    pub passphrase: &'a Passphrase,
    /// Redirect URLs that the person pastes, line by line.
    pub pasted: UnboundedReceiver<String>,
}

/// A login that the server granted; nothing is stored yet.
#[derive(Debug)]
pub struct SignedIn {
    pub token: Token,
    /// The profile with the client that was signed in with.
    pub profile: Profile,
    /// What discovery found on the way, to be kept with the login.
    pub endpoints: Option<Endpoints>,
    /// The scopes that were asked for and not granted.
    pub missing_scopes: Vec<String>,
}

/// Sends a person to the server and waits until they are back. The browser waits to hear how it ended.
///
/// # Errors
/// What the server refused, or what is missing; the browser has been told already.
pub async fn sign_in(
    http: &Http,
    profile: &Profile,
    mut how: SignIn<'_>,
) -> Result<(SignedIn, Reply), AuthError> {
    let Some(client_id) = profile.login_client_id().map(str::to_owned) else {
        return Err(AuthError::Incomplete {
            profile: profile.name.clone(),
            auth_type: AuthType::AuthorizationCode,
            missing: "a client id",
        });
    };
    // Before a person is sent anywhere: the code is of no use without the secret.
    let mut profile = secret_command::with_secret(profile).await?.into_owned();
    profile.client_id = Some(client_id.clone());
    let (authorize_url, token_url, endpoints) = endpoints(http, &profile).await?;
    let endpoint = match &endpoints {
        Some(found) if found.token_url == token_url => TokenEndpoint::found(found),
        _ => TokenEndpoint::at(token_url.clone()),
    };
    let way = client_auth::choose(&profile, endpoint.client_auth());
    let proof = prove(way, &profile, AuthType::AuthorizationCode, how.passphrase).await?;
    let callback = profile.callback_url.as_deref().unwrap_or(DEFAULT_CALLBACK);
    let listener = Listener::bind(callback).await?;
    let key = profile.dpop.then(BoundKey::generate).transpose()?;
    let mut asked = authorization_code::authorize(
        &profile,
        &client_id,
        &authorize_url,
        listener.redirect_uri(),
    )?;
    if let Some(key) = key {
        asked.bind(key);
    }
    let issuer = endpoints
        .as_ref()
        .filter(|found| found.token_url == token_url)
        .and_then(|found| found.issuer.clone());
    send_person(&how, &profile, &asked, listener.is_here()).await;
    let awaited = Awaited {
        state: asked.state.clone(),
        issuer: issuer.clone(),
    };
    let waiting = listener.answer(&awaited, &mut how.pasted, how.person);
    let (answer, reply) = tokio::time::timeout(how.timeout, waiting)
        .await
        .map_err(|_| BrowserError::TooLate(how.timeout))??;
    let result = match answer {
        Answer::Code(code) => {
            let issuer = issuer.as_deref();
            let token_url = endpoint.url_for(way);
            token_for(http, &profile, token_url, &proof, &asked, code, issuer).await
        }
        Answer::Denied { code, words } => Err(BrowserError::Denied { code, words }.into()),
        Answer::Bad(reason) => Err(BrowserError::BadAnswer(reason).into()),
    };
    match result {
        Ok(token) => {
            let signed_in = SignedIn {
                missing_scopes: scope::missing(
                    profile.scope.as_deref().unwrap_or(DEFAULT_SCOPE),
                    &token,
                ),
                token,
                profile,
                endpoints,
            };
            Ok((signed_in, reply))
        }
        Err(error) => {
            reply.not_signed_in(&error.to_string()).await;
            Err(error)
        }
    }
}

/// The authorize and token URL, and what discovery found. With both URLs set, discovery may fail.
async fn endpoints(
    http: &Http,
    profile: &Profile,
) -> Result<(Url, Url, Option<Endpoints>), AuthError> {
    let found = match discovery::look(http, profile).await {
        Err(_) if profile.authorize_url.is_some() && profile.token_url.is_some() => None,
        found => found?,
    };
    let or_defaults = || match &found {
        Some(found) => Ok(found.clone()),
        None => discovery::defaults(http, profile),
    };
    let authorize_url = match &profile.authorize_url {
        Some(url) => url.clone(),
        None => or_defaults()?
            .authorize_url
            .ok_or_else(|| BrowserError::NoAuthorizeUrl {
                server: profile.fhir_base.to_string(),
            })?,
    };
    let token_url = match &profile.token_url {
        Some(url) => url.clone(),
        None => or_defaults()?.token_url,
    };
    for url in [&authorize_url, &token_url] {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ProfileError::BadSetting {
                key: Key::AuthorizeUrl,
                value: url.to_string(),
                reason: "only http and https URLs can be used".into(),
            }
            .into());
        }
        if profile.fhir_base.scheme() == "https" && url.scheme() != "https" {
            return Err(AuthError::Insecure {
                url: crate::secret::url_for_people(url),
            });
        }
    }
    Ok((authorize_url, token_url, found))
}

async fn send_person(
    how: &SignIn<'_>,
    profile: &Profile,
    asked: &AuthorizationRequest,
    comes_back: bool,
) {
    if !how.open {
        how.person.open_this(&asked.url, None);
        return;
    }
    match open::in_browser(&asked.url).await {
        Ok(()) => how.person.browser_is_open(&profile.base_url, comes_back),
        Err(reason) => how.person.open_this(&asked.url, Some(&reason)),
    }
}

async fn token_for(
    http: &Http,
    profile: &Profile,
    token_url: &Url,
    proof: &ClientProof,
    asked: &AuthorizationRequest,
    code: Secret,
    issuer: Option<&str>,
) -> Result<Token, AuthError> {
    let key = asked.bound_to.clone();
    let prover = key.map(|key| Prover::new(key, &Nonces::default()));
    let make = || {
        let request = authorization_code::token_request(asked, code.clone());
        let request = proof.add_to(request, profile, token_url)?;
        Ok(request.with_dpop(prover.as_ref()))
    };
    let mut token = exchange::exchange(http, token_url, make).await?;
    if let (Some(nonce), Some(text)) = (&asked.nonce, &token.id_token) {
        let expected = id_token::Expected {
            client_id: profile.client_id.as_deref().unwrap_or_default(),
            nonce: nonce.expose(),
            issuer,
        };
        let identity = id_token::check(text, expected, Timestamp::now())
            .map_err(|reason| BrowserError::IdToken(reason.into()))?;
        token
            .context
            .insert(id_token::IDENTITY.into(), identity.into());
    }
    if !token.lifetime_is_stated && token.refresh_token.is_none() {
        // It cannot be renewed, so only the server's 401 ends it.
        token.lifetime = None;
    }
    Ok(token)
}
