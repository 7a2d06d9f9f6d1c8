//! A request of sign-in with its answer, the whole of it within one time: a server that sends a byte now and then never
//! stands still, and never ends.

use std::time::SystemTime;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{AsHeaderName, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, LOCATION};
use url::Url;

use super::token_answer::{self, TokenAnswer};
use crate::http::limit::{LONGEST_EXCHANGE, within};
use crate::http::{Http, HttpError, Request};

/// An answer with its body.
pub(super) struct Whole {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Whole {
    /// Sends a request and reads what comes.
    ///
    /// # Errors
    /// No answer, one that is not whole in time, or a success that cannot be read: of a refusal the status is enough.
    pub(super) async fn of(http: &Http, request: Request) -> Result<Self, HttpError> {
        let url = request.url.clone();
        within(LONGEST_EXCHANGE, &url, async {
            let answer = http.send(request).await?;
            let (status, headers) = (answer.status, answer.headers);
            let body = match answer.body.bytes(token_answer::LARGEST).await {
                Err(HttpError::Encoding { .. } | HttpError::TooLarge { .. })
                    if !status.is_success() =>
                {
                    Bytes::new()
                }
                body => body?,
            };
            Ok(Self {
                status,
                headers,
                body,
            })
        })
        .await
    }

    /// What a token endpoint, or one beside it, says by it.
    pub(super) fn read(&self) -> TokenAnswer {
        TokenAnswer::read(self.status, &self.text(CONTENT_TYPE), &self.body)
    }

    /// When the server says that it answered (RFC 9110 §6.6.1).
    pub(super) fn date(&self) -> Option<SystemTime> {
        httpdate::parse_http_date(&self.text(DATE)).ok()
    }

    /// The same with where it sends its clients instead, when it does.
    pub(super) fn date_and_target(&self, from: &Url) -> (Option<SystemTime>, Option<Url>) {
        let location = self.text(LOCATION);
        let target = Some(location).filter(|text| self.status.is_redirection() && !text.is_empty());
        (self.date(), target.and_then(|text| from.join(&text).ok()))
    }

    fn text(&self, name: impl AsHeaderName) -> String {
        let value = self.headers.get(name).map(HeaderValue::as_bytes);
        String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
    }
}
