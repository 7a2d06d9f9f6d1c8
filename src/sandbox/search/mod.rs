//! Search by a few parameters (FHIR R4 §3.1.1).

mod criterion;
mod dates;
pub(super) mod page;
mod query;
mod values;

pub(super) use query::Query;

use super::store::{Store, Stored};

/// What a parameter looks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Token,
    Text,
    Date,
    Reference,
}

/// A search parameter and the elements it looks at; the same for all types.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    elements: &'static [&'static str],
}

/// Those it knows.
pub(super) const PARAMETERS: [Parameter; 17] = [
    parameter("_id", Kind::Token, &["id"]),
    parameter("_lastUpdated", Kind::Date, &["meta.lastUpdated"]),
    parameter("identifier", Kind::Token, &["identifier"]),
    parameter("active", Kind::Token, &["active"]),
    parameter("name", Kind::Text, &["name"]),
    parameter("family", Kind::Text, &["name.family"]),
    parameter("given", Kind::Text, &["name.given"]),
    parameter("birthdate", Kind::Date, &["birthDate"]),
    parameter("gender", Kind::Token, &["gender"]),
    parameter("patient", Kind::Reference, &["subject", "patient"]),
    parameter("subject", Kind::Reference, &["subject"]),
    parameter(
        "encounter",
        Kind::Reference,
        &["encounter", "context.encounter"],
    ),
    parameter("status", Kind::Token, &["status"]),
    parameter("clinical-status", Kind::Token, &["clinicalStatus"]),
    parameter("category", Kind::Token, &["category"]),
    parameter("code", Kind::Token, &["code", "medicationCodeableConcept"]),
    parameter("date", Kind::Date, &["effectiveDateTime", "period", "date"]),
];

const fn parameter(name: &'static str, kind: Kind, elements: &'static [&'static str]) -> Parameter {
    Parameter {
        name,
        kind,
        elements,
    }
}

impl Kind {
    /// Its name in a CapabilityStatement.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Text => "string",
            Self::Date => "date",
            Self::Reference => "reference",
        }
    }

    /// The modifiers it takes; with any other one a search has to fail (FHIR R4 §3.1.1.4.5).
    fn modifiers(self) -> &'static [&'static str] {
        match self {
            Self::Token => &["contains", "not", "missing"],
            Self::Text => &["contains", "exact", "missing"],
            Self::Date => &["missing"],
            Self::Reference => &["Patient", "missing"],
        }
    }
}

/// The resources of a type that match, in the order of their ids.
pub(super) fn find<'a>(
    store: &'a Store,
    resource_type: &str,
    query: &Query,
) -> Vec<(&'a str, &'a Stored)> {
    store
        .all(resource_type)
        .filter(|(_, stored)| !stored.deleted && query.matches(stored))
        .collect()
}
