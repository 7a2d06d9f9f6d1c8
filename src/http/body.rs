//! A response's body: the bytes as they come, gzip undone with all its members, and cut bodies told apart.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use reqwest::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use url::Url;

use super::coding::Coding;
use super::{HttpError, from_reqwest, innermost};

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

/// Bytes up to a limit. The write that would go beyond it fails, so that what unpacks them stops there: a few kilobytes
/// of gzip can hold gigabytes.
#[derive(Debug)]
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl Bounded {
    fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
        }
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if bytes.len() > self.limit - self.bytes.len() {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Where body bytes go: straight through, or through a gzip decoder that takes several members.
#[derive(Debug)]
pub struct Sink<W: Write>(Option<Stage<W>>);

#[derive(Debug)]
enum Stage<W: Write> {
    Plain(W),
    /// Gzip of which no byte has come: an empty body needs no gzip header.
    Waiting(W),
    Gzip(Box<MultiGzDecoder<W>>),
}

impl<W: Write> Sink<W> {
    /// A sink before `target`.
    pub fn new(gzip: bool, target: W) -> Self {
        Self(Some(if gzip {
            Stage::Waiting(target)
        } else {
            Stage::Plain(target)
        }))
    }

    /// Takes the next bytes from the wire.
    ///
    /// # Errors
    /// The target's, or bad gzip.
    pub fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0 = match self.0.take() {
            Some(Stage::Waiting(target)) if !bytes.is_empty() => {
                Some(Stage::Gzip(Box::new(MultiGzDecoder::new(target))))
            }
            stage => stage,
        };
        match &mut self.0 {
            Some(Stage::Plain(target)) => target.write_all(bytes),
            Some(Stage::Gzip(decoder)) => decoder.write_all(bytes),
            _ => Ok(()),
        }
    }

    /// The target.
    pub fn get_mut(&mut self) -> &mut W {
        match &mut self.0 {
            Some(Stage::Plain(target) | Stage::Waiting(target)) => target,
            Some(Stage::Gzip(decoder)) => decoder.get_mut(),
            None => unreachable!("the stage is only taken within one call"),
        }
    }

    /// Ends the body; gzip that was cut short is an error.
    ///
    /// # Errors
    /// The target's, or gzip that is not complete.
    pub fn finish(self) -> std::io::Result<W> {
        match self.0 {
            Some(Stage::Plain(target) | Stage::Waiting(target)) => Ok(target),
            Some(Stage::Gzip(decoder)) => decoder.finish(),
            None => unreachable!("the stage is only taken within one call"),
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn several_members_and_an_empty_last_one_are_one_body() {
        let mut wire = gzip(b"one\n");
        wire.extend(gzip(b"two\n"));
        wire.extend(gzip(b""));
        for size in [1, 7, 4096] {
            let mut sink = Sink::new(true, Vec::new());
            for chunk in wire.chunks(size) {
                sink.write(chunk).unwrap();
            }
            assert_eq!(sink.finish().unwrap(), b"one\ntwo\n");
        }
    }

    #[test]
    fn unpacking_stops_at_the_limit() {
        let wire = gzip(&vec![b' '; 50_000_000]);
        let mut sink = Sink::new(true, Bounded::new(1000));
        let error = sink.write(&wire).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
        assert!(sink.get_mut().bytes.len() <= 1000);
        let mut exact = Sink::new(false, Bounded::new(4));
        exact.write(b"four").unwrap();
        assert_eq!(exact.finish().unwrap().bytes, b"four");
    }

    #[test]
    fn gzip_that_is_cut_short_is_an_error_wherever_it_is_cut() {
        let wire = gzip(b"some text that is long enough to be cut in the middle");
        for end in 1..wire.len() {
            let mut sink = Sink::new(true, Vec::new());
            let result = sink
                .write(&wire[..end])
                .and_then(|()| sink.finish().map(drop));
            assert!(result.is_err(), "cut at {end}");
        }
    }
}
