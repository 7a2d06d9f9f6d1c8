//! `done.ndjson`: a line for each file that has its final name. Of a file no more is in memory than where its line is.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufReader};
use std::path::Path;

use super::document::{Done, check_name};
use crate::bulk::export::layout;
use crate::place::Place;
use crate::place::lines::read_line;
use crate::place::window::Window;

/// A file that is recorded, durably.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub done: Done,
    pub(super) line: Line,
}

/// Where a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub at: u64,
    pub length: u32,
}

/// The files that are done: the latest record of each.
#[derive(Debug, Default)]
pub struct DoneFiles {
    file: Option<File>,
    /// By the hash of the path, whose key is made by chance.
    lines: HashMap<u64, Line>,
    window: Window,
    hashes: RandomState,
}

impl DoneFiles {
    /// Those of a job; `former` takes what one of them was before. A last line that a crash cut is one that was not
    /// written.
    ///
    /// # Errors
    /// The disk, or a path that leads out of the folder.
    pub fn read(place: &Place, mut former: impl FnMut(Done) -> io::Result<()>) -> io::Result<Self> {
        let mut all = Self::default();
        let Some(file) = place.open(layout::DONE)? else {
            return Ok(all);
        };
        all.file = Some(file.try_clone()?);
        let mut reader = BufReader::with_capacity(64 << 10, file);
        let (mut at, mut text) = (0, Vec::new());
        loop {
            text.clear();
            let read = read_line(&mut reader, &mut text)?;
            if read == 0 {
                return Ok(all);
            }
            if let Ok(done) = serde_json::from_slice::<Done>(&text) {
                check_name(&done.path)?;
                let length = u32::try_from(read).map_err(io::Error::other)?;
                if let Some(before) = all.get(&done.path) {
                    former(before)?;
                }
                all.lines.insert(all.hash(&done.path), Line { at, length });
            }
            at += read as u64;
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// What is recorded of a file. A record that cannot be read is none: nothing is called done for it.
    pub fn get(&self, path: &Path) -> Option<Done> {
        let done = self.at(*self.lines.get(&self.hash(path))?)?;
        (done.path == path).then_some(done)
    }

    /// The latest record of each, in the order in which they came.
    pub fn each(&self) -> impl Iterator<Item = Done> {
        let mut lines: Vec<Line> = self.lines.values().copied().collect();
        lines.sort_unstable_by_key(|line| line.at);
        lines.into_iter().filter_map(|line| self.at(line))
    }

    fn at(&self, line: Line) -> Option<Done> {
        let mut text = vec![0; line.length as usize];
        let file = self.file.as_ref()?;
        let read = self.window.read_at(file, &mut text, line.at).ok()?;
        serde_json::from_slice(text.get(..read)?).ok()
    }

    /// Takes note of a record that was written; what the file was before.
    pub(super) fn add(&mut self, place: &Place, recorded: &Recorded) -> io::Result<Option<Done>> {
        if self.file.is_none() {
            self.file = place.open(layout::DONE)?;
        }
        let before = self.get(&recorded.done.path);
        let hash = self.hash(&recorded.done.path);
        // It may stand where a line was that a crash had cut.
        self.window.forget();
        self.lines.insert(hash, recorded.line);
        Ok(before)
    }

    fn hash(&self, path: &Path) -> u64 {
        self.hashes.hash_one(path)
    }
}
