//! `bulk import` into `sekmet-fhir`, a FHIR server with SQLite below it that nobody here wrote.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::router_synthea::{assert_same, chosen};
use crate::support::imported::DataSet;
use crate::support::{Medplum, Peer, Run, synthea};

/// One resource of so many of the data set is imported: the server indexes each and takes its time.
const PART: usize = 25;
const READ: usize = 40;

/// A user, and a server without any data.
fn start(args: &[&str]) -> (Medplum, Peer) {
    let server = Peer::sekmet(args);
    let medplum = Medplum::new()
        .env("MEDPLUM_BASE_URL", server.url("/"))
        .env("MEDPLUM_FHIR_URL_PATH", "fhir");
    (medplum, server)
}

fn import(medplum: &Medplum, args: &[&str]) -> Run {
    medplum.run([&["bulk", "import", "-o", "json"], args].concat())
}

/// How many resources of these types the server has.
fn counts(medplum: &Medplum, wanted: &BTreeMap<String, usize>) -> BTreeMap<String, usize> {
    let count = |resource_type: &String| {
        let search = format!("{resource_type}?_summary=count");
        let total = medplum.run(["get", &search]).ok().json()["total"].clone();
        usize::try_from(total.as_u64().unwrap()).unwrap()
    };
    wanted
        .keys()
        .map(|resource_type| (resource_type.clone(), count(resource_type)))
        .collect()
}

/// Created the first time, updated the second time, and what is read again is what was in the files.
#[test]
fn a_part_of_the_data_set_is_imported_twice_and_there_once() {
    let Some(folder) = synthea::folder() else {
        return;
    };
    let data = DataSet::read(&folder, PART);
    assert!(data.lines.len() > 1500, "{}", data.lines.len());
    let (medplum, _server) = start(&[]);
    medplum.file("part.ndjson", data.lines.join("\n"));
    let all = json!(data.lines.len());
    for [created, updated] in [[&all, &json!(0)], [&json!(0), &all]] {
        let report = import(&medplum, &["part.ndjson"]).ok().json();
        assert_eq!((&report["created"], &report["updated"]), (created, updated));
        assert_eq!(counts(&medplum, &data.counts()), data.counts());
    }
    for at in chosen(READ, data.lines.len()) {
        let line = &data.lines[at];
        let (resource_type, id) = synthea::name(line);
        let read = medplum.run(["get", &format!("{resource_type}/{id}")]);
        let arrived: Value = serde_json::from_str(&data.arrived(line)).unwrap();
        let (read, sent) = (with_floats(read.ok().json()), with_floats(arrived));
        assert_same(&read, &sent.to_string());
    }
}

/// The server makes every number that is no integer a float: 1.00 is 1.0 there.
fn with_floats(value: Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64().unwrap()),
        Value::Array(values) => values.into_iter().map(with_floats).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name, with_floats(value)))
            .collect(),
        other => other,
    }
}

fn person(number: usize, more: &str) -> String {
    format!(
        r#"{{"resourceType":"Patient","id":"p{number}","identifier":[{{"system":"http://example.com/mrn","value":"{number}"}}]{more}}}"#
    )
}

fn observation(number: usize) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"o{number}","status":"final","code":{{"text":"weight"}},"subject":{{"reference":"Patient/p{number}"}}}}"#
    )
}

/// The search finds the patients of the first import, so the second one makes none, and references follow the new ids.
#[test]
fn a_conditional_import_finds_its_patients_again_by_their_identifiers() {
    let (medplum, _server) = start(&[]);
    let people: Vec<String> = (0..30).map(|number| person(number, "")).collect();
    let observations: Vec<String> = (0..30).map(observation).collect();
    medplum.file("people.ndjson", people.join("\n"));
    medplum.file("observations.ndjson", observations.join("\n"));
    let conditional = ["--method", "conditional"];
    let first = import(&medplum, &[&["people.ndjson"], &conditional[..]].concat());
    assert_eq!(first.ok().json()["created"], 30);
    let patient = medplum
        .run(["get", "Patient?identifier=http://example.com/mrn|7"])
        .ok()
        .json();
    let id = patient["entry"][0]["resource"]["id"].clone();
    assert!(id.is_string() && id != "p7", "{patient}");

    let changed: Vec<String> = (0..30)
        .map(|number| person(number, r#","active":true"#))
        .collect();
    medplum.file("people.ndjson", changed.join("\n"));
    let by_subject = ["--match", "Observation?subject={subject.reference}"];
    let by_identifier = [
        "--match",
        "identifier={identifier.system}|{identifier.value}",
    ];
    let args = [
        &["people.ndjson", "observations.ndjson"],
        &conditional[..],
        &by_identifier,
        &by_subject,
    ];
    let report = import(&medplum, &args.concat()).ok().json();
    assert_eq!(
        (&report["created"], &report["updated"]),
        (&json!(30), &json!(30))
    );
    let read = medplum.run(["get", &format!("Patient/{}", id.as_str().unwrap())]);
    assert_eq!(read.ok().json()["active"], true);
    let search = format!("Observation?subject=Patient/{}", id.as_str().unwrap());
    let found = medplum.run(["get", &search]).ok().json();
    assert_eq!(found["entry"].as_array().unwrap().len(), 1, "{found}");
}

/// The server's own validation refuses two of fifty. A transaction that holds one of them is rolled back whole.
#[test]
fn what_the_server_refuses_is_kept_with_its_own_words() {
    let strict = r#"{"validation":{"inbound":"strict"}}"#;
    let lines = |bad: &[usize]| {
        let more = |number| {
            if bad.contains(&number) {
                r#","birthDate":"yesterday""#
            } else {
                ""
            }
        };
        let line = |number| person(number, more(number));
        (0..50).map(line).collect::<Vec<_>>().join("\n")
    };
    let (medplum, _server) = start(&["--settings", strict]);
    medplum.file("a.ndjson", lines(&[3, 30]));
    let args = ["a.ndjson", "--validate", "--rejects", "invalid.ndjson"];
    let run = import(&medplum, &args)
        .fails(5)
        .says("2 of 50 resources were not valid");
    assert_eq!(run.json()["unchanged"], 48);
    assert_eq!(medplum.read("invalid.ndjson").lines().count(), 2);
    let run = import(&medplum, &["a.ndjson"]).fails(5).says("birthDate");
    let report = run.json();
    assert_eq!(
        (&report["created"], &report["refused"]),
        (&json!(48), &json!(2))
    );
    assert_eq!(medplum.read("rejects.ndjson").lines().count(), 2);
    assert!(
        medplum
            .read("rejects.outcomes.ndjson")
            .contains("birthDate")
    );
    // Mended, they go.
    let mended = medplum
        .read("rejects.ndjson")
        .replace("yesterday", "1970-01-01");
    medplum.file("rejects.ndjson", mended);
    let report = import(&medplum, &["rejects.ndjson"]).ok().json();
    assert_eq!(report["created"], 2);
    assert!(!medplum.path("rejects.ndjson").exists());

    let (medplum, _server) = start(&["--settings", strict]);
    medplum.file("a.ndjson", lines(&[3]));
    let args = ["a.ndjson", "--bundle", "transaction", "--bundle-size", "10"];
    let report = import(&medplum, &args).fails(5).says("rolled back").json();
    assert_eq!(
        (&report["created"], &report["refused"]),
        (&json!(40), &json!(10))
    );
    let total = medplum.run(["get", "Patient?_summary=count"]).ok().json()["total"].clone();
    assert_eq!(total, 40);
}
