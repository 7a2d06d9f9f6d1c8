//! Whether a resource's elements hold what a parameter looks for.

use serde_json::Value;

use super::dates::Period;
use super::{Kind, Parameter};

/// Whether any element of the parameter has one of the values.
pub(super) fn matches(
    parameter: &Parameter,
    resource: &Value,
    modifier: &str,
    wanted: &[String],
) -> bool {
    let elements: Vec<&Value> = parameter
        .elements
        .iter()
        .flat_map(|path| elements(resource, path))
        .collect();
    if modifier == "missing" {
        return wanted
            .iter()
            .any(|value| (value == "true") == elements.is_empty());
    }
    let found = elements.into_iter().any(|element| {
        wanted.iter().any(|wanted| match parameter.kind {
            Kind::Token => tokens(element)
                .iter()
                .any(|token| token_matches(token, wanted, modifier)),
            Kind::Text => texts(element)
                .iter()
                .any(|text| text_matches(text, wanted, modifier)),
            Kind::Date => Period::wanted(wanted)
                .zip(Period::of(element))
                .is_some_and(|((comparison, wanted), period)| period.is(comparison, &wanted)),
            Kind::Reference => reference_matches(element, wanted),
        })
    });
    found != (modifier == "not")
}

/// The values at a path; arrays on the way are gone through.
fn elements<'a>(value: &'a Value, path: &str) -> Vec<&'a Value> {
    let (name, rest) = path.split_once('.').unwrap_or((path, ""));
    match value {
        Value::Array(items) => items.iter().flat_map(|item| elements(item, path)).collect(),
        Value::Object(members) => match members.get(name) {
            None => Vec::new(),
            Some(member) if rest.is_empty() => match member {
                Value::Array(items) => items.iter().collect(),
                member => vec![member],
            },
            Some(member) => elements(member, rest),
        },
        _ => Vec::new(),
    }
}

/// System and code of codes, booleans, Codings, CodeableConcepts, Identifiers.
fn tokens(element: &Value) -> Vec<(String, String)> {
    let text = |name: &str| element[name].as_str().unwrap_or_default().to_owned();
    match element {
        Value::String(code) => vec![(String::new(), code.clone())],
        Value::Bool(flag) => vec![(String::new(), flag.to_string())],
        _ if element["coding"].is_array() => elements(element, "coding")
            .into_iter()
            .flat_map(tokens)
            .collect(),
        _ if element["code"].is_string() => vec![(text("system"), text("code"))],
        _ => vec![(text("system"), text("value"))],
    }
}

fn token_matches((system, code): &(String, String), wanted: &str, modifier: &str) -> bool {
    let (wanted_system, wanted) = wanted
        .split_once('|')
        .map_or((None, wanted), |(system, code)| (Some(system), code));
    let code_matches = if modifier == "contains" {
        code.to_lowercase().contains(&wanted.to_lowercase())
    } else {
        wanted.is_empty() || code == wanted
    };
    code_matches && wanted_system.is_none_or(|wanted| wanted == system)
}

/// A text, or those of a HumanName.
fn texts(element: &Value) -> Vec<&str> {
    match element {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| *name != "use")
            .flat_map(|(_, value)| texts(value))
            .collect(),
        _ => Vec::new(),
    }
}

fn text_matches(text: &str, wanted: &str, modifier: &str) -> bool {
    match modifier {
        "exact" => text == wanted,
        "contains" => text.to_lowercase().contains(&wanted.to_lowercase()),
        _ => text.to_lowercase().starts_with(&wanted.to_lowercase()),
    }
}

/// `Patient/1` or, since everything here points at patients or is unique, `1`.
fn reference_matches(element: &Value, wanted: &str) -> bool {
    element["reference"].as_str().is_some_and(|reference| {
        reference == wanted || reference.rsplit('/').next() == Some(wanted)
    })
}
