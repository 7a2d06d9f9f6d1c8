//! What an answer, or the lack of one, says of each resource that was sent.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_LOCATION, CONTENT_TYPE, LOCATION};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::outcome::{self, has_errors, outcome_of};
use crate::bulk::import::batch::Batch;
use crate::bulk::import::piece::{Action, Item};
use crate::bulk::import::{BundleKind, ImportError};
use crate::fhir::id::percent_encoded;
use crate::fhir::{Answer, FhirError, Refusal};
use crate::http::{HttpError, retry};
use crate::output::json;
use crate::words;

/// The type of what a server says.
const OUTCOME: &str = "OperationOutcome";

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
    /// One for each item, in order, and how long the server wants those to wait that it did not take now.
    Answered(Vec<Answered>, Option<Duration>),
    /// 413.
    TooLarge(Box<Refusal>),
    /// 429, or 503 that says when: nothing was done.
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
    matches!(outcome, Outcome::Answered(answered, _) if !answered.is_empty()
        && answered.iter().all(|(verdict, _)| matches!(verdict, Verdict::Refused { status: Some(404 | 405), .. })))
}

/// What it means that no answer came.
pub(super) fn of_error(error: FhirError) -> Outcome {
    match error {
        FhirError::Http(ref cause) => match cause {
            HttpError::Timeout { .. } => Outcome::Timeout(error),
            // An answer came that cannot be read: the request may have been done.
            HttpError::TooLarge { .. } | HttpError::Encoding { .. } => Outcome::Broken(error),
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
            matches!(status, 401 | 408 | 413 | 429 | 502..=504),
        ) {
            return of_resource(answer, item);
        }
    } else if answer.status.is_success() {
        let text = String::from_utf8_lossy(&answer.body);
        return match of_bundle(&text, &batch.items) {
            Ok(answered) => {
                let header = retry::retry_after(&answer.headers, SystemTime::now());
                answered_with(answered, header)
            }
            Err(problem) => Outcome::Fatal(ImportError::Strange(problem)),
        };
    }
    of_refusal(answer, batch.may_be_repeated())
}

/// Answers with how long to wait: what the header says, or the longest that an entry says.
fn answered_with(answered: Vec<(Answered, Option<Duration>)>, header: Option<Duration>) -> Outcome {
    let said = answered.iter().filter_map(|(_, wait)| *wait).max();
    let answered = answered.into_iter().map(|(answered, _)| answered).collect();
    Outcome::Answered(answered, header.or(said))
}

/// What it means that a whole request was refused.
pub(super) fn of_refusal(answer: Answer, may_be_repeated: bool) -> Outcome {
    let wait = retry::retry_after(&answer.headers, SystemTime::now());
    let refusal = Box::new(Refusal::of_answer(answer));
    match refusal.status.as_u16() {
        401 => Outcome::Fatal(ImportError::Stopped(FhirError::Refused(refusal))),
        413 => Outcome::TooLarge(refusal),
        429 => Outcome::Later { wait, refusal },
        // A proxy says 503 also when the server behind it had the request and broke off.
        503 if wait.is_some() || may_be_repeated => Outcome::Later { wait, refusal },
        408 | 502..=504 => Outcome::Broken(FhirError::Refused(refusal)),
        _ => Outcome::Refused(refusal),
    }
}

