//! What became of one resource, by the status and the words of what answered it.

use std::borrow::Cow;

use serde::Deserialize;

use crate::bulk::import::piece::{Action, Item};
use crate::fhir::id::percent_encoded;
use crate::fhir::result::has_errors;

/// The type of what a server says.
pub(super) const OUTCOME: &str = "OperationOutcome";

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

/// The resource that an answer brings back.
#[derive(Deserialize)]
pub(super) struct Written<'a> {
    #[serde(rename = "resourceType", borrow, default)]
    pub resource_type: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
}

impl Written<'_> {
    /// Whether it is what the server says of the resource, and not the resource itself.
    pub(super) fn is_outcome_of(&self, item: &Item) -> bool {
        self.resource_type == OUTCOME && *item.resource_type != *OUTCOME
    }

    /// Where it lies, if it is the one that was sent.
    pub(super) fn reference(&self, item: &Item) -> Option<String> {
        let id = self
            .id
            .as_deref()
            .filter(|_| self.resource_type == *item.resource_type)?;
        Some(format!("{}/{id}", self.resource_type))
    }
}

/// Whether a location can be that of the resource that was sent: an answer may be about another one.
pub(super) fn fits(item: &Item, location: Option<&str>) -> Result<(), String> {
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

/// What a status and the words with it say, in an entry as in an answer of its own.
pub(super) fn verdict(item: &Item, status: u16, outcome: String) -> Verdict {
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
pub(super) fn reference_of(location: &str) -> Option<String> {
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
}
