//! `--since auto`: a folder of exports, each in a folder named by its transactionTime and asking for what changed since
//! the one before.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::BulkError;
use super::layout;
use super::state::{self, Job, document};
use crate::bulk::requester;
use crate::files::{self, Lock};

/// The export whose transactionTime is not known yet.
const NAMELESS: &str = "in-progress";

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
        let disk = |source| BulkError::disk(&place, source);
        if place.join(layout::JOB).exists() {
            return Err(BulkError::SingleExport { folder: owned() });
        }
        let found = document::read_json::<State>(&place.join(layout::SERIES)).map_err(disk)?;
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
        let place = folder.join(layout::STATE);
        let found = document::read_json::<State>(&place.join(layout::SERIES))
            .map_err(|source| BulkError::disk(&place, source))?;
        Ok(found.map(|state| state.request))
    }

    /// The series that a folder holds; `None` when it holds none.
    ///
    /// # Errors
    /// The disk.
    pub fn look(folder: &Path) -> Result<Option<Overview>, BulkError> {
        let place = folder.join(layout::STATE);
        let found = document::read_json::<State>(&place.join(layout::SERIES))
            .map_err(|source| BulkError::disk(&place, source))?;
        Ok(found.map(|state| Overview {
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
        let name = self
            .state
            .current
            .get_or_insert_with(|| NAMELESS.to_owned())
            .clone();
        self.save()?;
        Ok(self.folder.join(name))
    }

    /// Gives the export that runs its name, once its manifest says of when it is. The job is opened anew there.
    ///
    /// # Errors
    /// The manifest has no transactionTime; the disk.
    pub fn name(&mut self, job: Job) -> Result<Job, BulkError> {
        let from = job.folder().to_owned();
        let time = job.state.transaction_time.clone();
        let time = time.ok_or(BulkError::NoTransactionTime)?;
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
        let names = std::iter::once(stem.clone()).chain((2..).map(|n| format!("{stem}_{n}")));
        let name = names
            .into_iter()
            .find(|name| !self.folder.join(name).exists())
            .unwrap_or(stem);
        let to = self.folder.join(&name);
        self.state.next_name = Some(name);
        self.save()?;
        fs::rename(&from, &to).map_err(|source| BulkError::disk(&to, source))?;
        files::sync_dir(&self.folder);
        self.settle();
        self.save()?;
        Job::existing(&to)
    }

    /// The export that was given its name is known by it, also when a crash came between.
    fn settle(&mut self) {
        let is_named = !self.folder.join(NAMELESS).exists();
        if let Some(name) = self.state.next_name.take()
            && is_named
            && self.state.current.is_some()
            && self.folder.join(&name).exists()
        {
            self.state.current = Some(name);
        }
    }

    /// Ends the export that runs. After one that is not good the next one asks again for what this one asked for.
    ///
    /// # Errors
    /// The disk.
    pub fn finished(&mut self, transaction_time: &str, is_good: bool) -> Result<(), BulkError> {
        if let Some(folder) = self.state.current.take() {
            self.state.runs.push(Run {
                folder,
                since: self.state.since.clone(),
                transaction_time: transaction_time.to_owned(),
                is_good,
            });
        }
        // Without an instant to go on from, the next export asks for the same again.
        if is_good && transaction_time.parse::<jiff::Timestamp>().is_ok() {
            self.state.since = Some(transaction_time.to_owned());
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
        let path = self.folder.join(layout::STATE).join(layout::SERIES);
        let text = serde_json::to_vec_pretty(&self.state).unwrap_or_default();
        files::replace(&path, &text).map_err(|source| BulkError::disk(&path, source))
    }
}

fn locked(folder: &Path) -> Result<(PathBuf, Lock), BulkError> {
    let place = folder.join(layout::STATE);
    let lock = Lock::try_exclusive(&place.join(layout::LOCK))
        .map_err(|source| BulkError::disk(&place, source))?
        .ok_or_else(|| BulkError::Busy {
            folder: folder.to_owned(),
        })?;
    state::sweep(folder);
    Ok((place, lock))
}
