//! Whether the content at a URL is what each resource that points there says of it. It is fetched once, and its resources may
//! say different things: what one of them says wrongly decides for no other.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Absent, Found};
use crate::place;

/// As many SHA-1s are remembered; many resources may point to one large file.
const MOST_SUMS: usize = 4096;
const BUFFER: usize = 256 << 10;

/// What is known of the contents that are here. Of a file no more is kept than hashes, whose key is made by chance.
#[derive(Debug)]
pub(super) struct Judge {
    /// Whether hashes are compared.
    verify: bool,
    hashes: RandomState,
    /// Files with what a resource says of them, which is right.
    good: HashSet<u64>,
    /// Files that at least one resource accepts.
    accepted: HashSet<u64>,
    /// Files that at least one resource refuses.
    refused: HashSet<PathBuf>,
    /// The SHA-1 of files that were read.
    sums: HashMap<u64, String>,
}

impl Judge {
    pub(super) fn new(verify: bool) -> Self {
        Self {
            verify,
            hashes: RandomState::new(),
            good: HashSet::new(),
            accepted: HashSet::new(),
            refused: HashSet::new(),
            sums: HashMap::new(),
        }
    }

    /// The content was compared with what this resource says while it came.
    pub(super) fn is_good(&mut self, path: &Path, found: &Found) {
        self.good.insert(self.hash_with(path, found));
    }

    /// Whether the file at a path below the folder is what a resource says of it.
    ///
    /// # Errors
    /// Why it is not there for this resource.
    pub(super) fn judge(
        &mut self,
        folder: &Path,
        path: &Path,
        found: &Found,
    ) -> io::Result<Result<(), Absent>> {
        let known = self.hash_with(path, found);
        let verdict = if self.good.contains(&known) {
            Ok(())
        } else {
            self.compare(&folder.join(path), found)?
        };
        match &verdict {
            Ok(()) => {
                self.good.insert(known);
                self.accepted.insert(self.hashes.hash_one(path));
            }
            Err(_) => drop(self.refused.insert(path.to_owned())),
        }
        Ok(verdict)
    }

    /// The files that some resource refuses and none accepts.
    pub(super) fn wanted_by_none(self) -> impl Iterator<Item = PathBuf> {
        let (hashes, accepted) = (self.hashes, self.accepted);
        let refused = self.refused.into_iter();
        refused.filter(move |path| !accepted.contains(&hashes.hash_one(path.as_path())))
    }

    fn compare(&mut self, file: &Path, found: &Found) -> io::Result<Result<(), Absent>> {
        if let Some(promised) = found.hash.as_ref().filter(|_| self.verify) {
            let key = self.hashes.hash_one(file);
            if self.sums.len() >= MOST_SUMS {
                self.sums.clear();
            }
            let sum = match self.sums.get(&key) {
                Some(sum) => sum.clone(),
                None => match sum_of(file) {
                    Ok(sum) => self.sums.entry(key).or_insert(sum).clone(),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        return Ok(Err(Absent::Missing("its file went away".into())));
                    }
                    Err(error) => return Err(error),
                },
            };
            if let Err(words) = compare_sums(&sum, promised) {
                return Ok(Err(Absent::Missing(words)));
            }
        }
        let length = place::length(file);
        Ok(compare_lengths(length.unwrap_or_default(), found).map_err(Absent::Missing))
    }

    fn hash_with(&self, path: &Path, found: &Found) -> u64 {
        self.hashes.hash_one((path, &found.hash, found.size))
    }
}

/// Compares a SHA-1 in base64 with what a resource says.
///
/// # Errors
/// They differ, in words.
pub(super) fn compare_sums(sum: &str, promised: &str) -> Result<(), String> {
    if sum == promised.trim() {
        return Ok(());
    }
    Err(format!(
        "its SHA-1 is {sum}, and the resource says {promised}"
    ))
}

/// Compares a length with what a resource says: sizes are stated wrongly too often for more than this.
///
/// # Errors
/// There should be something, and there is nothing, in words.
pub(super) fn compare_lengths(length: u64, found: &Found) -> Result<(), String> {
    if length == 0 && found.size.is_some_and(|size| size > 0) {
        return Err("nothing came".to_owned());
    }
    Ok(())
}

/// The SHA-1 of a file in base64 (FHIR R4, Attachment.hash).
fn sum_of(file: &Path) -> io::Result<String> {
    let mut file = place::open_plain(file)?;
    let mut sum = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(STANDARD.encode(sum.finish())),
            Ok(read) => sum.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
