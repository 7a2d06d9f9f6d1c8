//! What an answer, or the lack of one, says of each resource that was sent.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_LOCATION, CONTENT_TYPE, LOCATION};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::bulk::import::batch::{Batch, quoted};
use crate::bulk::import::piece::{Action, Item};
use crate::bulk::import::read::line::percent_encoded;
use crate::bulk::import::{BundleKind, ImportError};
use crate::fhir::{Answer, FhirError, Refusal};
use crate::http::{HttpError, retry};
use crate::output::json;
use crate::words;

/// What became of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Created,
    Updated,
    Unchanged,
    Deleted,
    /// Not taken, and the server's words as JSON.
    Refused {
        status: Option<u16>,
        outcome: String,
    },
    /// Whether it was done is not known.
    Unknown {
        status: Option<u16>,
        outcome: String,
    },
    /// "Not now", and nothing was done.
    Later {
        status: u16,
    },
}

/// A verdict, and under which `Type/id` the resource lies now.
pub type Answered = (Verdict, Option<String>);

/// What came of a request.
#[derive(Debug)]
pub enum Outcome {
    /// One for each item, in order.
    Answered(Vec<Answered>),
    /// 413.
    TooLarge(Box<Refusal>),
    /// 429 or 503: nothing was done.
    Later {
        wait: Option<Duration>,
        refusal: Box<Refusal>,
    },
    /// No answer in time.
    Timeout(FhirError),
    /// The connection broke, or a gateway failed, when the request may have been done.
    Broken(FhirError),
    /// The request certainly did not reach the server.
    NotSent(FhirError),
    /// The request as a whole was refused.
    Refused(Box<Refusal>),
    /// Nothing more can be sent.
    Fatal(ImportError),
    /// Nobody waited for the answer.
    Abandoned,
    /// Nobody waited until it was sent.
    Unbegun,
}

/// Whether nothing of a bundle could be written where it is.
pub fn refuses_all(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Answered(answered) if !answered.is_empty()
        && answered.iter().all(|(verdict, _)| matches!(verdict, Verdict::Refused { status: Some(404 | 405), .. })))
}

/// What it means that no answer came.
pub(super) fn of_error(error: FhirError) -> Outcome {
    match error {
        FhirError::Http(ref cause) => match cause {
            HttpError::Timeout { .. } => Outcome::Timeout(error),
            cause if cause.is_lasting() => Outcome::Fatal(ImportError::Stopped(error)),
            cause if cause.was_not_sent() => Outcome::NotSent(error),
            _ => Outcome::Broken(error),
        },
        error => Outcome::Fatal(ImportError::Stopped(error)),
    }
}

pub(super) fn of_answer(answer: Answer, batch: &Batch, kind: BundleKind) -> Outcome {
    let status = answer.status.as_u16();
    if kind == BundleKind::None {
        if let (Some(item), false) = (
            batch.items.first(),
            matches!(status, 401 | 413 | 429 | 502..=504),
        ) {
            return of_resource(answer, item);
        }
    } else if answer.status.is_success() {
        let text = String::from_utf8_lossy(&answer.body);
        return match of_bundle(&text, &batch.items) {
            Ok(answered) => Outcome::Answered(answered),
            Err(problem) => Outcome::Fatal(ImportError::Strange(problem)),
        };
    }
    of_refusal(answer)
}

/// What it means that a whole request was refused.
pub(super) fn of_refusal(answer: Answer) -> Outcome {
    let wait = retry::retry_after(&answer.headers, SystemTime::now());
    let refusal = Box::new(Refusal::of_answer(answer));
    match refusal.status.as_u16() {
        401 => Outcome::Fatal(ImportError::Stopped(FhirError::Refused(refusal))),
        413 => Outcome::TooLarge(refusal),
        429 | 503 => Outcome::Later { wait, refusal },
        502 | 504 => Outcome::Broken(FhirError::Refused(refusal)),
        _ => Outcome::Refused(refusal),
    }
}

