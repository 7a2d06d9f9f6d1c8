//! What one reading of the manifest lists: an entry a line in a file without a name, page by page, so that a list of any
//! length costs a few bytes an entry.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io;

use super::manifest::{Listed, ManifestFile};
use crate::place::lines::Lines;

/// The bit of an entry whose page wants the token with its files.
const TOKEN: u32 = 1 << 31;

/// The entries of all pages of a manifest.
#[derive(Debug, Default)]
pub struct Listing {
    lines: Lines<ManifestFile>,
    /// The lines in the order of the manifest, each with what its page says of the token.
    order: Vec<u32>,
    /// Lines that are listed twice, with different promises.
    contradicting: HashSet<u32>,
}

impl Listing {
    /// An empty one that grows in a file.
    pub fn new(file: File) -> Self {
        Self {
            lines: Lines::new(file),
            ..Self::default()
        }
    }

    /// How many files it lists.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether it lists none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Adds an entry of a page that has not ended; the number of its line.
    pub(super) fn push(&mut self, file: &ManifestFile) -> io::Result<u32> {
        let number = u32::try_from(self.lines.len()).map_err(io::Error::other)?;
        self.lines.push(file)?;
        Ok(number)
    }

    /// A page ended: its lines stand in this order.
    pub(super) fn end_page(&mut self, lines: impl IntoIterator<Item = u32>, requires_token: bool) {
        let token = if requires_token { TOKEN } else { 0 };
        self.order
            .extend(lines.into_iter().map(|line| line | token));
    }

    /// Takes back the entries of a page that did not end.
    pub(super) fn drop_page(&mut self) -> io::Result<()> {
        self.lines.truncate(self.order.len())
    }

    /// A file by its place in the manifest.
    ///
    /// # Errors
    /// The disk.
    pub fn get(&self, at: usize) -> io::Result<ManifestFile> {
        let number = *self.order.get(at).ok_or(io::ErrorKind::NotFound)?;
        let line = number & !TOKEN;
        let mut file = self.lines.get(line as usize)?;
        file.link.require_token(number & TOKEN != 0);
        file.contradicts = self.contradicting.contains(&line);
        Ok(file)
    }

    /// All of them, in manifest order.
    pub fn each(&self) -> impl Iterator<Item = io::Result<ManifestFile>> {
        (0..self.len()).map(|at| self.get(at))
    }

    /// The same with what they are compared by.
    pub(super) fn each_listed(&self) -> impl Iterator<Item = io::Result<Listed>> {
        self.order.iter().map(|number| self.listed(*number))
    }

    fn listed(&self, number: u32) -> io::Result<Listed> {
        self.lines.get_as((number & !TOKEN) as usize)
    }

    /// A file listed twice is one file: its lines must not be on disk twice. What is promised of it must agree. How many
    /// entries of `output`, `deleted` and the lists of errors are left out.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn without_repetitions(&mut self) -> io::Result<[usize; 3]> {
        let hashes = RandomState::new();
        let mut order = Vec::with_capacity(self.len());
        for (at, file) in (0_u32..).zip(self.each_listed()) {
            order.push((hashes.hash_one(key(&file?)), at));
        }
        order.sort_unstable();
        let (mut repeated, mut counts) = (HashSet::new(), [0; 3]);
        for alike in order.chunk_by(|one, other| one.0 == other.0) {
            if alike.len() > 1 {
                self.look_for_repetitions(alike, &mut repeated, &mut counts)?;
            }
        }
        drop(order);
        let mut at = 0;
        self.order.retain(|_| {
            at += 1;
            !repeated.contains(&(at - 1))
        });
        Ok(counts)
    }

    /// Entries of one hash, which need not be alike for that.
    fn look_for_repetitions(
        &mut self,
        alike: &[(u64, u32)],
        repeated: &mut HashSet<u32>,
        counts: &mut [usize; 3],
    ) -> io::Result<()> {
        let mut firsts: Vec<(u32, Listed)> = Vec::new();
        for (_, at) in alike {
            let file = self.listed(self.order[*at as usize])?;
            let first = firsts.iter().find(|(_, first)| key(first) == key(&file));
            let Some((first, before)) = first else {
                firsts.push((*at, file));
                continue;
            };
            if before.promises() != file.promises() {
                let line = self.order[*first as usize] & !TOKEN;
                self.contradicting.insert(line);
            }
            repeated.insert(*at);
            counts[file.group as usize] += 1;
        }
        Ok(())
    }
}

/// What makes two entries one.
fn key(file: &Listed) -> impl std::hash::Hash + PartialEq + '_ {
    (&*file.url, file.kind())
}
