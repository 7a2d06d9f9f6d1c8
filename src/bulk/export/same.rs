//! What a reading of the manifest makes of the one before it: bytes are kept only for an entry that is proved to be the
//! same. Pure: it compares lists.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, RandomState};

use super::link::identity;
use super::manifest::Listed;

/// A file of the reading before.
#[derive(Debug)]
pub(super) struct Known {
    pub file: Listed,
    /// Whether the reading before did not list it any more.
    pub vanished: bool,
}

/// Two readings, each read anew as often as it is needed: of 100,000 files no more than a few numbers each are in memory.
pub(super) trait Readings {
    type Error;
    /// The files of the new one.
    fn listed(&self) -> impl Iterator<Item = Result<Listed, Self::Error>>;
    /// Those of the one before.
    fn known(&self) -> impl Iterator<Item = Result<Known, Self::Error>>;
    /// The SHA-256 of the bytes of a known file, when they are here: a checksum that is promised is one.
    fn sha256(&self, known: u32) -> Result<Option<String>, Self::Error>;
}

/// What is known of a file of the new reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is this file of the reading before, and what is here of it stays.
    Proved(u32),
    /// It takes the name of this one; its bytes are fetched.
    NameOf(u32),
    New,
}

/// Two readings compared.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Compared {
    /// For each file of the new reading.
    pub places: Vec<Place>,
    /// Whether it is the same reading: only links may differ, and files may have been added.
    pub is_same: bool,
}

/// Compares a reading with the one before.
///
/// It is *the same* when the time is equal and each file is found by its URL less what signs it, one to one, with equal
/// promises. Else it is *another*, and only a checksum that the new entry promises and the file here has proves anything:
/// links may be made up anew, and one URL may hold something else. By their order files get names, never bytes.
pub(super) fn compare<R: Readings>(readings: &R, same_time: bool) -> Result<Compared, R::Error> {
    let matching = Matching::of(readings)?;
    let found = matching.found.iter().filter(|at| **at != NONE);
    let vanished = |at: &u32| matching.vanished[*at as usize];
    let awaited = matching.vanished.iter().filter(|vanished| !**vanished);
    let all_found = found.filter(|at| !vanished(at)).count() == awaited.count();
    let is_same = same_time && matching.keeps_promises && all_found;
    let mut places = vec![Place::New; matching.found.len()];
    if is_same {
        for (place, at) in places.iter_mut().zip(&matching.found) {
            if *at != NONE {
                *place = Place::Proved(*at);
            }
        }
        return Ok(Compared { places, is_same });
    }
    let mut taken = vec![false; matching.vanished.len()];
    matching.by_checksum(readings, &mut places, &mut taken)?;
    for (place, at) in places.iter_mut().zip(&matching.found) {
        if *place == Place::New && *at != NONE && !taken[*at as usize] {
            (*place, taken[*at as usize]) = (Place::NameOf(*at), true);
        }
    }
    matching.by_order(readings, &mut places, &mut taken)?;
    Ok(Compared { places, is_same })
}

/// No file has this number.
const NONE: u32 = u32::MAX;
/// There are several.
const MANY: u32 = u32::MAX - 1;

/// Which files are found by their URLs. They are compared by hashes whose key is made by chance each time, so that nobody
/// can choose names that share one; that two of a million do by accident is less likely than a disk that lies.
#[derive(Default)]
struct Matching {
    hashes: RandomState,
    /// For each new file the known one of its URL, where each is the only one of that name.
    found: Vec<u32>,
    /// Of each known file, whether the reading before did not list it any more.
    vanished: Vec<bool>,
    /// Whether what is promised of the files that were found is what was.
    keeps_promises: bool,
}

