//! When nothing more can come of the job of a series: it is given up, and another one asks for the same.

use std::sync::Arc;

use super::error::BulkError;
use super::event::{Missing, Observer, Summary};
use super::kickoff::Kickoff;
use super::layout;
use super::open;
use super::options::{Again, Options};
use crate::fhir::Client;
use crate::fhir::asynchronous::AsyncError;
use crate::words::number_of;

/// One job, and what came of it.
pub(super) struct Tried {
    pub(super) result: Result<Summary, BulkError>,
    /// Whether an earlier run began it.
    pub(super) was_resumed: bool,
}

/// Why another job is asked for, if one is.
pub(super) fn reason(tried: &Tried) -> Option<String> {
    match &tried.result {
        Ok(summary) => missing_for_good(summary, tried.was_resumed),
        Err(error) => end(error, tried.was_resumed),
    }
}

/// Why a job that stopped cannot be gone on with.
fn end(error: &BulkError, was_resumed: bool) -> Option<String> {
    match error {
        BulkError::UnknownKickoff { .. } => {
            Some("whether its kick-off reached the server is not known".to_owned())
        }
        // The state of the series itself cannot be replaced by another job.
        BulkError::BadState { path, .. } if !path.ends_with(layout::SERIES) && was_resumed => {
            Some(error.to_string())
        }
        // Without a Content-Location the kick-off itself was answered wrongly: that was just now.
        BulkError::Async(AsyncError::NoJob { method, .. }) if *method == reqwest::Method::GET => {
            was_resumed.then(|| error.to_string())
        }
        BulkError::Async(AsyncError::Gone(_) | AsyncError::Failed(_)) | BulkError::Manifest(_) => {
            Some(error.to_string())
        }
        _ => None,
    }
}

/// Why files of a job will not come any more. Those of a job that an earlier run could not finish either are given up
/// for less: whatever the server answers, it is not the file.
fn missing_for_good(summary: &Summary, was_resumed: bool) -> Option<String> {
    let is_gone = |file: &&Missing| match file.code {
        Some(404 | 410) => true,
        code => was_resumed && (code.is_some() || file.is_content),
    };
    let gone: Vec<_> = summary.failed.iter().filter(is_gone).collect();
    let first = gone.first()?;
    let files = number_of(gone.len(), "file");
    Some(format!(
        "{files} cannot be had, the first because: {}",
        first.reason
    ))
}

/// Gives the job up; what is left is to begin anew.
pub(super) fn give_up(
    client: &Client,
    kickoff: &Kickoff,
    options: &Options,
    observer: &Arc<dyn Observer>,
    why: &str,
) -> Result<Options, BulkError> {
    let mut series = open::series(client, kickoff, &options.folder)?;
    open::give_up(&mut series, why, observer)?;
    Ok(Options {
        again: Again::Continue,
        ..options.clone()
    })
}
