//! A map from keys to short texts whose memory stays small: the newest entries in memory, all others in sorted runs on
//! disk, which are merged as they come. Writes go to the disk in order only; scattered small ones are many times slower.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use crate::place;
/// A key: bits that are spread evenly.
pub(super) type Key = [u8; 16];

/// Entries that are kept in memory, about 4 MB of them.
const IN_MEMORY: usize = 32 * 1024;
/// Bytes of a run that one look-up reads.
const BLOCK: u64 = 4096;
const BUFFER: usize = 64 * 1024;
/// What stands before a text: its key and its length.
const HEAD: usize = 17;

/// The map. Its files have no names, so nothing is left behind.
#[derive(Debug)]
pub(super) struct Table {
    newest: BTreeMap<Key, Box<[u8]>>,
    /// Older and larger ones first.
    runs: Vec<Run>,
    in_memory: usize,
}

/// Entries in the order of their keys.
#[derive(Debug)]
struct Run {
    file: File,
    length: u64,
    entries: u64,
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    first: Key,
    at: u64,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            newest: BTreeMap::new(),
            runs: Vec::new(),
            in_memory: IN_MEMORY,
        }
    }
}

impl Table {
    /// Whether nothing was put in.
    pub(super) fn is_empty(&self) -> bool {
        self.newest.is_empty() && self.runs.is_empty()
    }

    /// Puts in a text of at most 255 bytes; a later one replaces an earlier one.
    ///
    /// # Errors
    /// A temporary file cannot be written.
    pub(super) fn insert(&mut self, key: Key, text: &[u8]) -> io::Result<()> {
        self.newest.insert(key, text.into());
        if self.newest.len() < self.in_memory {
            return Ok(());
        }
        let mut writer = Writer::new()?;
        for (key, text) in std::mem::take(&mut self.newest) {
            writer.add(key, &text)?;
        }
        let mut newest = writer.end()?;
        // Each run is more than twice as large as the next one, so there are few.
        while let Some(older) = self
            .runs
            .pop_if(|older| older.entries <= newest.entries * 2)
        {
            newest = merged(&older, &newest)?;
        }
        self.runs.push(newest);
        Ok(())
    }

    /// Makes one run of all, for many look-ups: each reads a block of every run.
    ///
    /// # Errors
    /// A temporary file cannot be read or written.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        let mut all = self.runs.pop();
        while let (Some(newer), Some(older)) = (&all, self.runs.pop()) {
            all = Some(merged(&older, newer)?);
        }
        self.runs.extend(all);
        Ok(())
    }

    /// The text of a key.
    ///
    /// # Errors
    /// A temporary file cannot be read.
    pub(super) fn get(&self, key: &Key) -> io::Result<Option<Vec<u8>>> {
        if let Some(text) = self.newest.get(key) {
            return Ok(Some(text.to_vec()));
        }
        for run in self.runs.iter().rev() {
            if let Some(text) = run.get(key)? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }
}

impl Run {
    fn get(&self, key: &Key) -> io::Result<Option<Vec<u8>>> {
        let after = self.blocks.partition_point(|block| block.first <= *key);
        let Some(block) = after.checked_sub(1).map(|at| &self.blocks[at]) else {
            return Ok(None);
        };
        let end = self.blocks.get(after).map_or(self.length, |next| next.at);
        let mut bytes = vec![0; usize::try_from(end - block.at).unwrap_or(usize::MAX)];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(block.at))?;
        file.read_exact(&mut bytes)?;
        let mut rest = &bytes[..];
        while let Some((head, after)) = rest.split_at_checked(HEAD) {
            let Some((text, others)) = after.split_at_checked(usize::from(head[HEAD - 1])) else {
                break;
            };
            if head[..HEAD - 1] == *key {
                return Ok(Some(text.to_vec()));
            }
            rest = others;
        }
        Ok(None)
    }

    fn reader(&self) -> io::Result<impl Read> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))?;
        Ok(BufReader::with_capacity(BUFFER, file))
    }
}

