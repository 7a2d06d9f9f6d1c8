//! Names with `*`, `?`, `[…]` and `**` in them. The crate reads what one name means; the folders are walked here, since of names
//! that are no UTF-8 it sees none, and of folders that cannot be read it says nothing.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use crate::bulk::import::ImportError;
use crate::place::{Name, Place, leads_somewhere};

/// What a pattern names, in order, and the folder that its signs begin in; `None` when it is no pattern.
///
/// # Errors
/// A folder that it leads into cannot be read: what is in it would be left out in silence.
pub fn named_by(pattern: &Path) -> Result<Option<(PathBuf, Vec<PathBuf>)>, ImportError> {
    let mut found = BTreeSet::from([PathBuf::new()]);
    let mut root = None;
    for part in pattern.components() {
        let mut next = BTreeSet::new();
        for folder in &found {
            let plain = folder.join(part);
            let Component::Normal(name) = part else {
                next.insert(plain);
                continue;
            };
            let text = name.to_string_lossy();
            // A name that is there is taken as it stands, whatever signs are in it.
            if !text.contains(['*', '?', '[']) || leads_somewhere(&plain) {
                next.insert(plain);
                continue;
            }
            // What is not spelled out so far is one folder at most.
            root.get_or_insert_with(|| folder.clone());
            if text == "**" {
                below(folder, &mut next)?;
            } else {
                let Ok(sign) = glob::Pattern::new(&text) else {
                    return Ok(None);
                };
                let all = names_in(folder)?.into_iter().map(|there| there.name);
                let matching = all.filter(|name| sign.matches(&name.to_string_lossy()));
                next.extend(matching.map(|name| folder.join(name)));
            }
        }
        found = next;
    }
    Ok(Some((
        root.unwrap_or_default(),
        found.into_iter().collect(),
    )))
}

/// A folder and all that are below it; links are not followed, since they may lead in a circle.
fn below(folder: &Path, all: &mut BTreeSet<PathBuf>) -> Result<(), ImportError> {
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let names = names_in(&folder)?.into_iter();
        let folders = names.filter(|there| there.is_folder);
        open.extend(folders.map(|there| folder.join(there.name)));
        all.insert(folder);
    }
    Ok(())
}

/// What lies in a folder; nothing in what is none.
fn names_in(folder: &Path) -> Result<Vec<Name>, ImportError> {
    let is_here = folder.as_os_str().is_empty();
    let place = Place::new(if is_here { Path::new(".") } else { folder });
    match place.names() {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        names => names.map_err(|source| ImportError::Input {
            name: place.folder().display().to_string(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_pattern_names_what_is_there_whatever_its_names_are() {
        let folder = tempfile::tempdir().unwrap();
        let odd: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"d\xff");
        for name in [
            Path::new("d1/a.x"),
            &Path::new(odd).join("a.x"),
            Path::new("d1/e/f/b.x"),
            Path::new("[1]/c.x"),
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        fs::write(folder.path().join("d2"), "no folder").unwrap();
        let named = |pattern: &str| -> Vec<PathBuf> {
            let (_, found) = named_by(&folder.path().join(pattern)).unwrap().unwrap();
            let below = |path: PathBuf| path.strip_prefix(folder.path()).unwrap().to_owned();
            found
                .into_iter()
                .map(below)
                .filter(|path| folder.path().join(path).is_file())
                .collect()
        };
        let inner = Path::new(odd).join("a.x");
        assert_eq!(named("d*/*.x"), [Path::new("d1/a.x"), &inner]);
        assert_eq!(named("d?/a.x"), [Path::new("d1/a.x"), &inner]);
        assert_eq!(named("**/b.x"), [Path::new("d1/e/f/b.x")]);
        assert_eq!(named("[1]/*"), [Path::new("[1]/c.x")]);
        assert!(named_by(&folder.path().join("a[")).unwrap().is_none());
    }
}
