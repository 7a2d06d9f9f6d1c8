//! The job of one folder, held by one process: opened, gone on with, recorded step by step, ended.

pub mod document;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;
use url::Url;

use super::error::BulkError;
use super::event::ExportedFile;
use super::fetch::part::{self, Part};
use super::options::{Again, Mode, Style, Wanted};
use super::{layout, replace};
use crate::bulk::requester;
use crate::files::{self, Lock};
pub use document::{About, Done, Phase, Planned, State};

/// What is known of a job from outside.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub state: State,
    /// Files the manifest lists, once it is known.
    pub listed: usize,
    /// Those that are here.
    pub here: usize,
    /// Whether a process works on it.
    pub is_held: bool,
}

/// The job of one folder, held by this process alone.
#[derive(Debug)]
pub struct Job {
    folder: PathBuf,
    pub state: State,
    pub planned: Vec<Planned>,
    pub done: HashMap<PathBuf, Done>,
    log: Option<File>,
    _lock: Lock,
}

impl Job {
    /// Opens the job of a folder, or begins a new one.
    ///
    /// # Errors
    /// Another process has it; an unfinished job is of another request; the export is finished; it is not known
    /// whether a kick-off arrived; the disk.
    pub fn open(
        folder: &Path,
        request: Value,
        style: Style,
        again: Again,
    ) -> Result<Self, BulkError> {
        let owned = || folder.to_owned();
        let (mut job, found) = match Self::locked(folder, request.clone(), style.clone()) {
            Err(BulkError::BadState { .. }) if again == Again::Restart => {
                let place = folder.join(layout::STATE).join(layout::JOB);
                fs::remove_file(&place).map_err(|error| BulkError::disk(&place, error))?;
                let (mut job, _) = Self::locked(folder, request, style)?;
                job.forget()?;
                return Ok(job);
            }
            opened => opened?,
        };
        let Some(found) = found else { return Ok(job) };
        match (found.phase, again) {
            (Phase::Done, _) => Err(BulkError::Finished { folder: owned() }),
            (_, Again::Restart) => {
                job.clear(found)?;
                Ok(job)
            }
            (Phase::KickingOff, _) => Err(BulkError::UnknownKickoff { folder: owned() }),
            _ if requester::is_of_another(&job.state.request, &found.request) => {
                Err(BulkError::OtherRequester { folder: owned() })
            }
            _ if found.version != document::VERSION
                || found.request != job.state.request
                || found.style.compress != job.state.style.compress =>
            {
                Err(BulkError::OtherRequest { folder: owned() })
            }
            _ => {
                job.take_up(found)?;
                Ok(job)
            }
        }
    }

    /// Takes up the job of a folder, whatever its request and phase.
    ///
    /// # Errors
    /// There is none; another process has it; the disk.
    pub fn existing(folder: &Path) -> Result<Self, BulkError> {
        let no_job = || BulkError::NoJob {
            folder: folder.to_owned(),
        };
        if !folder.join(layout::STATE).join(layout::JOB).exists() {
            return Err(no_job());
        }
        let (mut job, found) = Self::locked(folder, Value::Null, Style::default())?;
        job.take_up(found.ok_or_else(no_job)?)?;
        Ok(job)
    }

    /// What is known of the job of a folder, whoever works on it; `None` when there is none.
    ///
    /// # Errors
    /// The disk.
    pub fn look(folder: &Path) -> Result<Option<Snapshot>, BulkError> {
        let place = folder.join(layout::STATE);
        let disk = |source| BulkError::disk(&place, source);
        let Some(state) = document::read_json::<State>(&place.join(layout::JOB)).map_err(disk)?
        else {
            return Ok(None);
        };
        let planned =
            document::read_json::<Vec<Planned>>(&place.join(layout::FILES)).map_err(disk)?;
        let planned = planned.unwrap_or_default();
        let done = document::read_done(&place.join(layout::DONE)).map_err(disk)?;
        let is_held = Lock::try_exclusive(&place.join(layout::LOCK))
            .map_err(disk)?
            .is_none();
        let here = planned.iter().filter(|planned| {
            let done = done.get(&planned.path);
            done.is_some_and(|done| {
                let there = fs::metadata(folder.join(&planned.path));
                there.is_ok_and(|file| file.len() == done.bytes)
            })
        });
        Ok(Some(Snapshot {
            here: here.count(),
            listed: planned.len(),
            state,
            is_held,
        }))
    }

    fn locked(
        folder: &Path,
        request: Value,
        style: Style,
    ) -> Result<(Self, Option<State>), BulkError> {
        let place = folder.join(layout::STATE);
        let disk = |source| BulkError::disk(&place, source);
        let lock = Lock::try_exclusive(&place.join(layout::LOCK)).map_err(disk)?;
        let lock = lock.ok_or_else(|| BulkError::Busy {
            folder: folder.to_owned(),
        })?;
        if place.join(layout::SERIES).exists() {
            return Err(BulkError::Series {
                folder: folder.to_owned(),
            });
        }
        replace::settle(folder).map_err(disk)?;
        sweep(folder);
        let found = document::read_json::<State>(&place.join(layout::JOB)).map_err(disk)?;
        let job = Self {
            folder: folder.to_owned(),
            state: State {
                version: document::VERSION,
                request,
                style,
                phase: Phase::KickingOff,
                started: Some(format!("{:.0}", jiff::Timestamp::now())),
                export_id: Some(document::new_export_id()),
                status_url: None,
                transaction_time: None,
                manifest: About::default(),
            },
            planned: Vec::new(),
            done: HashMap::new(),
            log: None,
            _lock: lock,
        };
        Ok((job, found))
    }

