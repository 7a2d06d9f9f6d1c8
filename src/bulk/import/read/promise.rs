//! What an export says of a file's lines is compared while they are read, so that nothing is read twice for it.

use std::io::{self, BufRead, Read};

use crate::bulk::digest::Compared;
use crate::bulk::listed::Listed;

/// A reader that digests what is taken from it.
pub struct Counted {
    inner: Box<dyn BufRead>,
    compared: Result<Compared, String>,
}

impl Counted {
    /// A reader of which nothing was read yet.
    pub fn new(inner: Box<dyn BufRead>, promise: &Listed) -> Self {
        Self {
            inner,
            compared: promise.compared(),
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
        Ok(self.compared.and_then(Compared::finish))
    }
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.len().min(into.len());
        into[..length].copy_from_slice(&self.inner.fill_buf()?[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Counted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, length: usize) {
        // What was filled in is still there, so that nothing is read for this.
        if let Ok(bytes) = self.inner.fill_buf() {
            let taken = &bytes[..length.min(bytes.len())];
            if let Ok(compared) = &mut self.compared {
                compared.feed(taken);
            }
        }
        self.inner.consume(length);
    }
}
