//! What came of an export, from what its folder holds: state, manifest, files that are here, and the log.

mod count;
mod deletions;
mod story;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::begun::{self, Begun};
use super::error::BulkError;
use super::kickoff::Kickoff;
use super::layout;
use super::manifest::Group;
use super::series;
use super::sink::outcomes::Outcomes;
use super::state::{Phase, Planned, Standing as Files};
use super::verify::{Difference, Glance};
pub use story::{ErrorCount, Interval};
use story::{Fetch, Paths, Story};

/// The report of one export.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub folder: String,
    pub result: Standing,
    pub fhir_base: String,
    /// `system`, `Patient`, or `Group/ID`.
    pub level: String,
    pub parameters: Vec<Parameter>,
    pub export_id: Option<String>,
    /// The instant of the kick-off.
    pub started: Option<String>,
    /// The instant of the last event.
    pub ended: Option<String>,
    /// From the kick-off to the last event.
    pub seconds: Option<f64>,
    pub transaction_time: Option<String>,
    pub types: Vec<Row>,
    pub total: Row,
    pub missing: Vec<Missing>,
    /// What lies beside the files of an export that ended, and is gone or of another length: the first few. Nothing is read
    /// again for a report.
    pub changed: Vec<Difference>,
    /// What the server itself reports in its outcome files.
    pub outcomes: Outcomes,
    /// Requests that failed, most frequent first; `None` when there is no log.
    pub errors: Option<Vec<ErrorCount>>,
    /// Bytes over time, from the first request for a file on.
    pub throughput: Vec<Interval>,
    /// The finished exports of a series, the oldest first.
    pub runs: Vec<SeriesRun>,
    /// What could not be found out, in words.
    pub unknown: Vec<String>,
}

/// How an export stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    Complete,
    /// All files were tried and some are missing.
    Partial,
    /// It was stopped while files were fetched.
    Interrupted,
    /// The server works on it.
    Waiting,
    /// A process works on it now.
    Running,
    /// Whether the server started a job is not known.
    Unknown,
}

/// A parameter of the kick-off.
#[derive(Clone, Debug, Serialize)]
pub struct Parameter {
    pub name: String,
    pub value: String,
}

/// A row of the table: a type of the output, or all deletions, or all outcomes, or the sum.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The resource type.
    #[serde(rename = "type")]
    pub name: String,
    /// `output`, `deleted` or `error`, as the manifest has it; none for the sum.
    pub list: Option<&'static str>,
    /// Files that are here.
    pub files: u64,
    pub missing: u64,
    /// The resources of the output, or the lines of other files.
    pub resources: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// From the first request to the last file, when the log knows it.
    pub seconds: Option<f64>,
    /// Deletions of this type.
    pub deleted: u64,
    /// Tries that failed, by status or cause.
    pub errors: BTreeMap<String, u64>,
}

/// A file that is not here.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Missing {
    pub path: String,
    pub url: String,
    #[serde(rename = "type")]
    pub resource_type: Option<String>,
    /// Why the last try failed, when the log knows it.
    pub reason: Option<String>,
}

/// A finished export of a series.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeriesRun {
    pub folder: String,
    pub since: Option<String>,
    pub transaction_time: String,
    pub is_good: bool,
    pub files: u64,
    pub resources: u64,
    pub bytes: u64,
}

/// The report of the export that a folder holds: of a series, that of the latest.
///
/// # Errors
/// It holds no export; the disk.
pub fn of(folder: &Path) -> Result<Report, BulkError> {
    let begun = begun::look(folder)?;
    let place = if begun.replaces_another {
        begun.folder.join(layout::STATE).join(layout::NEW)
    } else {
        begun.folder.clone()
    };
    let files = Files::of(&place)?;
    let state = &begun.snapshot.state;
    let mut paths = Paths::default();
    for planned in files.each() {
        paths.insert(&planned?.path);
    }
    let story = Story::read(&place, state.export_id.as_deref(), paths);
    let mut report = Report {
        folder: begun.folder.display().to_string(),
        result: Standing::Unknown,
        fhir_base: begun.fhir_base.clone(),
        level: level(&begun.kickoff),
        parameters: parameters(&begun),
        export_id: state.export_id.clone(),
        started: state.started.clone(),
        ended: story.ended.map(|at| format!("{at:.0}")),
        seconds: None,
        transaction_time: state.transaction_time.clone(),
        types: Vec::new(),
        total: Row::default(),
        missing: Vec::new(),
        changed: Glance::at(&begun.folder, state).first,
        outcomes: Outcomes::default(),
        errors: story.is_known.then(|| story.errors()),
        throughput: story.throughput(),
        runs: runs(&begun),
        unknown: Vec::new(),
    };
    let started = state.started.as_ref().and_then(|text| text.parse().ok());
    report.seconds = started
        .or(story.began)
        .zip(story.ended)
        .map(|(started, ended): (jiff::Timestamp, _)| story::seconds(started, ended));
    report.unknown = unknown(&story, &files)?;
    report.count(&files, &story)?;
    report.result = standing(&begun, &report, &files, &story)?;
    Ok(report)
}