/// What an answer says of the one resource that was sent.
fn of_resource(answer: Answer, item: &Item) -> Outcome {
    let status = answer.status.as_u16();
    if !answer.status.is_success() || item.action == Action::Validate {
        return Outcome::Answered(vec![(verdict(item, status, outcome_of(answer)), None)]);
    }
    let text = String::from_utf8_lossy(&answer.body);
    let body = serde_json::from_str::<Written>(&text).ok();
    if body.is_none() && !text.trim().is_empty() {
        // A login page, or what else a proxy says.
        let kind = answer.header(CONTENT_TYPE).unwrap_or_default();
        let words = words::of_text(kind, &answer.body).unwrap_or_default();
        let problem = format!("it is {status}, but not FHIR: {words}");
        return Outcome::Fatal(ImportError::Strange(problem));
    }
    if body
        .as_ref()
        .is_some_and(|body| body.resource_type == "OperationOutcome")
        && has_errors(&text)
    {
        let verdict = Verdict::Refused {
            status: Some(status),
            outcome: json::compact(&text),
        };
        return Outcome::Answered(vec![(verdict, None)]);
    }
    let location = [LOCATION, CONTENT_LOCATION]
        .iter()
        .find_map(|name| answer.header(name).and_then(reference_of))
        .or_else(|| body.and_then(|body| body.reference(item)));
    if let Err(problem) = fits(item, location.as_deref()) {
        return Outcome::Fatal(ImportError::Strange(problem));
    }
    Outcome::Answered(vec![(verdict(item, status, String::new()), location)])
}

/// The resource that an answer brings back.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(rename = "resourceType", borrow, default)]
    resource_type: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
}

impl Written<'_> {
    /// Where it lies, if it is the one that was sent.
    fn reference(&self, item: &Item) -> Option<String> {
        let id = self
            .id
            .as_deref()
            .filter(|_| self.resource_type == *item.resource_type)?;
        Some(format!("{}/{id}", self.resource_type))
    }
}

/// Whether a location can be that of the resource that was sent: an answer may be about another one.
fn fits(item: &Item, location: Option<&str>) -> Result<(), String> {
    let Some((resource_type, id)) = location.and_then(|location| location.split_once('/')) else {
        return Ok(());
    };
    let is_right = match item.action {
        Action::Put => {
            item.url == format!("{resource_type}/{id}")
                || item.url == format!("{resource_type}/{}", percent_encoded(id))
        }
        Action::Delete | Action::Validate => true,
        _ => *item.resource_type == *resource_type,
    };
    if is_right {
        return Ok(());
    }
    Err(format!(
        "{} was sent, and the answer in its place is about {resource_type}/{id}",
        item.url
    ))
}

#[derive(Deserialize)]
struct BatchResponse<'a> {
    #[serde(rename = "resourceType", borrow, default)]
    resource_type: Cow<'a, str>,
    #[serde(borrow, default)]
    entry: Vec<ResponseEntry<'a>>,
}

#[derive(Deserialize)]
struct ResponseEntry<'a> {
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
    location: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    outcome: Option<&'a RawValue>,
}

/// Reads a `batch-response`: one entry for each request, in order (FHIR R4 §3.1.0.11.2).
fn of_bundle(text: &str, items: &[Item]) -> Result<Vec<Answered>, String> {
    let bundle: BatchResponse =
        serde_json::from_str(text).map_err(|error| format!("it is no Bundle ({error})"))?;
    if bundle.resource_type != "Bundle" {
        return Err(format!(
            "it is a {} where a Bundle is due",
            bundle.resource_type
        ));
    }
    if bundle.entry.len() != items.len() {
        return Err(format!(
            "it has {} entries for {} requests",
            bundle.entry.len(),
            items.len()
        ));
    }
    let entries = bundle.entry.into_iter().zip(items);
    entries
        .map(|(entry, item)| {
            let response = entry.response.ok_or("an entry has no response")?;
            // "201 Created"; some servers send a number.
            let status = response.status.map(RawValue::get).unwrap_or_default();
            let status = status
                .trim_matches('"')
                .get(..3)
                .and_then(|status| status.parse().ok());
            let status = status.ok_or("an entry's response has no status")?;
            let outcome = response.outcome.or(entry
                .resource
                .filter(|_| status >= 300 || item.action == Action::Validate));
            let outcome = outcome
                .map(|outcome| json::compact(outcome.get()))
                .unwrap_or_default();
            let written = entry
                .resource
                .and_then(|resource| serde_json::from_str::<Written>(resource.get()).ok());
            let location = response
                .location
                .as_deref()
                .and_then(reference_of)
                .or_else(|| written.and_then(|written| written.reference(item)));
            if status < 300 {
                fits(item, location.as_deref())?;
            }
            Ok((verdict(item, status, outcome), location))
        })
        .collect()
}

