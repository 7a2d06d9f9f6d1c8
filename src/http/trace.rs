//! What `-v` and `-vv` show of requests: never bodies, never secrets.

use std::fmt::Debug;
use std::time::Duration;

use reqwest::header::HeaderMap;

use super::Request;
use crate::secret::{self, MASK};

/// Where traces and notices go; the command line renders them.
pub trait Trace: Debug + Send + Sync {
    /// One line of the trace: 1 for requests, 2 for headers.
    fn line(&self, level: u8, text: &str);
    /// Something a person should know although all goes on.
    fn notice(&self, text: &str);
}

/// Nobody listens.
#[derive(Debug)]
pub struct Silent;

impl Trace for Silent {
    fn line(&self, _level: u8, _text: &str) {}
    fn notice(&self, _text: &str) {}
}

pub(super) fn request(trace: &dyn Trace, request: &Request) {
    trace.line(
        1,
        &format!(
            "> {} {}",
            request.method,
            secret::url_for_people(&request.url)
        ),
    );
    headers(trace, '>', &request.headers);
}

pub(super) fn response(trace: &dyn Trace, answer: &reqwest::Response, elapsed: Duration) {
    trace.line(
        1,
        &format!("< {} in {} ms", answer.status(), elapsed.as_millis()),
    );
    headers(trace, '<', answer.headers());
}

fn headers(trace: &dyn Trace, direction: char, headers: &HeaderMap) {
    for (name, value) in headers {
        let shown = if value.is_sensitive() || secret::is_sensitive_header(name) {
            MASK.to_owned()
        } else {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            match url::Url::parse(&text) {
                Ok(url) if url.has_host() => secret::url_for_people(&url),
                _ => text,
            }
        };
        trace.line(2, &format!("{direction} {name}: {shown}"));
    }
}
