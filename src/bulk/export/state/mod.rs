//! The job of one folder, held by one process: opened and gone on with here, recorded step by step, ended.

pub mod document;
mod done;
mod ending;
pub mod inside;
mod look;
mod made;
pub mod moving;
pub mod plan;
mod record;
mod records;

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::BulkError;
use super::event::ExportedFile;
use super::fetch::part::{self, Part};
use super::layout;
use super::manifest::Listed;
use super::options::{Again, Style};
use super::settle;
use crate::bulk::digest::Algorithm;
use crate::bulk::requester;
use crate::place::{self, Landed, Lock, Place, There};
use document::Entry;
pub use document::{About, Done, Made, Phase, Planned, State};
pub use done::{DoneFiles, Recorded};
pub use ending::{GivenUp, Whole};
pub use look::{Snapshot, Standing, kept_request, look};
pub use plan::{Draft, Plan};
pub use records::Records;

/// The job of one folder, held by this process alone.
#[derive(Debug)]
pub struct Job {
    /// Where the files go; the state lies below.
    files: Place,
    /// The same from the root on, as files are named.
    root: PathBuf,
    pub state: State,
    plan: Plan,
    pub done: DoneFiles,
    /// What is recorded beside the latest of each file in `done`.
    records: Records,
    /// Names under which files lie that are not those we made, although their length is.
    strangers: HashSet<PathBuf>,
    log_of_done: Option<File>,
    log_of_ours: Option<File>,
    /// Whether a page of the manifest named the links in this run: those of the state are what the folder says.
    is_read: bool,
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
        let (mut job, found) = Self::locked(folder, State::begun_now(request, style))?;
        let found = match found {
            Err(BulkError::BadState { .. }) if again == Again::Restart => Some(State::lost()),
            found => found?,
        };
        let Some(found) = found else { return Ok(job) };
        match (found.phase, again) {
            (Phase::Done, _) => Err(BulkError::Finished { folder: owned() }),
            (Phase::Cancelled, _) | (_, Again::Restart) => {
                job.gives_up(found)?;
                Ok(job)
            }
            (Phase::KickingOff, _) => Err(BulkError::UnknownKickoff { folder: owned() }),
            _ if requester::is_of_another(&job.state.request, &found.request) => {
                Err(BulkError::OtherRequester { folder: owned() })
            }
            _ if !(document::OLDEST..=document::VERSION).contains(&found.version)
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
        if !layout::state_of(folder).has(layout::JOB) {
            return Err(no_job());
        }
        let (mut job, found) = Self::locked(folder, State::lost())?;
        job.take_up(found?.ok_or_else(no_job)?)?;
        Ok(job)
    }

    /// The job of a folder with this state, and the state that was found there.
    fn locked(
        folder: &Path,
        state: State,
    ) -> Result<(Self, Result<Option<State>, BulkError>), BulkError> {
        let place = layout::state_of(folder);
        let disk = |source| BulkError::disk(place.folder(), source);
        inside::check(folder)?;
        place.make().map_err(disk)?;
        let lock = place.lock(layout::LOCK).map_err(disk)?;
        let lock = lock.ok_or_else(|| BulkError::Busy {
            folder: folder.to_owned(),
        })?;
        if place.has(layout::SERIES) {
            return Err(BulkError::Series {
                folder: folder.to_owned(),
            });
        }
        moving::settle(folder)?;
        sweep(folder);
        let found = look::state_in(&place);
        let job = Self {
            files: Place::new(folder),
            root: absolute(folder),
            state,
            plan: Plan::default(),
            done: DoneFiles::default(),
            records: Records::default(),
            strangers: HashSet::new(),
            log_of_done: None,
            log_of_ours: None,
            is_read: false,
            _lock: lock,
        };
        Ok((job, found))
    }

    fn take_up(&mut self, found: State) -> Result<(), BulkError> {
        let place = self.place();
        self.state = found;
        // An older version gave none.
        self.state
            .export_id
            .get_or_insert_with(document::new_export_id);
        if self.state.has_lists() {
            let disk = |name: &str| {
                let path = place.path(name);
                move |source| BulkError::disk(&path, source)
            };
            plan::sweep(&place, &self.state);
            self.records = Records::of_others(self.folder(), &self.state)
                .map_err(|source| BulkError::disk(place.folder(), source))?;
            // It is read while it grows, so it must be the one that does.
            place.unshare(layout::DONE).map_err(disk(layout::DONE))?;
            let former = |done: Done| self.records.add(&done.made());
            (self.plan, self.done) = look::lists(&place, &self.state, former)?;
            if self.state.plan.is_none() && self.state.phase == Phase::Fetching {
                self.convert()?;
            }
            self.recognise()?;
        } else if self.state.phase == Phase::Waiting {
            self.records = Records::of(self.folder(), &self.state)
                .map_err(|source| BulkError::disk(place.folder(), source))?;
            self.clear_leftovers()?;
        }
        part::sweep(&self.place().within(layout::PARTS));
        Ok(())
    }

    /// A kill may have come between the record of a file and its name: its part is whole and durable, so it gets the
    /// name now, if nothing has it but what the file is to replace.
    fn adopt(&self, planned: &Planned, done: &Done) {
        let (target, part) = (self.target(planned), self.part(planned));
        let is_whole = match There::at(part.path()) {
            Ok(There::Plain(there)) => {
                there.bytes == done.bytes && done.version.is_none_or(|version| version == there)
            }
            _ => false,
        };
        if !is_whole || done.made().is_at(&target) {
            return;
        }
        let known = self.made_under(&planned.path);
        if matches!(
            settle::place(part.path(), &target, &known),
            Ok(Landed::Placed)
        ) {
            part.became_whole();
            Place::around(&target).sync();
        }
    }

