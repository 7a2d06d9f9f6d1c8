//! What an export says of a file's lines is compared while they are read, so that nothing is read twice for it.

use std::fmt::Write as _;
use std::io::{self, BufRead, Read};

use aws_lc_rs::digest::{Context, SHA256};

use crate::bulk::listed::Listed;

/// A reader that digests what is taken from it.
pub struct Counted<'a> {
    inner: Box<dyn BufRead>,
    promise: &'a Listed,
    digest: Context,
}

impl<'a> Counted<'a> {
    /// A reader of which nothing was read yet.
    pub fn new(inner: Box<dyn BufRead>, promise: &'a Listed) -> Self {
        Self {
            inner,
            promise,
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
        let digest = self.digest.finish();
        let hex = digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        Ok(self.promise.check_lines(None, &hex))
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
            if self.promise.sha256.is_some() {
                self.digest.update(taken);
            }
        }
        self.inner.consume(length);
    }
}
