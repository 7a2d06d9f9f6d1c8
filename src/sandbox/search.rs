//! Search by a few parameters, with pages.

use serde_json::Value;

use super::store::{Store, Stored};

/// The parameters it knows, with their types.
pub(super) const PARAMETERS: [(&str, &str); 12] = [
    ("_id", "token"),
    ("_lastUpdated", "date"),
    ("identifier", "token"),
    ("name", "string"),
    ("family", "string"),
    ("given", "string"),
    ("birthdate", "date"),
    ("gender", "token"),
    ("patient", "reference"),
    ("subject", "reference"),
    ("status", "token"),
    ("code", "token"),
];
/// Parameters about the result, not the resources.
const ABOUT_THE_RESULT: [&str; 8] = [
    "_count",
    "_offset",
    "_summary",
    "_total",
    "_format",
    "_sort",
    "_pretty",
    "_elements",
];

/// The resources of a type that match all parameters, in the order of their ids. Unknown parameters change nothing.
pub(super) fn matches<'a>(
    store: &'a Store,
    resource_type: &str,
    query: &[(String, String)],
) -> Vec<(&'a str, &'a Stored)> {
    store
        .all(resource_type)
        .filter(|(_, stored)| !stored.deleted)
        .filter(|(id, stored)| is_match(id, stored, query))
        .collect()
}

/// Whether one resource matches all parameters.
pub(super) fn is_match(id: &str, stored: &Stored, query: &[(String, String)]) -> bool {
    if query.is_empty() {
        return true;
    }
    let resource: Value = serde_json::from_str(&stored.text).unwrap_or_default();
    query.iter().all(|(key, wanted)| {
        let (name, modifier) = key.split_once(':').unwrap_or((key, ""));
        // Values apart from each other by a comma are alternatives (FHIR R4 §3.1.1.4.16).
        wanted.split(',').any(|wanted| match name {
            "_id" => id == wanted,
            "_lastUpdated" => date_matches(&stored.updated, wanted),
            "birthdate" => {
                text(&resource, "birthDate").is_some_and(|date| date_matches(date, wanted))
            }
            "gender" | "status" => text(&resource, name) == Some(wanted),
            "identifier" => tokens(&resource, "/identifier", "value")
                .any(|token| token_matches(token, wanted, modifier)),
            "code" => tokens(&resource, "/code/coding", "code")
                .any(|token| token_matches(token, wanted, modifier)),
            "name" | "family" | "given" => {
                names(&resource, name).any(|part| string_matches(&part, wanted, modifier))
            }
            "patient" | "subject" => ["subject", "patient"].iter().any(|field| {
                resource
                    .pointer(&format!("/{field}/reference"))
                    .and_then(Value::as_str)
                    .is_some_and(|reference| {
                        reference == wanted || reference.strip_prefix("Patient/") == Some(wanted)
                    })
            }),
            _ => true,
        })
    })
}

/// Parameters this server does not know, for `Prefer: handling=strict`.
pub(super) fn unknown(query: &[(String, String)]) -> Option<&str> {
    query.iter().map(|(key, _)| key.as_str()).find(|key| {
        let name = key.split(':').next().unwrap_or_default();
        !ABOUT_THE_RESULT.contains(&name) && !PARAMETERS.iter().any(|(known, _)| *known == name)
    })
}

fn text<'a>(resource: &'a Value, field: &str) -> Option<&'a str> {
    resource.get(field)?.as_str()
}

/// System and value of each token.
fn tokens<'a>(
    resource: &'a Value,
    pointer: &str,
    field: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let items = resource.pointer(pointer).and_then(Value::as_array);
    items.into_iter().flatten().map(move |item| {
        (
            text(item, "system").unwrap_or_default(),
            text(item, field).unwrap_or_default(),
        )
    })
}

fn token_matches((system, value): (&str, &str), wanted: &str, modifier: &str) -> bool {
    let (wanted_system, wanted) = wanted
        .split_once('|')
        .map_or((None, wanted), |(system, value)| (Some(system), value));
    let value_matches = if modifier == "contains" {
        value.to_lowercase().contains(&wanted.to_lowercase())
    } else {
        wanted.is_empty() || value == wanted
    };
    value_matches && wanted_system.is_none_or(|wanted| wanted == system)
}

fn names(resource: &Value, part: &str) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    for name in resource
        .get("name")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if part != "given" {
            found.extend(text(name, "family").map(str::to_owned));
        }
        if part != "family" {
            let given = name.get("given").and_then(Value::as_array);
            found.extend(
                given
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .map(str::to_owned),
            );
        }
    }
    found.extend(text(resource, "name").map(str::to_owned));
    found.into_iter()
}

fn string_matches(value: &str, wanted: &str, modifier: &str) -> bool {
    match modifier {
        "exact" => value == wanted,
        "contains" => value.to_lowercase().contains(&wanted.to_lowercase()),
        _ => value.to_lowercase().starts_with(&wanted.to_lowercase()),
    }
}

/// Dates as text: `ge2026-01-01` and the like; a shorter date stands for all of its time.
fn date_matches(value: &str, wanted: &str) -> bool {
    let (comparison, wanted) = match wanted.get(..2) {
        Some(prefix @ ("ge" | "gt" | "le" | "lt" | "eq")) => (prefix, &wanted[2..]),
        _ => ("eq", wanted),
    };
    let start = value.get(..wanted.len()).unwrap_or(value);
    match comparison {
        "ge" => start >= wanted,
        "gt" => start > wanted,
        "le" => start <= wanted,
        "lt" => start < wanted,
        _ => start == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, query: &[(&str, &str)]) -> bool {
        let stored = Stored {
            text: text.to_owned(),
            version: 1,
            updated: "2026-01-02T03:04:05.000Z".into(),
            deleted: false,
        };
        let query: Vec<_> = query
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        is_match("p1", &stored, &query)
    }

    #[test]
    fn parameters_match_as_fhir_says() {
        let patient = r#"{"name":[{"family":"Müller","given":["Ana"]}],"identifier":[{"system":"s","value":"3SH0A"}],"birthDate":"1980-05-06","gender":"female"}"#;
        for query in [
            &[("identifier", "3SH0A")][..],
            &[("identifier", "s|3SH0A")],
            &[("identifier:contains", "sh0")],
            &[("name", "mü"), ("gender", "female")],
            &[("given", "bob,ana")],
            &[("birthdate", "ge1980"), ("birthdate", "lt1981-01-01")],
            &[("_lastUpdated", "gt2026-01-01")],
            &[("_id", "p1"), ("unknown", "x")],
        ] {
            assert!(found(patient, query), "{query:?}");
        }
        for query in [
            &[("identifier", "t|3SH0A")][..],
            &[("family", "ana")],
            &[("birthdate", "1981")],
            &[("_id", "p2")],
        ] {
            assert!(!found(patient, query), "{query:?}");
        }
    }
}