    fn take_up(&mut self, found: State) -> Result<(), BulkError> {
        let place = self.place();
        let disk = |source| BulkError::disk(&place, source);
        self.state = found;
        // An older version gave none.
        self.state
            .export_id
            .get_or_insert_with(document::new_export_id);
        self.planned = document::read_json(&place.join(layout::FILES))
            .map_err(disk)?
            .unwrap_or_default();
        self.done = document::read_done(&place.join(layout::DONE)).map_err(disk)?;
        for planned in &self.planned {
            self.adopt(planned);
        }
        part::sweep(&self.parts());
        Ok(())
    }

    /// A kill may have come between the record of a file and its name: its part is whole and durable, so it gets the
    /// name now.
    fn adopt(&self, planned: &Planned) {
        let Some(done) = self.done.get(&planned.path) else {
            return;
        };
        let (target, part) = (self.target(planned), self.part(planned));
        let is_of = |path: &Path| fs::metadata(path).is_ok_and(|file| file.len() == done.bytes);
        // A file of another length is the one that this one is to replace.
        if is_of(part.path()) && !is_of(&target) && fs::rename(part.path(), &target).is_ok() {
            part.became_whole();
            files::sync_dir(&files::folder_of(&target));
        }
    }

    /// The folder the files go to.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The final place of a planned file.
    pub fn target(&self, planned: &Planned) -> PathBuf {
        let path = self.folder.join(&planned.path);
        std::path::absolute(&path).unwrap_or(path)
    }

    /// Where its bytes are until then.
    pub fn part(&self, planned: &Planned) -> Part {
        Part::new(&self.parts(), &planned.path)
    }

    /// A file that is done already.
    pub fn exported(&self, planned: &Planned) -> Option<ExportedFile> {
        let done = self.done.get(&planned.path)?;
        let path = self.target(planned);
        let there = fs::metadata(&path).is_ok_and(|file| file.len() == done.bytes);
        there.then(|| ExportedFile {
            path,
            group: planned.file.group,
            resource_type: planned.file.resource_type.clone(),
            resources: done.resources,
            bytes: done.bytes,
            sha256: done.sha256.clone(),
            etag: done.etag.clone(),
            outcomes: done.outcomes.clone(),
        })
    }

    /// Whether a file of one type holds resources of others: the kick-off asked for that (`organizeOutputBy`).
    pub fn is_mixed(&self) -> bool {
        self.state.request["kickoff"]["organize_output_by"].is_string()
    }

    /// Whether the manifest is known and all its files are here.
    pub fn is_complete(&self) -> bool {
        matches!(self.state.phase, Phase::Fetching | Phase::Done)
            && self
                .planned
                .iter()
                .all(|planned| self.exported(planned).is_some())
    }

    /// Records that the kick-off is about to be sent.
    ///
    /// # Errors
    /// The disk.
    pub fn kicking_off(&mut self) -> Result<(), BulkError> {
        self.save()
    }

    /// Records the job the server started.
    ///
    /// # Errors
    /// The disk.
    pub fn accepted(&mut self, status_url: &Url) -> Result<(), BulkError> {
        self.state.phase = Phase::Waiting;
        self.state.status_url = Some(status_url.clone());
        self.save()
    }

    /// Records what the manifest lists. A file that is there already and is none of this job's stops it: nothing of
    /// the user's is overwritten unasked.
    ///
    /// # Errors
    /// A file is in the way; the disk.
    pub fn plan(
        &mut self,
        planned: Vec<Planned>,
        transaction_time: Option<String>,
        manifest: About,
    ) -> Result<(), BulkError> {
        if self.state.phase == Phase::Waiting {
            let mut targets = planned.iter().map(|planned| self.target(planned));
            if let Some(path) = targets.find(|path| path.exists()) {
                return Err(BulkError::InTheWay { path });
            }
        }
        self.planned = planned;
        self.state.phase = Phase::Fetching;
        self.state.transaction_time = transaction_time;
        self.state.manifest = manifest;
        self.write(layout::FILES, &self.planned)?;
        self.save()
    }

    /// Records that attachments are about to be fetched.
    ///
    /// # Errors
    /// The disk.
    pub fn wants_attachments(&mut self, wanted: &Wanted) -> Result<(), BulkError> {
        if self.state.style.attachments.as_ref() != Some(wanted) {
            let had = self.state.style.has_attachment_files();
            if wanted.mode == Mode::Download && !had {
                let names = [layout::ATTACHMENTS, layout::ATTACHMENT_INDEX].into_iter();
                let mut paths = names.map(|name| self.folder.join(name));
                if let Some(path) = paths.find(|path| path.exists()) {
                    return Err(BulkError::InTheWay { path });
                }
            }
            self.state.style.attachments = Some(wanted.clone());
            self.save()?;
        }
        Ok(())
    }

