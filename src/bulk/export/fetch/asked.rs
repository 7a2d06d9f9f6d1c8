//! The request for a file, and what an answer means that does not bring it.

use std::time::SystemTime;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue, IF_RANGE, RANGE};
use reqwest::{Method, StatusCode};

use super::one::{Download, Failed, Reason};
use crate::bulk::export::log::detail::without_queries;
use crate::fhir::{Client, FhirError, Refusal};
use crate::http::range::BrokenOff;
use crate::http::retry;
use crate::http::{Request, Response};
use crate::words;

impl Download {
    /// Asks for the file, or for what is missing of it.
    pub(super) async fn ask(
        &self,
        client: &Client,
        broken_off: Option<&BrokenOff>,
    ) -> Result<Response, Failed> {
        let mut request = Request::new(Method::GET, self.file.link.url())
            .header(ACCEPT, HeaderValue::from_static("application/fhir+ndjson"));
        if let Some(broken_off) = broken_off
            && let Some(if_range) = broken_off.validator.if_range()
        {
            let range = format!("bytes={}-", broken_off.received);
            request.headers.insert(IF_RANGE, if_range);
            if let Ok(range) = HeaderValue::from_str(&range) {
                request.headers.insert(RANGE, range);
            }
        }
        let is_part = request.headers.contains_key(RANGE);
        let answer =
            client
                .send_with(request, self.token, 0)
                .await
                .map_err(|error| match error {
                    FhirError::Auth(error) if error.is_passing() => {
                        Failed::Passing(error.to_string().into())
                    }
                    FhirError::Auth(error) => Failed::Auth(error),
                    FhirError::Http(error) if error.is_lasting() => {
                        Failed::Lasting(error.to_string().into())
                    }
                    FhirError::Http(error) => Failed::Passing(error.to_string().into()),
                    error => Failed::Lasting(error.to_string().into()),
                })?;
        let is_wanted = match answer.status {
            StatusCode::OK | StatusCode::NO_CONTENT => true,
            // A proxy changed something on the way (RFC 9110 §15.3.4); the check tells whether the lines are whole.
            StatusCode::NON_AUTHORITATIVE_INFORMATION => self.verify,
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => is_part,
            _ => false,
        };
        if !is_wanted {
            return Err(Self::refused(answer).await);
        }
        let content_type = answer.header(CONTENT_TYPE).unwrap_or_default();
        if words::is_html(content_type, "") {
            let refusal = Refusal::read(Method::GET, answer).await;
            return Err(Failed::Lasting(
                format!("it is not NDJSON: {refusal}").into(),
            ));
        }
        Ok(answer)
    }

    async fn refused(answer: Response) -> Failed {
        let asked = retry::retry_after(&answer.headers, SystemTime::now());
        let refusal = Refusal::read(Method::GET, answer).await;
        let reason = Reason {
            words: without_queries(&refusal.to_string()),
            code: Some(refusal.status.as_u16()),
        };
        match refusal.status.as_u16() {
            404 => Failed::NotFound(reason),
            429 => Failed::Throttled(reason, asked),
            503 if asked.is_some() => Failed::Throttled(reason, asked),
            _ if retry::may_be_on_the_way(refusal.status) => Failed::Passing(reason),
            _ if refusal.is_transient => Failed::Passing(reason),
            // Signed links that are over: 403 at S3 and Azure, 400 at Google.
            400 | 401 | 403 | 410 => Failed::Link(reason),
            _ => Failed::Lasting(reason),
        }
    }
}
