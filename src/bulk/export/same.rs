//! Which file of a manifest that is read again is which: servers list them in another order, and sign links anew.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use url::Url;

use super::manifest::{Group, ManifestFile};
use super::state::document::Planned;
use crate::secret;

/// For each file of a new manifest, the place of the same file among those known. `None` for a file that was not there.
///
/// Files are the same whose URLs are; or are without what signs them, without those parameters that no URL of the other
/// list has, or without a query. Only when no path says so, as with links that are made up anew each time, the order does,
/// and only if types and counts agree.
pub(super) fn matched(known: &[Planned], new: &[ManifestFile]) -> Vec<Option<usize>> {
    let mut found = vec![None; new.len()];
    let mut taken = vec![false; known.len()];
    let before = parameters(known.iter().map(|known| &known.file.url));
    let now = parameters(new.iter().map(|file| &file.url));
    let lasting = |url: &Url| {
        let mut pairs: Vec<_> = url.query_pairs().map(owned).collect();
        pairs.retain(|pair| before.contains(pair) && now.contains(pair));
        pairs.sort();
        format!("{} {pairs:?}", secret::url_without_query(url))
    };
    let ways: [&dyn Fn(&Url) -> String; 4] = [
        &|url| url.as_str().to_owned(),
        &secret::url_for_people,
        &lasting,
        &secret::url_without_query,
    ];
    for way in ways {
        by(way, known, new, &mut found, &mut taken);
    }
    let paths: HashSet<String> = known
        .iter()
        .map(|known| secret::url_without_query(&known.file.url))
        .collect();
    let says_nothing = |file: &ManifestFile| !paths.contains(&secret::url_without_query(&file.url));
    let is_alike = |(file, known): (&ManifestFile, &Planned)| {
        let before = &known.file;
        file.group == before.group
            && file.resource_type == before.resource_type
            && file
                .count
                .zip(before.count)
                .is_none_or(|(one, other)| one == other)
    };
    if new.len() == known.len()
        && new.iter().all(says_nothing)
        && new.iter().zip(known).all(is_alike)
    {
        return (0..new.len()).map(Some).collect();
    }
    found
}

fn owned((name, value): (Cow<str>, Cow<str>)) -> (String, String) {
    (name.into_owned(), value.into_owned())
}

/// Every parameter of these URLs.
fn parameters<'a>(urls: impl Iterator<Item = &'a Url>) -> HashSet<(String, String)> {
    urls.flat_map(|url| url.query_pairs().map(owned).collect::<Vec<_>>())
        .collect()
}

/// Matches what has the same name by this way, where each has a name of its own.
fn by(
    way: &dyn Fn(&Url) -> String,
    known: &[Planned],
    new: &[ManifestFile],
    found: &mut [Option<usize>],
    taken: &mut [bool],
) {
    type Name<'a> = (Group, Option<&'a str>, String);
    fn name<'a>(file: &'a ManifestFile, way: &dyn Fn(&Url) -> String) -> Name<'a> {
        (file.group, file.resource_type.as_deref(), way(&file.url))
    }
    let mut places: HashMap<Name, (Vec<usize>, Vec<usize>)> = HashMap::new();
    for (at, planned) in known.iter().enumerate().filter(|(at, _)| !taken[*at]) {
        let place = places.entry(name(&planned.file, way)).or_default();
        place.0.push(at);
    }
    for (at, file) in new
        .iter()
        .enumerate()
        .filter(|(at, _)| found[*at].is_none())
    {
        places.entry(name(file, way)).or_default().1.push(at);
    }
    for (known, new) in places.into_values() {
        if let ([known], [new]) = (&known[..], &new[..]) {
            found[*new] = Some(*known);
            taken[*known] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::export::sink::promise::Promise;

    fn files(urls: &[&str]) -> Vec<ManifestFile> {
        let file = |url: &&str| ManifestFile {
            group: Group::Output,
            resource_type: Some("Patient".into()),
            url: Url::parse(&format!("https://h/{url}")).unwrap(),
            count: None,
            requires_access_token: false,
            promise: Promise::default(),
        };
        urls.iter().map(file).collect()
    }

    #[test]
    fn files_are_told_by_their_urls_and_by_their_order_only_if_those_say_nothing() {
        let (a, b, c, no) = (Some(0), Some(1), Some(2), None);
        for (known, new, expected) in [
            (&["a", "b"][..], &["b", "a"][..], &[b, a][..]),
            (&["a", "b"], &["c", "a", "b"], &[no, a, b]),
            (&["a", "b"], &["a", "c"], &[a, no]),
            (
                &["a?signature=1", "b?signature=1"],
                &["b?signature=2", "a?signature=2"],
                &[b, a],
            ),
            (
                &["f?id=1&signature=1", "f?id=2&signature=1"],
                &["f?id=2&signature=2", "f?id=1&signature=2"],
                &[b, a],
            ),
            // The order is all there is.
            (&["x/1", "x/2", "x/3"], &["y/1", "y/2", "y/3"], &[a, b, c]),
            (
                &["f?id=A&ticket=1", "f?id=B&ticket=1"],
                &["f?id=B&ticket=2", "f?id=A&ticket=3"],
                &[b, a],
            ),
            // One path for all, and nothing that tells them apart.
            (&["f?x=1", "f?x=2"], &["f?x=3", "f?x=4"], &[no, no]),
            (&["x/1", "x/2"], &["y/1", "y/2", "y/3"], &[no, no, no]),
        ] {
            let known: Vec<Planned> = files(known)
                .into_iter()
                .map(|file| Planned {
                    file,
                    path: "p".into(),
                })
                .collect();
            assert_eq!(matched(&known, &files(new)), expected, "{new:?}");
        }
    }
}
