//! Where references lead: a table from `urn:uuid` (and ids that the server replaced) to `Type/id`, kept on disk.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use aws_lc_rs::digest::{SHA256, digest};

use crate::fhir::object::rewrite_references;

/// A slot of the table: the first half of a SHA-256, the length of the target, and the target.
const SLOT: usize = 128;
const KEY: usize = 16;
const LONGEST_TARGET: usize = SLOT - KEY - 1;
const FIRST_CAPACITY: u64 = 4096;

/// A hash table in a temporary file, open addressing with linear probing. It has no name, so nothing is left behind.
#[derive(Debug, Default)]
pub struct Index {
    table: Option<Table>,
}

#[derive(Debug)]
struct Table {
    file: File,
    capacity: u64,
    used: u64,
}

impl Index {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.table.is_none()
    }

    /// Notes where a reference leads. A later note replaces an earlier one. What is too long to be a reference to a
    /// resource (FHIR R4: ids have at most 64 characters) is not noted.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn insert(&mut self, reference: &str, target: &str) -> io::Result<()> {
        if target.is_empty() || target.len() > LONGEST_TARGET {
            return Ok(());
        }
        let table = match &mut self.table {
            Some(table) => table,
            None => self.table.insert(Table::new(FIRST_CAPACITY)?),
        };
        if table.used * 2 >= table.capacity {
            table.grow()?;
        }
        let mut slot = [0; SLOT];
        slot[..KEY].copy_from_slice(&key(reference));
        slot[KEY] = u8::try_from(target.len()).unwrap_or(0);
        slot[KEY + 1..=KEY + target.len()].copy_from_slice(target.as_bytes());
        table.put(&slot)
    }

    /// Where a reference leads, when that is known.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn get(&mut self, reference: &str) -> io::Result<Option<String>> {
        let Some(table) = &mut self.table else {
            return Ok(None);
        };
        let (_, slot) = table.find(&key(reference))?;
        let length = usize::from(slot[KEY]);
        Ok((length > 0)
            .then(|| String::from_utf8_lossy(&slot[KEY + 1..=KEY + length]).into_owned()))
    }

    /// A resource's text with its references led to where they go now, and how many `urn:uuid` stayed unknown.
    /// Those in `keep` are known to the server from the same Bundle.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn resolve(
        &mut self,
        text: &str,
        keep: impl Fn(&str) -> bool,
    ) -> io::Result<(String, u64)> {
        let (mut unknown, mut problem) = (0, None);
        let new = rewrite_references(text, |reference| {
            if keep(reference) {
                return None;
            }
            // A version or a fragment is no part of the name.
            match self.get(reference) {
                Ok(Some(target)) => return Some(target),
                Ok(None) => unknown += u64::from(is_urn(reference)),
                Err(error) => problem = Some(error),
            }
            None
        });
        problem.map_or(Ok((new, unknown)), Err)
    }
}

/// Whether a reference is a `urn:uuid`.
pub fn is_urn(reference: &str) -> bool {
    reference.starts_with("urn:uuid:")
}

fn key(reference: &str) -> [u8; KEY] {
    let mut key = [0; KEY];
    // UUIDs are the same in capitals and small letters (RFC 9562 §4); ids are not.
    let hash = if is_urn(reference) {
        digest(&SHA256, reference.to_ascii_lowercase().as_bytes())
    } else {
        digest(&SHA256, reference.as_bytes())
    };
    key.copy_from_slice(&hash.as_ref()[..KEY]);
    key
}

impl Table {
    fn new(capacity: u64) -> io::Result<Self> {
        let file = tempfile::tempfile()?;
        file.set_len(capacity * SLOT as u64)?;
        Ok(Self {
            file,
            capacity,
            used: 0,
        })
    }

    /// The place of a key and what stands there: its slot, or the free one where it belongs.
    fn find(&mut self, key: &[u8]) -> io::Result<(u64, [u8; SLOT])> {
        let mut start = [0; 8];
        start.copy_from_slice(&key[..8]);
        let mut at = u64::from_le_bytes(start) % self.capacity;
        loop {
            let mut slot = [0; SLOT];
            self.file.seek(SeekFrom::Start(at * SLOT as u64))?;
            self.file.read_exact(&mut slot)?;
            if slot[KEY] == 0 || &slot[..KEY] == key {
                return Ok((at, slot));
            }
            at = (at + 1) % self.capacity;
        }
    }

    fn put(&mut self, slot: &[u8; SLOT]) -> io::Result<()> {
        let (at, old) = self.find(&slot[..KEY])?;
        self.used += u64::from(old[KEY] == 0);
        self.file.seek(SeekFrom::Start(at * SLOT as u64))?;
        self.file.write_all(slot)
    }

    fn grow(&mut self) -> io::Result<()> {
        let mut larger = Self::new(self.capacity * 4)?;
        self.file.seek(SeekFrom::Start(0))?;
        let mut reader = io::BufReader::with_capacity(64 * SLOT, &self.file);
        let mut slot = [0; SLOT];
        for _ in 0..self.capacity {
            reader.read_exact(&mut slot)?;
            if slot[KEY] > 0 {
                larger.put(&slot)?;
            }
        }
        *self = larger;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_of_references_are_found_again() {
        let mut index = Index::default();
        assert!(index.is_empty());
        for number in 0..10_000 {
            index
                .insert(&format!("urn:uuid:{number}"), &format!("Patient/{number}"))
                .unwrap();
        }
        index.insert("urn:uuid:7", "Group/7").unwrap();
        for number in 0..10_000 {
            let wanted = if number == 7 {
                "Group/7".into()
            } else {
                format!("Patient/{number}")
            };
            assert_eq!(
                index.get(&format!("urn:uuid:{number}")).unwrap(),
                Some(wanted)
            );
        }
        assert_eq!(index.get("urn:uuid:x").unwrap(), None);
    }

    #[test]
    fn references_are_led_to_their_targets_and_nothing_else_changes() {
        let mut index = Index::default();
        index.insert("urn:uuid:AB", "Patient/ab").unwrap();
        let text = r#"{"value":1.00,"subject":{"reference":"urn:uuid:ab"},"x":[{"reference":"urn:uuid:cd"},{"reference":"urn:uuid:ef"}]}"#;
        let (new, unknown) = index.resolve(text, |urn| urn == "urn:uuid:ef").unwrap();
        assert_eq!(new, text.replace("urn:uuid:ab", "Patient/ab"));
        assert_eq!(unknown, 1);
    }
}
