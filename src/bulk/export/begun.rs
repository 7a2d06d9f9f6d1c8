//! What a folder says of the export in it, for whoever goes on with it, looks at it or stops it.

use std::path::{Path, PathBuf};

use serde_json::Value;
use url::Url;

use super::error::BulkError;
use super::kickoff::Kickoff;
use super::layout;
use super::replace::inner;
use super::series::{Overview, Run, Series};
use super::state::{self, GivenUp, Job, Phase, Snapshot, inside};
use crate::bulk::requester;
use crate::place::{Lock, Place};

/// An export that was begun.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The folder that was named.
    pub named: PathBuf,
    /// The folder of the files: that of the series' latest export, if it is one.
    pub folder: PathBuf,
    pub snapshot: Snapshot,
    pub fhir_base: String,
    pub kickoff: Kickoff,
    /// The job that was adopted by its status URL.
    pub adopted: Option<Url>,
    /// It replaces a finished one.
    pub replaces_another: bool,
    pub is_series: bool,
    /// The finished exports of a series.
    pub finished_runs: Vec<Run>,
}

/// Looks at a folder.
///
/// # Errors
/// It holds no export; the disk.
pub fn look(folder: &Path) -> Result<Begun, BulkError> {
    let no_job = || BulkError::NoJob {
        folder: folder.to_owned(),
    };
    let series = Series::look(folder)?;
    let is_series = series.is_some();
    let Overview { current, runs } = series.unwrap_or_default();
    let latest = runs.last().map(|run| folder.join(&run.folder));
    let mut place = current
        .filter(|current| layout::state_of(current).has(layout::JOB))
        .or(latest)
        .unwrap_or_else(|| folder.to_owned());
    let mut snapshot = state::look(&place)?.ok_or_else(no_job)?;
    let new = inner(&place);
    // As long as the server has not accepted the new one, the old one is the one that counts.
    let is_over = matches!(snapshot.state.phase, Phase::Done | Phase::Cancelled);
    let replaces_another = is_over && layout::state_of(&new).has(layout::JOB);
    if replaces_another {
        let is_held = snapshot.is_held;
        snapshot = state::look(&new)?.ok_or_else(no_job)?;
        snapshot.is_held |= is_held;
        place = new;
    }
    let request = &snapshot.state.request;
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    let kickoff = request.get("kickoff").cloned().unwrap_or_default();
    let mut kickoff: Kickoff = serde_json::from_value(kickoff).map_err(|_| no_job())?;
    if is_series {
        // The series knows since when.
        kickoff.since = None;
    }
    Ok(Begun {
        named: folder.to_owned(),
        folder: if replaces_another {
            folder.to_owned()
        } else {
            place
        },
        fhir_base: text("fhirBase").unwrap_or_default().to_owned(),
        adopted: text("statusUrl").and_then(|text| text.parse().ok()),
        kickoff,
        replaces_another,
        is_series,
        finished_runs: runs,
        snapshot,
    })
}

/// An export that only this process works on.
#[derive(Debug)]
pub struct Held {
    job: Job,
    phase: Phase,
    series: Option<Series>,
    /// The folder of what is replaced, and its lock.
    replaces: Option<(PathBuf, Lock)>,
}

impl Begun {
    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.snapshot.state.phase == Phase::Done
    }

    /// Whether it was cancelled, and the server was told so.
    pub fn is_cancelled(&self) -> bool {
        let state = &self.snapshot.state;
        state.phase == Phase::Cancelled && state.job_at_the_server().is_none()
    }

    /// Keeps others from working on it.
    ///
    /// # Errors
    /// Another process does; the disk.
    pub fn hold(&self) -> Result<Held, BulkError> {
        let mut place = self.folder.clone();
        let mut replaces = None;
        if self.replaces_another {
            // The outer lock first, as whoever replaces an export does it.
            inside::check(&self.folder)?;
            let state = layout::state_of(&self.folder);
            let held = state.lock(layout::LOCK);
            let held = held.map_err(|error| BulkError::disk(&state.path(layout::LOCK), error))?;
            let held = held.ok_or_else(|| BulkError::Busy {
                folder: self.folder.clone(),
            })?;
            place = inner(&self.folder);
            replaces = Some((place.clone(), held));
        }
        let series = self.is_series.then(|| {
            let mut kickoff = self.kickoff.clone();
            kickoff.since = None;
            let mut request = serde_json::json!({
                "fhirBase": self.fhir_base, "kickoff": kickoff, "statusUrl": null,
            });
            if let Some(kept) = Series::kept_request(&self.named)? {
                requester::keep_in(&mut request, &kept);
            }
            Series::open(&self.named, request)
        });
        let job = Job::existing(&place)?;
        Ok(Held {
            series: series.transpose()?,
            phase: job.state.phase,
            job,
            replaces,
        })
    }
}

impl Held {
    /// Gives the export up, which is recorded before any job is ended for it; the files that are here stay.
    ///
    /// # Errors
    /// The disk.
    pub fn give_up(&mut self) -> Result<GivenUp, BulkError> {
        self.job.give_up()
    }

    /// The server did not end the job: the export can be gone on with.
    ///
    /// # Errors
    /// The disk.
    pub fn take_back(mut self) -> Result<(), BulkError> {
        self.job.take_back(self.phase)
    }

    /// The server has ended the job.
    ///
    /// # Errors
    /// The disk.
    pub fn gave_up(mut self, given_up: &GivenUp) -> Result<(), BulkError> {
        self.job.gave_up(given_up)?;
        if let Some((new, _lock)) = &self.replaces {
            // Everything in there is ours.
            Place::new(new)
                .clear("")
                .map_err(|error| BulkError::disk(new, error))?;
        }
        match &mut self.series {
            Some(series) => series.forget_current(),
            None => Ok(()),
        }
    }
}
