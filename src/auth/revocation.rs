//! Tokens given back to the server that issued them: RFC 7009, and Medplum's own way.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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
use crate::http::{Http, Request, clock};
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
    Failed {
        reason: String,
        /// How many refresh tokens and access tokens were not taken back.
        left: (usize, usize),
    },
}

/// Who gives tokens back, and to whom.
pub struct Giver<'a> {
    pub http: &'a Http,
    pub profile: &'a Profile,
    pub cache: &'a Cache,
    pub passphrase: &'a Passphrase,
}

/// The tokens that have not been taken back yet, counted while they are: what is cut off knows how far it came.
struct Left(Mutex<(usize, usize)>);

impl Left {
    fn all(tokens: &[Token]) -> Self {
        let refresh_tokens = tokens.iter().filter(|token| token.refresh_token.is_some());
        Self(Mutex::new((refresh_tokens.count(), tokens.len())))
    }

    fn now(&self) -> MutexGuard<'_, (usize, usize)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives tokens back. Failures are told, not raised: the caller forgets the tokens in any case.
pub async fn revoke(by: Giver<'_>, tokens: &[Token]) -> Revoked {
    let left = Left::all(tokens);
    let revoked = Box::pin(by.try_revoke(tokens, &left)).await;
    revoked.unwrap_or_else(|error| Revoked::Failed {
        reason: error.to_string(),
        left: *left.now(),
    })
}

/// Why tokens were not taken back.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("no answer within {} s", LONGEST.as_secs())]
    TooLate,
    #[error(transparent)]
    Auth(#[from] AuthError),
}

/// Does something until a moment.
async fn until<T>(
    ends: Instant,
    doing: impl Future<Output = Result<T, AuthError>>,
) -> Result<T, Failed> {
    let left = ends.saturating_duration_since(Instant::now());
    let done = clock::within(left, doing).await.ok_or(Failed::TooLate)?;
    Ok(done?)
}

impl Giver<'_> {
    async fn try_revoke(&self, tokens: &[Token], left: &Left) -> Result<Revoked, Failed> {
        let mut ends = Instant::now() + LONGEST;
        let endpoints = match until(ends, self.endpoints()).await {
            Ok(endpoints) => Some(endpoints),
            Err(Failed::Auth(AuthError::Discovery(DiscoveryError::NothingFound { .. }))) => None,
            Err(error) => return Err(error),
        };
        let revocation = endpoints.as_ref().and_then(Endpoints::revocation);
        let (Some(endpoints), Some(at)) = (endpoints, revocation) else {
            let is_medplums = |login: &&Token| login.context.contains_key("project");
            return match tokens.first().filter(is_medplums) {
                Some(login) => until(ends, self.end_medplum_login(login, left)).await,
                None => Ok(Revoked::NotOffered),
            };
        };
        // A program or a person who is asked for a passphrase takes none of the server's time.
        let before = Instant::now();
        let profile = secret_command::with_secret(self.profile).await;
        let profile = profile.map_err(AuthError::from)?;
        let profile = &*Box::pin(credential::filled(profile)).await?;
        let way = match grant::of(profile).map(grant::Grant::auth_type) {
            Some(AuthType::JwtAssertion) => ClientAuth::PrivateKeyJwt,
            _ => client_auth::choose(profile, endpoints.client_auth()),
        };
        let auth_type = profile.auth_type.unwrap_or(AuthType::AuthorizationCode);
        let proof = proof_of_client(way, profile, auth_type, self.passphrase).await?;
        ends += before.elapsed();
        // For this endpoint alone: an assertion that a token endpoint takes is as good as a secret there.
        let audience = at.url().as_str();
        let proved = |request| proof.add_for(audience, request, profile, Clock::default());
        until(ends, give(self.http, &at, proved, tokens, left)).await
    }

    /// The endpoints, with what the issuer names where the server itself says nothing of revocation.
    async fn endpoints(&self) -> Result<Endpoints, AuthError> {
        let (http, profile) = (self.http, self.profile);
        let mut found = discovery::known(http, profile, self.cache).await?;
        if found.revocation_url.is_none() {
            discovery::fill_from_issuer(http, profile, &mut found).await?;
        }
        Endpoints::of(profile, Some(found))
    }

    /// Medplum's server has no revocation endpoint; its `oauth2/logout` ends the login of the token it is called with.
    async fn end_medplum_login(&self, login: &Token, left: &Left) -> Result<Revoked, AuthError> {
        let url = urls::join(Key::TokenUrl, &self.profile.base_url, "oauth2/logout")?;
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
        let answer = self.http.send(request).await?;
        Ok(if answer.status.is_success() {
            Revoked::Yes
        } else {
            Revoked::Failed {
                reason: format!("oauth2/logout answered {}", answer.status),
                left: *left.now(),
            }
        })
    }
}

/// Gives one token after the other back.
async fn give(
    http: &Http,
    at: &Endpoint,
    proved: impl Fn(TokenRequest) -> Result<TokenRequest, AuthError>,
    tokens: &[Token],
    left: &Left,
) -> Result<Revoked, AuthError> {
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
            let words = send(http, at, proved(request)?).await?;
            let is_refresh_token = hint == "refresh_token";
            // Servers need not take access tokens back (RFC 7009 §2.2.1); they end by themselves soon.
            let counts = is_refresh_token || refresh_token.is_none();
            if words.is_none() || !counts {
                let mut left = left.now();
                *(if is_refresh_token {
                    &mut left.0
                } else {
                    &mut left.1
                }) -= 1;
            }
            refused.extend(words.filter(|_| counts));
        }
    }
    refused.dedup();
    Ok(if refused.is_empty() {
        Revoked::Yes
    } else {
        Revoked::Failed {
            reason: refused.join(", "),
            left: *left.now(),
        }
    })
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
