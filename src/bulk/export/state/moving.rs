//! The files of a new export on their way to the places of an old one: written down, moved, and finished after a crash.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::document::{self, Made, read_json};
use super::plan;
use crate::bulk::export::error::BulkError;
use crate::bulk::export::layout;
use crate::bulk::export::log::read;
use crate::bulk::export::settle;
use crate::place::{self, Landed, Place, There};

/// What moves: written before the first file does.
#[derive(Debug, Serialize, Deserialize)]
pub struct Moving {
    /// What the old export made. Version 0.1 wrote only paths.
    pub old: Vec<Old>,
    pub new: Vec<PathBuf>,
}

/// A file of the old export.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Old {
    Made(Made),
    Path(PathBuf),
}

/// Finishes a replacement that was interrupted while its files moved.
///
/// # Errors
/// Something is in the way; the disk.
pub fn settle(folder: &Path) -> Result<(), BulkError> {
    let (files, place) = (Place::new(folder), layout::state_of(folder));
    let disk = |source| BulkError::disk(place.folder(), source);
    let Some(moving) = read_json::<Moving>(&place, layout::MOVING).map_err(disk)? else {
        return Ok(());
    };
    let old = by_path(folder, moving.old).map_err(disk)?;
    let new = place.within(layout::NEW);
    let names = all_names(&new, moving.new);
    for path in &names {
        document::check_name(path).map_err(disk)?;
    }
    let folders = move_in(folder, &new, &names, &old)?;
    for (path, made) in &old {
        let there = folder.join(path);
        if !names.contains(path) && made.iter().any(|made| made.is_at(&there)) {
            let _ = files.remove(path);
        }
    }
    files.remove_empty(layout::ATTACHMENTS);
    if read::is_ours(folder) {
        give_if_there(&new, &files, layout::LOG).map_err(disk)?;
    }
    place::sync_folders(&folders);
    let from = new.within(layout::STATE);
    // The job comes last: what it names is there by then.
    let documents = [layout::DONE, layout::OURS, layout::FILES, layout::JOB].map(PathBuf::from);
    for name in plan::all(&from).into_iter().chain(documents) {
        give_if_there(&from, &place, &name).map_err(disk)?;
    }
    place.sync();
    let _ = place.clear(layout::NEW);
    place.remove(layout::MOVING).map_err(disk)
}

/// What the old export made.
fn by_path(folder: &Path, all: Vec<Old>) -> io::Result<HashMap<PathBuf, Vec<Made>>> {
    let mut old: HashMap<PathBuf, Vec<Made>> = HashMap::new();
    for made in all {
        let made = match made {
            Old::Made(made) => made,
            Old::Path(path) => of_version_0_1(folder, path),
        };
        document::check_name(&made.path)?;
        old.entry(made.path.clone()).or_default().push(made);
    }
    Ok(old)
}

/// What moves, with what version 0.1 did not write down.
fn all_names(new: &Place, mut names: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut known: HashSet<PathBuf> = names.iter().cloned().collect();
    let documents = [layout::MANIFEST, layout::ATTACHMENT_INDEX].map(PathBuf::from);
    let documents = documents.into_iter().filter(|name| new.has(name));
    let attachments = new.within(layout::ATTACHMENTS).list().into_iter();
    let attachments = attachments.map(|there| Path::new(layout::ATTACHMENTS).join(there.name));
    let others = documents.chain(attachments);
    names.extend(others.filter(|path| known.insert(path.clone())));
    names
}

/// Moves the new files in; what it gives are the folders they lie in now.
fn move_in(
    folder: &Path,
    new: &Place,
    names: &[PathBuf],
    old: &HashMap<PathBuf, Vec<Made>>,
) -> Result<BTreeSet<PathBuf>, BulkError> {
    let mut folders = BTreeSet::from([folder.to_owned()]);
    for path in names {
        let (from, to) = (new.path(path), folder.join(path));
        let disk = |source| BulkError::disk(&to, source);
        let there = There::at(&from).map_err(disk)?;
        // An earlier try moved it.
        if there == There::Nothing {
            continue;
        }
        if there == There::at(&to).map_err(disk)? && matches!(there, There::Plain(_)) {
            // It did, and a power cut brought the first name back.
            new.remove(path).map_err(disk)?;
            continue;
        }
        let into = Place::around(&to);
        into.make().map_err(disk)?;
        let replaces = old.get(path).map_or(&[][..], Vec::as_slice);
        match settle::place(&from, &to, replaces).map_err(disk)? {
            Landed::Placed => folders.insert(into.folder().to_owned()),
            Landed::InTheWay => return Err(BulkError::InTheWay { path: to }),
        };
    }
    Ok(folders)
}

/// A file of the old export, as version 0.1 knew it: by its name.
fn of_version_0_1(folder: &Path, path: PathBuf) -> Made {
    let there = There::at(&folder.join(&path));
    Made {
        bytes: match there {
            Ok(There::Plain(version)) => version.bytes,
            _ => 0,
        },
        path,
        version: None,
        digest: None,
    }
}

fn give_if_there(from: &Place, to: &Place, name: impl AsRef<Path>) -> io::Result<()> {
    match from.give(&name, to, &name) {
        // An earlier try moved it, or there is none.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !from.has(&name) => Ok(()),
        result => result,
    }
}