impl Matching {
    fn of<R: Readings>(readings: &R) -> Result<Self, R::Error> {
        let mut matching = Self {
            keeps_promises: true,
            ..Self::default()
        };
        for known in readings.known() {
            matching.vanished.push(known?.vanished);
        }
        let mut promises = Vec::new();
        for file in readings.listed() {
            promises.push(matching.hash(file?.promises()));
        }
        matching.found = vec![NONE; promises.len()];
        let mut taken = vec![false; matching.vanished.len()];
        matching.by_name(readings, &promises, &mut taken, |file| file.url.to_string())?;
        let is_open = matching.found.contains(&NONE) && taken.contains(&false);
        if is_open {
            matching.by_name(readings, &promises, &mut taken, |file| identity(&file.url))?;
        }
        Ok(matching)
    }

    /// Finds files that nobody has found yet by a name, where each is the only one of it.
    fn by_name<R: Readings>(
        &mut self,
        readings: &R,
        promises: &[u64],
        taken: &mut [bool],
        name: fn(&Listed) -> String,
    ) -> Result<(), R::Error> {
        let hash = |file: &Listed| self.hash((file.kind(), name(file)));
        let open = self.found.iter().filter(|at| **at == NONE).count();
        let mut names: Vec<(u64, u32)> = Vec::with_capacity(open);
        for (number, file) in (0..).zip(readings.listed()) {
            let file = file?;
            if self.found[number as usize] == NONE {
                names.push((hash(&file), number));
            }
        }
        names.sort_unstable();
        // Beside the first of each name: the known file of that name, and whether it promises something else.
        let mut known_at = vec![NONE; names.len()];
        let mut differs = vec![false; names.len()];
        for (number, known) in (0..).zip(readings.known()) {
            let known = known?;
            if taken[number as usize] {
                continue;
            }
            let wanted = hash(&known.file);
            let at = names.partition_point(|(name, _)| *name < wanted);
            if let Some((_, new)) = names.get(at).filter(|(name, _)| *name == wanted) {
                known_at[at] = if known_at[at] == NONE { number } else { MANY };
                differs[at] = self.hash(known.file.promises()) != promises[*new as usize];
            }
        }
        let mut at = 0;
        for alike in names.chunk_by(|one, other| one.0 == other.0) {
            if let ([(_, new)], known) = (alike, known_at[at])
                && known < MANY
            {
                self.found[*new as usize] = known;
                taken[known as usize] = true;
                self.keeps_promises &= !differs[at];
            }
            at += alike.len();
        }
        Ok(())
    }

    /// A checksum proves what it promises, whatever the link.
    fn by_checksum<R: Readings>(
        &self,
        readings: &R,
        places: &mut [Place],
        taken: &mut [bool],
    ) -> Result<(), R::Error> {
        let hash = |file: &Listed, sha256: &str| self.hash((file.kind(), sha256));
        let mut promised: Vec<(u64, u32)> = Vec::new();
        for (number, file) in (0..).zip(readings.listed()) {
            let file = file?;
            if let Some(sha256) = &file.promise.sha256 {
                promised.push((hash(&file, sha256), number));
            }
        }
        if promised.is_empty() {
            return Ok(());
        }
        let mut here: HashMap<u64, u32> = HashMap::new();
        for (number, known) in (0..).zip(readings.known()) {
            let known = known?;
            if let Some(sha256) = readings.sha256(number)? {
                here.insert(hash(&known.file, &sha256), number);
            }
        }
        for (checksum, new) in promised {
            if let Some(at) = here.get(&checksum)
                && !std::mem::replace(&mut taken[*at as usize], true)
            {
                places[new as usize] = Place::Proved(*at);
            }
        }
        Ok(())
    }

