//! What HAPI does by its settings with ids and references, and all that is of a patient.

use std::fmt::Write;

use serde_json::{Value, json};

use super::hapi::{NUMERIC, SHARED, STRICT, hapi, user_of};

/// A patient and this many observations.
fn lines(patient: &str, observations: usize) -> String {
    let mut lines = format!("{}\n", json!({"resourceType": "Patient", "id": patient}));
    for at in 0..observations {
        let observation = json!({"resourceType": "Observation", "id": format!("{patient}{at:02}"), "status": "final",
            "code": {"text": "weight"}, "subject": {"reference": format!("Patient/{patient}")}});
        writeln!(lines, "{observation}").unwrap();
    }
    lines
}

#[test]
fn hapi_gives_all_that_is_of_a_patient() {
    let Some(hapi) = hapi() else { return };
    let medplum = user_of(hapi, SHARED);
    medplum.file("all.ndjson", lines("everything", 30));
    medplum.run(["bulk", "import", "all.ndjson", "-q"]).ok();
    let words = [
        "get",
        "Patient/everything/$everything?_count=7",
        "--all",
        "-o",
        "ndjson",
    ];
    let run = medplum.run(words).ok();
    let mut ids: Vec<String> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|resource| resource["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    let mut wanted: Vec<String> = (0..30).map(|at| format!("everything{at:02}")).collect();
    wanted.insert(0, "everything".into());
    assert_eq!(ids, wanted);
}

#[test]
fn hapi_keeps_ids_of_digits_where_it_is_set_to() {
    let Some(hapi) = hapi() else { return };
    let medplum = user_of(hapi, NUMERIC);
    medplum.file("digits.ndjson", lines("700", 3));
    let words = ["bulk", "import", "digits.ndjson", "-q", "-o", "json"];
    assert_eq!(medplum.run(words).ok().json()["created"], 4);
    assert_eq!(medplum.run(words).ok().json()["updated"], 4);
    let observation = medplum.run(["get", "Observation/70002"]).ok().json();
    assert_eq!(observation["subject"]["reference"], "Patient/700");
    // Where it is not, each of them is refused, and the cure is said.
    let other = user_of(hapi, SHARED);
    other.file("digits.ndjson", lines("700", 0));
    let run = other.run(["bulk", "import", "digits.ndjson"]).fails(5);
    assert!(run.stderr.contains("HAPI-0960"), "{run}");
}

/// With integrity on, what leads to nothing is refused and kept, and goes in once its target is there; with it off, it goes in.
#[test]
fn hapi_takes_a_reference_to_nothing_only_where_integrity_is_off() {
    let Some(hapi) = hapi() else { return };
    let whole = lines("target", 2);
    let (patient, observations) = whole.split_once('\n').unwrap();
    for (base, code) in [(SHARED, 0), (STRICT, 5)] {
        let medplum = user_of(hapi, base);
        medplum.file("dangling.ndjson", observations);
        let run = medplum
            .run(["bulk", "import", "dangling.ndjson"])
            .fails(code);
        if code == 0 {
            continue;
        }
        let run = run.says("Resource Patient/target not found");
        assert_eq!(medplum.read("rejects.ndjson").lines().count(), 2, "{run}");
        medplum.run(["put", "Patient/target", patient]).ok();
        let again = [
            "bulk",
            "import",
            "rejects.ndjson",
            "--rejects",
            "second.ndjson",
        ];
        medplum.run(again).ok();
        medplum.run(["get", "Observation/target01"]).ok();
    }
}

/// 412 in the middle of an import: two resources fit a search that is to find one.
#[test]
fn hapi_answers_412_where_two_resources_fit_and_neither_is_changed() {
    let Some(hapi) = hapi() else { return };
    let medplum = user_of(hapi, SHARED);
    let twin = |id: &str| {
        json!({"resourceType": "Patient", "id": id, "active": true,
            "identifier": [{"system": "urn:oid:1.2.3", "value": "of-two"}]})
    };
    medplum.file(
        "twins.ndjson",
        format!("{}\n{}\n", twin("twin-a"), twin("twin-b")),
    );
    medplum.run(["bulk", "import", "twins.ndjson", "-q"]).ok();
    let mut changed = twin("twin-c");
    changed["active"] = false.into();
    medplum.file("changed.ndjson", format!("{changed}\n"));
    let words = [
        "bulk",
        "import",
        "changed.ndjson",
        "--method",
        "conditional",
    ];
    medplum.run(words).fails(5).says("412");
    for id in ["twin-a", "twin-b"] {
        let twin = medplum.run(["get", &format!("Patient/{id}")]).ok().json();
        assert_eq!(
            (&twin["active"], &twin["meta"]["versionId"]),
            (&json!(true), &json!("1"))
        );
    }
}

#[test]
fn hapi_gives_all_pages_of_a_history() {
    let Some(hapi) = hapi() else { return };
    let medplum = user_of(hapi, SHARED);
    for at in 0..5 {
        let patient = json!({"resourceType": "Patient", "id": "aged", "name": [{"family": format!("Aged{at}")}]});
        medplum
            .run(["put", "Patient/aged", &patient.to_string()])
            .ok();
    }
    let words = [
        "get",
        "Patient/aged/_history?_count=2",
        "--all",
        "-o",
        "ndjson",
    ];
    let run = medplum.run(words).ok();
    let versions: Vec<Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["meta"]["versionId"].clone())
        .collect();
    assert_eq!(versions, ["5", "4", "3", "2", "1"]);
}
