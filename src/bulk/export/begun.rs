//! What a folder says of the export in it, for whoever goes on with it, looks at it or stops it.

use std::path::{Path, PathBuf};

use serde_json::Value;
use url::Url;

use super::error::BulkError;
use super::kickoff::Kickoff;
use super::layout;
use super::series::{Overview, Run, Series};
use super::state::{Job, Phase, Snapshot};
use crate::bulk::requester;

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
        .filter(|current| current.join(layout::STATE).join(layout::JOB).exists())
        .or(latest)
        .unwrap_or_else(|| folder.to_owned());
    let new = place.join(layout::STATE).join(layout::NEW);
    let replaces_another = new.join(layout::STATE).join(layout::JOB).exists();
    if replaces_another {
        place = new;
    }
    let snapshot = Job::look(&place)?.ok_or_else(no_job)?;
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
    series: Option<Series>,
}

impl Begun {
    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.snapshot.state.phase == Phase::Done
    }

    /// Keeps others from working on it.
    ///
    /// # Errors
    /// Another process does; the disk.
    pub fn hold(&self) -> Result<Held, BulkError> {
        let place = if self.replaces_another {
            self.folder.join(layout::STATE).join(layout::NEW)
        } else {
            self.folder.clone()
        };
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
        Ok(Held {
            series: series.transpose()?,
            job: Job::existing(&place)?,
        })
    }
}

impl Held {
    /// Forgets the export; the files that are here stay.
    ///
    /// # Errors
    /// The disk.
    pub fn forget(mut self) -> Result<(), BulkError> {
        self.job.forget()?;
        match &mut self.series {
            Some(series) => series.forget_current(),
            None => Ok(()),
        }
    }
}
