//! What a reading of the manifest makes of the one before it: bytes are kept only for an entry that is proved to be the
//! same. Pure: it compares lists.

use std::collections::{HashMap, VecDeque};

use super::manifest::{Group, ManifestFile};

/// A file of the reading before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    pub file: &'a ManifestFile,
    /// The digest of its bytes, when they are here.
    pub sha256: Option<&'a str>,
    /// Whether the reading before did not list it any more.
    pub vanished: bool,
}

/// What is known of a file of the new reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is this file of the reading before, and what is here of it stays.
    Proved(usize),
    /// It takes the name of this one; its bytes are fetched.
    NameOf(usize),
    New,
}

/// Two readings compared.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Compared {
    /// For each file of the new reading.
    pub places: Vec<Place>,
    /// Files of the reading before that have no successor in the new one.
    pub vanished: Vec<usize>,
    /// Whether it is the same reading: only links may differ, and files may have been added.
    pub is_same: bool,
}

/// Compares a reading with the one before.
///
/// It is *the same* when the time is equal and each file is found by its URL less what signs it, one to one, with equal
/// promises. Else it is *another*, and only a checksum that the new entry promises and the file here has proves anything:
/// links may be made up anew, and one URL may hold something else. By their order files get names, never bytes.
pub(super) fn compare(known: &[Known], new: &[ManifestFile], same_time: bool) -> Compared {
    let by_url = by_url(known, new);
    let vanished_before = known.iter().filter(|known| known.vanished);
    let awaited = known.len() - vanished_before.count();
    let awaited_found = by_url.iter().flatten().filter(|at| !known[**at].vanished);
    let keeps_promises = by_url
        .iter()
        .zip(new)
        .all(|(at, file)| at.is_none_or(|at| file.promises_the_same_as(known[at].file)));
    let is_same = same_time && keeps_promises && awaited_found.count() == awaited;
    let mut places = vec![Place::New; new.len()];
    let mut taken = vec![false; known.len()];
    if is_same {
        for (place, at) in places.iter_mut().zip(&by_url) {
            if let Some(at) = at {
                (*place, taken[*at]) = (Place::Proved(*at), true);
            }
        }
    } else {
        by_checksum(known, new, &mut places, &mut taken);
        for (place, at) in places.iter_mut().zip(&by_url) {
            if let (Place::New, Some(at)) = (*place, at)
                && !taken[*at]
            {
                (*place, taken[*at]) = (Place::NameOf(*at), true);
            }
        }
        by_order(known, new, &mut places, &mut taken);
    }
    let vanished = (0..known.len()).filter(|at| !taken[*at]).collect();
    Compared {
        places,
        vanished,
        is_same,
    }
}

type Kind<'a> = (Group, Option<&'a str>);

fn kind(file: &ManifestFile) -> Kind<'_> {
    (file.group, file.resource_type.as_deref())
}

/// For each new file the known one of its URL, where each is the only one of that name.
fn by_url(known: &[Known], new: &[ManifestFile]) -> Vec<Option<usize>> {
    /// How many files of each list have a name, and the last of the known ones.
    #[derive(Default)]
    struct Of {
        known: usize,
        new: usize,
        at: usize,
    }
    let mut found = vec![None; new.len()];
    if known.is_empty() {
        return found;
    }
    for exactly in [true, false] {
        let name = |file: &ManifestFile| {
            if exactly {
                file.link.as_str().to_owned()
            } else {
                file.link.identity()
            }
        };
        let mut names: HashMap<(Kind, String), Of> = HashMap::new();
        let mut taken = vec![false; known.len()];
        found
            .iter()
            .flatten()
            .for_each(|at: &usize| taken[*at] = true);
        for (at, known) in known.iter().enumerate().filter(|(at, _)| !taken[*at]) {
            let of = names
                .entry((kind(known.file), name(known.file)))
                .or_default();
            (of.known, of.at) = (of.known + 1, at);
        }
        let open: Vec<_> = (0..new.len()).filter(|at| found[*at].is_none()).collect();
        for at in &open {
            if let Some(of) = names.get_mut(&(kind(&new[*at]), name(&new[*at]))) {
                of.new += 1;
            }
        }
        for at in open {
            if let Some(Of {
                known: 1,
                new: 1,
                at: before,
            }) = names.get(&(kind(&new[at]), name(&new[at])))
            {
                found[at] = Some(*before);
            }
        }
    }
    found
}

