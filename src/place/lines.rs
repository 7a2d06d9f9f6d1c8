//! A list on disk, a line of JSON each: of an entry no more is in memory than where it ends.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::window::{Window, read_at};
use crate::words;

/// Lines wait in memory until there are this many bytes of them, and as many are read ahead.
const BUFFER: usize = 64 << 10;

/// No line of a list of ours is longer.
const LONGEST_LINE: u64 = 16 << 20;

/// Reads a line, its end included, behind what `line` holds; a list may come from anywhere, so one without an end is refused.
///
/// # Errors
/// The disk; the line is longer than any of ours.
pub fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    let read = reader.take(LONGEST_LINE).read_until(b'\n', line)?;
    if read as u64 == LONGEST_LINE && line.last() != Some(&b'\n') {
        return Err(invalid("a line of it is longer than any of ours"));
    }
    Ok(read)
}

/// A list whose entries are read when they are asked for.
#[derive(Debug)]
pub struct Lines<T> {
    /// None of a list that lies in memory as a whole.
    file: Option<File>,
    /// What is not in the file yet.
    waiting: Vec<u8>,
    /// The bytes in the file.
    written: u64,
    /// Where each line ends, its line end included.
    ends: Vec<u64>,
    window: Window,
    of: PhantomData<fn() -> T>,
}

impl<T> Default for Lines<T> {
    /// An empty list in memory.
    fn default() -> Self {
        Self {
            file: None,
            waiting: Vec::new(),
            written: 0,
            ends: Vec::new(),
            window: Window::default(),
            of: PhantomData,
        }
    }
}

impl<T: Serialize + DeserializeOwned> Lines<T> {
    /// An empty list in a file that is new, open for reading and writing.
    pub fn new(file: File) -> Self {
        Self {
            file: Some(file),
            ..Self::default()
        }
    }

    /// The list in a file, each line of which passes `check`.
    ///
    /// # Errors
    /// The disk; a line that is no entry, or is cut.
    pub fn open(file: File, mut check: impl FnMut(&T) -> io::Result<()>) -> io::Result<Self> {
        let mut reader = BufReader::with_capacity(BUFFER, file);
        let (mut ends, mut written, mut line) = (Vec::new(), 0, Vec::new());
        loop {
            line.clear();
            let read = read_line(&mut reader, &mut line)?;
            if read == 0 {
                break;
            }
            if line.last() != Some(&b'\n') {
                return Err(invalid("its last line is cut"));
            }
            check(&parse(&line)?)?;
            written += read as u64;
            ends.push(written);
        }
        Ok(Self {
            written,
            ends,
            ..Self::new(reader.into_inner())
        })
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds an entry behind the others.
    ///
    /// # Errors
    /// The disk.
    pub fn push(&mut self, entry: &T) -> io::Result<()> {
        serde_json::to_writer(&mut self.waiting, entry)?;
        self.waiting.push(b'\n');
        self.ends.push(self.written + self.waiting.len() as u64);
        if self.file.is_some() && self.waiting.len() >= BUFFER {
            self.flush()?;
        }
        Ok(())
    }

    /// Takes back what stands behind the first entries.
    ///
    /// # Errors
    /// The disk.
    pub fn truncate(&mut self, length: usize) -> io::Result<()> {
        self.ends.truncate(length);
        let end = self.ends.last().copied().unwrap_or_default();
        if end >= self.written {
            let kept = usize::try_from(end - self.written).unwrap_or(usize::MAX);
            self.waiting.truncate(kept);
            return Ok(());
        }
        self.waiting.clear();
        self.written = end;
        self.window.forget();
        match &self.file {
            Some(file) => file.set_len(end),
            None => Ok(()),
        }
    }

    /// Makes what was added durable.
    ///
    /// # Errors
    /// The disk.
    pub fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        match &self.file {
            Some(file) => file.sync_all(),
            None => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(file) = &self.file {
            write_at(file, &self.waiting, self.written)?;
            self.written += self.waiting.len() as u64;
            self.waiting.clear();
        }
        Ok(())
    }

    /// An entry by its number.
    ///
    /// # Errors
    /// The disk; there is none.
    pub fn get(&self, at: usize) -> io::Result<T> {
        self.get_as(at)
    }

    /// The same with less of it.
    ///
    /// # Errors
    /// As [`Lines::get`].
    pub fn get_as<U: DeserializeOwned>(&self, at: usize) -> io::Result<U> {
        let end = *self.ends.get(at).ok_or(io::ErrorKind::NotFound)?;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        let mut line = vec![0; usize::try_from(end - start).map_err(io::Error::other)?];
        let read = match &self.file {
            Some(file) if end <= self.written => self.window.read_at(file, &mut line, start)?,
            _ => self.read_at(&mut line, start)?,
        };
        parse(&line[..read])
    }

    /// All entries in their order, each read once.
    pub fn each(&self) -> impl Iterator<Item = io::Result<T>> {
        self.each_as()
    }

    /// The same with less of each.
    pub fn each_as<U: DeserializeOwned>(&self) -> impl Iterator<Item = io::Result<U>> {
        let mut reader = BufReader::with_capacity(BUFFER, Cursor { lines: self, at: 0 });
        let mut line = Vec::new();
        (0..self.len()).map(move |_| {
            line.clear();
            reader.read_until(b'\n', &mut line)?;
            parse(&line)
        })
    }

    /// Reads what is there from a place on.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < into.len() {
            let place = at + read as u64;
            let more = if place < self.written
                && let Some(file) = &self.file
            {
                let most = usize::try_from(self.written - place).unwrap_or(usize::MAX);
                let most = most.min(into.len() - read);
                read_at(file, &mut into[read..read + most], place)?
            } else {
                let from = usize::try_from(place - self.written).unwrap_or(usize::MAX);
                let mut left = self.waiting.get(from..).unwrap_or_default();
                left.read(&mut into[read..])?
            };
            if more == 0 {
                break;
            }
            read += more;
        }
        Ok(read)
    }
}

