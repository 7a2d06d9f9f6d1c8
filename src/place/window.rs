//! What was read of a file behind what was asked for.

use std::fs::File;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

/// What is read at once where single entries are asked for.
const AHEAD: usize = 16 << 10;

/// Entries are asked for nearly in the order in which they stand: some are read ahead.
#[derive(Debug, Default)]
pub struct Window {
    /// From where on, and the bytes.
    ahead: Mutex<(u64, Vec<u8>)>,
}

impl Window {
    /// Reads some of a file from a place on; less than was asked for at its end.
    ///
    /// # Errors
    /// The disk.
    pub fn read_at(&self, file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let (from, bytes) = &mut *ahead;
        let is_there = at >= *from && at + into.len() as u64 <= *from + bytes.len() as u64;
        if !is_there {
            bytes.resize(into.len().max(AHEAD), 0);
            let read = read_whole(file, bytes, at);
            bytes.truncate(*read.as_ref().unwrap_or(&0));
            *from = at;
            read?;
        }
        let start = usize::try_from(at - *from).map_err(io::Error::other)?;
        let mut found = bytes.get(start..).unwrap_or_default();
        found.read(into)
    }

    /// What was written over is read anew.
    pub fn forget(&mut self) {
        let ahead = self.ahead.get_mut();
        ahead.unwrap_or_else(PoisonError::into_inner).1.clear();
    }
}

/// Reads on until there is nothing more to fill.
fn read_whole(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < into.len() {
        match read_at(file, &mut into[read..], at + read as u64)? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

/// Reads some of a file from a place on; nothing at its end.
///
/// # Errors
/// The disk.
pub(super) fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    loop {
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(file, into, at);
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(file, into, at);
        match read {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use super::*;

    #[test]
    fn what_was_read_ahead_ends_where_the_file_did_and_is_forgotten_when_it_is_written_over() {
        let file = tempfile::tempfile().unwrap();
        let write = |at: u64, bytes: &[u8]| {
            (&file).seek(SeekFrom::Start(at)).unwrap();
            (&file).write_all(bytes).unwrap();
        };
        let mut window = Window::default();
        let read = |window: &Window, length: usize, at: u64| {
            let mut bytes = vec![0; length];
            let read = window.read_at(&file, &mut bytes, at).unwrap();
            bytes.truncate(read);
            String::from_utf8(bytes).unwrap()
        };
        write(0, b"one cut");
        assert_eq!(read(&window, 4, 0), "one ");
        assert_eq!(read(&window, 9, 4), "cut");
        write(7, b" two");
        assert_eq!(read(&window, 7, 4), "cut two");
        write(4, b"whole");
        window.forget();
        assert_eq!(read(&window, 5, 4), "whole");
        assert_eq!(read(&window, 2, 400), "");
        let long = "x".repeat(3 * AHEAD);
        write(0, long.as_bytes());
        window.forget();
        assert_eq!(read(&window, long.len(), 0), long);
    }
}
