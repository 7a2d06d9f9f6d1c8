//! A file whose bytes are coming: what is needed to go on with it after the connection broke, or after a kill.

use std::io;
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, ETAG};

use super::part::{Mark, Part};
use crate::bulk::export::sink::unwrap::Unwrap;
use crate::bulk::export::sink::{Care, Target};
use crate::http::Response;
use crate::http::range::{self, BrokenOff, Validator};
use crate::http::unpack::Sink;

/// Bytes after which a part is made durable and marked.
const MARK_BYTES: u64 = 64 << 20;
/// Time after which a smaller number is.
const MARK_TIME: Duration = Duration::from_secs(5);
/// Fewer are cheaper to fetch again.
const SMALLEST_MARK: u64 = 1 << 20;

/// A file under way.
#[derive(Debug)]
pub struct Ongoing {
    /// `None` once it is finished.
    sink: Option<Sink<Unwrap<Target>>>,
    part: Part,
    /// What its link names.
    link: String,
    received: u64,
    whole: Option<u64>,
    validator: Option<Validator>,
    encoding: Option<String>,
    etag: Option<String>,
    /// Whether another process could go on, too: the bytes on disk are those on the wire.
    may_be_marked: bool,
    marked: u64,
    marked_at: Instant,
}

impl Ongoing {
    /// Begins with an answer that brings the whole file.
    ///
    /// # Errors
    /// The disk.
    pub fn begin(part: &Part, link: String, care: Care<'_>, answer: &Response) -> io::Result<Self> {
        let content_type = answer.header(CONTENT_TYPE).unwrap_or_default();
        let content_type = content_type.to_ascii_lowercase();
        let may_be_binary = care.may_be_wrapped
            && content_type.contains("json")
            && !content_type.contains("ndjson");
        let encoding = range::encoding(&answer.headers);
        let target = Target::new(part.create()?, care);
        Ok(Self {
            sink: Some(Sink::new(
                answer.body.is_gzip(),
                Unwrap::new(target, may_be_binary),
            )),
            part: part.clone(),
            link,
            received: 0,
            whole: answer.body.wire_length(),
            validator: Validator::of(&answer.headers),
            may_be_marked: encoding.is_none() && !care.compress && !may_be_binary,
            encoding,
            etag: answer.header(ETAG).map(str::to_owned),
            marked: 0,
            marked_at: Instant::now(),
        })
    }

    /// Takes up what an earlier run left; `None` when it left nothing that can be gone on with.
    pub fn left(part: &Part, link: &str, care: Care<'_>) -> Option<Self> {
        let (file, mark) = part.left(link).filter(|_| !care.compress)?;
        let Ok(target) = tokio::task::block_in_place(|| Target::over(file, care)) else {
            part.remove();
            return None;
        };
        Some(Self {
            sink: Some(Sink::new(false, Unwrap::new(target, false))),
            part: part.clone(),
            link: mark.link,
            received: mark.bytes,
            whole: mark.whole,
            etag: match &mark.validator {
                Validator::Etag(etag) => Some(etag.clone()),
                Validator::LastModified(_) => None,
            },
            validator: Some(mark.validator),
            encoding: None,
            may_be_marked: true,
            marked: mark.bytes,
            marked_at: Instant::now(),
        })
    }

    /// Bytes that came, as they were on the wire.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// How many bytes there are, if any answer told and that many did not come.
    pub fn wants(&self) -> Option<u64> {
        self.whole.filter(|whole| *whole != self.received)
    }

    /// Learns from the range of an answer that goes on how long the whole is.
    pub fn learn_whole(&mut self, answer: &Response) {
        let range = answer.header(CONTENT_RANGE).and_then(range::content_range);
        self.whole = self.whole.or(range.and_then(|range| range.whole));
    }

    /// The entity tag the server gave.
    pub fn etag(&self) -> Option<String> {
        self.etag.clone()
    }

    /// Where the file would be gone on with, if it broke off now; `None` when nothing could prove that it fits.
    pub fn broken_off(&self) -> Option<BrokenOff> {
        Some(BrokenOff {
            validator: self.validator.clone().filter(|_| self.received > 0)?,
            received: self.received,
            whole: self.whole,
            encoding: self.encoding.clone(),
        })
    }

    /// The bytes are wrong: nothing goes on behind them.
    pub fn spoil(&mut self) {
        self.validator = None;
        self.may_be_marked = false;
        self.part.remove();
    }

    /// The end of the line for the bytes.
    ///
    /// # Panics
    /// After [`Ongoing::finish`], which consumes it.
    pub fn target(&mut self) -> &mut Target {
        self.sink
            .as_mut()
            .expect("the sink is taken only by finish")
            .get_mut()
            .get_mut()
    }

    /// Takes the next bytes from the wire.
    ///
    /// # Errors
    /// The disk, or bytes that are wrong.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(sink) = &mut self.sink else {
            return Ok(());
        };
        sink.write(bytes)?;
        self.received += bytes.len() as u64;
        let new = self.received - self.marked;
        if new >= MARK_BYTES || new >= SMALLEST_MARK && self.marked_at.elapsed() >= MARK_TIME {
            tokio::task::block_in_place(|| self.mark())?;
        }
        Ok(())
    }

    /// Makes what came durable and says so, where a later run could use it.
    fn mark(&mut self) -> io::Result<()> {
        self.marked_at = Instant::now();
        let Some(validator) = self.validator.clone().filter(|_| self.may_be_marked) else {
            return Ok(());
        };
        let target = self.target();
        target.sync()?;
        let bytes = target.bytes();
        self.part.mark(&Mark {
            link: self.link.clone(),
            bytes,
            whole: self.whole,
            validator,
        })?;
        self.marked = bytes;
        Ok(())
    }

    /// Ends the body.
    ///
    /// # Errors
    /// Encoded data that are not complete.
    pub fn finish(mut self) -> io::Result<Target> {
        match self.sink.take() {
            Some(sink) => {
                let about = |error: io::Error| match &self.encoding {
                    Some(encoding) => io::Error::new(error.kind(), format!("{encoding}: {error}")),
                    None => error,
                };
                sink.finish().map_err(about)?.finish()
            }
            None => Err(io::Error::other("it was finished before")),
        }
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        if self.sink.is_none() {
            return;
        }
        if self.received >= self.marked + SMALLEST_MARK {
            // An interrupted run leaves what it has.
            let _ = self.mark();
        }
        if !self.part.is_marked() {
            self.part.remove();
        }
    }
}
