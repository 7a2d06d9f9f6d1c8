//! What is known of an export from outside, whoever works on it: nothing is locked, written or mended. The job itself reads its
//! state by the same functions.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::document::{self, Done, Planned, State};
use super::done::DoneFiles;
use super::plan::{self, Plan};
use crate::bulk::export::error::BulkError;
use crate::bulk::export::event::ExportedFile;
use crate::bulk::export::layout;
use crate::place::{self, Place, There};

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

/// An export as its folder has it, for reading.
#[derive(Debug)]
pub struct Standing {
    pub folder: PathBuf,
    /// The same from the root on.
    root: PathBuf,
    pub state: State,
    plan: Plan,
    done: DoneFiles,
}

impl Standing {
    /// That of a folder.
    ///
    /// # Errors
    /// There is none; the disk, or a state that cannot be read.
    pub fn of(folder: &Path) -> Result<Self, BulkError> {
        let place = layout::state_of(folder);
        let state = state_in(&place)?;
        let state = state.ok_or_else(|| BulkError::NoJob {
            folder: folder.to_owned(),
        })?;
        let mut standing = Self {
            folder: folder.to_owned(),
            root: super::absolute(folder),
            plan: Plan::default(),
            done: DoneFiles::default(),
            state,
        };
        if standing.state.has_lists() {
            (standing.plan, standing.done) = lists(&place, &standing.state, |_| Ok(()))?;
        }
        Ok(standing)
    }

    /// What is recorded of a file, when it is here as it was recorded.
    pub fn here(&self, planned: &Planned) -> Option<Done> {
        let done = self.done.get(&planned.path)?;
        exported(&self.root, planned, &done).map(|_| done)
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

    fn bad_plan(&self, error: std::io::Error) -> BulkError {
        let place = layout::state_of(&self.folder);
        BulkError::disk(&place.path(plan::name(&self.state)), error)
    }

    /// A file that is done, and here.
    pub fn exported(&self, planned: &Planned) -> Option<ExportedFile> {
        exported(&self.root, planned, &self.done.get(&planned.path)?)
    }
}

/// The state in its folder, for whoever looks and whoever goes on with it.
pub(super) fn state_in(place: &Place) -> Result<Option<State>, BulkError> {
    let path = place.path(layout::JOB);
    document::read_state(place).map_err(|source| BulkError::disk(&path, source))
}

/// The lists beside a state that has some; `former` takes what a file of them was before.
pub(super) fn lists(
    place: &Place,
    state: &State,
    former: impl FnMut(Done) -> io::Result<()>,
) -> Result<(Plan, DoneFiles), BulkError> {
    let disk = |name: &str| {
        let path = place.path(name);
        move |source| BulkError::disk(&path, source)
    };
    let plan = plan::read(place, state).map_err(disk(&plan::name(state)))?;
    let done = DoneFiles::read(place, former).map_err(disk(layout::DONE))?;
    Ok((plan, done))
}

/// A file that is done, if one of its length is there below the folder, whose path begins at the root.
pub(super) fn exported(root: &Path, planned: &Planned, done: &Done) -> Option<ExportedFile> {
    if !planned.accepts(done) {
        return None;
    }
    let path = root.join(&planned.path);
    let is_there = matches!(There::at(&path), Ok(There::Plain(there)) if there.bytes == done.bytes);
    is_there.then(|| ExportedFile {
        path,
        group: planned.file.group,
        resource_type: planned.file.resource_type.as_deref().map(str::to_owned),
        resources: done.counted(),
        bytes: done.bytes,
        digest: done.digest,
        etag: done.etag.clone(),
        outcomes: done.outcomes.clone(),
    })
}

/// What the export of a folder asks for, and who does, whatever the rest of its state is like.
pub fn kept_request(folder: &Path) -> Option<Value> {
    let state = document::read_state(&layout::state_of(folder));
    Some(state.ok()??.request)
}

/// What is known of the job of a folder; `None` when there is none.
///
/// # Errors
/// The disk, or a state that cannot be read.
pub fn look(folder: &Path) -> Result<Option<Snapshot>, BulkError> {
    let place = layout::state_of(folder);
    let standing = match Standing::of(folder) {
        Err(BulkError::NoJob { .. }) => return Ok(None),
        standing => standing?,
    };
    let lock = place.path(layout::LOCK);
    let is_held = place::is_locked(&lock).map_err(|source| BulkError::disk(&lock, source))?;
    let mut here = 0;
    for planned in standing.each() {
        here += usize::from(standing.exported(&planned?).is_some());
    }
    Ok(Some(Snapshot {
        here,
        listed: standing.listed(),
        state: standing.state,
        is_held,
    }))
}