    /// Gives files their names that a kill kept from them, and tells files of ours that were copied, and have new times,
    /// from others of the same length.
    fn recognise(&mut self) -> Result<(), BulkError> {
        let mut strangers = HashSet::new();
        for planned in self.each().filter(|_| !self.done.is_empty()) {
            let planned = planned?;
            let Some(done) = self.done.get(&planned.path) else {
                continue;
            };
            if planned.accepts(&done) {
                self.adopt(&planned, &done);
            }
            let target = self.files.path(&planned.path);
            let Ok(There::Plain(there)) = There::at(&target) else {
                continue;
            };
            let is_other = match done.digest {
                _ if done.version.is_none_or(|version| version == there) => false,
                Some(digest) => !made::has_lines(&target, there.bytes == done.bytes, digest),
                None => false,
            };
            if is_other {
                strangers.insert(planned.path);
            }
        }
        self.strangers = strangers;
        Ok(())
    }

    /// The list of an older version becomes a plan; from then on the job is one of this version.
    fn convert(&mut self) -> Result<(), BulkError> {
        let mut draft = self.draft_plan()?;
        for planned in self.each() {
            draft
                .push(&planned?)
                .map_err(|error| self.bad_plan(error))?;
        }
        self.take_over(draft)
    }

    /// How many files the manifest lists.
    pub fn listed(&self) -> usize {
        self.plan.len()
    }

    /// A planned file by its place in the plan.
    ///
    /// # Errors
    /// The plan cannot be read.
    pub fn planned(&self, at: usize) -> Result<Planned, BulkError> {
        self.plan.get(at).map_err(|error| self.bad_plan(error))
    }

    /// All planned files, in order.
    pub fn each(&self) -> impl Iterator<Item = Result<Planned, BulkError>> {
        let planned = self.plan.each();
        planned.map(|planned| planned.map_err(|error| self.bad_plan(error)))
    }

    /// The same with what they are compared by, and whether the server listed them no more.
    pub fn each_listed(&self) -> impl Iterator<Item = Result<(Listed, bool), BulkError>> {
        let entries = self.plan.each_as::<Entry>();
        entries.map(|entry| match entry {
            Ok(entry) => Ok((entry.file, entry.vanished)),
            Err(error) => Err(self.bad_plan(error)),
        })
    }

    fn bad_plan(&self, error: std::io::Error) -> BulkError {
        BulkError::disk(&self.place().path(plan::name(&self.state)), error)
    }

    /// A page of the manifest has named all links by now.
    pub fn was_read(&mut self) {
        self.is_read = true;
    }

    /// Whether what the links say of the token comes from the server, and not from a folder that may be anybody's.
    pub fn is_read(&self) -> bool {
        self.is_read
    }

    /// The folder the files go to.
    pub fn folder(&self) -> &Path {
        self.files.folder()
    }

    /// The final place of a planned file.
    pub fn target(&self, planned: &Planned) -> PathBuf {
        self.root.join(&planned.path)
    }

    /// The name below the folder that a path of [`Job::target`] has.
    pub fn name_of<'a>(&self, target: &'a Path) -> &'a Path {
        target.strip_prefix(&self.root).unwrap_or(target)
    }

    /// Where its bytes are until then.
    pub fn part(&self, planned: &Planned) -> Part {
        Part::new(&self.parts(), &planned.path)
    }

    /// A file that is done already.
    pub fn exported(&self, planned: &Planned) -> Option<ExportedFile> {
        let done = self.done.get(&planned.path)?;
        if self.strangers.contains(&planned.path) {
            return None;
        }
        look::exported(&self.root, planned, &done)
    }

    /// The SHA-256 of the lines of a file that is done, in hex. Where another digest was made of it, it is read again.
    pub fn sha256(&self, planned: &Planned) -> Option<String> {
        let file = self.exported(planned)?;
        if let Some(digest) = file.digest
            && digest.algorithm == Algorithm::Sha256
        {
            return Some(digest.hex());
        }
        let is_packed = made::is_packed(&file.path);
        let found = made::digest_of(&file.path, is_packed, Algorithm::Sha256);
        Some(found.ok()?.hex())
    }

    /// Whether a file of one type holds resources of others: the kick-off asked for that (`organizeOutputBy`).
    pub fn is_mixed(&self) -> bool {
        self.state.request["kickoff"]["organize_output_by"].is_string()
    }

    /// Whether the manifest is known and all its files are here.
    ///
    /// # Errors
    /// The plan cannot be read.
    pub fn is_complete(&self) -> Result<bool, BulkError> {
        if !matches!(self.state.phase, Phase::Fetching | Phase::Done) {
            return Ok(false);
        }
        for planned in self.each() {
            if self.exported(&planned?).is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Where the state is.
    pub fn place(&self) -> Place {
        self.files.within(layout::STATE)
    }

    /// Where the bytes of files are that are not complete.
    pub fn parts(&self) -> PathBuf {
        self.place().path(layout::PARTS)
    }
}

fn absolute(folder: &Path) -> PathBuf {
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

/// Takes away what a run that was killed left half made; the lock says that no other run makes it.
pub(super) fn sweep(folder: &Path) {
    for (place, prefix) in [
        (Place::new(folder), layout::PROBE),
        (layout::state_of(folder), place::TEMPORARY),
    ] {
        for there in place.list() {
            if there.name.to_string_lossy().starts_with(prefix) {
                let _ = place.remove(&there.name);
            }
        }
    }
}
