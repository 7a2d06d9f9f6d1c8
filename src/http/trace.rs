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
    headers(trace, '>', &request.headers, false);
}

/// `brings_secret` as [`Request::brings_secret`].
pub(super) fn response(
    trace: &dyn Trace,
    answer: &reqwest::Response,
    elapsed: Duration,
    brings_secret: bool,
) {
    trace.line(
        1,
        &format!("< {} in {} ms", answer.status(), elapsed.as_millis()),
    );
    headers(trace, '<', answer.headers(), brings_secret);
}

/// A header's value, the secrets masked in URLs that it is, or holds between `<` and `>`: relative ones too.
fn without_signatures(text: &str) -> String {
    let parts = text.split_inclusive(['<', '>']).map(|part| {
        let end = part.trim_end_matches(['<', '>']);
        let rest = &part[end.len()..];
        format!("{}{rest}", url_without_secrets(end))
    });
    parts.collect()
}

fn url_without_secrets(text: &str) -> String {
    const NOWHERE: &str = "http://relative.invalid";
    if let Ok(url) = url::Url::parse(text) {
        return if url.has_host() {
            secret::url_for_people(&url)
        } else {
            text.to_owned()
        };
    }
    let is_relative = text.starts_with('/') && text.contains('?');
    match url::Url::parse(NOWHERE).and_then(|base| base.join(text)) {
        Ok(url) if is_relative => secret::url_for_people(&url).replacen(NOWHERE, "", 1),
        _ => text.to_owned(),
    }
}

fn headers(trace: &dyn Trace, direction: char, headers: &HeaderMap, brings_secret: bool) {
    for (name, value) in headers {
        let is_secret =
            secret::is_sensitive_header(name) || brings_secret && !secret::is_harmless_header(name);
        let shown = if value.is_sensitive() || is_secret {
            MASK.to_owned()
        } else {
            let text = String::from_utf8_lossy(value.as_bytes());
            // What comes is somebody else's words; what goes out may have a word in it that is a secret elsewhere.
            let text = if direction == '<' {
                secret::mask_foreign(&text)
            } else {
                text.into_owned()
            };
            without_signatures(&text)
        };
        trace.line(2, &format!("{direction} {name}: {shown}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_masked_in_every_shape_of_a_url() {
        for (text, shown) in [
            (
                "https://h/x?X-Amz-Signature=S&a=1",
                "https://h/x?X-Amz-Signature=********&a=********",
            ),
            ("/g?X-Amz-Signature=S", "/g?X-Amz-Signature=********"),
            (
                "<https://h/y?token=S>; rel=\"next\"",
                "<https://h/y?token=********>; rel=\"next\"",
            ),
            ("W/\"1\"", "W/\"1\""),
            (
                "application/fhir+json; charset=utf-8",
                "application/fhir+json; charset=utf-8",
            ),
        ] {
            assert_eq!(without_signatures(text), shown);
        }
    }
}
