//! What a resource says of the request it answers: outcomes, responses of Bundles, jobs, and Parameters that hold them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::list::each;
use super::{Failures, JobResult, text_of};
use crate::fhir::error::outcome_words;
use crate::words;

/// The longest outcome that is read for its words: built, it takes up to sixty times its length.
const LONGEST_OUTCOME: usize = 512 << 10;

/// The members of a resource that say how something went; the others are passed over.
#[derive(Debug, Deserialize)]
pub(super) struct Resource<'a> {
    #[serde(rename = "resourceType", borrow, default)]
    pub kind: Cow<'a, str>,
    #[serde(rename = "type", borrow, default)]
    bundle_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    entry: Option<&'a RawValue>,
    #[serde(borrow, default)]
    parameter: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output: Option<&'a RawValue>,
    #[serde(skip)]
    text: &'a str,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    response: Option<Response<'a>>,
    #[serde(borrow, default)]
    resource: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    outcome: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Parameter<'a> {
    #[serde(borrow, default)]
    resource: Option<&'a RawValue>,
}

impl<'a> Resource<'a> {
    /// Reads a JSON object.
    pub(super) fn read(text: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.trim();
        let mut resource: Self = serde_json::from_str(text)
            .ok()
            .filter(|_| text.starts_with('{'))?;
        resource.text = text;
        Some(resource)
    }

    /// Whether it says what it is.
    pub(super) fn is_fhir(&self) -> bool {
        !self.kind.is_empty()
    }

    /// What it says, looked into so many levels deep.
    pub(super) fn judge(&self, depth: usize) -> JobResult {
        match &*self.kind {
            _ if depth == 0 => JobResult::Done,
            "OperationOutcome" if has_errors(self.text) => JobResult::Failed(words_of(self.text)),
            "AsyncJob" => self.judge_job(depth),
            "Bundle" => self.judge_bundle(depth),
            "Parameters" => self.judge_parameters(depth),
            _ => JobResult::Done,
        }
    }

    /// Medplum's AsyncJob; its `output` may hold the reason.
    fn judge_job(&self, depth: usize) -> JobResult {
        let output = || {
            self.output
                .map_or(JobResult::Done, |output| judge(output, depth - 1))
        };
        match &*text_of(self.status) {
            "completed" => output(),
            status @ ("error" | "cancelled") => {
                let mut words = vec![format!("AsyncJob {status}")];
                words.extend_from_slice(output().words());
                JobResult::Failed(words)
            }
            other => JobResult::Silent(format!(
                "an AsyncJob with the status `{}`",
                words::shortened(other)
            )),
        }
    }

    /// A batch-response is as good as its entries (R5, async bundle pattern); other Bundles are data.
    fn judge_bundle(&self, depth: usize) -> JobResult {
        if !matches!(
            &*text_of(self.bundle_type),
            "batch-response" | "transaction-response"
        ) {
            return JobResult::Done;
        }
        let mut failures = Failures::default();
        each(self.entry, |entry| {
            let at = failures.all + 1;
            let problem = problem_of_entry(entry, depth);
            failures.count(problem.map(|words| format!("entry {at}: {words}")));
        });
        failures.judge()
    }

    /// Outcomes that an operation returns beside other things.
    fn judge_parameters(&self, depth: usize) -> JobResult {
        let mut failures = Failures::default();
        each(self.parameter, |parameter| {
            let held = serde_json::from_str::<Parameter>(parameter.get()).ok();
            let resource = held.and_then(|held| held.resource);
            if let Some(JobResult::Failed(words)) = resource.map(|held| judge(held, depth - 1)) {
                failures.count(Some(words.join("; ")));
            }
        });
        failures.judge()
    }
}

fn judge(text: &RawValue, depth: usize) -> JobResult {
    Resource::read(text.get().as_bytes()).map_or(JobResult::Done, |resource| resource.judge(depth))
}

/// Why one entry failed, if it did: by its status, or by an outcome that says so beside a good one.
fn problem_of_entry(entry: &RawValue, depth: usize) -> Option<String> {
    let Ok(entry) = serde_json::from_str::<Entry>(entry.get()) else {
        return Some("it cannot be read".into());
    };
    let (status, outcome) = entry
        .response
        .map_or((None, None), |response| (response.status, response.outcome));
    let status = text_of(status);
    let status = status.trim();
    let code = status.split_whitespace().next().map(str::parse::<u16>);
    // What is no number says nothing good; where there is none, the outcome tells.
    let is_bad = code.is_some_and(|code| code.map_or(true, |code| code > 399));
    let said = [outcome, entry.resource].into_iter().flatten();
    let mut words: Vec<String> = said
        .filter_map(|said| match judge(said, depth - 1) {
            JobResult::Done => None,
            result => Some(result.words().join("; ")),
        })
        .collect();
    if is_bad {
        words.insert(0, words::shortened(status));
    }
    (!words.is_empty()).then(|| words.join(" - "))
}

fn words_of(outcome: &str) -> Vec<String> {
    let json = (outcome.len() <= LONGEST_OUTCOME).then(|| serde_json::from_str(outcome).ok());
    let words = json.flatten().map(|json| outcome_words(&json));
    words.filter(|words| !words.is_empty()).unwrap_or_else(|| {
        vec![format!(
            "an OperationOutcome of {} bytes that says error",
            outcome.len()
        )]
    })
}

/// Whether an OperationOutcome says that something was not done; of anything else it is not known, so it counts as none.
pub fn has_errors(outcome: &str) -> bool {
    #[derive(Deserialize)]
    struct Outcome<'a> {
        #[serde(borrow, default)]
        issue: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Issue<'a> {
        #[serde(borrow, default)]
        severity: Option<&'a RawValue>,
    }
    let issues = serde_json::from_str::<Outcome>(outcome).ok();
    let mut found = false;
    each(issues.and_then(|outcome| outcome.issue), |issue| {
        let severity = serde_json::from_str::<Issue>(issue.get()).ok();
        let severity = text_of(severity.and_then(|issue| issue.severity));
        found |= matches!(&*severity, "error" | "fatal");
    });
    found
}
