//! What an export says of a file: how many bytes of lines it has, and their digest. Both are compared while it is read.

use std::fmt::Write as _;
use std::io::{self, BufRead, Read};

use aws_lc_rs::digest::{Context, SHA256};

/// What an export says of a file's lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Promise {
    /// Before compression.
    pub bytes: Option<u64>,
    /// In hex.
    pub sha256: Option<String>,
}

/// A reader that counts and digests what is taken from it.
pub struct Counted<'a> {
    inner: Box<dyn BufRead>,
    promise: &'a Promise,
    bytes: u64,
    digest: Context,
}

impl<'a> Counted<'a> {
    /// A reader of which nothing was read yet.
    pub fn new(inner: Box<dyn BufRead>, promise: &'a Promise) -> Self {
        Self {
            inner,
            promise,
            bytes: 0,
            digest: Context::new(&SHA256),
        }
    }

    /// Reads what is left; what does not hold, in words.
    ///
    /// # Errors
    /// The rest cannot be read.
    pub fn finish(mut self) -> io::Result<Result<(), String>> {
        loop {
            let length = self.fill_buf()?.len();
            if length == 0 {
                break;
            }
            self.consume(length);
        }
        let bytes = self.bytes;
        if let Some(promised) = self.promise.bytes.filter(|promised| *promised != bytes) {
            return Ok(Err(format!("it has {bytes} bytes, not {promised}")));
        }
        let digest = self.digest.finish();
        let hex = digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let is_other = |promised: &String| !promised.eq_ignore_ascii_case(&hex);
        if self.promise.sha256.as_ref().is_some_and(is_other) {
            return Ok(Err("its SHA-256 is another".into()));
        }
        Ok(Ok(()))
    }
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.len().min(into.len());
        into[..length].copy_from_slice(&self.inner.fill_buf()?[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Counted<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, length: usize) {
        // What was filled in is still there, so that nothing is read for this.
        if let Ok(bytes) = self.inner.fill_buf() {
            let taken = &bytes[..length.min(bytes.len())];
            self.bytes += taken.len() as u64;
            if self.promise.sha256.is_some() {
                self.digest.update(taken);
            }
        }
        self.inner.consume(length);
    }
}