/// The next entry; `None` at the end.
fn next(reader: &mut impl Read) -> io::Result<Option<(Key, Vec<u8>)>> {
    let (mut key, mut length) = ([0; 16], [0]);
    match reader.read_exact(&mut key) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    reader.read_exact(&mut length)?;
    let mut text = vec![0; usize::from(length[0])];
    reader.read_exact(&mut text)?;
    Ok(Some((key, text)))
}

/// One run of two; what is newer counts.
fn merged(older: &Run, newer: &Run) -> io::Result<Run> {
    let (mut old_reader, mut new_reader) = (older.reader()?, newer.reader()?);
    let (mut old, mut new) = (next(&mut old_reader)?, next(&mut new_reader)?);
    let mut writer = Writer::new()?;
    while let Some((key, text)) = old
        .as_ref()
        .into_iter()
        .chain(&new)
        .min_by_key(|entry| entry.0)
    {
        let is_old = old.as_ref().is_some_and(|(old, _)| old == key);
        let is_new = new.as_ref().is_some_and(|(new, _)| new == key);
        let text = match &new {
            Some((_, newer)) if is_new => newer,
            _ => text,
        };
        writer.add(*key, text)?;
        if is_old {
            old = next(&mut old_reader)?;
        }
        if is_new {
            new = next(&mut new_reader)?;
        }
    }
    writer.end()
}

/// Writes a run.
struct Writer {
    file: BufWriter<File>,
    length: u64,
    entries: u64,
    blocks: Vec<Block>,
}

impl Writer {
    fn new() -> io::Result<Self> {
        Ok(Self {
            file: BufWriter::with_capacity(BUFFER, place::scratch()?),
            length: 0,
            entries: 0,
            blocks: Vec::new(),
        })
    }

    fn add(&mut self, key: Key, text: &[u8]) -> io::Result<()> {
        let is_full = |block: &Block| self.length - block.at >= BLOCK;
        if self.blocks.last().is_none_or(is_full) {
            self.blocks.push(Block {
                first: key,
                at: self.length,
            });
        }
        let length = u8::try_from(text.len()).map_err(io::Error::other)?;
        self.file.write_all(&key)?;
        self.file.write_all(&[length])?;
        self.file.write_all(text)?;
        self.length += HEAD as u64 + u64::from(length);
        self.entries += 1;
        Ok(())
    }

    fn end(self) -> io::Result<Run> {
        Ok(Run {
            file: self
                .file
                .into_inner()
                .map_err(io::IntoInnerError::into_error)?,
            length: self.length,
            entries: self.entries,
            blocks: self.blocks,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u16) -> Key {
        let mut key = [0; 16];
        // Spread as a digest would spread it.
        key[..2].copy_from_slice(&number.wrapping_mul(40_503).to_be_bytes());
        key
    }

    proptest::proptest! {
        // Each run is a file, so a few cases have to do.
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(30))]
        #[test]
        fn a_table_holds_what_a_map_holds(
            steps in proptest::collection::vec((0_u16..300, "[a-z]{0,80}"), 0..400),
            in_memory in 2_usize..40,
        ) {
            let mut table = Table { in_memory, ..Table::default() };
            let mut map = BTreeMap::new();
            for (number, text) in steps {
                table.insert(key(number), text.as_bytes()).unwrap();
                map.insert(number, text);
            }
            proptest::prop_assert!(table.runs.len() <= 10);
            for is_settled in [false, true] {
                if is_settled {
                    table.settle().unwrap();
                    proptest::prop_assert!(table.runs.len() <= 1);
                }
                for number in 0..310 {
                    let found = table.get(&key(number)).unwrap();
                    proptest::prop_assert_eq!(found, map.get(&number).map(|text| text.clone().into_bytes()));
                }
            }
        }
    }
}
