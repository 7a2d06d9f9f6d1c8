//! Tokens given back to the server that issued them: RFC 7009, and Medplum's own way.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::AUTHORIZATION;
use url::Url;

use super::cache::Cache;
use super::dpop::{Nonces, Prover};
use super::exchange::TokenRequest;
use super::grant::Grant;
use super::keys::Passphrase;
use super::{AuthError, Token, client_auth, discovery, header, prove, secret_command};
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
    let Some(url) = discovery::revocation_url(http, profile, cache).await? else {
        return match tokens
            .first()
            .filter(|login| login.context.contains_key("project"))
        {
            Some(login) => end_medplum_login(http, profile, login).await,
            None => Ok(Revoked::NotOffered),
        };
    };
    if profile.fhir_base.scheme() == "https" && url.scheme() != "https" {
        return Err(AuthError::Insecure {
            url: url.to_string(),
        });
    }
    let profile = &*secret_command::with_secret(profile).await?;
    let endpoints = discovery::endpoints(http, profile, cache).await?;
    let advertised: &[String] = match &profile.token_url {
        Some(url) if *url != endpoints.token_url => &[],
        _ => &endpoints.client_auth,
    };
    // An assertion is for the server as the token endpoint names it.
    let token_url = profile.token_url.as_ref().unwrap_or(&endpoints.token_url);
    let way = match Grant::of(profile) {
        Some(Grant::JwtAssertion) => ClientAuth::PrivateKeyJwt,
        _ => client_auth::choose(profile, advertised),
    };
    let auth_type = profile.auth_type.unwrap_or(AuthType::AuthorizationCode);
    let proof = prove(way, profile, auth_type, passphrase).await?;
    let prove = |request| proof.add_to(request, profile, token_url);
    for token in tokens {
        // The refresh token first: most servers take its access tokens back with it (RFC 7009 §2.1).
        if let Some(refresh_token) = &token.refresh_token {
            let request = TokenRequest::form()
                .with_secret("token", refresh_token.clone())
                .with("token_type_hint", Some("refresh_token"));
            if let Some(words) = send(http, &url, prove(request)?).await? {
                return Ok(Revoked::Failed(words));
            }
        }
        let request = TokenRequest::form()
            .with_secret("token", token.access_token.clone())
            .with("token_type_hint", Some("access_token"));
        match send(http, &url, prove(request)?).await? {
            // Servers need not take access tokens back (RFC 7009 §2.2.1); they end by themselves soon.
            Some(words) if token.refresh_token.is_none() => return Ok(Revoked::Failed(words)),
            _ => {}
        }
    }
    Ok(Revoked::Yes)
}

/// Sends one request; the server's words when it did not go well.
async fn send(http: &Http, url: &Url, request: TokenRequest) -> Result<Option<String>, AuthError> {
    let answer = http.send(request.into_http(url)).await?;
    Ok((!answer.status.is_success())
        .then(|| format!("{} answered {}", secret::url_for_people(url), answer.status)))
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
            prover.prove_with(&login.access_token, &mut request)?;
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
