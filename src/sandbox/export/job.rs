//! A running export: polls, the manifest, the end.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::answer::{Answer, Result};
use super::super::{Asked, Shared};
use super::file::{File, List};
use super::no_such_job;

/// How long a job and its files are there.
const LIFETIME: Duration = Duration::from_secs(3600);
/// What clients are told to wait between two looks, and what they may wait less.
const WAIT_SECONDS: &str = "1";
const TOLERATED: Duration = Duration::from_millis(500);

/// The exports there are.
#[derive(Debug, Default)]
pub(in super::super) struct Jobs(HashMap<String, Job>);

/// One export: what was found when it was asked for.
#[derive(Debug)]
pub(super) struct Job {
    request: String,
    transaction_time: Timestamp,
    files: Vec<File>,
    /// Looks at the status that still find it running.
    polls_left: u32,
    polls: u32,
    last_poll: Option<Instant>,
    end: SystemTime,
}

impl Job {
    pub(super) fn new(
        request: String,
        transaction_time: Timestamp,
        files: Vec<File>,
        polls: u32,
    ) -> Self {
        Self {
            request,
            transaction_time,
            files,
            polls_left: polls,
            polls,
            last_poll: None,
            end: SystemTime::now() + LIFETIME,
        }
    }

    fn manifest(&self, files_url: &str) -> Value {
        let list = |list: List| -> Vec<Value> {
            self.files
                .iter()
                .enumerate()
                .filter(|(_, file)| file.list == list)
                .map(|(index, file)| {
                    let url = format!("{files_url}/{}", file.name(index));
                    json!({"type": file.kind, "url": url, "count": file.count()})
                })
                .collect()
        };
        json!({
            "transactionTime": format!("{:.3}", self.transaction_time),
            "request": self.request,
            "requiresAccessToken": true,
            "output": list(List::Output),
            "deleted": list(List::Deleted),
            "error": list(List::Error),
        })
    }
}

impl Jobs {
    /// Keeps a job under a new id; those whose time is over go.
    pub(super) fn add(&mut self, job: Job) -> String {
        self.0.retain(|_, job| job.end > SystemTime::now());
        let id = format!("{:016x}", fastrand::u64(..));
        self.0.insert(id.clone(), job);
        id
    }

    /// A file by the name that the manifest gave it, once the export is complete.
    pub(super) fn file(&self, id: &str, name: &str) -> Option<File> {
        let job = self.0.get(id).filter(|job| job.polls_left == 0)?;
        let mut files = job.files.iter().enumerate();
        let (_, file) = files.find(|(index, file)| file.name(*index) == name)?;
        Some(file.clone())
    }
}

/// `GET` of the status URL.
pub(super) fn status(shared: &Shared, asked: &Asked, id: &str) -> Result {
    let mut jobs = shared.jobs();
    let job = jobs.0.get_mut(id).ok_or_else(no_such_job)?;
    if job.polls_left > 0 {
        if job.last_poll.is_some_and(|last| last.elapsed() < TOLERATED) {
            let words = "that was too soon, look again in a second";
            let problem = Answer::outcome(429, "throttled", words);
            return Err(problem.with("retry-after", WAIT_SECONDS));
        }
        job.last_poll = Some(Instant::now());
        let done = 100 * (job.polls - job.polls_left) / job.polls;
        job.polls_left -= 1;
        return Ok(Answer::empty(202)
            .with("x-progress", format!("{done}% complete"))
            .with("retry-after", WAIT_SECONDS));
    }
    let files_url = format!("{}/bulkdata/file/{id}", asked.fhir_base());
    let manifest = job.manifest(&files_url).to_string();
    Ok(Answer::typed(200, "application/json", manifest)
        .with("expires", httpdate::fmt_http_date(job.end)))
}

/// `DELETE` of the status URL: it ends a running export, and takes the files of a complete one away.
pub(super) fn delete(shared: &Shared, id: &str) -> Result {
    let job = shared.jobs().0.remove(id);
    job.ok_or_else(no_such_job)?;
    let words = "the export and its files are gone";
    Ok(Answer::outcome(202, "informational", words))
}
