//! A resource as a line of an exported file, with all its elements or some.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::store::Stored;
use super::wanted::Wanted;
use crate::fhir::object::Object;
use crate::output::json::compact;

/// The elements that a resource has to have, beside id and meta, when only some are wanted.
const MANDATORY: [(&str, &[&str]); 7] = [
    ("Condition", &["subject"]),
    ("DocumentReference", &["status", "content"]),
    ("Encounter", &["status", "class"]),
    ("Group", &["type", "actual"]),
    (
        "MedicationRequest",
        &["status", "intent", "medicationCodeableConcept", "subject"],
    ),
    ("Observation", &["status", "code"]),
    ("Binary", &["contentType"]),
];

/// A resource on one line, digits kept; URLs of attachments are absolute there (Bulk Data 3.0, attachments).
pub(super) fn line(resource_type: &str, stored: &Stored, wanted: &Wanted, base: &str) -> Arc<str> {
    let mut text = Cow::Borrowed(&*stored.text);
    if text.contains(['\n', '\r']) {
        text = compact(&text).into();
    }
    if resource_type == "DocumentReference" {
        let absolute = format!(r#""url":"{base}/Binary/"#);
        text = text.replace(r#""url":"Binary/"#, &absolute).into();
    }
    let elements: Vec<&str> = wanted
        .elements
        .iter()
        .filter_map(|element| match element.split_once('.') {
            Some((of, element)) => (of == resource_type).then_some(element),
            None => Some(element.as_str()),
        })
        .collect();
    if !elements.is_empty()
        && let Some(subset) = subset(resource_type, &text, &elements)
    {
        return subset.into();
    }
    match text {
        Cow::Borrowed(_) => Arc::clone(&stored.text),
        Cow::Owned(text) => text.into(),
    }
}

/// A resource with some of its elements only, and a tag that says so.
fn subset(resource_type: &str, text: &str, elements: &[&str]) -> Option<String> {
    let mut resource = Object::parse(text).ok()?;
    let names: Vec<String> = serde_json::from_str::<serde_json::Map<String, Value>>(text)
        .ok()?
        .keys()
        .cloned()
        .collect();
    let mandatory = MANDATORY
        .iter()
        .find(|(name, _)| *name == resource_type)
        .map_or(&[][..], |(_, elements)| elements);
    for name in &names {
        let name = name.as_str();
        let stays = ["resourceType", "id", "meta"].contains(&name)
            || elements.contains(&name)
            || mandatory.contains(&name);
        if !stays {
            resource.remove(name);
        }
    }
    let mut meta: Value = serde_json::from_str(resource.get("meta")?).ok()?;
    let system = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";
    let mut tags = meta["tag"].as_array().cloned().unwrap_or_default();
    tags.push(json!({"system": system, "code": "SUBSETTED"}));
    meta["tag"] = tags.into();
    resource.set("meta", meta.to_string());
    Some(resource.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subset_keeps_what_is_wanted_and_what_has_to_be_there() {
        let text = r#"{"resourceType":"Observation","id":"1","meta":{"versionId":"1"},"status":"final","code":{},"issued":"x","valueQuantity":{"value":1.00}}"#;
        assert_eq!(
            subset("Observation", text, &["valueQuantity"]).unwrap(),
            r#"{"resourceType":"Observation","id":"1","meta":{"versionId":"1","tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]},"status":"final","code":{},"valueQuantity":{"value":1.00}}"#
        );
    }
}
