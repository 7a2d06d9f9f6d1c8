//! The answer to a request that a server works on: where its status is (FHIR R4 §3.2.2).

use reqwest::StatusCode;
use reqwest::header::CONTENT_LOCATION;
use url::Url;

use super::asynchronous::AsyncError;
use super::{Answer, Refusal};
use crate::{secret, words};

/// The status URL of an accepted request, resolved against the request's own URL.
///
/// # Errors
/// [`AsyncError::NoJob`] when the answer is not 202 with a Content-Location.
pub fn status_url(answer: Answer) -> Result<Url, AsyncError> {
    let named = answer.headers.get(CONTENT_LOCATION);
    let named = named.map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned());
    let url = named
        .as_deref()
        .filter(|text| !text.is_empty())
        .and_then(|text| answer.url.join(text).ok())
        .filter(|url| matches!(url.scheme(), "http" | "https"));
    // Looking at the kick-off's own URL would start a job with each look.
    let is_itself = url.as_ref().is_some_and(|url| {
        secret::url_without_query(url) == secret::url_without_query(&answer.url)
    });
    let location = match (named.as_deref(), url) {
        (Some(_), Some(url)) if answer.status == StatusCode::ACCEPTED && !is_itself => {
            return Ok(url);
        }
        (None | Some(""), _) => "without a Content-Location".to_owned(),
        (Some(_), Some(_)) if is_itself => {
            "with the kick-off's own URL as its Content-Location".to_owned()
        }
        (Some(_), Some(url)) => format!(
            "with the Content-Location {} where 202 is wanted",
            secret::url_for_people(&url)
        ),
        (Some(text), None) => format!(
            "with a Content-Location that is no URL ({})",
            secret::mask(&words::shortened(text))
        ),
    };
    let refusal = Refusal::of_answer(answer);
    let words = match refusal.words.as_slice() {
        [] => String::new(),
        words => format!(": {}", words.join("; ")),
    };
    Err(AsyncError::NoJob {
        method: refusal.method,
        url: secret::url_for_people(&refusal.url),
        status: refusal.status,
        location,
        words,
    })
}