/// A checksum proves what it promises, whatever the link.
fn by_checksum(known: &[Known], new: &[ManifestFile], places: &mut [Place], taken: &mut [bool]) {
    let mut here: HashMap<(Kind, &str), usize> = HashMap::new();
    for (at, known) in known.iter().enumerate() {
        if let Some(sha256) = known.sha256 {
            here.insert((kind(known.file), sha256), at);
        }
    }
    for (place, file) in places.iter_mut().zip(new) {
        let promised = file.promise.sha256.as_deref();
        if let Some(at) = promised.and_then(|sha256| here.get(&(kind(file), sha256)))
            && !std::mem::replace(&mut taken[*at], true)
        {
            *place = Place::Proved(*at);
        }
    }
}

/// What has no name yet takes those that are left, in the order of the lists.
fn by_order(known: &[Known], new: &[ManifestFile], places: &mut [Place], taken: &mut [bool]) {
    let mut left: HashMap<Kind, VecDeque<usize>> = HashMap::new();
    // Those that were listed last come first.
    for vanished in [false, true] {
        for (at, known) in known.iter().enumerate() {
            if !taken[at] && known.vanished == vanished {
                left.entry(kind(known.file)).or_default().push_back(at);
            }
        }
    }
    for (place, file) in places.iter_mut().zip(new) {
        if *place == Place::New
            && let Some(at) = left.get_mut(&kind(file)).and_then(VecDeque::pop_front)
        {
            (*place, taken[at]) = (Place::NameOf(at), true);
        }
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::super::link::{Link, PageOrigin};
    use super::super::sink::promise::Promise;
    use super::*;

    fn files(urls: &[&str]) -> Vec<ManifestFile> {
        let page = Url::parse("https://h.example/").unwrap();
        let origin = PageOrigin::of(&page);
        let file = |text: &&str| {
            let (url, count) = text.split_once('*').unwrap_or((text, ""));
            ManifestFile {
                group: Group::Output,
                resource_type: Some("Patient".into()),
                link: Link::new(&page, &origin, url).unwrap(),
                count: count.parse().ok(),
                promise: Promise::default(),
                contradicts: false,
            }
        };
        urls.iter().map(file).collect()
    }

    fn compared(known: &[&str], new: &[&str]) -> (bool, Vec<Place>, Vec<usize>) {
        let (known, new) = (files(known), files(new));
        let known: Vec<_> = known
            .iter()
            .map(|file| Known {
                file,
                sha256: None,
                vanished: false,
            })
            .collect();
        let Compared {
            is_same,
            places,
            vanished,
        } = compare(&known, &new, true);
        (is_same, places, vanished)
    }

    #[test]
    fn files_are_the_same_by_their_urls_less_what_signs_them_or_not_at_all() {
        use Place::{NameOf, New, Proved};
        for (known, new, is_same, places, vanished) in [
            (
                &["a", "b"][..],
                &["b", "a"][..],
                true,
                &[Proved(1), Proved(0)][..],
                &[][..],
            ),
            (
                &["a", "b"],
                &["c", "a", "b"],
                true,
                &[New, Proved(0), Proved(1)],
                &[],
            ),
            (
                &["a?sig=1", "b?sig=1"],
                &["b?sig=2", "a?sig=2"],
                true,
                &[Proved(1), Proved(0)],
                &[],
            ),
            (
                &["f?id=1", "f?id=2"],
                &["f?id=1", "f?id=3"],
                false,
                &[NameOf(0), NameOf(1)],
                &[],
            ),
            (
                &["x1", "x2"],
                &["y2", "y1"],
                false,
                &[NameOf(0), NameOf(1)],
                &[],
            ),
            (
                &["x1", "x2"],
                &["y1", "y2", "y3"],
                false,
                &[NameOf(0), NameOf(1), New],
                &[],
            ),
            (&["a", "b"], &["a"], false, &[NameOf(0)], &[1]),
            (&["a", "b"], &[], false, &[], &[0, 1]),
            (&["a*1"], &["a*5"], false, &[NameOf(0)], &[]),
            // Two of one name prove nothing.
            (
                &["f?sig=1", "f?sig=2"],
                &["f?sig=3", "f?sig=4"],
                false,
                &[NameOf(0), NameOf(1)],
                &[],
            ),
        ] {
            let expected = (is_same, places.to_vec(), vanished.to_vec());
            assert_eq!(compared(known, new), expected, "{known:?} {new:?}");
        }
    }

    #[test]
    fn another_time_is_another_reading() {
        let files = files(&["a"]);
        let known = [Known {
            file: &files[0],
            sha256: Some("1"),
            vanished: false,
        }];
        let compared = compare(&known, &files, false);
        assert_eq!(
            (compared.is_same, compared.places),
            (false, vec![Place::NameOf(0)])
        );
    }
}
