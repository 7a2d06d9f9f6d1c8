//! An answer that has come whole.

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use url::Url;

use super::beginning;
use super::error::{FhirError, Refusal};
use crate::http::{HttpError, Response};

/// An answer with its whole body.
#[derive(Debug)]
pub struct Answer {
    pub method: Method,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub url: Url,
    pub body: Bytes,
}

impl Answer {
    /// An answer with no more of its body than words need.
    ///
    /// # Errors
    /// The body broke off.
    pub async fn beginning(method: Method, answer: Response) -> Result<Self, HttpError> {
        let Response {
            status,
            headers,
            url,
            body,
        } = answer;
        Ok(Self {
            method,
            status,
            headers,
            url,
            body: beginning::of(body, beginning::FOR_WORDS).await?,
        })
    }

    /// A header's value as text, when it has one.
    pub fn header(&self, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The answer, unless its status is no success.
    ///
    /// # Errors
    /// [`FhirError::Refused`] with the server's words.
    pub fn checked(self) -> Result<Self, FhirError> {
        if self.status.is_success() || self.status == StatusCode::NOT_MODIFIED {
            return Ok(self);
        }
        Err(FhirError::Refused(Box::new(Refusal::of_answer(self))))
    }
}
