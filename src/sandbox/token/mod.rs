//! The token endpoint, and whether a request may pass (RFC 6749 §4.4, RFC 6750).

mod client;
mod client_credentials;
mod jwt_bearer;

use std::collections::HashMap;
use std::time::Instant;

use serde_json::{Value, json};

use super::answer::{Answer, Result};
use super::{Asked, Shared};

pub(super) use client::{ID as CLIENT_ID, SECRET as CLIENT_SECRET};

/// Tokens that are good, with their end.
#[derive(Debug, Default)]
pub(super) struct Tokens(HashMap<String, Instant>);

/// The grants there are.
pub(super) const GRANT_TYPES: [&str; 2] = ["client_credentials", jwt_bearer::GRANT_TYPE];

/// A token request's parameters.
struct Form(HashMap<String, String>);

/// What a grant comes to.
struct Granted {
    /// What goes into the answer beside the token.
    scope: Option<String>,
}

/// `POST /oauth2/token`: each grant is a file of its own.
pub(super) fn issue(shared: &Shared, asked: &Asked) -> Result {
    let form = Form::read(asked)?;
    let granted = match form.get("grant_type") {
        Some("client_credentials") => client_credentials::grant(asked, &form)?,
        Some(jwt_bearer::GRANT_TYPE) => jwt_bearer::grant(asked, &form)?,
        Some(_) => {
            let words = "only client_credentials and jwt-bearer are known here";
            return Err(error(400, "unsupported_grant_type", words));
        }
        None => return Err(error(400, "invalid_request", "there is no grant_type")),
    };
    let seconds = shared.options.token_lifetime.as_secs();
    Ok(answer(shared, &granted, &seconds.into()))
}

/// `POST /auth/token`, as BCDA has it: the Basic header is all, and the lifetime comes as a string.
pub(super) fn issue_like_bcda(shared: &Shared, asked: &Asked) -> Result {
    client::authenticate(asked, &Form::read(asked)?)?;
    let seconds = shared.options.token_lifetime.as_secs().to_string();
    Ok(answer(shared, &Granted { scope: None }, &seconds.into()))
}

/// Whether an Authorization header opens the FHIR base: a good token, or HTTP Basic.
pub(super) fn is_allowed(shared: &Shared, authorization: &str) -> bool {
    if let Some(token) = client::credentials(authorization, "Bearer") {
        let end = shared.tokens().0.get(token).copied();
        return end.is_some_and(|end| end > Instant::now());
    }
    client::is_basic(authorization)
}

fn answer(shared: &Shared, granted: &Granted, expires_in: &Value) -> Answer {
    let token = format!("sandbox-{:032x}", fastrand::u128(..));
    let now = Instant::now();
    let mut tokens = shared.tokens();
    tokens.0.retain(|_, end| *end > now);
    tokens
        .0
        .insert(token.clone(), now + shared.options.token_lifetime);
    let mut body = json!({"access_token": token, "token_type": "bearer", "expires_in": expires_in});
    if let Some(scope) = &granted.scope {
        body["scope"] = scope.as_str().into();
    }
    Answer::typed(200, "application/json", body.to_string())
        .with("cache-control", "no-store")
        .with("pragma", "no-cache")
}

/// An error of the endpoint (RFC 6749 §5.2).
fn error(status: u16, code: &str, words: &str) -> Answer {
    let body = json!({"error": code, "error_description": words});
    Answer::typed(status, "application/json", body.to_string()).with("cache-control", "no-store")
}

impl Form {
    fn read(asked: &Asked) -> Result<Self> {
        if asked.method != "POST" {
            let words = "token requests are POST requests";
            return Err(error(405, "invalid_request", words).with("allow", "POST"));
        }
        let kind = asked.header("content-type");
        let is_form = kind.is_empty() || kind.starts_with("application/x-www-form-urlencoded");
        if !is_form && !asked.body.is_empty() {
            let words = "the body has to be application/x-www-form-urlencoded";
            return Err(error(400, "invalid_request", words));
        }
        let mut form = HashMap::new();
        for (name, value) in url::form_urlencoded::parse(&asked.body).into_owned() {
            if form.insert(name.clone(), value).is_some() {
                // RFC 6749 §3.2
                let words = format!("{name} is there twice");
                return Err(error(400, "invalid_request", &words));
            }
        }
        Ok(Self(form))
    }

    /// A parameter; an empty one is none (RFC 6749 §3.2).
    fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }
}
