//! `--since auto`: a folder of exports, each in a folder named by its transactionTime and asking for what changed since
//! the one before.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::BulkError;
use super::since::asked_at;
use super::state::{self, Job, document, inside};
use super::{instant, layout};
use crate::bulk::requester;
use crate::place::{self, Lock, Place};
use crate::words;

/// The export whose transactionTime is not known yet.
const NAMELESS: &str = "in-progress";
/// What came of exports that were given up, in the state of the series.
const GIVEN_UP: &str = "given-up";

/// A folder's series, held by this process alone.
#[derive(Debug)]
pub struct Series {
    folder: PathBuf,
    state: State,
    _lock: Lock,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    version: u32,
    /// FHIR base and parameters without `_since`.
    request: Value,
    /// What the next export asks for changes since: the last good one's transactionTime.
    since: Option<String>,
    /// The export that is not finished.
    current: Option<String>,
    /// The name it gets, written before it does.
    next_name: Option<String>,
    runs: Vec<Run>,
}

/// What a folder's series holds, for whoever looks at it.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// The folder of the export that is not finished.
    pub current: Option<PathBuf>,
    pub runs: Vec<Run>,
}

/// One finished export of a series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    pub folder: String,
    pub since: Option<String>,
    pub transaction_time: String,
    /// Whether the next one began where this one ended: the server reported no error in it.
    pub is_good: bool,
}

impl Series {
    /// Opens the series of a folder, or begins one.
    ///
    /// # Errors
    /// Another process has it; it is of another request; the folder holds a single export; the disk.
    pub fn open(folder: &Path, request: Value) -> Result<Self, BulkError> {
        let owned = || folder.to_owned();
        let (place, lock) = locked(folder)?;
        if place.has(layout::JOB) {
            return Err(BulkError::SingleExport { folder: owned() });
        }
        let found = read(folder)?;
        let state = match found {
            Some(found) if requester::is_of_another(&request, &found.request) => {
                return Err(BulkError::OtherRequester { folder: owned() });
            }
            Some(found) if found.request != request => {
                return Err(BulkError::OtherSeries { folder: owned() });
            }
            Some(found) => found,
            None => State {
                version: 1,
                request,
                since: None,
                current: None,
                next_name: None,
                runs: Vec::new(),
            },
        };
        let mut series = Self {
            folder: owned(),
            state,
            _lock: lock,
        };
        series.settle();
        series.save()?;
        Ok(series)
    }

    /// What the series of a folder asks for, and who does.
    ///
    /// # Errors
    /// The disk.
    pub fn kept_request(folder: &Path) -> Result<Option<Value>, BulkError> {
        Ok(read(folder)?.map(|state| state.request))
    }

    /// The series that a folder holds; `None` when it holds none.
    ///
    /// # Errors
    /// The disk.
    pub fn look(folder: &Path) -> Result<Option<Overview>, BulkError> {
        Ok(read(folder)?.map(|state| Overview {
            current: state.current.map(|name| folder.join(name)),
            runs: state.runs,
        }))
    }

    /// What the next export asks for changes since; `None` for everything.
    pub fn since(&self) -> Option<&str> {
        self.state.since.as_deref()
    }

    /// The folder of the export that runs now: the unfinished one, or a new one.
    ///
    /// # Errors
    /// The disk.
    pub fn current(&mut self) -> Result<PathBuf, BulkError> {
        // A folder that was taken away leaves its name to nobody: that is the time of what was in it.
        let has_job = |name: &str| layout::state_of(&self.folder.join(name)).has(layout::JOB);
        let current = self.state.current.take().filter(|name| has_job(name));
        let name = current.unwrap_or_else(|| NAMELESS.to_owned());
        self.state.current = Some(name.clone());
        self.save()?;
        Ok(self.folder.join(name))
    }

    /// Gives the export that runs up: nothing more will come of it. What came is put aside.
    ///
    /// # Errors
    /// The disk.
    pub fn give_up(&mut self) -> Result<Option<PathBuf>, BulkError> {
        let Some(name) = self.state.current.clone() else {
            return Ok(None);
        };
        let runs = Place::new(&self.folder);
        let mut to = None;
        if runs.has(&name) {
            let aside = runs.within(layout::STATE).within(GIVEN_UP);
            let disk = |source| BulkError::disk(aside.folder(), source);
            if aside.is_link() {
                return Err(BulkError::Elsewhere {
                    path: aside.folder().to_owned(),
                });
            }
            aside.make().map_err(disk)?;
            let new = unique(&aside, &name);
            runs.give(&name, &aside, &new).map_err(disk)?;
            runs.sync();
            aside.sync();
            to = Some(aside.path(new));
        }
        self.state.current = None;
        self.state.next_name = None;
        self.save()?;
        Ok(to)
    }

