//! A person signs in on another device: `device-code` from the first request to a token (RFC 8628).

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, DATE};
use tokio::time::Instant;
use url::Url;

use super::browser::SignedIn;
use super::client_auth::{self, ClientProof};
use super::dpop::{BoundKey, Nonces, Prover};
use super::exchange::TokenRequest;
use super::grant::authorization_code::DEFAULT_SCOPE;
use super::grant::device_code;
use super::keys::Passphrase;
use super::token_answer::{self, TokenAnswer};
use super::{AuthError, Token, TokenEndpoint, discovery, exchange, prove, scope, secret_command};
use crate::exit::{FAILED, NETWORK, NOT_ALLOWED, USAGE, Verdict};
use crate::foreign::Foreign;
use crate::http::{Http, HttpError};
use crate::profile::{AuthType, Profile};
use crate::secret::{self, Secret};

/// How long to wait between two questions when the server does not say (RFC 8628 §3.2).
const USUAL_INTERVAL: Duration = Duration::from_secs(5);
/// A server that asks to be asked all the time is asked once a second.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
/// What `slow_down` adds to that (RFC 8628 §3.5).
const SLOWER: Duration = Duration::from_secs(5);
/// A server that asks for longer waits is asked more often than that.
const LONGEST_INTERVAL: Duration = Duration::from_secs(120);

/// Why a login on another device came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    #[error("{server} names no device authorization endpoint")]
    NotOffered { server: String },
    #[error("{url} answered without a code: {found}")]
    NoCode { url: String, found: String },
    #[error("the sign-in was refused{}", .0.as_ref().map(|words| format!(": {words}")).unwrap_or_default())]
    Denied(Option<Foreign>),
    #[error("the code has expired before anybody signed in")]
    Expired,
    #[error("nobody signed in within {} s", .0.as_secs())]
    TooLate(Duration),
}

impl Verdict for DeviceError {
    fn verdict(&self) -> (u8, Option<String>) {
        match self {
            Self::NotOffered { .. } => (
                USAGE,
                Some("name it with --device-authorization-url, or sign in with --auth-type authorization-code".into()),
            ),
            Self::NoCode { .. } => (FAILED, Some("check --device-authorization-url".into())),
            Self::Denied(_) => (NOT_ALLOWED, None),
            Self::Expired | Self::TooLate(_) => (NETWORK, Some("run the same command again for a new code".into())),
        }
    }
}

/// What the person is told; the command line renders it.
pub trait Device: Send + Sync {
    /// The code is to be entered at this address, on any device, before `expires` is over. `complete` has the code in
    /// it already.
    fn enter(&self, code: &str, at: &Url, complete: Option<&Url>, expires: Duration);
}

/// How to sign in.
pub struct SignIn<'a> {
    pub device: &'a dyn Device,
    pub timeout: Duration,
    pub passphrase: &'a Passphrase,
}

/// What the server gave to begin with.
struct Code {
    /// What token requests name it by.
    handle: Secret,
    /// What the person enters.
    shown: Foreign,
    at: Url,
    complete: Option<Url>,
    expires: Duration,
    interval: Duration,
}

/// Asks for a code, shows it, and waits until the person has signed in.
///
/// # Errors
/// What the server refused, or what is missing.
pub async fn sign_in(
    http: &Http,
    profile: &Profile,
    how: SignIn<'_>,
) -> Result<SignedIn, AuthError> {
    let Some(client_id) = profile.login_client_id().map(str::to_owned) else {
        return Err(AuthError::Incomplete {
            profile: profile.name.clone(),
            auth_type: AuthType::DeviceCode,
            missing: "a client id",
        });
    };
    let mut profile = secret_command::with_secret(profile).await?.into_owned();
    profile.client_id = Some(client_id);
    let (device_url, endpoint, endpoints) = endpoints(http, &profile).await?;
    let way = client_auth::choose(&profile, endpoint.client_auth());
    let proof = prove(way, &profile, AuthType::DeviceCode, how.passphrase).await?;
    let token_url = endpoint.url_for(way).clone();
    let add = |request| proof.add_to(request, &profile, &token_url);
    let code = ask(
        http,
        &device_url,
        add(device_code::authorization_request(&profile))?,
    )
    .await?;
    how.device
        .enter(&code.shown, &code.at, code.complete.as_ref(), code.expires);
    let key = profile.dpop.then(BoundKey::generate).transpose()?;
    let prover = key.map(|key| Prover::new(key, &Nonces::default()));
    let waiting = wait(http, &profile, &token_url, &code, &proof, prover.as_ref());
    let mut token = tokio::time::timeout(how.timeout, waiting)
        .await
        .map_err(|_| DeviceError::TooLate(how.timeout))??;
    if !token.lifetime_is_stated && token.refresh_token.is_none() {
        // It cannot be renewed, so only the server's 401 ends it.
        token.lifetime = None;
    }
    let asked = profile.scope.as_deref().unwrap_or(DEFAULT_SCOPE);
    Ok(SignedIn {
        missing_scopes: scope::missing(asked, &token),
        token,
        endpoints,
        profile,
    })
}

