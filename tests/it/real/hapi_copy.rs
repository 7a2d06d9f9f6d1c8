//! What a server holds, moved by way of a folder to a second one: both keep to the integrity of references.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::hapi::{COPY, SECOND, hapi, user_of};
use super::hapi_bulk::resources;
use crate::support::{Medplum, synthea};

/// Two patients of the Synthea set and all that is theirs, closed under references: what the set itself does not hold
/// (Organizations, Practitioners) is added with its id alone.
fn some_of(folder: &std::path::Path) -> String {
    let all: BTreeMap<(String, String), String> = synthea::files(folder)
        .iter()
        .flat_map(|path| synthea::lines(path))
        .map(|line| (synthea::name(&line), line))
        .collect();
    let mut patients: Vec<(usize, &str)> = Vec::new();
    for (of, id) in all.keys().filter(|(of, _)| of == "Patient") {
        let theirs = all.values().filter(|line| line.contains(id)).count();
        assert_eq!(of, "Patient");
        patients.push((theirs, id));
    }
    // Those with little, but not with nothing.
    patients.retain(|(theirs, _)| *theirs > 80);
    patients.sort_unstable();
    patients.truncate(2);
    let is_theirs = |line: &String| patients.iter().any(|(_, id)| line.contains(id));
    let mut chosen: BTreeMap<_, _> = all.iter().filter(|(_, line)| is_theirs(line)).collect();
    let mut added: BTreeMap<(String, String), String> = BTreeMap::new();
    loop {
        let lines = chosen.values().copied().chain(added.values());
        let missing: Vec<_> = lines.flat_map(|line| pointed_at(line)).collect();
        let before = chosen.len() + added.len();
        for name in missing {
            let held = all
                .keys()
                .find(|(of, id)| *id == name.1 && (*of == name.0 || name.0.is_empty()));
            if let Some(held) = held {
                chosen.insert(held, &all[held]);
                continue;
            }
            // A `urn:uuid` that the set does not hold is a Practitioner of a CareTeam.
            let of = if name.0.is_empty() {
                "Practitioner"
            } else {
                &name.0
            };
            let stub = json!({"resourceType": of, "id": name.1}).to_string();
            added.insert((of.to_owned(), name.1), stub);
        }
        if chosen.len() + added.len() == before {
            let lines = chosen.values().copied().chain(added.values());
            return lines.fold(String::new(), |text, line| text + line + "\n");
        }
    }
}

/// Types and ids that the references of a line lead to; of a `urn:uuid` the type is not known.
fn pointed_at(line: &str) -> BTreeSet<(String, String)> {
    let targets = line.split(r#""reference":""#).skip(1);
    let targets = targets.map(|part| part.split('"').next().unwrap());
    targets
        .filter(|target| !target.starts_with('#'))
        .map(|target| {
            let (of, id) = target.split_once('/').unwrap_or(("", target));
            (of.to_owned(), id.trim_start_matches("urn:uuid:").to_owned())
        })
        .collect()
}

/// Of a resource, all but `meta`.
fn contents(medplum: &Medplum, folder: &str) -> BTreeSet<String> {
    let mut all = resources(medplum, folder);
    for resource in &mut all {
        resource.as_object_mut().unwrap().remove("meta");
    }
    let count = all.len();
    let all: BTreeSet<String> = all.iter().map(Value::to_string).collect();
    assert_eq!(all.len(), count, "a resource came twice");
    all
}

#[test]
fn hapi_holds_after_export_and_import_what_another_hapi_held() {
    let Some(hapi) = hapi() else { return };
    let Some(folder) = synthea::folder() else {
        return;
    };
    let [first, second] = [COPY, SECOND].map(|base| user_of(hapi, base));
    let lines = some_of(&folder);
    let count = lines.lines().count();
    assert!(count > 200, "{count}");
    assert!(lines.contains(r#""resourceType":"CareTeam""#));
    first.file("some.ndjson", lines);
    let run = first
        .run(["bulk", "import", "some.ndjson", "-q", "-o", "json"])
        .ok();
    assert_eq!(run.json()["created"], count, "{run}");
    first.run(["bulk", "export", "-q", "-d", "out"]).ok();
    let moved = first.path("out").display().to_string();
    let run = second
        .run(["bulk", "import", &moved, "-q", "-o", "json"])
        .ok();
    assert_eq!(run.json()["created"], count, "{run}");
    second.run(["bulk", "export", "-q", "-d", "out"]).ok();
    let [theirs, copied] = [&first, &second].map(|medplum| contents(medplum, "out"));
    assert_eq!(theirs.len(), count);
    assert!(
        theirs == copied,
        "{} differ",
        theirs.symmetric_difference(&copied).count()
    );
}