    /// Gives the export that runs its name, once its manifest says of when it is: else it is of the time it was asked
    /// for. The job is opened anew there.
    ///
    /// # Errors
    /// The disk.
    pub fn name(&mut self, job: Job) -> Result<Job, BulkError> {
        let was_read = job.is_read();
        let time = job.state.transaction_time.clone();
        let time = time.filter(|time| instant::read(time).is_some());
        let time = time.or_else(|| asked_at(&job.state).map(|at| at.to_string()));
        let time = time.unwrap_or_else(|| Timestamp::now().to_string());
        if self.state.current.as_deref() != Some(NAMELESS) {
            return Ok(job);
        }
        // Renamed while nothing in it is open, which not every system allows.
        drop(job);
        let stem: String = time
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || ".-".contains(c) {
                    c
                } else {
                    '-'
                }
            })
            .take(64)
            .collect();
        let runs = Place::new(&self.folder);
        let name = unique(&runs, &stem);
        self.state.next_name = Some(name.clone());
        self.save()?;
        let to = runs.path(&name);
        let given = runs.give(NAMELESS, &runs, &name);
        given.map_err(|source| BulkError::disk(&to, source))?;
        runs.sync();
        self.settle();
        self.save()?;
        let mut job = Job::existing(&to)?;
        if was_read {
            job.was_read();
        }
        Ok(job)
    }

    /// The export that was given its name is known by it, also when a crash came between.
    fn settle(&mut self) {
        let runs = Place::new(&self.folder);
        let is_named = !runs.has(NAMELESS);
        if let Some(name) = self.state.next_name.take()
            && is_named
            && self.state.current.is_some()
            && runs.has(&name)
        {
            self.state.current = Some(name);
        }
    }

    /// Ends the export that runs. After one that is not good the next one asks again for what this one asked for.
    ///
    /// # Errors
    /// The disk.
    pub fn finished(
        &mut self,
        transaction_time: &str,
        next: Option<String>,
        is_good: bool,
    ) -> Result<(), BulkError> {
        if let Some(folder) = self.state.current.take() {
            self.state.runs.push(Run {
                folder,
                since: self.state.since.clone(),
                transaction_time: transaction_time.to_owned(),
                is_good,
            });
        }
        // Without an instant to go on from, the next export asks for the same again.
        if is_good && next.is_some() {
            self.state.since = next;
        }
        self.save()
    }

    /// Forgets the export that runs: its job is gone at the server.
    ///
    /// # Errors
    /// The disk.
    pub fn forget_current(&mut self) -> Result<(), BulkError> {
        self.state.current = None;
        self.save()
    }

    fn save(&self) -> Result<(), BulkError> {
        let place = layout::state_of(&self.folder);
        let text = serde_json::to_vec_pretty(&self.state).unwrap_or_default();
        let saved = place.swap(layout::SERIES, &text);
        saved.map_err(|source| BulkError::disk(&place.path(layout::SERIES), source))
    }
}

/// What is kept of the series of a folder; `None` when it holds none.
fn read(folder: &Path) -> Result<Option<State>, BulkError> {
    let place = layout::state_of(folder);
    let disk = |source| BulkError::disk(&place.path(layout::SERIES), source);
    let state: Option<State> = document::read_json(&place, layout::SERIES).map_err(disk)?;
    if let Some(state) = &state {
        let runs = state.runs.iter().map(|run| &run.folder);
        for name in runs.chain(&state.current).chain(&state.next_name) {
            check_name(folder, name).map_err(disk)?;
        }
    }
    Ok(state)
}

/// A run lies in a folder of its own, in that of the series: the state may have been written by anybody.
fn check_name(folder: &Path, name: &str) -> io::Result<()> {
    let is_plain =
        place::is_name(Path::new(name)) && !name.contains(['/', '\\']) && name != layout::STATE;
    if is_plain && !Place::new(folder).within(name).is_link() {
        return Ok(());
    }
    let words = format!(
        "{} lies not in the folder of the series",
        words::shortened(name)
    );
    Err(io::Error::new(io::ErrorKind::InvalidData, words))
}

/// This name, or one with a number behind it, that nothing has there.
fn unique(place: &Place, name: &str) -> String {
    let mut names = std::iter::once(name.to_owned()).chain((2..).map(|n| format!("{name}_{n}")));
    names
        .find(|name| !place.has(name))
        .unwrap_or_else(|| name.to_owned())
}

fn locked(folder: &Path) -> Result<(Place, Lock), BulkError> {
    let place = layout::state_of(folder);
    inside::check(folder)?;
    let lock = place
        .lock(layout::LOCK)
        .map_err(|source| BulkError::disk(place.folder(), source))?
        .ok_or_else(|| BulkError::Busy {
            folder: folder.to_owned(),
        })?;
    state::sweep(folder);
    Ok((place, lock))
}
