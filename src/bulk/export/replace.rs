//! An export replaced by a new one: that one grows inside the state folder, and takes the place of the old one once it is
//! complete. A crash while the files move is mended by whoever opens the folder next.

use std::io;
use std::path::{Path, PathBuf};

use super::error::BulkError;
use super::layout;
use super::log::read as log;
use super::options::Again;
use super::state::document::{self, Phase, State};
use super::state::inside;
use super::state::moving::{self, settle};
use super::state::{GivenUp, Records, Whole};
use crate::place::lines::Lines;
use crate::place::{Lock, Place};

/// The place of an export that will replace one that is finished or was given up.
#[derive(Debug)]
pub struct Replacement {
    folder: PathBuf,
    old: State,
    _lock: Lock,
}

impl Replacement {
    /// Prepares to replace the export of a folder; `None` when there is none that is to be replaced, or one that has
    /// brought nothing yet.
    ///
    /// # Errors
    /// Another process has the folder; the disk.
    pub fn of(folder: &Path, again: Again) -> Result<Option<Self>, BulkError> {
        let place = layout::state_of(folder);
        let disk = |source| BulkError::disk(place.folder(), source);
        if !place.has(layout::JOB) {
            return Ok(None);
        }
        inside::check(folder)?;
        let lock = place.lock(layout::LOCK).map_err(disk)?;
        let lock = lock.ok_or_else(|| BulkError::Busy {
            folder: folder.to_owned(),
        })?;
        settle(folder)?;
        let anew = matches!(again, Again::Restart | Again::OverwriteAnew);
        let old = match document::read_state(&place) {
            Err(error) if anew && error.kind() == io::ErrorKind::InvalidData => State::lost(),
            old => match old.map_err(disk)? {
                Some(old) => old,
                None => return Ok(None),
            },
        };
        let is_replaced = match old.phase {
            Phase::Done => matches!(again, Again::Overwrite | Again::OverwriteAnew),
            Phase::Cancelled => true,
            _ => anew,
        };
        let is_needed = old.phase == Phase::Done
            || is_replaced
                && (layout::state_of(&inner(folder)).has(layout::JOB)
                    || has_brought_files(folder, &old)?);
        Ok((is_replaced && is_needed).then(|| Self {
            folder: folder.to_owned(),
            old,
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
    pub fn check(
        &self,
        new: impl Iterator<Item = Result<PathBuf, BulkError>>,
        with_attachments: bool,
    ) -> Result<(), BulkError> {
        let (old, files) = (self.records()?, Place::new(&self.folder));
        let is_free = |path: &Path| !files.has(path) || old.is_ours(&self.folder, path);
        let documents = [layout::MANIFEST].map(PathBuf::from);
        let attachments = [layout::ATTACHMENT_INDEX].map(PathBuf::from);
        let attachments = attachments.into_iter().filter(|_| with_attachments);
        let all = new.chain(documents.into_iter().chain(attachments).map(Ok));
        let in_the_way = |path: &Path| {
            Err(BulkError::InTheWay {
                path: self.folder.join(path),
            })
        };
        for path in all {
            let path = path?;
            if !is_free(&path) {
                return in_the_way(&path);
            }
        }
        let has_own = || {
            let mut all = old.all().map_while(Result::ok);
            all.any(|made| made.path.starts_with(layout::ATTACHMENTS))
        };
        let attachments = Path::new(layout::ATTACHMENTS);
        if with_attachments && files.has(attachments) && !has_own() {
            return in_the_way(attachments);
        }
        if !log::is_ours(&self.folder) {
            return in_the_way(Path::new(layout::LOG));
        }
        Ok(())
    }

    /// The new export is complete: it takes the place of the old one.
    ///
    /// # Errors
    /// Something is in the way; the disk. What is half done is finished by the next run.
    pub fn take_place(self, _: &Whole) -> Result<(), BulkError> {
        let place = layout::state_of(&self.folder);
        let disk = |source| BulkError::disk(place.folder(), source);
        let new_folder = inner(&self.folder);
        let state = document::read_state(&layout::state_of(&new_folder)).map_err(disk)?;
        let state = state.ok_or_else(|| disk(io::ErrorKind::NotFound.into()))?;
        let records = Records::of(&new_folder, &state).map_err(disk)?;
        let mut new = Lines::new(place.nameless().map_err(disk)?);
        let mut has_attachments = false;
        for path in records.here(&new_folder) {
            let path = path.map_err(disk)?;
            has_attachments |= path.starts_with(layout::ATTACHMENTS);
            new.push(&path).map_err(disk)?;
        }
        drop(records);
        let paths = new.each().map(|path| path.map_err(disk));
        self.check(paths, has_attachments)?;
        moving::write(&place, &self.records()?, &new).map_err(disk)?;
        settle(&self.folder)
    }

    /// The job of the old export, which is given up now that the server has accepted the one that replaces it: that is
    /// recorded. `None` when it has none, or the new one goes on with it.
    ///
    /// # Errors
    /// The disk.
    pub fn given_up(&mut self, new: &State) -> Result<Option<GivenUp>, BulkError> {
        if self.old.phase == Phase::Done {
            return Ok(None);
        }
        if self.old.phase != Phase::Cancelled {
            self.old.phase = Phase::Cancelled;
            self.save()?;
        }
        let mut jobs = self.old.jobs_before();
        jobs.extend(self.old.status_url.clone());
        jobs.retain(|url| Some(url) != new.status_url.as_ref());
        Ok(GivenUp::of(jobs))
    }

    /// The server has ended the job of the old export.
    ///
    /// # Errors
    /// The disk.
    pub fn gave_up(&mut self, _: &GivenUp) -> Result<(), BulkError> {
        self.old.status_url = None;
        self.old.before = None;
        self.save()
    }

    fn save(&self) -> Result<(), BulkError> {
        let place = layout::state_of(&self.folder);
        let text = serde_json::to_vec_pretty(&self.old).unwrap_or_default();
        let saved = place.swap(layout::JOB, &text);
        saved.map_err(|source| BulkError::disk(&place.path(layout::JOB), source))
    }

    fn records(&self) -> Result<Records, BulkError> {
        records_of(&self.folder, &self.old)
    }
}

fn records_of(folder: &Path, state: &State) -> Result<Records, BulkError> {
    let place = layout::state_of(folder);
    Records::of(folder, state).map_err(|source| BulkError::disk(place.folder(), source))
}

/// Whether files of the manifest or attachments have come, and are here.
fn has_brought_files(folder: &Path, state: &State) -> Result<bool, BulkError> {
    let documents = [layout::MANIFEST, layout::ATTACHMENT_INDEX].map(Path::new);
    let records = records_of(folder, state)?;
    let mut here = records.here(folder).map_while(Result::ok);
    Ok(here.any(|path| !documents.contains(&path.as_path())))
}

/// The folder that a new export grows in.
pub(super) fn inner(folder: &Path) -> PathBuf {
    layout::state_of(folder).path(layout::NEW)
}
