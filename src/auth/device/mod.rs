//! A person signs in on another device: `device-code` from the first request to a token (RFC 8628).

mod code;
mod error;

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use url::Url;

use super::applicant::proof_of_client;
use super::assertion::Clock;
use super::client_auth::{self, ClientProof};
use super::dpop::{BoundKey, Nonces, Prover};
use super::endpoints::Endpoint;
use super::grant::authorization_code::DEFAULT_SCOPE;
use super::grant::device_code;
use super::keys::Passphrase;
use super::{
    AuthError, Endpoints, SignedIn, Token, credential, discovery, exchange, scope, secret_command,
};
use crate::http::{Http, HttpError, retry};
use crate::profile::{AuthType, Profile};
pub use code::Code;
use code::{LONGEST_INTERVAL, USUAL_INTERVAL};
pub use error::DeviceError;

/// What `slow_down` adds to that (RFC 8628 §3.5).
const SLOWER: Duration = Duration::from_secs(5);

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
    let profile = secret_command::with_secret(profile).await?;
    let mut profile = Box::pin(credential::filled(profile)).await?.into_owned();
    profile.client_id = Some(client_id);
    let (device, endpoints) = endpoints(http, &profile).await?;
    let set_scope = profile.scope.clone();
    scope::spell(http, endpoints.found(), &mut profile);
    let way = client_auth::choose(&profile, endpoints.client_auth());
    let proof = proof_of_client(way, &profile, AuthType::DeviceCode, how.passphrase).await?;
    let at = endpoints.token(way);
    let request = device_code::authorization_request(&profile);
    let request = proof.add_to(request, &profile, at.url(), Clock::default())?;
    let code = code::ask(http, &device, request).await?;
    how.device
        .enter(&code.shown, &code.at, code.complete.as_ref(), code.expires);
    let key = profile.dpop.then(BoundKey::generate).transpose()?;
    let prover = key.map(|key| Prover::new(key, &Nonces::default()));
    let waiting = wait(http, &profile, &at, &code, &proof, prover.as_ref());
    let mut token = tokio::time::timeout(how.timeout, waiting)
        .await
        .map_err(|_| DeviceError::TooLate(how.timeout))??;
    if !token.lifetime_is_stated && token.refresh_token.is_none() {
        // It cannot be renewed, so only the server's 401 ends it.
        token.lifetime = None;
    }
    profile.scope = set_scope;
    let asked = profile.scope.as_deref().unwrap_or(DEFAULT_SCOPE);
    Ok(SignedIn {
        missing_scopes: scope::missing(asked, &token),
        token,
        found: endpoints.into_found(),
        profile,
    })
}

/// Where the device asks for a code, and the other endpoints. With both URLs set, discovery may fail.
async fn endpoints(http: &Http, profile: &Profile) -> Result<(Endpoint, Endpoints), AuthError> {
    let are_set = profile.device_authorization_url.is_some() && profile.token_url.is_some();
    let mut found = match discovery::ask_server(http, profile, false).await {
        Ok(found) => Some(found),
        Err(_) if are_set => None,
        Err(error) => return Err(error),
    };
    if let Some(found) = found
        .as_mut()
        .filter(|found| profile.device_authorization_url.is_none() && found.device_url.is_none())
    {
        discovery::fill_from_issuer(http, profile, found).await?;
    }
    let endpoints = Endpoints::of(profile, found)?;
    let device = endpoints.device().ok_or_else(|| DeviceError::NotOffered {
        server: profile.fhir_base.to_string(),
    })?;
    Ok((device, endpoints))
}

/// Asks for the token until the person has answered (RFC 8628 §3.4, §3.5).
async fn wait(
    http: &Http,
    profile: &Profile,
    at: &Endpoint,
    code: &Code,
    proof: &ClientProof,
    prover: Option<&Prover>,
) -> Result<Token, AuthError> {
    let ends = Instant::now().checked_add(code.expires);
    let is_over = || ends.is_some_and(|ends| Instant::now() >= ends);
    let mut interval = code.interval;
    loop {
        crate::http::clock::sleep(interval).await;
        let make = |clock| {
            let request = device_code::token_request(&code.handle);
            let request = proof.add_to(request, profile, at.url(), clock)?;
            Ok(request.with_dpop(prover))
        };
        let refusal = match exchange::exchange(http, at, &profile.asks.token_params, make).await {
            Ok(token) => return Ok(token),
            Err(AuthError::Refused(refusal)) => refusal,
            // RFC 8628 §3.5: slower after a connection that failed.
            Err(AuthError::Http(
                error @ (HttpError::Timeout { .. }
                | HttpError::Connect { .. }
                | HttpError::Broken { .. }
                | HttpError::Proxy {
                    is_passing: true, ..
                }),
            )) if !is_over() => {
                http.trace
                    .line(1, &format!("* {error}: asking again, slower"));
                interval = (interval * 2).clamp(USUAL_INTERVAL, LONGEST_INTERVAL);
                continue;
            }
            Err(error) => return Err(error),
        };
        match refusal.code.as_deref() {
            // Out of order for a moment; the code is still good, and asking again is what RFC 8628 §3.5 wants.
            _ if retry::is_passing(refusal.status) => {
                interval = (interval * 2).clamp(USUAL_INTERVAL, LONGEST_INTERVAL);
            }
            Some("authorization_pending") => {}
            Some("slow_down") => interval += SLOWER,
            Some("access_denied") => return Err(DeviceError::Denied(refusal.words).into()),
            Some("expired_token") => return Err(DeviceError::Expired.into()),
            _ => return Err(AuthError::Refused(refusal)),
        }
        if is_over() {
            return Err(DeviceError::Expired.into());
        }
        let now = Timestamp::now();
        http.trace
            .line(2, &format!("* {now:.0}: nobody has signed in yet"));
    }
}
