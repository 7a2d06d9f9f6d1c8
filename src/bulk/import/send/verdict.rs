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

impl<'a> Written<'a> {
    /// Reads one. To serde a list is an object too, its elements the members.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let is_object = text.trim_start().starts_with('{');
        is_object.then(|| serde_json::from_str(text).ok()).flatten()
    }

    /// Whether what comes with a success can be the resource that was sent, or what the server says of it.
    pub(super) fn is_about(&self, item: &Item) -> bool {
        [&*item.resource_type, OUTCOME].contains(&&*self.resource_type)
    }

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

/// What a status and the words with it say, in an entry as in an answer of its own. A write may be answered without a body
/// (FHIR R4 §3.1.0.1.9, `return=minimal`), so a PUT's 200, 203 or 204 is an update.
pub(super) fn verdict(
    item: &Item,
    status: u16,
    outcome: String,
    location: Option<&str>,
) -> Verdict {
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
        // 202 promises to try; what the others mean for a write nobody said (RFC 9110 §15.3), nor does a redirect say that it
        // was not done (§15.4.4). What was deleted or looked at was not created.
        (_, 202 | 205..=299)
        | (Action::Post, 300..=303 | 305..=399 | 408 | 500..=599)
        | (Action::Delete | Action::Validate, 201) => unknown(outcome),
        // Without a word of the server nobody knows whether it is valid.
        (Action::Validate, 200..=299) if outcome == "null" => unknown(outcome),
        // With 304 Medplum says that it has the same already. To what makes a new one or takes one away it is no answer.
        (Action::Validate, 200..=299)
        | (Action::Delete, 404 | 410)
        | (Action::ConditionalPost(_), 200 | 304)
        | (Action::Put | Action::ConditionalPut, 304) => Verdict::Unchanged,
        (Action::Delete, 200..=299) => Verdict::Deleted,
        // 201 is the status of a creation (FHIR R4 §3.1.0.8); another one has to say what was created.
        (Action::Post, 200..=299) if status != 201 && location.is_none() => unknown(outcome),
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
    fn each_status_of_each_action_means_what_was_decided() {
        let said = |action: Action, status: u16| {
            let mut item = Item::of_test(1, 0..0);
            item.action = action;
            match verdict(&item, status, String::new(), None) {
                Verdict::Created => "created",
                Verdict::Updated => "updated",
                Verdict::Unchanged => "unchanged",
                Verdict::Deleted => "deleted",
                Verdict::Refused { .. } => "refused",
                Verdict::Unknown { .. } => "unknown",
                Verdict::Later { .. } => "later",
            }
        };
        let query = || Action::ConditionalPost("a=b".into());
        let statuses = [200, 201, 202, 203, 204, 206, 303, 304, 404, 412, 500, 503];
        for (action, wanted) in [
            (
                Action::Put,
                "updated created unknown updated updated unknown refused unchanged refused refused refused later",
            ),
            (
                Action::ConditionalPut,
                "updated created unknown updated updated unknown refused unchanged refused refused refused later",
            ),
            (
                Action::Post,
                "unknown created unknown unknown unknown unknown unknown refused refused refused unknown unknown",
            ),
            (
                query(),
                "unchanged created unknown updated updated unknown refused unchanged refused refused refused later",
            ),
            (
                Action::Delete,
                "deleted unknown unknown deleted deleted unknown refused refused unchanged refused refused later",
            ),
            (
                Action::Validate,
                "unknown unknown unknown unknown unknown unknown refused refused refused refused refused later",
            ),
        ] {
            let all: Vec<_> = statuses.map(|status| said(action.clone(), status)).into();
            assert_eq!(all.join(" "), wanted, "{action:?}");
        }
        let mut item = Item::of_test(1, 0..0);
        item.action = Action::Post;
        let verdict = verdict(&item, 200, String::new(), Some("Patient/9"));
        assert_eq!(verdict, Verdict::Created);
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
