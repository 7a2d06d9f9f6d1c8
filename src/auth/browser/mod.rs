//! A person signs in with a browser: `authorization-code` from the first URL to a checked token.

mod answer;
mod connection;
mod error;
mod listener;
mod open;
mod page;
mod pushed;

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedReceiver;
use url::Url;

use super::applicant::proof_of_client;
use super::client_auth::ClientProof;
use super::dpop::{BoundKey, Nonces, Prover};
use super::endpoints::{Endpoint, is_in_the_clear};
use super::grant::authorization_code::{self, AuthorizationRequest};
use super::keys::Passphrase;
use super::{
    AuthError, Endpoints, SignedIn, Token, client_auth, credential, discovery, exchange, id_token,
    scope, secret_command,
};
use crate::http::Http;
use crate::profile::{AuthType, Profile, urls};
use crate::secret::{self, Secret};
use answer::{Answer, Awaited};
pub use connection::Reply;
use discovery::DiscoveryError;
pub use error::BrowserError;
use listener::Listener;

/// The redirect URI of the Medplum CLI.
const DEFAULT_CALLBACK: &str = "http://localhost:9615";

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
    /// What the EHR gave to name the launch (SMART App Launch 2.2).
    pub launch: Option<String>,
    /// Redirect URLs that the person pastes, line by line.
    pub pasted: UnboundedReceiver<String>,
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
    let profile = secret_command::with_secret(profile).await?;
    let mut profile = Box::pin(credential::filled(profile)).await?.into_owned();
    profile.client_id = Some(client_id.clone());
    let (authorize_url, endpoints) = endpoints(http, &profile).await?;
    let set_scope = profile.scope.clone();
    scope::spell(http, endpoints.found(), &mut profile);
    let way = client_auth::choose(&profile, endpoints.client_auth());
    let proof = proof_of_client(way, &profile, AuthType::AuthorizationCode, how.passphrase).await?;
    let callback = profile.callback_url.as_deref().unwrap_or(DEFAULT_CALLBACK);
    let listener = Listener::bind(callback).await?;
    let launch = how.launch.take();
    let launch = launch.as_deref();
    let back = listener.redirect_uri();
    let mut asked =
        authorization_code::authorize(&profile, &client_id, &authorize_url, back, launch)?;
    if let Some(key) = profile.dpop.then(BoundKey::generate).transpose()? {
        asked.bind(key);
    }
    pushed::push(
        http,
        &profile,
        &endpoints,
        &proof,
        &authorize_url,
        &mut asked,
    )
    .await?;
    let awaited = awaited(&profile, &asked, &endpoints);
    let (answer, reply) = answer(&mut how, listener, &profile, &asked, &awaited).await?;
    let token = match answer {
        Answer::Code(code) => {
            let at = endpoints.token(way);
            let issuer = endpoints.issuer();
            token_for(http, &profile, &at, &proof, &asked, code, issuer).await
        }
        Answer::Denied { code, words } => Err(BrowserError::Denied { code, words }.into()),
        Answer::Bad(reason) => Err(BrowserError::BadAnswer(reason).into()),
    };
    profile.scope = set_scope;
    match token {
        Ok(token) => Ok((signed_in(token, profile, launch, endpoints), reply)),
        Err(error) => {
            reply.not_signed_in(&error.to_string()).await;
            Err(error)
        }
    }
}

/// A login with the settings as they are stored, and with what of the scope is missing.
fn signed_in(
    token: Token,
    profile: Profile,
    launch: Option<&str>,
    endpoints: Endpoints,
) -> SignedIn {
    let asked = authorization_code::scope(&profile, launch);
    SignedIn {
        missing_scopes: scope::missing(&asked, &token),
        token,
        profile,
        found: endpoints.into_found(),
    }
}

/// Which answer is that of this login, and of which server it may come.
fn awaited(profile: &Profile, asked: &AuthorizationRequest, endpoints: &Endpoints) -> Awaited {
    let issuer = endpoints.issuer();
    Awaited {
        state: asked.state.clone(),
        issuer: issuer.map(str::to_owned),
        must_name_issuer: endpoints.names_issuer(),
        // An issuer whose token endpoint this is not was refused before.
        is_vouched: profile.pins_token_url() || issuer.is_some(),
        token_url: endpoints.token_url().clone(),
    }
}

/// Sends the person to the server and waits for what comes back.
async fn answer(
    how: &mut SignIn<'_>,
    mut listener: Listener,
    profile: &Profile,
    asked: &AuthorizationRequest,
    awaited: &Awaited,
) -> Result<(Answer, Reply), AuthError> {
    let start = how.open.then(|| listener.start_at(&asked.url)).flatten();
    send_person(how, profile, asked, start.as_ref()).await;
    let waiting = listener.answer(awaited, &mut how.pasted, how.person);
    let answered = tokio::time::timeout(how.timeout, waiting).await;
    Ok(answered.map_err(|_| BrowserError::TooLate(how.timeout))??)
}