/// The bytes of a list from a place on.
struct Cursor<'a, T> {
    lines: &'a Lines<T>,
    at: u64,
}

impl<T: Serialize + DeserializeOwned> Read for Cursor<'_, T> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.lines.read_at(into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> io::Result<T> {
    serde_json::from_slice(line).map_err(words::json_error)
}

fn invalid(words: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, words)
}

fn write_at(file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        #[cfg(unix)]
        let written = std::os::unix::fs::FileExt::write_at(file, bytes, at);
        #[cfg(windows)]
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, at);
        match written {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => (bytes, at) = (&bytes[written..], at + written as u64),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn all(lines: &Lines<String>) -> Vec<String> {
        lines.each().map(Result::unwrap).collect()
    }

    proptest::proptest! {
        #[test]
        fn a_list_is_what_was_put_into_it_on_disk_or_in_memory(
            entries in proptest::collection::vec("\\PC{0,40}", 0..30), lengthy in 0_usize..30, kept in 0_usize..40,
        ) {
            let on_disk = Lines::new(tempfile::tempfile().unwrap());
            for mut lines in [Lines::<String>::default(), on_disk] {
                let mut model = entries.clone();
                if let Some(entry) = model.get_mut(lengthy) {
                    *entry = entry.repeat(5_000);
                }
                for entry in &model {
                    lines.push(entry).unwrap();
                }
                proptest::prop_assert_eq!(&all(&lines), &model);
                lines.truncate(kept).unwrap();
                model.truncate(kept);
                lines.push(&"behind".to_owned()).unwrap();
                model.push("behind".to_owned());
                proptest::prop_assert_eq!(&all(&lines), &model);
                lines.sync().unwrap();
                for (at, entry) in model.iter().enumerate() {
                    proptest::prop_assert_eq!(&lines.get(at).unwrap(), entry);
                }
                proptest::prop_assert!(lines.get(model.len()).is_err());
            }
        }
    }

    #[test]
    fn a_file_with_a_cut_or_odd_line_is_no_list() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        for (text, is_one) in [
            ("", true),
            ("\"a\"\n", true),
            ("\"a\"", false),
            ("1\n", false),
            ("\n", false),
        ] {
            fs::write(&path, text).unwrap();
            let lines = Lines::<String>::open(File::open(&path).unwrap(), |_| Ok(()));
            assert_eq!(lines.is_ok(), is_one, "{text:?}");
        }
    }
}
