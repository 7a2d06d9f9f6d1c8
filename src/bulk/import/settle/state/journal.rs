//! The journal: a line before a POST goes out, and a line for what was settled. It only grows.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::bulk::import::ImportError;
use crate::bulk::import::intervals::Intervals;
use crate::bulk::import::settle::report::ByType;
use crate::place::Place;
use crate::place::lines::read_line;
use crate::words;

/// A line of the journal.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// Sent, with no answer yet; only what must not be sent twice.
    #[serde(rename = "s", skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<(u64, u64)>,
    /// Not sent after all.
    #[serde(rename = "b", skip_serializing_if = "Vec::is_empty")]
    pub back: Vec<(u64, u64)>,
    #[serde(rename = "d", skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<(u64, u64)>,
    #[serde(rename = "t", skip_serializing_if = "ByType::is_empty")]
    pub types: ByType,
    /// The lengths of the rejects files, when they grew.
    #[serde(rename = "r", skip_serializing_if = "Option::is_none")]
    pub rejects: Option<(u64, u64)>,
    /// Where references lead, learned from answers.
    #[serde(rename = "m", skip_serializing_if = "Vec::is_empty")]
    pub learned: Vec<(String, String)>,
}

/// What earlier runs of the same import settled.
#[derive(Debug, Default)]
pub struct Before {
    pub done: Intervals,
    pub lost: Intervals,
    pub types: ByType,
    pub rejects: (u64, u64),
}

impl Before {
    fn add(&mut self, entry: &Entry) {
        for (start, length) in &entry.sent {
            self.lost.add(*start, *length);
        }
        for (start, length) in entry.back.iter().chain(&entry.done) {
            self.lost.remove(*start, *length);
        }
        for (start, length) in &entry.done {
            self.done.add(*start, *length);
        }
        for (name, counts) in &entry.types {
            self.types.entry(name.clone()).or_default().add(counts);
        }
        self.rejects = entry.rejects.unwrap_or(self.rejects);
    }
}

/// The journal of one import.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Where its last line begins and ends.
    last: (u64, u64),
}

impl Journal {
    /// Begins a journal; its name is there after a power cut too.
    ///
    /// # Errors
    /// The disk.
    pub fn begin(place: &Place, name: &str) -> Result<Self, ImportError> {
        let journal = Self::open(place, name, 0)?;
        place.sync();
        Ok(journal)
    }

    /// Goes on with a journal. `lengths` are those of the rejects files as they are: a line that counts more of them was
    /// written without them when the power went, and what it says is done once more.
    ///
    /// # Errors
    /// The journal is broken, or the disk.
    pub fn go_on(
        place: &Place,
        name: &str,
        lengths: (u64, u64),
    ) -> Result<(Self, Before), ImportError> {
        let (mut before, mut good) = (Before::default(), 0);
        let mut is_over = false;
        each_line(place, name, |at, end, entry| {
            let counts = entry.rejects.unwrap_or_default();
            is_over |= counts.0 > lengths.0 || counts.1 > lengths.1;
            if !is_over {
                before.add(&entry);
                good = end;
            } else if !entry.sent.is_empty() {
                // Before a POST goes out all is synced, so that nobody but a person can have cut them.
                return Err(bad(
                    &place.path(name),
                    at,
                    "the rejects that it counts are not there",
                ));
            }
            Ok(())
        })?;
        Ok((Self::open(place, name, good)?, before))
    }

    fn open(place: &Place, name: &str, length: u64) -> Result<Self, ImportError> {
        let path = place.path(name);
        let file = place.log_at(name, length);
        Ok(Self {
            file: file.map_err(|source| ImportError::disk(&path, source))?,
            path,
            last: (length, length),
        })
    }

    /// Adds a line, or nothing.
    ///
    /// # Errors
    /// The disk.
    pub fn record(&mut self, entry: &Entry) -> Result<(), ImportError> {
        let end = self.last.1;
        let write = || -> io::Result<u64> {
            let mut line = serde_json::to_vec(entry)?;
            line.push(b'\n');
            (&self.file).write_all(&line)?;
            Ok(line.len() as u64)
        };
        match write() {
            Ok(length) => {
                self.last = (end, end + length);
                Ok(())
            }
            Err(source) => {
                self.cut(end);
                Err(ImportError::disk(&self.path, source))
            }
        }
    }

    /// Takes the last line back, as far as the disk lets it: what it says is not so.
    pub fn take_back(&mut self) {
        self.cut(self.last.0);
    }

    fn cut(&mut self, length: u64) {
        // Half a line at the end counts as none, too.
        let _ = self.file.set_len(length);
        self.last = (length, length);
    }

    /// Makes all lines so far outlive a power cut.
    ///
    /// # Errors
    /// The disk.
    pub fn sync(&self) -> Result<(), ImportError> {
        let synced = self.file.sync_data();
        synced.map_err(|source| ImportError::disk(&self.path, source))
    }
}

/// Calls `note` with where references lead, as far as a journal knows it.
///
/// # Errors
/// The journal is broken; the disk; what `note` says.
pub fn learned(
    place: &Place,
    name: &str,
    mut note: impl FnMut(&str, &str) -> io::Result<()>,
) -> Result<(), ImportError> {
    each_line(place, name, |_, _, entry| {
        let mut names = entry.learned.iter();
        names
            .try_for_each(|(from, target)| note(from, target))
            .map_err(|source| ImportError::disk(&place.path(name), source))
    })
}

/// Reads the lines of a journal, each with where it begins and ends. A kill or a power cut may have left the last one half
/// written, that one alone: with any other, what was sent would be sent again.
fn each_line(
    place: &Place,
    name: &str,
    mut visit: impl FnMut(u64, u64, Entry) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let path = place.path(name);
    let disk = |source| ImportError::disk(&path, source);
    let Some(file) = place.open(name).map_err(disk)? else {
        return Ok(());
    };
    let (mut reader, mut line, mut at) = (BufReader::new(file), Vec::new(), 0);
    loop {
        line.clear();
        let length = read_line(&mut reader, &mut line).map_err(disk)? as u64;
        if !line.ends_with(b"\n") {
            return Ok(());
        }
        match serde_json::from_slice(&line) {
            Ok(entry) => visit(at, at + length, entry)?,
            Err(_) if reader.fill_buf().map_err(disk)?.is_empty() => return Ok(()),
            Err(error) => return Err(bad(&path, at, &words::what_of_json(&error))),
        }
        at += length;
    }
}

fn bad(path: &Path, at: u64, reason: &str) -> ImportError {
    ImportError::BadState {
        path: path.to_owned(),
        reason: format!("at byte {at}: {reason}"),
    }
}