fn level(kickoff: &Kickoff) -> String {
    match kickoff.level.as_str() {
        "" => "system".to_owned(),
        level => level.to_owned(),
    }
}

fn parameters(begun: &Begun) -> Vec<Parameter> {
    // The kick-off of a series' run knows since when, the series does not.
    let request = &begun.snapshot.state.request;
    let kickoff = request.get("kickoff").cloned().unwrap_or_default();
    let kickoff: Kickoff = serde_json::from_value(kickoff).unwrap_or_default();
    let mut parameters: Vec<_> = kickoff
        .shown_pairs()
        .into_iter()
        .map(|(name, value)| Parameter { name, value })
        .collect();
    // Whom it is about does not belong into a report.
    if !kickoff.patients.is_empty() {
        parameters.push(Parameter {
            name: "patient".to_owned(),
            value: format!("{} of them", kickoff.patients.len()),
        });
    }
    parameters
}

fn runs(begun: &Begun) -> Vec<SeriesRun> {
    let run = |run: &series::Run| {
        let files = Files::of(&begun.named.join(&run.folder)).ok();
        let planned = files.iter().flat_map(|files| {
            let here = |planned: Planned| Some((planned.file.group, files.here(&planned)?));
            files.each().map_while(Result::ok).filter_map(here)
        });
        let mut row = SeriesRun {
            folder: run.folder.clone(),
            since: run.since.clone(),
            transaction_time: run.transaction_time.clone(),
            is_good: run.is_good,
            files: 0,
            resources: 0,
            bytes: 0,
        };
        for (group, done) in planned {
            row.files += 1;
            row.bytes += done.bytes;
            row.resources += if group == Group::Output {
                done.counted().unwrap_or_default()
            } else {
                0
            };
        }
        row
    };
    begun.finished_runs.iter().map(run).collect()
}

fn unknown(story: &Story, files: &Files) -> Result<Vec<String>, BulkError> {
    let mut unknown = Vec::new();
    if !story.is_known {
        unknown.push(
            "There is no log of this export, so when files came, how long that took, and which requests failed is not known."
                .to_owned(),
        );
    } else if story.other_lines > 0 {
        unknown.push(format!(
            "{} lines of the log cannot be read.",
            story.other_lines
        ));
    }
    if story.is_known {
        let mut silent = 0;
        for planned in files.each() {
            let planned = planned?;
            let fetch = story.file(&planned.path);
            let is_silent = fetch.is_none_or(|file| file.complete.is_none());
            silent += usize::from(is_silent && files.here(&planned).is_some());
        }
        if silent > 0 {
            unknown.push(format!(
                "The log does not say when {silent} of the files came."
            ));
        }
    }
    Ok(unknown)
}

fn standing(
    begun: &Begun,
    report: &Report,
    files: &Files,
    story: &Story,
) -> Result<Standing, BulkError> {
    let snapshot = &begun.snapshot;
    Ok(match snapshot.state.phase {
        _ if snapshot.is_held => Standing::Running,
        Phase::Done if report.missing.is_empty() && report.changed.is_empty() => Standing::Complete,
        Phase::Done => Standing::Partial,
        Phase::KickingOff => Standing::Unknown,
        Phase::Waiting => Standing::Waiting,
        Phase::Cancelled => Standing::Interrupted,
        Phase::Fetching => {
            let (mut missing, mut given_up) = (0, 0);
            for planned in files.each() {
                let planned = planned?;
                if files.here(&planned).is_none() {
                    let fetch = story.file(&planned.path);
                    missing += 1;
                    given_up += usize::from(fetch.is_some_and(Fetch::is_given_up));
                }
            }
            if missing > 0 && missing == given_up {
                Standing::Partial
            } else {
                Standing::Interrupted
            }
        }
    })
}
