//! The files of a new export on their way to the places of an old one: written down, moved, and finished after a crash.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::document::{self, Made, read_json};
use crate::bulk::export::error::BulkError;
use crate::bulk::export::layout;
use crate::bulk::export::log::read;
use crate::bulk::export::settle::{self, Landed};
use crate::files;
use crate::place::{self, local};

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
    let mut old: HashMap<PathBuf, Vec<Made>> = HashMap::new();
    for made in moving.old {
        let made = match made {
            Old::Made(made) => made,
            Old::Path(path) => of_version_0_1(folder, path),
        };
        document::check_name(&made.path).map_err(disk)?;
        old.entry(made.path.clone()).or_default().push(made);
    }
    let new = place.join(layout::NEW);
    let mut folders = BTreeSet::from([folder.to_owned()]);
    let mut names: Vec<PathBuf> = moving.new;
    // Where it is not recorded: the log, which only grows; with version 0.1 all of these.
    for name in [layout::MANIFEST, layout::ATTACHMENT_INDEX] {
        if !names.iter().any(|path| path == Path::new(name)) && new.join(name).exists() {
            names.push(name.into());
        }
    }
    for entry in fs::read_dir(new.join(layout::ATTACHMENTS))
        .into_iter()
        .flatten()
        .flatten()
    {
        let path = Path::new(layout::ATTACHMENTS).join(entry.file_name());
        if !names.contains(&path) {
            names.push(path);
        }
    }
    for path in &names {
        document::check_name(path).map_err(disk)?;
        let (from, to) = (new.join(path), folder.join(path));
        // An earlier try moved it.
        if !place::is_there(&from) {
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
    for (path, made) in &old {
        let is_old = |path: &Path| made.iter().any(|made| made.is_at(path));
        let there = folder.join(path);
        if !names.contains(path) && is_old(&there) {
            let _ = fs::remove_file(&there);
        }
    }
    // Only an empty one goes.
    let _ = fs::remove_dir(folder.join(layout::ATTACHMENTS));
    if read::is_ours(folder) {
        rename_if_there(&new.join(layout::LOG), &folder.join(layout::LOG)).map_err(disk)?;
    }
    local::sync_folders(&folders);
    let lists = [layout::DONE, layout::OURS, layout::FILES, layout::JOB];
    for name in lists {
        rename_if_there(&new.join(layout::STATE).join(name), &place.join(name)).map_err(disk)?;
    }
    files::sync_dir(&place);
    let _ = fs::remove_dir_all(new);
    fs::remove_file(place.join(layout::MOVING)).map_err(disk)
}

/// A file of the old export, as version 0.1 knew it: by its name.
fn of_version_0_1(folder: &Path, path: PathBuf) -> Made {
    let there = fs::symlink_metadata(folder.join(&path));
    Made {
        bytes: there.map(|there| there.len()).unwrap_or_default(),
        path,
        version: None,
        sha256: None,
    }
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        // An earlier try moved it, or there is none.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !from.exists() => Ok(()),
        result => result,
    }
}
