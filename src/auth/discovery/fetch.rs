//! One GET without a token: discovery documents and key sets, with the tries and the one redirect that they get.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use url::Url;

use crate::http::limit::{LONGEST_EXCHANGE, is_over, within};
use crate::http::retry::{self, Retry};
use crate::http::{Http, HttpError, Request};
use crate::profile::{Profile, urls};
use crate::words;

const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What to ask for, and how patiently.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub accept: &'static str,
    /// A larger document is none.
    pub largest: usize,
    /// How often a server that is busy or out of reach is asked again.
    pub retries: u32,
}

/// What an address gave.
#[derive(Clone, Debug)]
pub struct Page {
    /// The URL that answered.
    pub url: Url,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Where it sends its readers instead.
    pub moved_to: Option<Url>,
}

/// Fetches a document. One redirect is followed, where [`may_lead`] allows it: servers redirect to add or take away a
/// slash. Any status is an answer.
///
/// # Errors
/// No answer, or one that cannot be read.
pub async fn get(
    http: &Http,
    profile: &Profile,
    url: Url,
    wanted: Wanted,
) -> Result<Page, HttpError> {
    let page = patiently(http, profile, url, wanted).await?;
    match &page.moved_to {
        Some(target) if may_lead(&page.url, target) => {
            patiently(http, profile, target.clone(), wanted).await
        }
        _ => Ok(page),
    }
}

/// Whether a document may lead from one URL to another: never from https to http, and never to another server. What it
/// says decides where secrets go.
pub fn may_lead(from: &Url, to: &Url) -> bool {
    let becomes_secure =
        from.scheme() == "http" && to.scheme() == "https" && from.host() == to.host();
    urls::same_origin(from, to) || becomes_secure
}

async fn patiently(
    http: &Http,
    profile: &Profile,
    url: Url,
    wanted: Wanted,
) -> Result<Page, HttpError> {
    let mut retry = Retry::new(wanted.retries, LONGEST_WAIT);
    let started = Instant::now();
    loop {
        let (wait, reason) = match within(
            LONGEST_EXCHANGE,
            &url,
            once(http, profile, url.clone(), wanted),
        )
        .await
        {
            Ok(page) if retry::is_passing(page.status) => {
                let asked = retry::retry_after(&page.headers, SystemTime::now());
                match retry.wait(asked) {
                    Some(wait) => (wait, page.status.to_string()),
                    None => return Ok(page),
                }
            }
            Err(error) if !error.is_lasting() && !is_over(&error, started) => {
                match retry.wait(None) {
                    Some(wait) => (wait, error.to_string()),
                    None => return Err(error),
                }
            }
            page => return page,
        };
        let wait_ms = wait.as_millis();
        http.trace
            .line(1, &format!("* {reason}: next try in {wait_ms} ms"));
        crate::http::clock::sleep(wait).await;
    }
}

async fn once(http: &Http, profile: &Profile, url: Url, wanted: Wanted) -> Result<Page, HttpError> {
    let mut request = Request::new(Method::GET, url.clone())
        .header(ACCEPT, HeaderValue::from_static(wanted.accept))
        .header(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    profile.add_headers(&mut request.headers, &url);
    request.shows_certificate = profile.is_own(&url);
    let answer = http.send(request).await?;
    let (status, headers) = (answer.status, answer.headers);
    let location = headers
        .get("location")
        .and_then(|value| value.to_str().ok());
    let moved_to = location
        .filter(|_| status.is_redirection())
        .and_then(|location| url.join(location).ok());
    let body = match answer.body.bytes(wanted.largest).await {
        Ok(body) => body,
        // Only a document has to be readable: what else was said stands in the status.
        Err(HttpError::Encoding { .. } | HttpError::TooLarge { .. }) if !status.is_success() => {
            Bytes::new()
        }
        Err(error) => return Err(error),
    };
    Ok(Page {
        url,
        status,
        headers,
        body,
        moved_to,
    })
}

impl Page {
    /// The body without the byte order mark that some editors put before it.
    pub fn text(&self) -> &[u8] {
        self.body
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(&self.body)
    }

    /// Whether it is a web page.
    pub fn is_html(&self) -> bool {
        let start = &self.text()[..self.text().len().min(1024)];
        words::is_html(&self.content_type(), &String::from_utf8_lossy(start))
    }

    /// What it says when it is no JSON.
    pub fn words(&self) -> Option<String> {
        words::of_text(&self.content_type(), &self.body)
    }

    /// When the server says that it answered (RFC 9110 §6.6.1).
    pub fn date(&self) -> Option<SystemTime> {
        httpdate::parse_http_date(self.headers.get(DATE)?.to_str().ok()?).ok()
    }

    fn content_type(&self) -> String {
        let value = self.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_leads_to_its_own_server_only_and_never_out_of_tls() {
        for (from, to, may) in [
            ("https://h.example/a", "https://h.example/a/", true),
            ("https://h.example/a", "https://h.example:443/b", true),
            ("http://h.example/a", "https://h.example/a", true),
            ("http://h.example:8080/a", "https://h.example/a", true),
            ("https://h.example/a", "http://h.example/a", false),
            ("https://h.example/a", "https://h.example:8443/a", false),
            ("http://h.example/a", "http://h.example:81/a", false),
            ("https://h.example/a", "https://o.example/a", false),
            ("https://h.example/a", "ftp://h.example/a", false),
        ] {
            let url = |text| Url::parse(text).unwrap();
            assert_eq!(may_lead(&url(from), &url(to)), may, "{from} to {to}");
        }
    }
}
