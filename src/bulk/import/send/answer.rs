//! What an answer, or the lack of one, says of each resource that was sent.

use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_LOCATION, CONTENT_TYPE, LOCATION};

use super::entries;
use super::outcome::outcome_of;
use super::verdict::{Answered, Verdict, Written, fits, reference_of, verdict};
use crate::bulk::import::batch::Batch;
use crate::bulk::import::piece::{Action, Item};
use crate::bulk::import::{BundleKind, ImportError};
use crate::fhir::result::JobResult;
use crate::fhir::{Answer, FhirError, Refusal};
use crate::http::{HttpError, retry};
use crate::output::json;
use crate::words;

/// No answer is too long that has fewer bytes than this.
pub(super) const SHORTEST_LIMIT: usize = 4 << 20;

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
    /// The same, and an answer to the write came that does not say whether it was done.
    Unclear(ImportError),
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

/// What it means that a write brought no answer to it. What is redirected was sent, and may have been done there.
pub(super) fn of_write_error(error: FhirError) -> Outcome {
    match error {
        error @ (FhirError::Redirect { .. } | FhirError::MaybeDone(_)) => {
            Outcome::Unclear(ImportError::Stopped(error))
        }
        error => of_error(error),
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
        return match entries::read(&answer.body, &batch.items) {
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
        return one(verdict(item, status, said_of(answer), None), None);
    }
    let text = String::from_utf8_lossy(&answer.body);
    let body = Written::read(&text);
    if let Some(problem) = strangeness(&answer, item, body.as_ref()) {
        return Outcome::Fatal(ImportError::Strange(format!(
            "it is {status}, but {problem}"
        )));
    }
    let outcome = match &body {
        Some(body) if body.is_outcome_of(item) => json::compact(&text),
        _ => String::new(),
    };
    let location = [LOCATION, CONTENT_LOCATION]
        .iter()
        .find_map(|name| answer.header(name).and_then(reference_of))
        .or_else(|| body.and_then(|body| body.reference(item)));
    match verdict(item, status, outcome, location.as_deref()) {
        refused @ (Verdict::Refused { .. } | Verdict::Unknown { .. }) => one(refused, None),
        verdict => match fits(item, location.as_deref()) {
            Ok(()) => one(verdict, location),
            Err(problem) => Outcome::Fatal(ImportError::Strange(problem)),
        },
    }
}

/// What is said with a refusal, or of a resource that was only looked at; nothing where there is nothing.
fn said_of(answer: Answer) -> String {
    if answer.status.is_success() && answer.body.trim_ascii().is_empty() {
        return String::new();
    }
    outcome_of(answer)
}

/// Why what came with a success cannot be the answer to a write, when it cannot: a login page, or what else stands in
/// front of a server and says; a result that is about something else.
fn strangeness(answer: &Answer, item: &Item, body: Option<&Written>) -> Option<String> {
    let text = answer.body.trim_ascii();
    let Some(written) = body else {
        let kind = answer.header(CONTENT_TYPE).unwrap_or_default();
        let words = words::of_text(kind, &answer.body).unwrap_or_default();
        return (!text.is_empty()).then(|| format!("not FHIR: {words}"));
    };
    if written.is_about(item) || text == b"{}" {
        return None;
    }
    let kind = words::shortened(&written.resource_type);
    let result = JobResult::of(answer.status, "", &answer.body);
    let words = result.words().join("; ");
    Some(match (&*kind, &*words) {
        ("", "") => "not FHIR: JSON without a resourceType".to_owned(),
        ("", words) => format!("not FHIR: {words}"),
        (kind, "") => format!("with a {kind} that nobody asked for"),
        (kind, words) => format!("with a {kind} that nobody asked for: {words}"),
    })
}
