//! All that an export recorded, by path. Of a record no more is in memory than where it lies: there are as many as files.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use super::document::{self, Done, Made, Phase, State};
use super::made::of_version_0_1;
use crate::bulk::export::layout;
use crate::place::Place;
use crate::place::lines::Lines;

/// As many are kept in memory before a file is made for them.
const FEW: usize = 256;

/// The records: a name that was given more than once has one of each time.
#[derive(Debug, Default)]
pub struct Records {
    /// Where a file without a name may lie.
    place: Option<Place>,
    lines: Lines<Made>,
    /// The latest record of each path, by the hash of that, whose key is made by chance.
    latest: HashMap<u64, u32>,
    /// For each record, the one before of the same path.
    before: Vec<Option<u32>>,
    hashes: RandomState,
}

impl Records {
    /// None yet; when they become many, they lie in this folder, without a name.
    pub fn new(place: &Place) -> Self {
        Self {
            place: Some(place.clone()),
            ..Self::default()
        }
    }

    /// Those of the export in a folder.
    ///
    /// # Errors
    /// The disk, or a record that leads out of the folder.
    pub fn of(folder: &Path, state: &State) -> io::Result<Self> {
        let mut records = Self::of_others(folder, state)?;
        let place = layout::state_of(folder);
        document::each_line(&place, layout::DONE, |done: Done| records.add(&done.made()))?;
        Ok(records)
    }

    /// Those of other files than the manifest lists.
    ///
    /// # Errors
    /// The disk, or a record that leads out of the folder.
    pub fn of_others(folder: &Path, state: &State) -> io::Result<Self> {
        let place = layout::state_of(folder);
        let mut records = Self::new(&place);
        if place.has(layout::OURS) {
            document::each_line(&place, layout::OURS, |made: Made| records.add(&made))?;
        } else if matches!(state.phase, Phase::Fetching | Phase::Done) {
            for made in of_version_0_1(folder, state) {
                records.add(&made)?;
            }
        }
        Ok(records)
    }

    /// Adds one.
    ///
    /// # Errors
    /// The disk, or its path leads out of the folder.
    pub fn add(&mut self, made: &Made) -> io::Result<()> {
        document::check_name(&made.path)?;
        if self.lines.len() == FEW
            && let Some(place) = &self.place
        {
            let mut on_disk = Lines::new(place.nameless()?);
            for made in self.lines.each() {
                on_disk.push(&made?)?;
            }
            self.lines = on_disk;
        }
        let number = u32::try_from(self.lines.len()).map_err(io::Error::other)?;
        self.lines.push(made)?;
        let hash = self.hashes.hash_one(&made.path);
        self.before.push(self.latest.insert(hash, number));
        Ok(())
    }

    /// What was made under this name, the latest first. What cannot be read is no record: nothing is removed for it.
    pub fn under<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = Made> + use<'a> {
        let latest = self.latest.get(&self.hashes.hash_one(path)).copied();
        let numbers = std::iter::successors(latest, |number| self.before[*number as usize]);
        let made = numbers.filter_map(|number| self.lines.get(number as usize).ok());
        made.filter(move |made| made.path == path)
    }

    /// Whether what has this name in the folder is ours.
    pub fn is_ours(&self, folder: &Path, path: &Path) -> bool {
        let there = folder.join(path);
        self.under(path).any(|made| made.is_at(&there))
    }

    /// Every file of ours that is there, once.
    pub fn here<'a>(
        &'a self,
        folder: &'a Path,
    ) -> impl Iterator<Item = io::Result<PathBuf>> + use<'a> {
        let numbered = (0_u32..).zip(self.lines.each());
        let latest = numbered.filter_map(|(number, made)| match made {
            Ok(made) => {
                let hash = self.hashes.hash_one(&made.path);
                (self.latest.get(&hash) == Some(&number)).then_some(Ok(made.path))
            }
            Err(error) => Some(Err(error)),
        });
        latest.filter(|path| match path {
            Ok(path) => self.is_ours(folder, path),
            Err(_) => true,
        })
    }

    /// All records, in the order in which they came.
    pub fn all(&self) -> impl Iterator<Item = io::Result<Made>> {
        self.lines.each()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_all_of_its_records_however_many_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let mut records = Records::new(&Place::new(folder.path()));
        let made = |name: &str, bytes: usize| Made {
            path: name.into(),
            bytes: bytes as u64,
            version: None,
            digest: None,
        };
        for bytes in 0..3 * FEW {
            records.add(&made("a", bytes)).unwrap();
            records.add(&made(&format!("b{bytes}"), 1)).unwrap();
        }
        let lengths: Vec<u64> = records
            .under(Path::new("a"))
            .map(|made| made.bytes)
            .collect();
        assert_eq!(lengths.len(), 3 * FEW);
        assert_eq!(lengths[..2], [767, 766]);
        assert_eq!(records.under(Path::new("c")).count(), 0);
        assert_eq!(records.all().count(), 6 * FEW);
        std::fs::write(folder.path().join("b7"), "1").unwrap();
        std::fs::write(folder.path().join("a"), "12345").unwrap();
        let here: Vec<_> = records.here(folder.path()).map(Result::unwrap).collect();
        assert_eq!(here, [Path::new("b7"), Path::new("a")]);
        assert!(records.add(&made("../a", 1)).is_err());
    }
}