fn verdict(item: &Item, status: u16, outcome: String) -> Verdict {
    let outcome = if outcome.is_empty() {
        "null".to_owned()
    } else {
        outcome
    };
    match (&item.action, status) {
        (Action::Validate, 200..=299) if has_errors(&outcome) => Verdict::Refused {
            status: Some(status),
            outcome,
        },
        (Action::Validate, 200..=299) | (Action::Delete, 404 | 410) | (_, 304) => {
            Verdict::Unchanged
        }
        (Action::Delete, 200..=299) => Verdict::Deleted,
        (Action::ConditionalPost(_), 200) => Verdict::Unchanged,
        (_, 201) | (Action::Post, 200..=299) => Verdict::Created,
        (_, 200..=299) => Verdict::Updated,
        (_, 429 | 503) => Verdict::Later { status },
        (action, 502 | 504) if action.may_be_repeated() => Verdict::Later { status },
        (Action::Post, 500..=599) => Verdict::Unknown {
            status: Some(status),
            outcome,
        },
        _ => Verdict::Refused {
            status: Some(status),
            outcome,
        },
    }
}

/// Whether an OperationOutcome holds an error; of anything else it is not known, so it counts as none.
fn has_errors(outcome: &str) -> bool {
    #[derive(Deserialize)]
    struct OperationOutcome<'a> {
        #[serde(borrow, default)]
        issue: Vec<Issue<'a>>,
    }
    #[derive(Deserialize)]
    struct Issue<'a> {
        #[serde(borrow, default)]
        severity: Cow<'a, str>,
    }
    serde_json::from_str::<OperationOutcome>(outcome).is_ok_and(|outcome| {
        outcome
            .issue
            .iter()
            .any(|issue| matches!(&*issue.severity, "error" | "fatal"))
    })
}

/// What a server said in an answer, as an OperationOutcome in JSON.
fn outcome_of(answer: Answer) -> String {
    outcome_of_refusal(&Refusal::of_answer(answer))
}

/// What a server said, as an OperationOutcome in JSON.
pub fn outcome_of_refusal(refusal: &Refusal) -> String {
    if refusal.is_outcome
        && let Ok(text) = std::str::from_utf8(&refusal.body)
    {
        return json::compact(text);
    }
    let words = refusal.words.join(" ");
    outcome_of_words(if words.is_empty() {
        refusal.status.canonical_reason().unwrap_or("refused")
    } else {
        &words
    })
}

/// An OperationOutcome of our own.
pub fn outcome_of_words(words: &str) -> String {
    format!(
        r#"{{"resourceType":"OperationOutcome","issue":[{{"severity":"error","code":"processing","diagnostics":{}}}]}}"#,
        quoted(words)
    )
}

/// `Type/id` out of a location such as `https://h/fhir/Patient/1/_history/2`.
fn reference_of(location: &str) -> Option<String> {
    let path = location.split(['?', '#']).next()?;
    let path = path.split("/_history").next()?;
    let mut parts = path.rsplit('/');
    let (id, resource_type) = (parts.next()?, parts.next()?);
    (!id.is_empty() && resource_type.starts_with(|c: char| c.is_ascii_uppercase()))
        .then(|| format!("{resource_type}/{id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_name_resources() {
        for (location, reference) in [
            ("https://h/fhir/Patient/1/_history/2", Some("Patient/1")),
            ("Patient/1", Some("Patient/1")),
            ("Patient", None),
            ("", None),
        ] {
            assert_eq!(reference_of(location).as_deref(), reference, "{location}");
        }
    }

    #[test]
    fn only_errors_make_a_resource_invalid() {
        assert!(has_errors(
            r#"{"issue":[{"severity":"warning"},{"severity":"error"}]}"#
        ));
        assert!(!has_errors(r#"{"issue":[{"severity":"warning"}]}"#) && !has_errors("null"));
    }
}
