//! The files of a new export on their way to the places of an old one: written down, moved, and finished after a crash.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::document::{self, Made, read_json};
use super::plan;
use crate::bulk::export::error::BulkError;
use crate::bulk::export::layout;
use crate::bulk::export::log::read;
use crate::bulk::export::settle::{self, Landed};
use crate::files;
use crate::place::{There, local};

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
    let place = folder.join(layout::STATE);
    let disk = |source| BulkError::disk(&place, source);
    let Some(moving) = read_json::<Moving>(&place.join(layout::MOVING)).map_err(disk)? else {
        return Ok(());
    };
    let old = by_path(folder, moving.old).map_err(disk)?;
    let new = place.join(layout::NEW);
    let names = all_names(&new, moving.new);
    for path in &names {
        document::check_name(path).map_err(disk)?;
    }
    let folders = move_in(folder, &new, &names, &old)?;
    for (path, made) in &old {
        let there = folder.join(path);
        if !names.contains(path) && made.iter().any(|made| made.is_at(&there)) {
            let _ = fs::remove_file(&there);
        }
    }
    // Only an empty one goes.
    let _ = fs::remove_dir(folder.join(layout::ATTACHMENTS));
    if read::is_ours(folder) {
        rename_if_there(&new.join(layout::LOG), &folder.join(layout::LOG)).map_err(disk)?;
    }
    local::sync_folders(&folders);
    let from = new.join(layout::STATE);
    // The job comes last: what it names is there by then.
    for plan in plan::all(&from) {
        let name = plan.file_name().unwrap_or_default();
        rename_if_there(&plan, &place.join(name)).map_err(disk)?;
    }
    for name in [layout::DONE, layout::OURS, layout::FILES, layout::JOB] {
        rename_if_there(&from.join(name), &place.join(name)).map_err(disk)?;
    }
    files::sync_dir(&place);
    let _ = fs::remove_dir_all(new);
    fs::remove_file(place.join(layout::MOVING)).map_err(disk)
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
fn all_names(new: &Path, mut names: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut known: HashSet<PathBuf> = names.iter().cloned().collect();
    let documents = [layout::MANIFEST, layout::ATTACHMENT_INDEX].map(PathBuf::from);
    let documents = documents.into_iter().filter(|name| new.join(name).exists());
    let attachments = fs::read_dir(new.join(layout::ATTACHMENTS));
    let attachments = attachments.into_iter().flatten().flatten();
    let attachments =
        attachments.map(|entry| Path::new(layout::ATTACHMENTS).join(entry.file_name()));
    let others = documents.chain(attachments);
    names.extend(others.filter(|path| known.insert(path.clone())));
    names
}

/// Moves the new files in; what it gives are the folders they lie in now.
fn move_in(
    folder: &Path,
    new: &Path,
    names: &[PathBuf],
    old: &HashMap<PathBuf, Vec<Made>>,
) -> Result<BTreeSet<PathBuf>, BulkError> {
    let mut folders = BTreeSet::from([folder.to_owned()]);
    for path in names {
        let (from, to) = (new.join(path), folder.join(path));
        let disk = |source| BulkError::disk(&to, source);
        let there = There::at(&from).map_err(disk)?;
        // An earlier try moved it.
        if there == There::Nothing {
            continue;
        }
        if there == There::at(&to).map_err(disk)? && matches!(there, There::Plain(_)) {
            // It did, and a power cut brought the first name back.
            fs::remove_file(&from).map_err(disk)?;
            continue;
        }
        let into = files::folder_of(&to);
        local::make_folder(&into).map_err(disk)?;
        let replaces = old.get(path).map_or(&[][..], Vec::as_slice);
        match settle::place(&from, &to, replaces).map_err(disk)? {
            Landed::Placed => folders.insert(into),
            Landed::InTheWay => return Err(BulkError::InTheWay { path: to }),
        };
    }
    Ok(folders)
}

/// A file of the old export, as version 0.1 knew it: by its name.
fn of_version_0_1(folder: &Path, path: PathBuf) -> Made {
    let there = fs::symlink_metadata(folder.join(&path));
    Made {
        bytes: there.map(|there| there.len()).unwrap_or_default(),
        path,
        version: None,
        digest: None,
    }
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        // An earlier try moved it, or there is none.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !from.exists() => Ok(()),
        result => result,
    }
}
