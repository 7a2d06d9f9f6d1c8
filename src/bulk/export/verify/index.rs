//! The index of the attachments, read entry by entry: it says of each which file it is, how long, and its digest.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::bulk::export::layout;
use crate::bulk::listed::Listed;
use crate::place::{self, Place};

/// The longest entry that is read.
const LONGEST_LINE: u64 = 1 << 20;
/// Digits of the hash at the end of an attachment's name.
const HASH: usize = 20;

/// The attachments that an index names, none twice.
pub(super) struct Index {
    reader: Option<BufReader<File>>,
    line: Vec<u8>,
    /// Hashes of the paths that came, whose key is made by chance.
    seen: HashSet<u64>,
    hashes: RandomState,
    number: u64,
    /// The first line that is no entry, and how many are.
    pub(super) broken: Option<(u64, u64)>,
    /// What kept it from being read to its end.
    pub(super) problem: Option<String>,
}

impl Index {
    /// That of a folder; one without has no entries.
    pub(super) fn of(folder: &Path) -> Self {
        let file = place::open_plain(&folder.join(layout::ATTACHMENT_INDEX));
        Self {
            reader: file.ok().map(BufReader::new),
            line: Vec::new(),
            seen: HashSet::new(),
            hashes: RandomState::new(),
            number: 0,
            broken: None,
            problem: None,
        }
    }

    /// Whether there is one.
    pub(super) fn is_there(&self) -> bool {
        self.reader.is_some()
    }
}

impl Iterator for Index {
    type Item = Listed;

    fn next(&mut self) -> Option<Listed> {
        loop {
            self.line.clear();
            let reader = self.reader.as_mut()?.by_ref();
            match reader.take(LONGEST_LINE).read_until(b'\n', &mut self.line) {
                Ok(0) => return None,
                Ok(_) => self.number += 1,
                Err(error) => {
                    self.problem = Some(format!("it cannot be read: {error}"));
                    return None;
                }
            }
            let Ok(entry) = serde_json::from_slice::<Listed>(&self.line) else {
                self.broken.get_or_insert((self.number, 0)).1 += 1;
                continue;
            };
            let is_new = entry
                .path
                .as_ref()
                .is_some_and(|path| self.seen.insert(self.hashes.hash_one(path)));
            if is_new {
                return Some(entry);
            }
        }
    }
}

/// Whether attachments lie in a folder, by the names that they get.
pub(super) fn has_attachments(folder: &Path) -> bool {
    let place = Place::new(folder).within(layout::ATTACHMENTS);
    let is_one = |name: &str| {
        let stem = name.rsplit_once('.').map_or("", |(stem, _)| stem);
        let hash = stem.rsplit_once('_').map_or("", |(_, hash)| hash);
        hash.len() == HASH && hash.chars().all(|digit| digit.is_ascii_hexdigit())
    };
    let mut there = place.list().into_iter();
    there.any(|there| is_one(&there.name.to_string_lossy()))
}