/// Where the person goes, and where the code goes. With both URLs set, discovery may fail.
async fn endpoints(http: &Http, profile: &Profile) -> Result<(Url, Endpoints), AuthError> {
    let are_set = profile.authorize_url.is_some() && profile.token_url.is_some();
    let found = match discovery::ask_server(http, profile, false).await {
        Ok(found) => Some(found),
        Err(_) if are_set => None,
        Err(AuthError::Discovery(DiscoveryError::NothingFound { .. }))
            if profile.token_url.is_some() =>
        {
            None
        }
        Err(error) => return Err(error),
    };
    let endpoints = Endpoints::of(profile, found)?;
    let authorize_url = endpoints.authorize(profile)?;
    let authorize_url = authorize_url.ok_or_else(|| BrowserError::NoAuthorizeUrl {
        server: profile.fhir_base.to_string(),
    })?;
    let token_url = endpoints.token_url();
    // A `.env` file may pair the page of one server with the token endpoint of another one, as a document may.
    let is_pinned = are_set && profile.pins_token_url();
    if !is_pinned && !urls::same_origin(&authorize_url, token_url) {
        let issuer = endpoints.found().and_then(|found| found.issuer.as_deref());
        if !discovery::vouches(http, profile, issuer, &authorize_url, token_url).await? {
            return Err(DiscoveryError::Mixed {
                authorize: secret::url_for_people(&authorize_url),
                token: secret::url_for_people(token_url),
            }
            .into());
        }
    }
    refuse_borrowed_name(http, profile, &endpoints).await?;
    Ok((authorize_url, endpoints))
}

/// A document can claim anybody's name, and lead to that server's page (RFC 9207 §1). Many servers do not name themselves in
/// their answers, so the name is proved before anybody is sent there: by the issuer's own document.
async fn refuse_borrowed_name(
    http: &Http,
    profile: &Profile,
    endpoints: &Endpoints,
) -> Result<(), AuthError> {
    let token_url = endpoints.token_url();
    match endpoints.issuer() {
        Some(issuer)
            if !profile.pins_token_url()
                && !discovery::is_of(http, profile, issuer, token_url).await =>
        {
            Err(DiscoveryError::Borrowed {
                issuer: issuer.into(),
                token: secret::url_for_people(token_url),
            }
            .into())
        }
        _ => Ok(()),
    }
}

async fn send_person(
    how: &SignIn<'_>,
    profile: &Profile,
    asked: &AuthorizationRequest,
    start: Option<&Url>,
) {
    if !how.open {
        how.person.open_this(&asked.url, None);
        return;
    }
    match open::in_browser(start.unwrap_or(&asked.url)).await {
        Ok(()) => {
            let comes_back = start.is_some();
            how.person.browser_is_open(&profile.base_url, comes_back);
        }
        Err(reason) => how.person.open_this(&asked.url, Some(&reason)),
    }
}

async fn token_for(
    http: &Http,
    profile: &Profile,
    at: &Endpoint,
    proof: &ClientProof,
    asked: &AuthorizationRequest,
    code: Secret,
    issuer: Option<&str>,
) -> Result<Token, AuthError> {
    let key = asked.bound_to.clone();
    let prover = key.map(|key| Prover::new(key, &Nonces::default()));
    let make = |clock| {
        let request = authorization_code::token_request(asked, code.clone());
        let request = proof.add_to(request, profile, at.url(), clock)?;
        Ok(request.with_dpop(prover.as_ref()))
    };
    let mut token = exchange::exchange(http, at, &profile.asks.token_params, make).await?;
    if let (Some(nonce), Some(text)) = (&asked.nonce, &token.id_token) {
        let expected = id_token::Expected {
            client_id: profile.client_id.as_deref().unwrap_or_default(),
            nonce: nonce.expose(),
            issuer,
        };
        let identity = id_token::check(text, expected, Timestamp::now())
            .map_err(|reason| BrowserError::IdToken(reason.into()))?;
        // The connection stands for the signature, where it proves the server (OpenID Connect Core §3.1.3.7, 6).
        if http.network.insecure || is_in_the_clear(at.url()) {
            http.trace.notice(
                "Who signed in is not taken from the id_token: it came over a connection that proves no server",
            );
        } else {
            token
                .context
                .insert(id_token::IDENTITY.into(), identity.into());
        }
    }
    if !token.lifetime_is_stated && token.refresh_token.is_none() {
        // It cannot be renewed, so only the server's 401 ends it.
        token.lifetime = None;
    }
    Ok(token)
}
