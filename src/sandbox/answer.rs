//! Answers: JSON with FHIR's media type, an OperationOutcome for every error.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use serde_json::json;

pub(super) const FHIR_JSON: &str = "application/fhir+json";

/// An answer as plain data, so that a batch can hold several. A refusal is one, too.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
}

/// What a request comes to; both sides are sent.
pub(super) type Result<T = Answer> = std::result::Result<T, Answer>;

impl Answer {
    /// A status without a body.
    pub(super) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// A body with its media type.
    pub(super) fn typed(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            ..Self::empty(status)
        }
        .with("content-type", content_type)
    }

    /// A resource.
    pub(super) fn fhir(status: u16, text: impl Into<Bytes>) -> Self {
        Self::typed(status, FHIR_JSON, text)
    }

    /// An OperationOutcome with one issue.
    pub(super) fn outcome(status: u16, code: &str, words: &str) -> Self {
        Self::fhir(status, outcome(status, code, words))
    }

    /// The answer with a header more.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response
                    .headers_mut()
                    .append(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

/// The request cannot be understood.
pub(super) fn bad_request(words: &str) -> Answer {
    Answer::outcome(400, "invalid", words)
}

pub(super) fn not_found(words: &str) -> Answer {
    Answer::outcome(404, "not-found", words)
}

/// The method is not possible there; RFC 9110 §15.5.6 wants to know which ones are.
pub(super) fn not_allowed(method: &str, allowed: &str) -> Answer {
    let words = format!("{method} is not possible here, only {allowed}");
    Answer::outcome(405, "not-supported", &words).with("allow", allowed)
}

/// No token or one that is not good; without one there is no error to name (RFC 6750 §3.1).
pub(super) fn unauthorized(authorization: &str) -> Answer {
    let (words, challenge) = if authorization.is_empty() {
        (
            "a token is needed, or HTTP Basic",
            "Bearer realm=\"sandbox\"",
        )
    } else {
        (
            "the token or the password is not good, or not any more",
            "Bearer realm=\"sandbox\", error=\"invalid_token\"",
        )
    };
    Answer::outcome(401, "login", words).with("www-authenticate", challenge)
}

/// The text of an OperationOutcome; what went well is information.
pub(super) fn outcome(status: u16, code: &str, words: &str) -> String {
    let severity = if status < 400 { "information" } else { "error" };
    json!({
        "resourceType": "OperationOutcome",
        "issue": [{"severity": severity, "code": code, "details": {"text": words}}],
    })
    .to_string()
}
