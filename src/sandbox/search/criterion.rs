//! One parameter of a search, and whether a resource meets it.

use serde_json::Value;

use super::super::answer::{Answer, Result, bad_request};
use super::{Parameter, values};

/// One parameter of a search, with what is looked for.
#[derive(Debug)]
pub(super) struct Criterion {
    parameter: &'static Parameter,
    modifier: String,
    alternatives: Vec<String>,
}

impl Criterion {
    pub(super) fn read(parameter: &'static Parameter, modifier: &str, value: &str) -> Result<Self> {
        if !modifier.is_empty() && !parameter.kind.modifiers().contains(&modifier) {
            let words = format!(
                "the search parameter {} does not take the modifier {modifier}",
                parameter.name
            );
            return Err(Answer::outcome(400, "not-supported", &words));
        }
        let alternatives = alternatives(value);
        if parameter.kind == super::Kind::Date && modifier.is_empty() {
            let wrong = alternatives
                .iter()
                .find(|value| super::dates::Period::wanted(value).is_none());
            if let Some(wrong) = wrong {
                return Err(bad_request(&format!(
                    "the search parameter {} takes a date, not {wrong}",
                    parameter.name
                )));
            }
        }
        Ok(Self {
            parameter,
            modifier: modifier.to_owned(),
            alternatives,
        })
    }

    /// Whether a resource meets it.
    pub(super) fn matches(&self, resource: &Value) -> bool {
        values::matches(self.parameter, resource, &self.modifier, &self.alternatives)
    }
}

/// Values apart from each other by a comma; `\,` is a comma in a value (FHIR R4 §3.1.1.4.16).
fn alternatives(value: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        let is_last = all.len() - 1;
        match character {
            ',' => all.push(String::new()),
            '\\' => all[is_last].extend(characters.next()),
            other => all[is_last].push(other),
        }
    }
    all
}
