//! The lines of files that are on disk, plain or gzip, one in memory at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

/// A file read line by line.
pub(super) struct Lines {
    reader: Box<dyn BufRead + Send>,
    /// The number of the last line, from 1.
    pub number: u64,
}

impl Lines {
    /// # Errors
    /// The disk.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let file = BufReader::with_capacity(256 << 10, File::open(path)?);
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

    /// The next line with the newline at its end, where there is one.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        self.number += 1;
        Ok((!line.is_empty()).then_some(line))
    }
}
