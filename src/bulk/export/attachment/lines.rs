//! The lines of files that are on disk, plain or gzip, one in memory at a time.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::place;

/// A longer line is not searched: it would have to be in memory as a whole.
pub(super) const LONGEST: usize = 16 << 20;
/// The room for a line does not double from here on.
const LONG: usize = 1 << 20;
/// Bytes that are read at a time.
const AT_A_TIME: usize = 256 << 10;
/// What is said of a longer one.
pub(super) const TOO_LONG: &str = "the line is longer than 16 MB and was not searched";

/// A file read line by line.
pub(super) struct Lines {
    reader: Box<dyn BufRead + Send>,
    /// The number of the last line, from 1.
    pub number: u64,
}

/// A line with the newline at its end, where there is one.
#[derive(Debug)]
pub(super) enum Line {
    Whole(Vec<u8>),
    /// How a line begins whose rest is still to be read: see [`Lines::copy_rest`].
    Beginning(Vec<u8>),
}

/// A line that can be searched, or none.
#[derive(Debug)]
pub(super) enum Short {
    Line(Vec<u8>),
    TooLong,
}

impl Lines {
    /// # Errors
    /// The disk.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let file = BufReader::with_capacity(AT_A_TIME, place::open_plain(path)?);
        let is_gzip = path.extension().is_some_and(|extension| extension == "gz");
        Ok(Self {
            reader: if is_gzip {
                Box::new(BufReader::new(MultiGzDecoder::new(file)))
            } else {
                Box::new(file)
            },
            number: 0,
        })
    }

    /// The next line, or its beginning.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        let mut line = Vec::new();
        self.number += 1;
        loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                return Ok((!line.is_empty()).then_some(Line::Whole(line)));
            }
            let end = memchr::memchr(b'\n', chunk);
            let used = end.map_or(chunk.len(), |end| end + 1);
            if line.len() + used > line.capacity() && line.len() > LONG {
                // At once, or it is copied at each doubling, and both copies are in memory.
                line.reserve_exact(LONGEST + AT_A_TIME - line.len());
            }
            line.extend_from_slice(&chunk[..used]);
            self.reader.consume(used);
            if end.is_some() {
                return Ok(Some(Line::Whole(line)));
            }
            if line.len() > LONGEST {
                return Ok(Some(Line::Beginning(line)));
            }
        }
    }

    /// The next line that can be searched, or what stands for one that cannot.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn next_short(&mut self) -> io::Result<Option<Short>> {
        Ok(match self.next()? {
            None => None,
            Some(Line::Whole(line)) => Some(Short::Line(line)),
            Some(Line::Beginning(_)) => {
                self.copy_rest(&mut io::sink())?;
                Some(Short::TooLong)
            }
        })
    }

    /// Copies the rest of a line of which the beginning was given.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn copy_rest(&mut self, out: &mut impl Write) -> io::Result<()> {
        loop {
            let chunk = self.reader.fill_buf()?;
            let end = memchr::memchr(b'\n', chunk);
            let used = end.map_or(chunk.len(), |end| end + 1);
            out.write_all(&chunk[..used])?;
            let is_over = end.is_some() || chunk.is_empty();
            self.reader.consume(used);
            if is_over {
                return Ok(());
            }
        }
    }
}