/// What an answer says of the one resource that was sent.
fn of_resource(answer: Answer, item: &Item) -> Outcome {
    let status = answer.status.as_u16();
    let one = |verdict, location| Outcome::Answered(vec![(verdict, location)], None);
    if !answer.status.is_success() || item.action == Action::Validate {
        return one(verdict(item, status, outcome_of(answer)), None);
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
    let outcome = match &body {
        Some(body) if body.is_outcome_of(item) => json::compact(&text),
        _ => String::new(),
    };
    let location = [LOCATION, CONTENT_LOCATION]
        .iter()
        .find_map(|name| answer.header(name).and_then(reference_of))
        .or_else(|| body.and_then(|body| body.reference(item)));
    match verdict(item, status, outcome) {
        refused @ (Verdict::Refused { .. } | Verdict::Unknown { .. }) => one(refused, None),
        verdict => match fits(item, location.as_deref()) {
            Ok(()) => one(verdict, location),
            Err(problem) => Outcome::Fatal(ImportError::Strange(problem)),
        },
    }
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
    /// Whether it is what the server says of the resource, and not the resource itself.
    fn is_outcome_of(&self, item: &Item) -> bool {
        self.resource_type == OUTCOME && *item.resource_type != *OUTCOME
    }

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
fn of_bundle(text: &str, items: &[Item]) -> Result<Vec<(Answered, Option<Duration>)>, String> {
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
    entries.map(|(entry, item)| of_entry(entry, item)).collect()
}

/// What an entry says of the resource in its place.
fn of_entry(entry: ResponseEntry, item: &Item) -> Result<(Answered, Option<Duration>), String> {
    let response = entry.response.ok_or("an entry has no response")?;
    let status = response.status.map(RawValue::get).unwrap_or_default();
    let status = status_of(status).ok_or("an entry's response has no status")?;
    let resource = entry.resource.map(RawValue::get);
    let written = resource.and_then(|text| serde_json::from_str::<Written>(text).ok());
    let is_said = |written: &Written| written.is_outcome_of(item);
    let in_place = resource.filter(|_| {
        status >= 300 || item.action == Action::Validate || written.as_ref().is_some_and(is_said)
    });
    // Either may be the one that holds an error.
    let said = [response.outcome.map(RawValue::get), in_place];
    let outcome = said
        .into_iter()
        .flatten()
        .find(|outcome| has_errors(outcome))
        .or(said[0])
        .or(said[1]);
    let outcome = outcome.map(json::compact).unwrap_or_default();
    let wait = outcome::wait_of(&outcome);
    let location = response
        .location
        .as_deref()
        .and_then(reference_of)
        .or_else(|| written.and_then(|written| written.reference(item)));
    let verdict = verdict(item, status, outcome);
    if status < 300 && !matches!(verdict, Verdict::Refused { .. } | Verdict::Unknown { .. }) {
        fits(item, location.as_deref())?;
    }
    Ok(((verdict, location), wait))
}

/// "201 Created"; some servers send a number.
fn status_of(text: &str) -> Option<u16> {
    let text = text.trim_matches('"');
    let (digits, rest) = text.split_at_checked(3)?;
    let is_status = digits.bytes().all(|byte| byte.is_ascii_digit())
        && (rest.is_empty() || rest.starts_with(' '));
    is_status.then(|| digits.parse().ok()).flatten()
}

/// What a status and the words with it say, in an entry as in an answer of its own.
fn verdict(item: &Item, status: u16, outcome: String) -> Verdict {
    let outcome = if outcome.is_empty() {
        "null".to_owned()
    } else {
        outcome
    };
    let unknown = |outcome| Verdict::Unknown {
        status: Some(status),
        outcome,
    };
    match (&item.action, status) {
        // What fails with a success is a failure.
        (_, 200..=299) if has_errors(&outcome) => Verdict::Refused {
            status: Some(status),
            outcome,
        },
        // 202 promises to try; what the others mean for a write nobody said (RFC 9110 §15.3).
        (_, 202 | 205..=299) | (Action::Post, 408 | 500..=599) => unknown(outcome),
        (Action::Validate, 200..=299) | (Action::Delete, 404 | 410) | (_, 304) => {
            Verdict::Unchanged
        }
        (Action::Delete, 200..=299) => Verdict::Deleted,
        (Action::ConditionalPost(_), 200) => Verdict::Unchanged,
        (_, 201) | (Action::Post, 200..=299) => Verdict::Created,
        (_, 200..=299) => Verdict::Updated,
        (_, 408 | 429 | 502..=504) => Verdict::Later { status },
        _ => Verdict::Refused {
            status: Some(status),
            outcome,
        },
    }
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
    fn a_status_is_three_digits_and_perhaps_words() {
        for (text, status) in [
            ("\"201 Created\"", Some(201)),
            ("\"200\"", Some(200)),
            ("404", Some(404)),
            ("\"200garbage\"", None),
            ("2000", None),
            ("\"2é\"", None),
            ("\"\"", None),
            ("20", None),
        ] {
            assert_eq!(status_of(text), status, "{text}");
        }
    }

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
}
