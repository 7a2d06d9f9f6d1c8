//! A response's body: the bytes as they come, and cut bodies told apart.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use url::Url;

use super::coding::Coding;
use super::error::{HttpError, innermost};
use super::sorted::from_reqwest;
use super::unpack::{Bounded, Sink};

/// A body that has not been read yet.
#[derive(Debug)]
pub struct Body {
    answer: reqwest::Response,
    url: Url,
    read_timeout: Duration,
    gzip: bool,
    /// An encoding that was not offered; the bytes mean nothing then.
    unknown_encoding: Option<String>,
}

impl Body {
    pub(super) fn new(answer: reqwest::Response, url: Url, read_timeout: Duration) -> Self {
        let Coding { gzip, unknown } = Coding::of(answer.headers());
        Self {
            answer,
            url,
            read_timeout,
            gzip,
            unknown_encoding: unknown,
        }
    }

    /// Whether the bytes on the wire are gzip.
    pub fn is_gzip(&self) -> bool {
        self.gzip
    }

    /// Whether the wire itself marks where the body ends: else a connection that was cut looks like the end.
    pub fn has_end(&self) -> bool {
        let headers = self.answer.headers();
        self.answer.version() >= reqwest::Version::HTTP_2
            || self.gzip
            || headers.contains_key(CONTENT_LENGTH)
            || headers.contains_key(TRANSFER_ENCODING)
    }

    /// The length of the bytes on the wire, when the server said it.
    pub fn wire_length(&self) -> Option<u64> {
        self.answer
            .headers()
            .get(CONTENT_LENGTH)?
            .to_str()
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    /// The next bytes as they are on the wire; `None` at the end of a complete body.
    ///
    /// # Errors
    /// The connection broke, stood still too long, or ended before the promised length; an encoding not offered.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        if let Some(encoding) = &self.unknown_encoding {
            return Err(HttpError::Encoding {
                url: Box::new(self.url.clone()),
                reason: format!("it is encoded as {encoding}, which was not asked for"),
            });
        }
        self.answer.chunk().await.map_err(|error| {
            if error.is_timeout() {
                return HttpError::Timeout {
                    url: Box::new(self.url.clone()),
                    what: format!("no byte for {} s", self.read_timeout.as_secs()),
                };
            }
            from_reqwest(error, &self.url, None)
        })
    }

    /// The whole body, decoded, when it is no larger than `limit` bytes.
    ///
    /// # Errors
    /// As [`Body::chunk`]; bad gzip; a larger body.
    pub async fn bytes(mut self, limit: usize) -> Result<Bytes, HttpError> {
        let mut sink = Sink::new(self.gzip, Bounded::new(limit));
        while let Some(chunk) = self.chunk().await? {
            sink.write(&chunk)
                .map_err(|error| self.sink_error(&error, limit))?;
        }
        let whole = sink
            .finish()
            .map_err(|error| self.sink_error(&error, limit))?;
        Ok(whole.bytes.into())
    }

    fn sink_error(&self, error: &std::io::Error, limit: usize) -> HttpError {
        if error.kind() == std::io::ErrorKind::FileTooLarge {
            return HttpError::TooLarge {
                url: Box::new(self.url.clone()),
                limit,
            };
        }
        self.encoding_error(error)
    }

    /// What is wrong with the encoding.
    pub(crate) fn encoding_error(&self, error: &std::io::Error) -> HttpError {
        HttpError::Encoding {
            url: Box::new(self.url.clone()),
            reason: format!("gzip: {}", innermost(error)),
        }
    }
}
