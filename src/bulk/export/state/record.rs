//! What is recorded while an export runs, each before it is true for anybody else.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::NamedTempFile;
use url::Url;

use super::document::{About, Done, Made, Phase, Planned};
use super::{Job, layout, made};
use crate::bulk::export::error::BulkError;
use crate::bulk::export::event::ExportedFile;
use crate::bulk::export::link::Link;
use crate::bulk::export::options::{Mode, Wanted};
use crate::bulk::export::settle::{self, Landed};
use crate::files;
use crate::place::{self, Version, local};

/// Writes records of files whose versions are known by now.
type Record<T> = Result<T, (PathBuf, io::Error)>;

impl Job {
    /// Records that the kick-off is about to be sent.
    ///
    /// # Errors
    /// The disk.
    pub fn kicking_off(&mut self) -> Result<(), BulkError> {
        self.save()
    }

    /// Records the job the server started. What an export that was given up for it recorded goes.
    ///
    /// # Errors
    /// The disk.
    pub fn accepted(&mut self, status_url: &Url) -> Result<(), BulkError> {
        self.state.phase = Phase::Waiting;
        self.state.status_url = Some(status_url.clone());
        self.save()?;
        self.clear_leftovers()
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
            if let Some(path) = targets.find(|path| place::is_there(path)) {
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
                if let Some(path) = paths.find(|path| place::is_there(path)) {
                    return Err(BulkError::InTheWay { path });
                }
            }
            self.state.style.attachments = Some(wanted.clone());
            self.save()?;
        }
        Ok(())
    }

    /// Records a reading that lists the same files: their links, each whole, and files that were added behind them.
    ///
    /// # Errors
    /// The disk.
    pub fn relinked(
        &mut self,
        links: impl IntoIterator<Item = (usize, Link)>,
        more: Vec<Planned>,
    ) -> Result<(), BulkError> {
        for (at, link) in links {
            self.planned[at].file.link = link;
            self.planned[at].vanished = false;
        }
        self.planned.extend(more);
        self.write(layout::FILES, &self.planned)
    }

    /// Whether nothing of the user's lies where a planned file goes.
    pub fn is_free(&self, planned: &Planned) -> bool {
        !place::is_there(&self.target(planned)) || self.is_ours(&planned.path)
    }

    /// What was made under this name below the folder.
    pub fn made_under(&self, path: &Path) -> Vec<Made> {
        let mut made = self.records.under(path).to_vec();
        made.extend(self.done.get(path).map(Done::made));
        made
    }

    /// Prepares to record files that are about to get their final names: what it gives does so, durably.
    ///
    /// # Errors
    /// The disk.
    pub fn record(
        &mut self,
        files: &[(usize, ExportedFile)],
    ) -> Result<impl FnOnce(&[Version]) -> Record<Vec<Done>> + use<>, BulkError> {
        let mut all: Vec<_> = files
            .iter()
            .map(|(index, file)| Done {
                path: self.planned[*index].path.clone(),
                resources: file.resources,
                bytes: file.bytes,
                sha256: file.sha256.clone(),
                etag: file.etag.clone(),
                outcomes: file.outcomes.clone(),
                reading: self.state.reading,
                version: None,
            })
            .collect();
        let place = self.place().join(layout::DONE);
        let log = opened(&mut self.log_of_done, &place)?;
        Ok(move |versions: &[Version]| {
            for (done, version) in all.iter_mut().zip(versions) {
                done.version = Some(*version);
            }
            append(log, &all).map_err(|error| (place, error))?;
            Ok(all)
        })
    }

    /// Takes note of what was recorded.
    pub fn recorded(&mut self, all: Vec<Done>) {
        for done in all {
            self.strangers.remove(&done.path);
            if let Some(former) = self.done.insert(done.path.clone(), done) {
                self.records.add(former.made());
            }
        }
    }

    /// Prepares to record other files, by their names below the folder and the places of their bytes.
    ///
    /// # Errors
    /// The disk.
    pub fn record_others(
        &mut self,
        files: Vec<(PathBuf, PathBuf)>,
    ) -> Result<impl FnOnce(&[Version]) -> Record<Vec<Made>> + use<>, BulkError> {
        let place = self.place().join(layout::OURS);
        if self.log_of_ours.is_none() && !place::is_there(&place) {
            // What version 0.1 did not record is told only as long as nothing is.
            let before = self.records.all();
            let others = before.filter(|made| !self.done.contains_key(&made.path));
            let others: Vec<_> = others.cloned().collect();
            let log = opened(&mut self.log_of_ours, &place)?;
            append(log, &others).map_err(|error| BulkError::disk(&place, error))?;
        }
        let log = opened(&mut self.log_of_ours, &place)?;
        Ok(move |versions: &[Version]| {
            let made = files
                .into_iter()
                .zip(versions)
                .map(|((path, at), version)| Made {
                    path,
                    bytes: version.bytes,
                    version: Some(*version),
                    sha256: made::sha256_of(&at, false).ok(),
                });
            let made: Vec<_> = made.collect();
            append(log, &made).map_err(|error| (place, error))?;
            Ok(made)
        })
    }

    /// Takes note of other files that were recorded.
    pub fn recorded_others(&mut self, all: Vec<Made>) {
        for made in all {
            self.records.add(made);
        }
    }

    /// Whether a file below the folder is one that this export made.
    pub fn is_ours(&self, path: &Path) -> bool {
        let there = self.folder.join(path);
        self.made_under(path)
            .iter()
            .rev()
            .any(|made| made.is_at(&there))
    }

    /// A file that is made where a crash leaves nothing for the user to wonder at, for [`Job::put`].
    ///
    /// # Errors
    /// The disk.
    pub fn draft(&self) -> Result<NamedTempFile, BulkError> {
        let made = tempfile::Builder::new()
            .prefix(files::TEMPORARY)
            .tempfile_in(self.place());
        made.map_err(|error| BulkError::disk(&self.place(), error))
    }

    /// Gives a draft its name in the folder; only one of ours is replaced.
    ///
    /// # Errors
    /// Something else has the name; the disk.
    pub fn put(&mut self, name: &str, draft: NamedTempFile) -> Result<(), BulkError> {
        let path = self.folder.join(name);
        let disk = |error| BulkError::disk(&path, error);
        let known = self.made_under(Path::new(name));
        if place::is_there(&path) && !self.is_ours(Path::new(name)) {
            return Err(BulkError::InTheWay { path });
        }
        draft.as_file().sync_all().map_err(disk)?;
        let version = Version::of(&draft.as_file().metadata().map_err(disk)?);
        let record = self.record_others(vec![(name.into(), draft.path().to_owned())])?;
        let made = record(&[version]).map_err(|(path, error)| BulkError::disk(&path, error))?;
        self.recorded_others(made);
        let from = draft.into_temp_path();
        match settle::place(&from, &path, &known).map_err(disk)? {
            Landed::Placed => files::sync_dir(&self.folder),
            Landed::InTheWay => return Err(BulkError::InTheWay { path }),
        }
        Ok(())
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

    /// Takes away what an export left that was given up: its lists, and the files that it brought and nobody changed.
    pub(super) fn clear_leftovers(&mut self) -> Result<(), BulkError> {
        self.log_of_done = None;
        self.log_of_ours = None;
        for path in self.records.here(&self.folder) {
            let _ = fs::remove_file(self.folder.join(path));
        }
        let _ = fs::remove_dir(self.folder.join(layout::ATTACHMENTS));
        let _ = fs::remove_dir_all(self.parts());
        for name in [layout::FILES, layout::DONE, layout::OURS] {
            let path = self.place().join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(BulkError::disk(&path, error));
                }
                _ => {}
            }
        }
        self.records = super::Records::default();
        Ok(())
    }

    pub(super) fn save(&self) -> Result<(), BulkError> {
        self.write(layout::JOB, &self.state)
    }

    fn write(&self, name: &str, value: &impl Serialize) -> Result<(), BulkError> {
        let path = self.place().join(name);
        write_json(&path, value).map_err(|source| BulkError::disk(&path, source))
    }
}

