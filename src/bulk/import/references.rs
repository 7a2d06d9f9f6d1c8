//! Where references lead: a table from `urn:uuid` (and ids that the server replaced) to `Type/id`, kept on disk.

use std::io;

use aws_lc_rs::digest::{SHA256, digest};

use super::table::{Key, Table};
use crate::fhir::object::rewrite_references;

/// Nothing longer leads to a resource (FHIR R4: ids have at most 64 characters).
const LONGEST_TARGET: usize = 255;

/// Where references lead, by the first half of their SHA-256.
#[derive(Debug, Default)]
pub struct Index(Table);

impl Index {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
        self.0.insert(key(reference), target.as_bytes())
    }

    /// Gets ready for many look-ups.
    ///
    /// # Errors
    /// The temporary files cannot be read or written.
    pub fn settle(&mut self) -> io::Result<()> {
        self.0.settle()
    }

    /// Where a reference leads, when that is known.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn get(&self, reference: &str) -> io::Result<Option<String>> {
        let found = self.0.get(&key(reference))?;
        Ok(found.map(|target| String::from_utf8_lossy(&target).into_owned()))
    }

    /// A resource's text with its references led to where they go now, and how many `urn:uuid` stayed unknown.
    /// Those in `keep` are known to the server from the same Bundle.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn resolve(&self, text: &str, keep: impl Fn(&str) -> bool) -> io::Result<(String, u64)> {
        let (mut unknown, mut problem) = (0, None);
        let new = rewrite_references(text, |reference| {
            if keep(reference) {
                return None;
            }
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

fn key(reference: &str) -> Key {
    let mut key = Key::default();
    // UUIDs are the same in capitals and small letters (RFC 9562 §4); ids are not.
    let hash = if is_urn(reference) {
        digest(&SHA256, reference.to_ascii_lowercase().as_bytes())
    } else {
        digest(&SHA256, reference.as_bytes())
    };
    let length = key.len();
    key.copy_from_slice(&hash.as_ref()[..length]);
    key
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
