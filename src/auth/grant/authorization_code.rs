//! `authorization-code`: RFC 6749 §4.1 with PKCE (RFC 7636) and what SMART App Launch 2.2 adds to it.

use url::Url;

use super::super::dpop::BoundKey;
use super::super::random::{challenge, unguessable};
use super::super::request::TokenRequest;
use crate::profile::{Key, Param, Profile, ProfileError};
use crate::secret::Secret;

/// What is asked for when the profile says nothing.
pub const DEFAULT_SCOPE: &str = "openid";
/// 192 bits; SMART asks for 122.
const RANDOM_BYTES: usize = 24;
/// 43 characters, what RFC 7636 §4.1 recommends.
const VERIFIER_BYTES: usize = 32;

/// One authorization request: where the browser goes, and what must come back.
#[derive(Debug)]
pub struct AuthorizationRequest {
    /// Holds the state, as it must; everything else that shows it masks it.
    pub url: Url,
    pub state: Secret,
    /// The id_token must repeat it; only with the scope `openid`.
    pub nonce: Option<Secret>,
    /// The key that the token is to be bound to.
    pub bound_to: Option<BoundKey>,
    redirect_uri: String,
    verifier: Secret,
}

impl AuthorizationRequest {
    /// What it asks, to be left at the server; the URL then only says where it was left (RFC 9126 §4).
    pub fn params(&self) -> Vec<Param> {
        let pairs = self.url.query_pairs();
        pairs
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect()
    }

    /// Binds the code to a key too (RFC 9449 §10).
    pub fn bind(&mut self, key: BoundKey) {
        self.url
            .query_pairs_mut()
            .append_pair("dpop_jkt", key.thumbprint());
        self.bound_to = Some(key);
    }
}

/// A new authorization request, with a state, a verifier and a nonce of its own.
///
/// # Errors
/// The redirect URI is no URL.
pub fn authorize(
    profile: &Profile,
    client_id: &str,
    authorize_url: &Url,
    redirect_uri: &str,
    launch: Option<&str>,
) -> Result<AuthorizationRequest, ProfileError> {
    Url::parse(redirect_uri).map_err(|error| ProfileError::BadSetting {
        key: Key::CallbackUrl,
        value: redirect_uri.to_owned(),
        reason: error.to_string(),
    })?;
    let scope = scope(profile, launch);
    let state = unguessable::<RANDOM_BYTES>();
    let verifier = unguessable::<VERIFIER_BYTES>();
    let nonce = scope
        .split_whitespace()
        .any(|scope| scope == "openid")
        .then(unguessable::<RANDOM_BYTES>);
    let mut url = authorize_url.clone();
    {
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("state", &state)
            .append_pair("code_challenge", &challenge(&verifier))
            .append_pair("code_challenge_method", "S256")
            .append_pair("redirect_uri", redirect_uri);
        if !scope.is_empty() {
            query.append_pair("scope", &scope);
        }
        query.append_pair("aud", profile.fhir_base.as_str());
        if let Some(nonce) = &nonce {
            query.append_pair("nonce", nonce);
        }
        if let Some(launch) = launch {
            query.append_pair("launch", launch);
        }
        query.extend_pairs(&profile.asks.authorize_params);
    }
    Ok(AuthorizationRequest {
        url,
        state: Secret::new(state),
        nonce: nonce.map(Secret::new),
        bound_to: None,
        redirect_uri: redirect_uri.to_owned(),
        verifier: Secret::new(verifier),
    })
}

/// The scope asked for; a launch by an EHR goes by one of its own (SMART App Launch 2.2, EHR launch).
pub fn scope(profile: &Profile, launch: Option<&str>) -> String {
    let scope = profile.scope.as_deref().unwrap_or(DEFAULT_SCOPE);
    let has_one = scope.split_whitespace().any(|scope| scope == "launch");
    let own = (launch.is_some() && !has_one).then_some("launch");
    let scopes: Vec<&str> = own.into_iter().chain(scope.split_whitespace()).collect();
    scopes.join(" ")
}

/// The token request for a code, without the client's proof.
pub fn token_request(asked: &AuthorizationRequest, code: Secret) -> TokenRequest {
    TokenRequest::new("authorization_code")
        .with_secret("code", code)
        .with("redirect_uri", Some(&asked.redirect_uri))
        .with_secret("code_verifier", asked.verifier.clone())
        .good_once()
}
