//! The content of an attachment until it has its place: small ones in memory, others in a file that has no name.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use crate::place::Place;

/// As much stays in memory.
const SMALL: usize = 64 << 10;

/// Bytes that are written, and then read once.
#[derive(Debug)]
pub(super) struct Spool {
    place: Place,
    bytes: Vec<u8>,
    file: Option<File>,
    length: u64,
}

impl Spool {
    /// An empty one; its file, should it need one, lies here.
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            bytes: Vec::new(),
            file: None,
            length: 0,
        }
    }

    /// How many bytes were written.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Gives what was written.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn copy_to(mut self, out: &mut impl Write) -> io::Result<()> {
        match &mut self.file {
            None => out.write_all(&self.bytes),
            Some(file) => {
                file.rewind()?;
                io::copy(&mut file.take(self.length), out).map(|_| ())
            }
        }
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.file.is_none() && self.bytes.len() + bytes.len() > SMALL {
            self.place.make()?;
            let mut file = self.place.nameless()?;
            file.write_all(&std::mem::take(&mut self.bytes))?;
            self.file = Some(file);
        }
        match &mut self.file {
            Some(file) => file.write_all(bytes)?,
            None => self.bytes.extend_from_slice(bytes),
        }
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
