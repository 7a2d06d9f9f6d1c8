//! `token-exchange`: a token of somebody else's for one of this server's (RFC 8693 §2.1).

use super::super::AuthError;
use super::super::credential;
use super::super::request::TokenRequest;
use super::{Asked, Grant, incomplete};
use crate::profile::{AuthType, ExchangeSettings, Key, Profile};

const MISSING: &str = "a token to exchange (--subject-token-file)";
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The names that have a URI of this form (RFC 8693 §3).
const TYPES: [&str; 6] = [
    "access_token",
    "refresh_token",
    "id_token",
    "jwt",
    "saml1",
    "saml2",
];

/// Another token for one of somebody else's.
#[derive(Debug)]
pub struct TokenExchange;

impl Grant for TokenExchange {
    fn auth_type(&self) -> AuthType {
        AuthType::TokenExchange
    }

    fn missing(&self, profile: &Profile) -> Option<&'static str> {
        profile.exchange.subject.is_none().then_some(MISSING)
    }

    fn request(&self, asked: &Asked<'_>) -> Result<TokenRequest, AuthError> {
        asked.proved(request(asked.profile)?)
    }
}

/// The token request without the client's proof. Files are read now.
fn request(profile: &Profile) -> Result<TokenRequest, AuthError> {
    let ExchangeSettings {
        subject,
        subject_type,
        actor,
        actor_type,
        requested_type,
        resource,
    } = &profile.exchange;
    let Some(subject) = subject else {
        return Err(incomplete(profile, AuthType::TokenExchange, MISSING));
    };
    let kind = |given: Option<&str>| uri(given.unwrap_or("access_token"));
    let mut request = TokenRequest::new(GRANT_TYPE)
        .with_secret(
            "subject_token",
            credential::at_hand(Key::SubjectTokenFile, subject)?,
        )
        .with("subject_token_type", Some(&kind(subject_type.as_deref())));
    if let Some(actor) = actor {
        request = request
            .with_secret(
                "actor_token",
                credential::at_hand(Key::ActorTokenFile, actor)?,
            )
            .with("actor_token_type", Some(&kind(actor_type.as_deref())));
    }
    let requested = requested_type.as_deref().map(uri);
    Ok(request
        .with("requested_token_type", requested.as_deref())
        .with("audience", profile.audience.as_deref())
        .with("resource", resource.as_deref())
        .with("scope", profile.scope.as_deref()))
}

/// A short name as its URI; anything else is one.
fn uri(name: &str) -> String {
    if TYPES.contains(&name) {
        format!("urn:ietf:params:oauth:token-type:{name}")
    } else {
        name.to_owned()
    }
}
