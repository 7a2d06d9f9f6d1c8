//! Tokens given back to the server that issued them: RFC 7009, and Medplum's own way.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::AUTHORIZATION;

use super::applicant::proof_of_client;
use super::assertion::Clock;
use super::authorization::header;
use super::cache::Cache;
use super::discovery::DiscoveryError;
use super::dpop::{Nonces, Prover};
use super::endpoints::Endpoint;
use super::keys::Passphrase;
use super::request::TokenRequest;
use super::{
    AuthError, Endpoints, Token, client_auth, credential, discovery, grant, secret_command,
};
use crate::http::{Http, Request};
use crate::profile::{AuthType, ClientAuth, Key, Profile, urls};
use crate::secret;

/// A server that does not answer must not keep anybody logged in.
const LONGEST: Duration = Duration::from_secs(15);

/// What became of the tokens at the server.
#[derive(Debug, PartialEq, Eq)]
pub enum Revoked {
    /// None of them is good any more.
    Yes,
    /// The server has no way to take tokens back.
    NotOffered,
    /// Some may still be good.
    Failed(String),
}

/// Gives tokens back. Failures are told, not raised: the caller forgets the tokens in any case.
pub async fn revoke(
    http: &Http,
    profile: &Profile,
    cache: &Cache,
    tokens: &[Token],
    passphrase: &Passphrase,
) -> Revoked {
    let trying = try_revoke(http, profile, cache, tokens, passphrase);
    match tokio::time::timeout(LONGEST, trying).await {
        Ok(Ok(revoked)) => revoked,
        Ok(Err(error)) => Revoked::Failed(error.to_string()),
        Err(_) => Revoked::Failed(format!("no answer within {} s", LONGEST.as_secs())),
    }
}

async fn try_revoke(
    http: &Http,
    profile: &Profile,
    cache: &Cache,
    tokens: &[Token],
    passphrase: &Passphrase,
) -> Result<Revoked, AuthError> {
    let endpoints = match endpoints(http, profile, cache).await {
        Ok(endpoints) => Some(endpoints),
        Err(AuthError::Discovery(DiscoveryError::NothingFound { .. })) => None,
        Err(error) => return Err(error),
    };
    let revocation = endpoints.as_ref().and_then(Endpoints::revocation);
    let (Some(endpoints), Some(at)) = (endpoints, revocation) else {
        return match tokens
            .first()
            .filter(|login| login.context.contains_key("project"))
        {
            Some(login) => end_medplum_login(http, profile, login).await,
            None => Ok(Revoked::NotOffered),
        };
    };
    let profile = secret_command::with_secret(profile).await?;
    let profile = &*Box::pin(credential::filled(profile)).await?;
    let way = match grant::of(profile).map(grant::Grant::auth_type) {
        Some(AuthType::JwtAssertion) => ClientAuth::PrivateKeyJwt,
        _ => client_auth::choose(profile, endpoints.client_auth()),
    };
    let auth_type = profile.auth_type.unwrap_or(AuthType::AuthorizationCode);
    let proof = proof_of_client(way, profile, auth_type, passphrase).await?;
    // For this endpoint alone: an assertion that a token endpoint takes is as good as a secret there.
    let audience = at.url().as_str();
    let proved = |request| proof.add_for(audience, request, profile, Clock::default());
    let mut refused = Vec::new();
    for token in tokens {
        // The refresh token first: most servers take its access tokens back with it (RFC 7009 §2.1).
        let refresh_token = token
            .refresh_token
            .as_ref()
            .map(|token| (token, "refresh_token"));
        let access_token = (&token.access_token, "access_token");
        for (text, hint) in refresh_token.into_iter().chain([access_token]) {
            let request = TokenRequest::form()
                .with_secret("token", text.clone())
                .with("token_type_hint", Some(hint));
            let words = send(http, &at, proved(request)?).await?;
            // Servers need not take access tokens back (RFC 7009 §2.2.1); they end by themselves soon.
            let counts = hint == "refresh_token" || refresh_token.is_none();
            refused.extend(words.filter(|_| counts));
        }
    }
    refused.dedup();
    Ok(if refused.is_empty() {
        Revoked::Yes
    } else {
        Revoked::Failed(refused.join(", "))
    })
}

/// The endpoints, with what the issuer names where the server itself says nothing of revocation.
async fn endpoints(http: &Http, profile: &Profile, cache: &Cache) -> Result<Endpoints, AuthError> {
    let mut found = discovery::known(http, profile, cache).await?;
    if found.revocation_url.is_none() {
        discovery::fill_from_issuer(http, profile, &mut found).await?;
    }
    Endpoints::of(profile, Some(found))
}

/// Sends one request; the server's words when it did not go well.
async fn send(
    http: &Http,
    at: &Endpoint,
    request: TokenRequest,
) -> Result<Option<String>, AuthError> {
    let answer = http.send(request.into_http(at)).await?;
    let shown = || secret::url_for_people(at.url());
    Ok((!answer.status.is_success()).then(|| format!("{} answered {}", shown(), answer.status)))
}

/// Medplum's server has no revocation endpoint; its `oauth2/logout` ends the login of the token it is called with.
async fn end_medplum_login(
    http: &Http,
    profile: &Profile,
    login: &Token,
) -> Result<Revoked, AuthError> {
    let url = urls::join(Key::TokenUrl, &profile.base_url, "oauth2/logout")?;
    let mut request = Request::new(Method::POST, url);
    let scheme = match &login.bound_to {
        Some(key) => {
            let prover = Prover::new(key.clone(), &Nonces::default());
            prover.sign_with(&login.access_token, &mut request)?;
            "DPoP"
        }
        None => "Bearer",
    };
    let request = request.header(AUTHORIZATION, header(scheme, &login.access_token)?);
    let answer = http.send(request).await?;
    Ok(if answer.status.is_success() {
        Revoked::Yes
    } else {
        Revoked::Failed(format!("oauth2/logout answered {}", answer.status))
    })
}
