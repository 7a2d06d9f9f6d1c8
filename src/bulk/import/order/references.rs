//! Where references lead: a table from full URLs (and ids that the server replaced) to `Type/id`, kept on disk.

use std::io;

use aws_lc_rs::digest::{SHA256, digest};

use super::names::{Names, Scope, folded, is_urn, without_version};
use super::table::{Key, Table};

// What stands in the place of a target that is not known. No `Type/id` looks like them.
const COMING: &str = "?";
const FAILED: &str = "!";
const AMBIGUOUS: &str = "*";

/// Nothing longer leads to a resource (FHIR R4: ids have at most 64 characters).
const LONGEST_TARGET: usize = 255;

/// Where references lead, by the first half of their SHA-256.
#[derive(Debug, Default)]
pub struct Index {
    table: Table,
    /// Whether resources go by full URLs over HTTP, so that those are worth looking up.
    has_urls: bool,
}

impl Index {
    /// Whether resources go by full URLs over HTTP.
    pub(super) fn has_urls(&self) -> bool {
        self.has_urls
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
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
        self.table.insert(key(reference), target.as_bytes())
    }

    /// Gets ready for many look-ups.
    ///
    /// # Errors
    /// The temporary files cannot be read or written.
    pub fn settle(&mut self) -> io::Result<()> {
        self.table.settle()
    }

    /// Where a reference leads, when that is known.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn get(&self, reference: &str) -> io::Result<Option<String>> {
        let found = self.table.get(&key(reference))?;
        Ok(found.map(|target| String::from_utf8_lossy(&target).into_owned()))
    }

    /// Notes where a resource leads that goes by a Bundle's full URL and by other names. In another file the same full
    /// URL is another resource's: outside of its own file it then leads nowhere. `is_own` is whether the target is the
    /// resource's own id.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn note(&mut self, names: &Names, target: &str, is_own: bool) -> io::Result<()> {
        if let Some(urn) = &names.full_url {
            self.has_urls |= !is_urn(urn);
            let here = names.scope.name(urn);
            let was_here = self.get(&here)?.is_some();
            self.insert(&here, target)?;
            let is_same = match self.get(urn)? {
                None => true,
                Some(other) if other == AMBIGUOUS => false,
                Some(other) => was_here || is_own && other == target,
            };
            self.insert(urn, if is_same { target } else { AMBIGUOUS })?;
        }
        names
            .others
            .iter()
            .try_for_each(|name| self.insert(name, target))
    }

    /// Notes that a resource will come, so that what points at it waits.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn note_coming(&mut self, names: &Names) -> io::Result<()> {
        self.note(names, COMING, false)
    }

    /// Notes that a resource did not come, unless one of its name did.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn note_failed(&mut self, names: &Names) -> io::Result<()> {
        for name in names.all() {
            if self.get(&name)?.is_some_and(|target| target == COMING) {
                self.insert(&name, FAILED)?;
            }
        }
        Ok(())
    }

    /// Where a reference in a Bundle or file leads.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn find(&self, scope: Scope, reference: &str) -> io::Result<Target> {
        let reference = without_version(reference);
        let mut found = None;
        if is_urn(reference) || reference.contains("://") {
            found = self.get(&scope.name(reference))?;
        }
        if found.is_none() {
            found = self.get(reference)?;
        }
        Ok(match found {
            None => Target::Unknown,
            Some(target) => match target.as_str() {
                COMING => Target::Coming,
                FAILED => Target::Failed,
                AMBIGUOUS => Target::Ambiguous,
                _ => Target::At(target),
            },
        })
    }
}

/// Where a reference leads.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    /// To this `Type/id`.
    At(String),
    /// To a resource that is still to be written.
    Coming,
    /// To a resource that was not taken.
    Failed,
    /// To resources of several files, none of them this one.
    Ambiguous,
    /// To nothing that is imported.
    Unknown,
}

impl Names {
    /// Every name that leads to what was just written, for the journal.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn learned(&self, index: &Index) -> io::Result<Vec<String>> {
        let mut names = self.all();
        if let Some(url) = &self.full_url
            && is_ambiguous(index, url)?
        {
            names.retain(|name| name != url);
        }
        Ok(names)
    }
}

/// Whether several Bundles have a full URL.
///
/// # Errors
/// The temporary file cannot be read.
pub fn is_ambiguous(index: &Index, urn: &str) -> io::Result<bool> {
    Ok(index.get(urn)?.is_some_and(|target| target == AMBIGUOUS))
}

fn key(reference: &str) -> Key {
    let mut key = Key::default();
    let hash = digest(&SHA256, folded(reference).as_bytes());
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

    use super::super::names::Naming;

    const NEW: Naming = Naming {
        keeps_ids: false,
        by_id: true,
        by_uuid: true,
    };

    fn in_file(file: usize) -> Scope {
        Scope { file, bundle: 0 }
    }

    #[test]
    fn a_full_url_is_that_of_its_own_file() {
        let mut index = Index::default();
        let urn = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0";
        for (file, target) in [(0, "Patient/a"), (1, "Patient/b")] {
            let names = Names::new(in_file(file), "Patient", None, Some(urn), NEW);
            index.note(&names, target, true).unwrap();
        }
        for (file, wanted) in [
            (0, Target::At("Patient/a".into())),
            (1, Target::At("Patient/b".into())),
            (2, Target::Ambiguous),
        ] {
            assert_eq!(index.find(in_file(file), urn).unwrap(), wanted, "{file}");
        }
    }
}