    /// What has no name yet takes those that are left, in the order of the lists.
    fn by_order<R: Readings>(
        &self,
        readings: &R,
        places: &mut [Place],
        taken: &mut [bool],
    ) -> Result<(), R::Error> {
        // Those that were listed last come first.
        let mut left: [HashMap<u64, VecDeque<u32>>; 2] = Default::default();
        for (number, known) in (0..).zip(readings.known()) {
            let known = known?;
            if !taken[number as usize] {
                let kind = self.hash(known.file.kind());
                let left = &mut left[usize::from(known.vanished)];
                left.entry(kind).or_default().push_back(number);
            }
        }
        for (place, new) in places.iter_mut().zip(readings.listed()) {
            if *place != Place::New {
                continue;
            }
            let kind = self.hash(new?.kind());
            let mut left = left.iter_mut().filter_map(|left| left.get_mut(&kind));
            if let Some(at) = left.find_map(VecDeque::pop_front) {
                (*place, taken[at as usize]) = (Place::NameOf(at), true);
            }
        }
        Ok(())
    }

    fn hash(&self, what: impl Hash) -> u64 {
        self.hashes.hash_one(what)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file(text: &str) -> Listed {
        let (name, count) = text.split_once('*').unwrap_or((text, ""));
        let count: Option<u64> = count.parse().ok();
        let url = format!("https://h.example/{name}");
        let file =
            json!({"group": "Output", "resource_type": "Patient", "url": url, "count": count});
        serde_json::from_value(file).unwrap()
    }

    /// Names with counts: `a*5`.
    struct Texts<'a>(&'a [&'a str], &'a [&'a str]);

    impl Readings for Texts<'_> {
        type Error = std::convert::Infallible;

        fn listed(&self) -> impl Iterator<Item = Result<Listed, Self::Error>> {
            self.1.iter().map(|text| Ok(file(text)))
        }

        fn known(&self) -> impl Iterator<Item = Result<Known, Self::Error>> {
            let known = |text: &&str| Known {
                file: file(text),
                vanished: false,
            };
            self.0.iter().map(known).map(Ok)
        }

        fn sha256(&self, _: u32) -> Result<Option<String>, Self::Error> {
            Ok(Some("1".to_owned()))
        }
    }

    fn compared(known: &[&str], new: &[&str]) -> (bool, Vec<Place>) {
        let Ok(Compared { is_same, places }) = compare(&Texts(known, new), true);
        (is_same, places)
    }

    #[test]
    fn files_are_the_same_by_their_urls_less_what_signs_them_or_not_at_all() {
        use Place::{NameOf, New, Proved};
        for (known, new, is_same, places) in [
            (
                &["a", "b"][..],
                &["b", "a"][..],
                true,
                &[Proved(1), Proved(0)][..],
            ),
            (
                &["a", "b"],
                &["c", "a", "b"],
                true,
                &[New, Proved(0), Proved(1)],
            ),
            (
                &["a?sig=1", "b?sig=1"],
                &["b?sig=2", "a?sig=2"],
                true,
                &[Proved(1), Proved(0)],
            ),
            (
                &["f?id=1", "f?id=2"],
                &["f?id=1", "f?id=3"],
                false,
                &[NameOf(0), NameOf(1)],
            ),
            (&["x1", "x2"], &["y2", "y1"], false, &[NameOf(0), NameOf(1)]),
            (
                &["x1", "x2"],
                &["y1", "y2", "y3"],
                false,
                &[NameOf(0), NameOf(1), New],
            ),
            (&["a", "b"], &["a"], false, &[NameOf(0)]),
            (&["a", "b"], &[], false, &[]),
            (&["a*1"], &["a*5"], false, &[NameOf(0)]),
            // Two of one name prove nothing.
            (
                &["f?sig=1", "f?sig=2"],
                &["f?sig=3", "f?sig=4"],
                false,
                &[NameOf(0), NameOf(1)],
            ),
        ] {
            let expected = (is_same, places.to_vec());
            assert_eq!(compared(known, new), expected, "{known:?} {new:?}");
        }
    }

    #[test]
    fn another_time_is_another_reading() {
        let Ok(compared) = compare(&Texts(&["a"], &["a"]), false);
        assert_eq!(
            (compared.is_same, compared.places),
            (false, vec![Place::NameOf(0)])
        );
    }
}
