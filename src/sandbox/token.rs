//! The token endpoint: client credentials in header or body, never both (RFC 6749 §2.3.1, §4.4).

use std::collections::HashMap;
use std::time::Instant;

use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Asked, Shared, answer, lock};

pub(super) const CLIENT_ID: &str = "demo-client";
pub(super) const CLIENT_SECRET: &str = "demo-secret";

/// Tokens that are good, with their end.
pub(super) type Tokens = HashMap<String, Instant>;

/// Answers a token request; `bare` is BCDA's way, where the Basic header is all.
pub(super) fn issue(shared: &Shared, asked: &Asked, bare: bool) -> Response {
    if asked.method != "POST" {
        return error(405, "invalid_request", "token requests are POST requests");
    }
    let form: HashMap<String, String> = url::form_urlencoded::parse(&asked.body)
        .into_owned()
        .collect();
    let header = basic(asked.header("authorization"));
    let in_body = form
        .get("client_id")
        .cloned()
        .zip(form.get("client_secret").cloned());
    let client = match (header, in_body) {
        (Some(_), _) if form.contains_key("client_secret") => {
            return error(
                400,
                "invalid_request",
                "the client authenticates in header and body",
            );
        }
        // Each half is form-encoded before base64.
        (Some((id, secret)), _) => Some((form_decoded(&id), form_decoded(&secret))),
        (None, in_body) => in_body,
    };
    let Some((id, secret)) = client else {
        return challenged(error(
            401,
            "invalid_client",
            "the client does not authenticate",
        ));
    };
    if (id.as_str(), secret.as_str()) != (CLIENT_ID, CLIENT_SECRET) {
        return challenged(error(
            401,
            "invalid_client",
            "client id or client secret is wrong",
        ));
    }
    if !bare && form.get("grant_type").map(String::as_str) != Some("client_credentials") {
        return error(
            400,
            "unsupported_grant_type",
            "only client_credentials is known here",
        );
    }
    let token = format!("sandbox-{:032x}", fastrand::u128(..));
    let lifetime = shared.options.token_lifetime;
    lock(&shared.tokens).insert(token.clone(), Instant::now() + lifetime);
    let seconds: Value = if bare {
        lifetime.as_secs().to_string().into()
    } else {
        lifetime.as_secs().into()
    };
    let mut body = json!({"access_token": token, "token_type": "bearer", "expires_in": seconds});
    if let Some(scope) = form.get("scope") {
        body["scope"] = scope.as_str().into();
    }
    answer::with(
        answer::typed(200, "application/json", body.to_string()),
        "cache-control",
        "no-store",
    )
}

/// Whether an Authorization header opens the FHIR base: a good token, or HTTP Basic.
pub(super) fn is_allowed(shared: &Shared, authorization: &str) -> bool {
    if let Some(token) = authorization.strip_prefix("Bearer ") {
        return lock(&shared.tokens)
            .get(token)
            .is_some_and(|end| *end > Instant::now());
    }
    basic(authorization)
        .is_some_and(|(id, secret)| (id.as_str(), secret.as_str()) == (CLIENT_ID, CLIENT_SECRET))
}

fn basic(authorization: &str) -> Option<(String, String)> {
    let decoded = STANDARD
        .decode(authorization.strip_prefix("Basic ")?)
        .ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

fn form_decoded(text: &str) -> String {
    url::form_urlencoded::parse(format!("x={text}").as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

fn error(status: u16, code: &str, words: &str) -> Response {
    let body = json!({"error": code, "error_description": words});
    answer::typed(status, "application/json", body.to_string())
}

fn challenged(response: Response) -> Response {
    answer::with(response, "www-authenticate", "Basic realm=\"sandbox\"")
}
