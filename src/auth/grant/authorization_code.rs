//! `authorization-code`: RFC 6749 §4.1 with PKCE (RFC 7636) and what SMART App Launch 2.2 adds to it.

use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, RedirectUrl, Scope};
use url::Url;

use super::super::dpop::BoundKey;
use super::super::request::TokenRequest;
use crate::profile::{Key, Param, Profile, ProfileError};
use crate::secret::Secret;

/// What is asked for when the profile says nothing.
pub const DEFAULT_SCOPE: &str = "openid";
/// 192 bits; SMART asks for 122.
const RANDOM_BYTES: u32 = 24;

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
    let redirect =
        RedirectUrl::new(redirect_uri.to_owned()).map_err(|error| ProfileError::BadSetting {
            key: Key::CallbackUrl,
            value: redirect_uri.to_owned(),
            reason: error.to_string(),
        })?;
    let scope = scope(profile, launch);
    let client = BasicClient::new(ClientId::new(client_id.to_owned()))
        .set_auth_uri(AuthUrl::from_url(authorize_url.clone()))
        .set_redirect_uri(redirect);
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let nonce = scope
        .split_whitespace()
        .any(|scope| scope == "openid")
        .then(|| CsrfToken::new_random_len(RANDOM_BYTES).into_secret());
    let mut request = client
        .authorize_url(|| CsrfToken::new_random_len(RANDOM_BYTES))
        .set_pkce_challenge(challenge)
        .add_scopes(
            scope
                .split_whitespace()
                .map(|scope| Scope::new(scope.to_owned())),
        )
        .add_extra_param("aud", profile.fhir_base.as_str());
    if let Some(nonce) = &nonce {
        request = request.add_extra_param("nonce", nonce);
    }
    if let Some(launch) = launch {
        request = request.add_extra_param("launch", launch);
    }
    for (name, value) in &profile.asks.authorize_params {
        request = request.add_extra_param(name, value);
    }
    let (url, state) = request.url();
    Ok(AuthorizationRequest {
        url,
        state: Secret::new(state.into_secret()),
        nonce: nonce.map(Secret::new),
        bound_to: None,
        redirect_uri: redirect_uri.to_owned(),
        verifier: Secret::new(verifier.into_secret()),
    })
}

/// The scope asked for; a launch by an EHR goes by one of its own (SMART App Launch 2.2, EHR launch).
pub fn scope(profile: &Profile, launch: Option<&str>) -> String {
    let scope = profile.scope.as_deref().unwrap_or(DEFAULT_SCOPE);
    let has_one = scope.split_whitespace().any(|scope| scope == "launch");
    if launch.is_some() && !has_one {
        format!("launch {scope}")
    } else {
        scope.to_owned()
    }
}

/// The token request for a code, without the client's proof.
pub fn token_request(asked: &AuthorizationRequest, code: Secret) -> TokenRequest {
    TokenRequest::new("authorization_code")
        .with_secret("code", code)
        .with("redirect_uri", Some(&asked.redirect_uri))
        .with_secret("code_verifier", asked.verifier.clone())
        .good_once()
}
