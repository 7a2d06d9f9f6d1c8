//! What belongs to patients: their own resources, and those of nobody that these point at.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use super::store::{Store, Stored};
use crate::fhir::object::{Object, rewrite_references};

/// Those that treat, and where; whoever is treated by them gets them, too.
const OF_NOBODY: [&str; 4] = [
    "Location",
    "Organization",
    "Practitioner",
    "PractitionerRole",
];

/// The relative URLs of all that belongs to patients, deleted ones too.
pub(super) fn of(store: &Store, patients: &HashSet<String>) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut pointed_at = BTreeSet::new();
    for resource_type in store.types().filter(|name| !OF_NOBODY.contains(name)) {
        for (id, stored) in store.all(resource_type) {
            if is_of(resource_type, id, stored, patients) {
                reached.insert(format!("{resource_type}/{id}"));
                collect(&stored.text, &mut pointed_at);
            }
        }
    }
    // What is pointed at can point further: a role at a person.
    for _ in 0..2 {
        let new: Vec<String> = pointed_at.difference(&reached).cloned().collect();
        for url in new {
            let parts = url.split_once('/');
            if let Some((resource_type, id)) = parts
                && OF_NOBODY.contains(&resource_type)
                && let Some(stored) = store.get(resource_type, id)
            {
                collect(&stored.text, &mut pointed_at);
                reached.insert(url);
            }
        }
    }
    reached
}

/// The patients that a Group holds.
pub(super) fn members(group: &Stored) -> HashSet<String> {
    let group = group.value();
    group["member"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|member| patient(&member["entity"]))
        .collect()
}

fn is_of(resource_type: &str, id: &str, stored: &Stored, patients: &HashSet<String>) -> bool {
    if resource_type == "Patient" {
        return patients.contains(id);
    }
    let Ok(resource) = Object::parse(&stored.text) else {
        return false;
    };
    ["subject", "patient", "beneficiary", "securityContext"]
        .iter()
        .filter_map(|name| serde_json::from_str(resource.get(name)?).ok())
        .any(|reference: Value| patient(&reference).is_some_and(|id| patients.contains(&id)))
}

fn patient(reference: &Value) -> Option<String> {
    let url = reference["reference"].as_str()?;
    url.strip_prefix("Patient/").map(str::to_owned)
}

fn collect(text: &str, references: &mut BTreeSet<String>) {
    rewrite_references(text, |reference| {
        references.insert(reference.to_owned());
        None
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patient_has_what_points_at_them_and_who_treats_them() {
        let mut store = Store::default();
        let now = store.tick();
        for (resource_type, id, text) in [
            (
                "Patient",
                "1",
                r#"{"managingOrganization":{"reference":"Organization/o"}}"#,
            ),
            ("Patient", "2", "{}"),
            ("Condition", "c", r#"{"subject":{"reference":"Patient/1"}}"#),
            (
                "Condition",
                "d",
                r#"{"subject":{"reference":"Patient/2"},"recorder":{"reference":"Practitioner/q"}}"#,
            ),
            (
                "Organization",
                "o",
                r#"{"partOf":{"reference":"Organization/p"}}"#,
            ),
            ("Organization", "p", "{}"),
            ("Practitioner", "q", "{}"),
            ("Basic", "b", "{}"),
        ] {
            store.put(resource_type, id, text, now).unwrap();
        }
        let reached = of(&store, &HashSet::from(["1".to_owned()]));
        let reached: Vec<&str> = reached.iter().map(String::as_str).collect();
        assert_eq!(
            reached,
            [
                "Condition/c",
                "Organization/o",
                "Organization/p",
                "Patient/1"
            ]
        );
    }
}
