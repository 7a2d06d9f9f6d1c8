//! Patients and what happened to them, made up: the same for the same seed, on every machine.

mod clinic;
mod history;
mod illness;
mod measurements;
mod names;
mod note;
mod person;
mod visit;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::random::Random;
use super::store::Store;
use clinic::Clinic;
use person::Person;

/// "Today" of the data: nothing in them is later.
const TODAY: &str = "2026-01-01T00:00:00Z";
/// Stands before the digits of a decimal until its resource is text: `serde_json` would make 72.5 of 72.50.
const DECIMAL: char = '\u{e000}';

/// A store with patients, those who treat them, and the groups they are in.
pub(super) fn store(patients: usize, seed: u64) -> Store {
    let mut maker = Maker {
        store: Store::default(),
    };
    let clinic = Clinic::open(&mut maker, &mut Random::new(seed));
    let (mut all, mut diabetic) = (Vec::new(), Vec::new());
    for number in 0..patients {
        // Each has random numbers of their own: of 1,000 patients, the first 100 are those of 100 patients.
        let mut random = Random::of(seed, number);
        let person = Person::born(number, &mut random);
        let last_visit = history::all(&mut maker, &person, &clinic, &mut random);
        maker.put(&person.id, last_visit, person.resource(&clinic));
        let member = json!({"entity": {"reference": person.reference()}});
        if person.has(illness::DIABETES) {
            diabetic.push(member.clone());
        }
        all.push(member);
    }
    maker.group("all", "All patients", &all);
    maker.group("diabetes", "Patients with diabetes", &diabetic);
    maker.store
}

/// Puts resources into the store.
struct Maker {
    store: Store,
}

impl Maker {
    fn put(&mut self, id: &str, updated: Timestamp, mut resource: Value) {
        let meta = json!({"versionId": "1", "lastUpdated": format!("{updated:.3}")});
        // Where people look for it: before what the resource is about.
        if let Some(members) = resource.as_object_mut() {
            members.shift_insert(2, "meta".to_owned(), meta);
        }
        let resource_type = resource["resourceType"].as_str().unwrap_or_default();
        let text = with_decimals(&resource.to_string());
        self.store.load(resource_type, id, &text, updated);
    }

    fn group(&mut self, id: &str, name: &str, members: &[Value]) {
        let today: Timestamp = TODAY.parse().unwrap_or_default();
        self.put(
            id,
            today,
            json!({
                "resourceType": "Group",
                "id": id,
                "active": true,
                "type": "person",
                "actual": true,
                "name": name,
                "quantity": members.len(),
                "member": members,
            }),
        );
    }
}

/// A number in hundredths as a JSON decimal with two places: a client that rounds zeros away is found out.
fn decimal(hundredths: u64) -> Value {
    format!("{DECIMAL}{}.{:02}", hundredths / 100, hundredths % 100).into()
}

/// The marked strings turned into the numbers they stand for.
fn with_decimals(text: &str) -> String {
    let mark = format!("\"{DECIMAL}");
    let mut pieces = text.split(mark.as_str());
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        out.push_str(&piece.replacen('"', "", 1));
    }
    out
}

/// A code with its system and words, as a CodeableConcept.
fn concept(system: &str, code: &str, display: &str) -> Value {
    json!({"coding": [{"system": system, "code": code, "display": display}], "text": display})
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::super::random::Random;
    use super::*;

    fn texts(store: &Store) -> BTreeMap<String, String> {
        store
            .types()
            .flat_map(|name| {
                store
                    .all(name)
                    .map(move |(id, stored)| (format!("{name}/{id}"), stored.text.to_string()))
            })
            .collect()
    }

    /// FNV-1a, to name a text.
    fn fingerprint(text: &str) -> u64 {
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_on_every_machine() {
        let text: String = texts(&store(10, 1)).into_values().collect();
        assert_eq!(
            fingerprint(&text),
            9_436_862_086_926_387_738,
            "changed on purpose? then change this number"
        );
        let other: String = texts(&store(10, 2)).into_values().collect();
        assert_ne!(text, other);
    }

    #[test]
    fn more_patients_leave_the_first_ones_as_they_are() {
        let (few, many) = (texts(&store(5, 1)), texts(&store(9, 1)));
        for (name, text) in few {
            assert!(
                name.starts_with("Group/") || many.get(&name) == Some(&text),
                "{name}"
            );
        }
    }

    #[test]
    fn every_reference_points_at_a_resource_that_is_there() {
        let texts = texts(&store(40, 7));
        let there: HashSet<&str> = texts.keys().map(String::as_str).collect();
        for text in texts.values() {
            let resource: Value = serde_json::from_str(text).unwrap();
            crate::fhir::object::rewrite_references(text, |reference| {
                assert!(there.contains(reference), "{reference}");
                None
            });
            if let Some(url) = resource.pointer("/content/0/attachment/url") {
                assert!(there.contains(url.as_str().unwrap()), "{url}");
            }
            assert!(!text.contains(DECIMAL));
        }
        assert!(there.contains("Patient/13e44a47-636b-49e2-adb3-9f19c7e0e47a"));
    }

    #[test]
    fn decimals_keep_their_zeros() {
        let text = json!({"a": decimal(7250), "b": [decimal(5), "x"]}).to_string();
        assert_eq!(with_decimals(&text), r#"{"a":72.50,"b":[0.05,"x"]}"#);
    }

    #[test]
    fn no_patients_are_a_store_too() {
        assert_eq!(store(0, 1).all("Patient").count(), 0);
        assert_eq!(Random::new(0).between(3, 3), 3);
    }
}
