//! Answers of which no more is read than anybody wants to know.

use std::io::{self, Write};

use bytes::Bytes;

use crate::http::Body;
use crate::http::HttpError;
use crate::http::unpack::Sink;

/// The most of an answer that is read for its words: kick-offs, polls, refusals.
pub const FOR_WORDS: usize = 1 << 20;

/// The first bytes of a body, decoded. What follows is not read: the connection ends with it.
///
/// # Errors
/// As [`Body::chunk`], and bad gzip, unless enough came before.
pub async fn of(mut body: Body, limit: usize) -> Result<Bytes, HttpError> {
    let mut sink = Sink::new(body.is_gzip(), Bounded::new(limit));
    loop {
        let chunk = match body.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => {
                let whole = sink.finish().map_err(|error| body.encoding_error(&error))?;
                return Ok(whole.bytes.into());
            }
            Err(error) => return Err(error),
        };
        let written = sink.write(&chunk);
        if sink.get_mut().is_full {
            return Ok(std::mem::take(&mut sink.get_mut().bytes).into());
        }
        written.map_err(|error| body.encoding_error(&error))?;
    }
}

/// Keeps the first bytes, and refuses to take more: a small body can be large once it is decoded.
#[derive(Debug)]
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
    is_full: bool,
}

impl Bounded {
    fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
            is_full: false,
        }
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.limit - self.bytes.len();
        let taken = bytes.len().min(room);
        self.bytes.extend_from_slice(&bytes[..taken]);
        self.is_full = taken < bytes.len();
        if self.is_full {
            return Err(io::Error::other("enough"));
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
