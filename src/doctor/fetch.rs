//! One GET without a token, and what came of it.

use std::time::SystemTime;

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, DATE, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use crate::fhir::Client;
use crate::http::{HttpError, Request};
use crate::words;

/// CapabilityStatements can be some megabytes.
const LARGEST: usize = 32 << 20;

/// What an address gave.
#[derive(Debug)]
pub(super) struct Page {
    pub status: StatusCode,
    pub json: Option<Value>,
    /// Whether it is a web page.
    pub is_html: bool,
    /// The server's words when they are no JSON.
    pub words: Option<String>,
    /// Where it sends its readers instead.
    pub moved_to: Option<Url>,
    /// How far the server's clock is ahead of this one, in seconds.
    pub ahead: Option<i64>,
}

/// Fetches a document; one redirect on the same host is followed, since servers redirect to add or take away a slash.
pub(super) async fn get(client: &Client, url: Url) -> Result<Page, HttpError> {
    let page = once(client, url.clone()).await?;
    match &page.moved_to {
        Some(target) if target.origin() == url.origin() => once(client, target.clone()).await,
        _ => Ok(page),
    }
}

async fn once(client: &Client, url: Url) -> Result<Page, HttpError> {
    let mut request = Request::new(Method::GET, url.clone())
        .header(
            ACCEPT,
            HeaderValue::from_static("application/fhir+json, application/json"),
        )
        .header(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    client.profile.add_headers(&mut request.headers, &url);
    let answer = client.http.send(request).await?;
    let (status, ahead) = (answer.status, answer.header(DATE).and_then(ahead));
    let moved_to = status
        .is_redirection()
        .then(|| url.join(answer.header("location")?).ok())
        .flatten();
    let kind = answer.header(CONTENT_TYPE).unwrap_or_default().to_owned();
    let body = answer.body.bytes(LARGEST).await?;
    let json: Option<Value> = serde_json::from_slice(&body).ok();
    let start = String::from_utf8_lossy(&body[..body.len().min(1024)]).into_owned();
    Ok(Page {
        status,
        is_html: json.is_none() && words::is_html(&kind, &start),
        words: json
            .is_none()
            .then(|| words::of_text(&kind, &body))
            .flatten(),
        json,
        moved_to,
        ahead,
    })
}

impl Page {
    /// Whether it is what a FHIR server says of itself (R4 CapabilityStatement, DSTU2 Conformance).
    pub(super) fn is_capability_statement(&self) -> bool {
        let kind = self.json.as_ref().and_then(|json| json.get("resourceType"));
        let kind = kind.and_then(Value::as_str).unwrap_or_default();
        self.status.is_success() && matches!(kind, "CapabilityStatement" | "Conformance")
    }
}

/// How far a `Date` is ahead of the clock here, in seconds (RFC 9110 §6.6.1).
fn ahead(date: &str) -> Option<i64> {
    Some(seconds_ahead(httpdate::parse_http_date(date).ok()?))
}

/// How far a time is ahead of the clock here, in seconds; negative when it lies in the past.
pub(super) fn seconds_ahead(time: SystemTime) -> i64 {
    let now = SystemTime::now();
    let seconds = |duration: std::time::Duration| i64::try_from(duration.as_secs());
    match time.duration_since(now) {
        Ok(ahead) => seconds(ahead).unwrap_or(i64::MAX),
        Err(behind) => -seconds(behind.duration()).unwrap_or(i64::MAX),
    }
}
