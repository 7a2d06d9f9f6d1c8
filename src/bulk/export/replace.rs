//! A finished export replaced by a new one: that one grows inside the state folder, and takes the place of the old one
//! once it is complete. A crash while the files move is mended by whoever opens the folder next.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::BulkError;
use super::layout;
use super::state::document::{Phase, Planned, State, read_json};
use crate::files::{self, Lock};

/// The place of an export that will replace a finished one.
#[derive(Debug)]
pub struct Replacement {
    folder: PathBuf,
    _lock: Lock,
}

/// What moves: written before the first file does.
#[derive(Debug, Serialize, Deserialize)]
struct Moving {
    old: Vec<PathBuf>,
    new: Vec<PathBuf>,
    /// Whether the old export has attachments and the new one none.
    #[serde(default)]
    sheds_attachments: bool,
}

impl Replacement {
    /// Prepares to replace the finished export of a folder; `None` when there is none.
    ///
    /// # Errors
    /// Another process has the folder; the disk.
    pub fn of(folder: &Path) -> Result<Option<Self>, BulkError> {
        let place = folder.join(layout::STATE);
        let disk = |source| BulkError::disk(&place, source);
        if !place.join(layout::JOB).exists() {
            return Ok(None);
        }
        let lock = Lock::try_exclusive(&place.join(layout::LOCK)).map_err(disk)?;
        let lock = lock.ok_or_else(|| BulkError::Busy {
            folder: folder.to_owned(),
        })?;
        settle(folder).map_err(disk)?;
        let state = read_json::<State>(&place.join(layout::JOB)).map_err(disk)?;
        let is_done = state.is_some_and(|state| state.phase == Phase::Done);
        Ok(is_done.then(|| Self {
            folder: folder.to_owned(),
            _lock: lock,
        }))
    }

    /// Where the new export grows.
    pub fn work_folder(&self) -> PathBuf {
        inner(&self.folder)
    }

    /// Whether the new export, with a folder of attachments or without, would take the place of something that is none
    /// of the old one's.
    ///
    /// # Errors
    /// [`BulkError::InTheWay`] with the first of those; the disk.
    pub fn check(&self, with_attachments: bool) -> Result<(), BulkError> {
        let disk = |source| BulkError::disk(&self.folder.join(layout::STATE), source);
        let inner = inner(&self.folder);
        let old = paths(&self.folder).map_err(disk)?;
        let new = paths(&inner).map_err(disk)?;
        let mut others: Vec<PathBuf> = new.into_iter().filter(|path| !old.contains(path)).collect();
        if with_attachments && !has_attachments(&self.folder).map_err(disk)? {
            others.extend([layout::ATTACHMENTS, layout::ATTACHMENT_INDEX].map(PathBuf::from));
        }
        let mut others = others.into_iter().map(|path| self.folder.join(path));
        match others.find(|path| path.exists()) {
            Some(path) => Err(BulkError::InTheWay { path }),
            None => Ok(()),
        }
    }

    /// The new export is complete: it takes the place of the old one.
    ///
    /// # Errors
    /// The disk; what is half done is finished by the next run.
    pub fn take_place(self) -> Result<(), BulkError> {
        self.check(inner(&self.folder).join(layout::ATTACHMENTS).exists())?;
        let place = self.folder.join(layout::STATE);
        let disk = |source| BulkError::disk(&place, source);
        let had = has_attachments(&self.folder).map_err(disk)?;
        let has = has_attachments(&inner(&self.folder)).map_err(disk)?;
        let moving = Moving {
            sheds_attachments: had && !has,
            old: paths(&self.folder).map_err(disk)?,
            new: paths(&inner(&self.folder)).map_err(disk)?,
        };
        let text = serde_json::to_vec(&moving).unwrap_or_default();
        files::replace(&place.join(layout::MOVING), &text).map_err(disk)?;
        settle(&self.folder).map_err(disk)
    }
}

/// The files of an export.
fn paths(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let planned = read_json::<Vec<Planned>>(&folder.join(layout::STATE).join(layout::FILES))?;
    let planned = planned.unwrap_or_default().into_iter();
    Ok(planned.map(|planned| planned.path).collect())
}

/// Whether an export has a folder of attachments of its own.
fn has_attachments(folder: &Path) -> io::Result<bool> {
    let state = read_json::<State>(&folder.join(layout::STATE).join(layout::JOB))?;
    Ok(state.is_some_and(|state| state.style.has_attachment_files()))
}

fn inner(folder: &Path) -> PathBuf {
    folder.join(layout::STATE).join(layout::NEW)
}

/// Finishes a replacement that was interrupted while its files moved.
///
/// # Errors
/// The disk.
pub fn settle(folder: &Path) -> io::Result<()> {
    let place = folder.join(layout::STATE);
    let Some(moving) = read_json::<Moving>(&place.join(layout::MOVING))? else {
        return Ok(());
    };
    let new = inner(folder);
    let mut folders = BTreeSet::from([folder.to_owned()]);
    for path in &moving.new {
        let target = folder.join(path);
        files::create_private_dir(&files::folder_of(&target))?;
        rename_if_there(&new.join(path), &target)?;
        folders.insert(files::folder_of(&target));
    }
    for path in moving.old.iter().filter(|path| !moving.new.contains(path)) {
        let _ = fs::remove_file(folder.join(path));
    }
    if moving.sheds_attachments {
        layout::clear_attachments(folder);
    } else if new.join(layout::ATTACHMENTS).exists() {
        // What lies there is the old export's: that was looked at before.
        let _ = fs::remove_dir_all(folder.join(layout::ATTACHMENTS));
        fs::rename(
            new.join(layout::ATTACHMENTS),
            folder.join(layout::ATTACHMENTS),
        )?;
    }
    for name in [layout::MANIFEST, layout::LOG, layout::ATTACHMENT_INDEX] {
        rename_if_there(&new.join(name), &folder.join(name))?;
    }
    for folder in &folders {
        files::sync_dir(folder);
    }
    for name in [layout::DONE, layout::FILES, layout::JOB] {
        rename_if_there(&new.join(layout::STATE).join(name), &place.join(name))?;
    }
    files::sync_dir(&place);
    let _ = fs::remove_dir_all(new);
    fs::remove_file(place.join(layout::MOVING))
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        // An earlier try moved it.
        Err(error) if error.kind() == io::ErrorKind::NotFound && to.exists() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !from.exists() => Ok(()),
        result => result,
    }
}
