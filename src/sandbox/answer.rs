//! Answers: JSON with FHIR's media type, outcomes for every error.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::json;

/// A resource.
pub(super) fn fhir(status: u16, text: impl Into<Body>) -> Response {
    typed(status, "application/fhir+json", text)
}

/// A body with its media type.
pub(super) fn typed(status: u16, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static(content_type));
    response
}

/// A status without a body.
pub(super) fn empty(status: u16) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// An OperationOutcome with one issue.
pub(super) fn outcome(status: u16, code: &str, words: &str) -> Response {
    let severity = if status < 400 { "information" } else { "error" };
    let outcome = json!({
        "resourceType": "OperationOutcome",
        "issue": [{"severity": severity, "code": code, "details": {"text": words}}],
    });
    fhir(status, outcome.to_string())
}

/// No token, or one that is not good.
pub(super) fn unauthorized() -> Response {
    with(
        outcome(401, "login", "a token is needed, or HTTP Basic"),
        "www-authenticate",
        "Bearer error=\"invalid_token\"",
    )
}

/// The answer with a header more.
pub(super) fn with(mut response: Response, name: &'static str, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response
            .headers_mut()
            .insert(HeaderName::from_static(name), value);
    }
    response
}
