//! What is recorded while an export runs, each before it is true for anybody else.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use url::Url;

use super::document::{self, About, Done, Made, Phase, Planned};
use super::done::{Line, Recorded};
use super::plan::{self, Draft};
use super::{Job, layout, made};
use crate::bulk::digest::Algorithm;
use crate::bulk::export::error::BulkError;
use crate::bulk::export::event::ExportedFile;
use crate::bulk::export::listing::Listing;
use crate::bulk::export::options::{Mode, Wanted};
use crate::place::{self, Landed, Place, Version};

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

    /// Whether the job that the server started is recorded, whatever went wrong since.
    pub fn is_kept(&self) -> bool {
        let kept = document::read_state(&self.place()).ok().flatten();
        let kept = kept.and_then(|kept| kept.status_url);
        kept.is_some() && kept == self.state.status_url
    }

    /// Records what the manifest lists. A file that is there already and is none of this job's stops it: nothing of
    /// the user's is overwritten unasked.
    ///
    /// # Errors
    /// A file is in the way; the disk.
    pub fn plan(
        &mut self,
        draft: Draft,
        transaction_time: Option<String>,
        manifest: About,
    ) -> Result<(), BulkError> {
        if self.state.phase == Phase::Waiting {
            for planned in draft.lines.each() {
                let path = self.target(&planned.map_err(|error| self.bad_plan(error))?);
                if place::is_there(&path) {
                    return Err(BulkError::InTheWay { path });
                }
            }
        }
        self.state.phase = Phase::Fetching;
        self.state.transaction_time = transaction_time;
        self.state.manifest = manifest;
        self.take_over(draft)
    }

    /// A plan that is written entry by entry, to take over from the one that counts.
    ///
    /// # Errors
    /// The disk.
    pub fn draft_plan(&self) -> Result<Draft, BulkError> {
        let place = self.place();
        Draft::behind(&place, &self.state).map_err(|source| BulkError::disk(place.folder(), source))
    }

    /// A list for what the manifest names now, in a file that has no name.
    ///
    /// # Errors
    /// The disk.
    pub fn new_listing(&self) -> Result<Listing, BulkError> {
        let place = self.place();
        let file = place.nameless().map(Listing::new);
        file.map_err(|error| BulkError::disk(place.folder(), error))
    }

    /// From now on this plan counts: it is durable before the job says so.
    ///
    /// # Errors
    /// The disk.
    pub fn take_over(&mut self, draft: Draft) -> Result<(), BulkError> {
        let place = self.place();
        let finished = draft.finish(&place);
        let (of, plan) = finished.map_err(|source| BulkError::disk(place.folder(), source))?;
        self.state.plan = Some(of);
        self.state.version = document::VERSION;
        self.plan = plan;
        self.save()?;
        plan::sweep(&place, &self.state);
        Ok(())
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
                let mut paths = names.map(|name| self.files.path(name));
                if let Some(path) = paths.find(|path| place::is_there(path)) {
                    return Err(BulkError::InTheWay { path });
                }
            }
            self.state.style.attachments = Some(wanted.clone());
            self.save()?;
        }
        Ok(())
    }

    /// Whether nothing of the user's lies where a planned file goes.
    pub fn is_free(&self, planned: &Planned) -> bool {
        !place::is_there(&self.target(planned)) || self.is_ours(&planned.path)
    }

    /// What was made under this name below the folder, the latest first.
    pub fn made_under(&self, path: &Path) -> Vec<Made> {
        let latest = self.done.get(path).map(|done| done.made());
        latest.into_iter().chain(self.records.under(path)).collect()
    }

    /// Prepares to record files that are about to get their final names: what it gives does so, durably.
    ///
    /// # Errors
    /// The disk.
    pub fn record(
        &mut self,
        files: &[(usize, ExportedFile)],
    ) -> Result<impl FnOnce(&[Version]) -> Record<Vec<Recorded>> + use<>, BulkError> {
        let mut all = Vec::with_capacity(files.len());
        for (_, file) in files {
            all.push(Done {
                path: self.name_of(&file.path).to_owned(),
                resources: file.resources,
                bytes: file.bytes,
                digest: file.digest,
                etag: file.etag.clone(),
                outcomes: file.outcomes.clone(),
                reading: self.state.reading,
                version: None,
            });
        }
        let (state, place) = (self.place(), self.place().path(layout::DONE));
        let log = opened(&mut self.log_of_done, &state, layout::DONE)?;
        Ok(move |versions: &[Version]| {
            for (done, version) in all.iter_mut().zip(versions) {
                done.version = Some(*version);
            }
            let lines = append(log, &all).map_err(|error| (place, error))?;
            let recorded = all.into_iter().zip(lines);
            Ok(recorded
                .map(|(done, line)| Recorded { done, line })
                .collect())
        })
    }

    /// Takes note of what was recorded.
    ///
    /// # Errors
    /// The disk.
    pub fn recorded(&mut self, all: Vec<Recorded>) -> Result<(), BulkError> {
        let place = self.place();
        for recorded in all {
            self.strangers.remove(&recorded.done.path);
            let former = self.done.add(&place, &recorded);
            if let Some(former) = former.map_err(|error| BulkError::disk(place.folder(), error))? {
                let added = self.records.add(&former.made());
                added.map_err(|error| BulkError::disk(place.folder(), error))?;
            }
        }
        Ok(())
    }

    /// Prepares to record other files, by their names below the folder and the places of their bytes.
    ///
    /// # Errors
    /// The disk.
    pub fn record_others(
        &mut self,
        files: Vec<(PathBuf, PathBuf)>,
    ) -> Result<impl FnOnce(&[Version]) -> Record<Vec<Made>> + use<>, BulkError> {
        let (state, place) = (self.place(), self.place().path(layout::OURS));
        if self.log_of_ours.is_none() && !state.has(layout::OURS) {
            // What version 0.1 did not record is told only as long as nothing is.
            let before = self.records.all();
            let others = before.filter(|made| match made {
                Ok(made) => self.done.get(&made.path).is_none(),
                Err(_) => true,
            });
            let others = others.collect::<io::Result<Vec<_>>>();
            let others = others.map_err(|error| BulkError::disk(&place, error))?;
            let log = opened(&mut self.log_of_ours, &state, layout::OURS)?;
            append(log, &others).map_err(|error| BulkError::disk(&place, error))?;
        }
        let log = opened(&mut self.log_of_ours, &state, layout::OURS)?;
        let algorithm = self.state.style.checksum.algorithm();
        let algorithm = algorithm.unwrap_or(Algorithm::Blake3);
        Ok(move |versions: &[Version]| {
            let made = files
                .into_iter()
                .zip(versions)
                .map(|((path, at), version)| Made {
                    path,
                    bytes: version.bytes,
                    version: Some(*version),
                    digest: made::digest_of(&at, false, algorithm).ok(),
                });
            let made: Vec<_> = made.collect();
            append(log, &made).map_err(|error| (place, error))?;
            Ok(made)
        })
    }

    /// Takes note of other files that were recorded.
    ///
    /// # Errors
    /// The disk.
    pub fn recorded_others(&mut self, all: &[Made]) -> Result<(), BulkError> {
        let mut all = all.iter();
        let added = all.try_for_each(|made| self.records.add(made));
        added.map_err(|error| BulkError::disk(self.place().folder(), error))
    }

    /// Takes a file away, if it is one that this export made.
    ///
    /// # Errors
    /// The disk.
    pub fn take_away(&self, path: &Path) -> io::Result<()> {
        if self.is_ours(path) {
            self.files.remove(path)?;
        }
        Ok(())
    }

    /// Whether a file below the folder is one that this export made.
    pub fn is_ours(&self, path: &Path) -> bool {
        self.record_of(path).is_some()
    }

    /// What was recorded of a file of ours that is there.
    pub fn record_of(&self, path: &Path) -> Option<Made> {
        let there = self.files.path(path);
        let mut made = self.made_under(path).into_iter();
        made.find(|made| made.is_at(&there))
    }

    /// A file that is made where a crash leaves nothing for the user to wonder at, for [`Job::put`].
    ///
    /// # Errors
    /// The disk.
    pub fn draft(&self) -> Result<place::Draft, BulkError> {
        let place = self.place();
        let made = place.draft();
        made.map_err(|error| BulkError::disk(place.folder(), error))
    }

    /// Gives a draft its name in the folder; only one of ours is replaced.
    ///
    /// # Errors
    /// Something else has the name; the disk.
    pub fn put(&mut self, name: &str, draft: place::Draft) -> Result<(), BulkError> {
        let path = self.files.path(name);
        let disk = |error| BulkError::disk(&path, error);
        let known = self.made_under(Path::new(name));
        if place::is_there(&path) && !self.is_ours(Path::new(name)) {
            return Err(BulkError::InTheWay { path });
        }
        let version = draft.sync().map_err(disk)?;
        let record = self.record_others(vec![(name.into(), draft.path().to_owned())])?;
        let made = record(&[version]).map_err(|(path, error)| BulkError::disk(&path, error))?;
        self.recorded_others(&made)?;
        let is_ours = || known.iter().any(|made| made.is_at(&path));
        match draft.land(&path, is_ours).map_err(disk)? {
            Landed::Placed => self.files.sync(),
            Landed::InTheWay => return Err(BulkError::InTheWay { path }),
        }
        Ok(())
    }

    /// Makes sure that the folder was not taken away under the job: nothing is written for readers then.
    ///
    /// # Errors
    /// It was.
    pub fn still_there(&self) -> Result<(), BulkError> {
        if self.place().has(layout::JOB) {
            return Ok(());
        }
        Err(BulkError::Vanished {
            folder: self.folder().to_owned(),
        })
    }

    /// Takes away what an export left that was given up: its lists, and the files that it brought and nobody changed.
    pub(super) fn clear_leftovers(&mut self) -> Result<(), BulkError> {
        self.log_of_done = None;
        self.log_of_ours = None;
        for path in self.records.here(self.folder()).map_while(Result::ok) {
            let _ = self.files.remove(path);
        }
        self.files.remove_empty(layout::ATTACHMENTS);
        let place = self.place();
        let _ = place.clear(layout::PARTS);
        let lists = [layout::FILES, layout::DONE, layout::OURS].map(PathBuf::from);
        for name in lists.into_iter().chain(plan::all(&place)) {
            let removed = place.remove(&name);
            removed.map_err(|error| BulkError::disk(&place.path(&name), error))?;
        }
        self.records = super::Records::new(&place);
        self.done = super::DoneFiles::default();
        Ok(())
    }

    pub(super) fn save(&self) -> Result<(), BulkError> {
        let place = self.place();
        // As a stream: the text of it is longer than what is kept of it.
        let saved = place.swap_by(layout::JOB, |writer| {
            Ok(serde_json::to_writer_pretty(writer, &self.state)?)
        });
        saved.map_err(|source| BulkError::disk(&place.path(layout::JOB), source))
    }
}

/// A log that is opened when it is first written to.
fn opened(log: &mut Option<File>, place: &Place, name: &str) -> Result<File, BulkError> {
    let disk = |error| BulkError::disk(&place.path(name), error);
    if log.is_none() {
        *log = Some(place.log(name).map_err(disk)?);
    }
    let cloned = log.as_ref().map(File::try_clone).transpose();
    let gone = || disk(io::ErrorKind::NotFound.into());
    cloned.map_err(disk)?.ok_or_else(gone)
}

/// Writes a line for each, which are durable when it returns, and says where.
fn append(mut log: File, all: &[impl Serialize]) -> io::Result<Vec<Line>> {
    let mut at = log.metadata()?.len();
    let mut lines = String::new();
    let mut places = Vec::with_capacity(all.len());
    for one in all {
        let before = lines.len();
        lines += &serde_json::to_string(one)?;
        lines.push('\n');
        let length = u32::try_from(lines.len() - before).map_err(io::Error::other)?;
        places.push(Line { at, length });
        at += u64::from(length);
    }
    place::append(&mut log, &lines)?;
    Ok(places)
}