    /// Records fresh links to the same files.
    ///
    /// # Errors
    /// The disk.
    pub fn relinked(&mut self, links: impl IntoIterator<Item = Url>) -> Result<(), BulkError> {
        for (planned, link) in self.planned.iter_mut().zip(links) {
            planned.file.url = link;
        }
        self.write(layout::FILES, &self.planned)
    }

    /// Prepares to record files that are about to get their final names: what it gives does so.
    ///
    /// # Errors
    /// The disk.
    pub fn record(
        &mut self,
        files: &[(usize, ExportedFile)],
    ) -> Result<impl FnOnce() -> Result<(), (PathBuf, io::Error)> + use<>, BulkError> {
        let place = self.place().join(layout::DONE);
        let disk = |source| BulkError::disk(&place, source);
        let mut lines = String::new();
        for (index, file) in files {
            let done = Done {
                path: self.planned[*index].path.clone(),
                resources: file.resources,
                bytes: file.bytes,
                sha256: file.sha256.clone(),
                etag: file.etag.clone(),
                outcomes: file.outcomes.clone(),
            };
            lines += &serde_json::to_string(&done).unwrap_or_default();
            lines.push('\n');
            self.done.insert(done.path.clone(), done);
        }
        if self.log.is_none() {
            self.log = Some(document::append(&place).map_err(disk)?);
        }
        let log = self.log.as_ref().map(File::try_clone).transpose();
        let log = log.map_err(disk)?;
        Ok(move || match log {
            Some(mut log) => log
                .write_all(lines.as_bytes())
                .map_err(|error| (place, error)),
            None => Ok(()),
        })
    }

    /// Makes sure that the folder was not taken away under the job: nothing is written for readers then.
    ///
    /// # Errors
    /// It was.
    pub fn still_there(&self) -> Result<(), BulkError> {
        if self.place().join(layout::JOB).exists() {
            return Ok(());
        }
        Err(BulkError::Vanished {
            folder: self.folder.clone(),
        })
    }

    /// Makes sure that all files are where they should be and that the end can be recorded.
    ///
    /// # Errors
    /// Files are gone; the disk.
    pub fn seal(&mut self) -> Result<(), BulkError> {
        if !self.is_complete() {
            return Err(BulkError::Vanished {
                folder: self.folder.clone(),
            });
        }
        self.save()
    }

    /// Ends a job whose files are all there.
    ///
    /// # Errors
    /// The disk.
    pub fn finish(&mut self) -> Result<(), BulkError> {
        let _ = fs::remove_dir_all(self.parts());
        self.state.phase = Phase::Done;
        self.save()
    }

    /// Forgets the job; the files that are done stay.
    ///
    /// # Errors
    /// The disk.
    pub fn forget(&mut self) -> Result<(), BulkError> {
        let _ = fs::remove_dir_all(self.parts());
        for name in [layout::JOB, layout::FILES, layout::DONE] {
            let path = self.place().join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(BulkError::disk(&path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Forgets an unfinished job together with the files it brought: they are of no whole, and have the names of the
    /// next ones.
    fn clear(&mut self, found: State) -> Result<(), BulkError> {
        let fresh = self.state.clone();
        let had_manifest = found.phase == Phase::Fetching;
        if had_manifest && found.style.has_attachment_files() {
            layout::clear_attachments(&self.folder);
        }
        self.take_up(found)?;
        let exported = self
            .planned
            .iter()
            .filter_map(|planned| self.exported(planned));
        for file in exported.collect::<Vec<_>>() {
            let _ = fs::remove_file(file.path);
        }
        if had_manifest {
            let _ = fs::remove_file(self.folder.join(layout::MANIFEST));
        }
        self.forget()?;
        self.state = fresh;
        self.planned.clear();
        self.done.clear();
        Ok(())
    }

    /// The folder of the state.
    pub fn place(&self) -> PathBuf {
        self.folder.join(layout::STATE)
    }

    fn parts(&self) -> PathBuf {
        self.place().join(layout::PARTS)
    }

    fn save(&self) -> Result<(), BulkError> {
        self.write(layout::JOB, &self.state)
    }

    fn write(&self, name: &str, value: &impl Serialize) -> Result<(), BulkError> {
        let path = self.place().join(name);
        let text = serde_json::to_vec_pretty(value).unwrap_or_default();
        files::replace(&path, &text).map_err(|source| BulkError::disk(&path, source))
    }
}

/// Takes away what a run that was killed left half made; the lock says that no other run makes it.
pub(super) fn sweep(folder: &Path) {
    for (folder, prefix) in [
        (folder, layout::PROBE),
        (&folder.join(layout::STATE), files::TEMPORARY),
    ] {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}