/// Replaces a document, as a stream: the text of a list is longer than what is kept of it.
fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let folder = files::folder_of(path);
    let made = tempfile::Builder::new()
        .prefix(files::TEMPORARY)
        .tempfile_in(&folder)?;
    let mut writer = io::BufWriter::with_capacity(64 << 10, made);
    serde_json::to_writer_pretty(&mut writer, value)?;
    let made = writer
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    made.as_file().sync_all()?;
    made.persist(path).map_err(|error| error.error)?;
    files::sync_dir(&folder);
    Ok(())
}

/// A log that is opened when it is first written to.
fn opened(log: &mut Option<File>, path: &Path) -> Result<File, BulkError> {
    let disk = |error| BulkError::disk(path, error);
    if log.is_none() {
        *log = Some(local::open_log(path).map_err(disk)?);
    }
    let cloned = log.as_ref().map(File::try_clone).transpose();
    let gone = || disk(io::ErrorKind::NotFound.into());
    cloned.map_err(disk)?.ok_or_else(gone)
}

/// Writes a line for each; they are durable when it returns.
fn append(mut log: File, all: &[impl Serialize]) -> io::Result<()> {
    let mut lines = String::new();
    for one in all {
        lines += &serde_json::to_string(one)?;
        lines.push('\n');
    }
    local::append(&mut log, &lines)
}