/// The device authorization endpoint, the token endpoint, and what discovery found.
async fn endpoints(
    http: &Http,
    profile: &Profile,
) -> Result<(Url, TokenEndpoint, Option<discovery::Endpoints>), AuthError> {
    let set = (&profile.device_authorization_url, &profile.token_url);
    let found = match discovery::look(http, profile).await {
        Err(_) if matches!(set, (Some(_), Some(_))) => None,
        found => found?,
    };
    let not_offered = || DeviceError::NotOffered {
        server: profile.fhir_base.to_string(),
    };
    let device_url = match (set.0, &found) {
        (Some(url), _) => Some(url.clone()),
        (None, Some(found)) => discovery::device_url(http, profile, found).await?,
        (None, None) => None,
    };
    let device_url = device_url.ok_or_else(not_offered)?;
    let endpoint = match (set.1, &found) {
        (Some(url), _) => TokenEndpoint::at(url.clone()),
        (None, Some(found)) => TokenEndpoint::found(found),
        (None, None) => TokenEndpoint::found(&discovery::defaults(http, profile)?),
    };
    for url in [
        &device_url,
        endpoint.url_for(crate::profile::ClientAuth::Certificate),
    ] {
        if profile.fhir_base.scheme() == "https" && url.scheme() != "https" {
            return Err(AuthError::Insecure {
                url: secret::url_for_people(url),
            });
        }
    }
    Ok((device_url, endpoint, found))
}

/// The device authorization request and its answer (RFC 8628 §3.1, §3.2).
async fn ask(http: &Http, url: &Url, request: TokenRequest) -> Result<Code, AuthError> {
    let signed = request.signed().map(str::to_owned);
    let answer = http.send(request.into_http(url)).await?;
    let (status, content_type) = (
        answer.status,
        answer.header(CONTENT_TYPE).unwrap_or_default().to_owned(),
    );
    let date = answer
        .header(DATE)
        .and_then(|date| httpdate::parse_http_date(date).ok());
    let body = answer.body.bytes(token_answer::LARGEST).await?;
    let answer = TokenAnswer::read(status, &content_type, &body);
    let text = |key: &str| answer.text(key).map(str::to_owned);
    if !status.is_success() {
        return Err(exchange::refusal(url, date, &answer, signed));
    }
    let no_code = |found: &str| DeviceError::NoCode {
        url: secret::url_for_people(url),
        found: found.to_owned(),
    };
    let needed = |key: &str| {
        let value = text(key).filter(|text| !text.is_empty());
        value.ok_or_else(|| no_code(&format!("no {key}")))
    };
    let seconds = |key: &str| {
        let value = answer.fields()?.get(key)?;
        let number = value
            .as_f64()
            .or_else(|| value.as_str()?.trim().parse().ok());
        Duration::try_from_secs_f64(number?).ok()
    };
    // Only what a person may follow is shown.
    let web = |text: &str| {
        let url = Url::parse(text).ok();
        url.filter(|url| matches!(url.scheme(), "http" | "https"))
    };
    // Google spells it another way.
    let at = text("verification_url").map_or_else(|| needed("verification_uri"), Ok)?;
    Ok(Code {
        handle: Secret::new(needed("device_code")?),
        shown: Foreign::new(&needed("user_code")?),
        at: web(&at).ok_or_else(|| no_code("verification_uri is no web address"))?,
        complete: text("verification_uri_complete").and_then(|text| web(&text)),
        expires: seconds("expires_in").unwrap_or(Duration::from_secs(600)),
        interval: seconds("interval")
            .unwrap_or(USUAL_INTERVAL)
            .clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL),
    })
}

/// Asks for the token until the person has answered (RFC 8628 §3.4, §3.5).
async fn wait(
    http: &Http,
    profile: &Profile,
    token_url: &Url,
    code: &Code,
    proof: &ClientProof,
    prover: Option<&Prover>,
) -> Result<Token, AuthError> {
    let ends = Instant::now() + code.expires;
    let mut interval = code.interval;
    loop {
        tokio::time::sleep(interval).await;
        let make = || {
            let request = device_code::token_request(&code.handle);
            let request = proof.add_to(request, profile, token_url)?;
            Ok(request.with_dpop(prover))
        };
        let refusal = match exchange::exchange(http, token_url, make).await {
            Ok(token) => return Ok(token),
            Err(AuthError::Refused(refusal)) => refusal,
            // RFC 8628 §3.5: slower after a connection that failed.
            Err(AuthError::Http(
                error @ (HttpError::Timeout { .. }
                | HttpError::Connect { .. }
                | HttpError::Broken { .. }
                | HttpError::Proxy { passing: true, .. }),
            )) if Instant::now() < ends => {
                http.trace
                    .line(1, &format!("* {error}: asking again, slower"));
                interval = (interval * 2).clamp(USUAL_INTERVAL, LONGEST_INTERVAL);
                continue;
            }
            Err(error) => return Err(error),
        };
        match refusal.code.as_deref() {
            Some("authorization_pending") => {}
            Some("slow_down") => interval += SLOWER,
            Some("access_denied") => return Err(DeviceError::Denied(refusal.words).into()),
            Some("expired_token") => return Err(DeviceError::Expired.into()),
            _ => return Err(AuthError::Refused(refusal)),
        }
        if Instant::now() >= ends {
            return Err(DeviceError::Expired.into());
        }
        let now = Timestamp::now();
        http.trace
            .line(2, &format!("* {now:.0}: nobody has signed in yet"));
    }
}
