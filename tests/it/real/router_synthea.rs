//! Real resources through Medplum's FHIR router and back.

use std::collections::BTreeSet;
use std::thread;

use serde_json::{Map, Value, json};

use crate::support::{Medplum, Peer, synthea};

/// One resource of so many is posted, and so many are read again.
const PART: usize = 10;
const READ: usize = 200;
/// The router takes at most 50 updates in one transaction.
const IN_A_BATCH: usize = 400;
const IN_A_TRANSACTION: usize = 50;

/// Every tenth resource of the data set, put in batches and transactions; then 200 of them are read, chosen by chance with
/// a fixed seed, one by one or by a search, and are what they were but for the version the server gives.
#[test]
fn resources_of_the_data_set_come_back_as_they_were() {
    let Some(folder) = synthea::folder() else {
        return;
    };
    let lines: Vec<String> = synthea::files(&folder)
        .iter()
        .flat_map(|path| synthea::lines(path))
        .step_by(PART)
        .collect();
    assert!(lines.len() > 3800, "{}", lines.len());
    let router = Peer::router(&[]);
    let medplum = Medplum::new().env("MEDPLUM_BASE_URL", router.url("/"));
    let (in_batches, in_transactions) = lines.split_at(lines.len() - 4 * IN_A_TRANSACTION);
    for lines in in_batches.chunks(IN_A_BATCH) {
        put_all(&medplum, "batch", lines);
    }
    for lines in in_transactions.chunks(IN_A_TRANSACTION) {
        put_all(&medplum, "transaction", lines);
    }
    let mut chosen: Vec<&String> = chosen(READ, lines.len())
        .into_iter()
        .map(|at| &lines[at])
        .collect();
    let by_search = chosen.split_off(READ / 4);
    thread::scope(|scope| {
        for lines in chosen.chunks(READ / 16) {
            let medplum = &medplum;
            scope.spawn(move || {
                for line in lines {
                    let (resource_type, id) = synthea::name(line);
                    let path = format!("{resource_type}/{id}");
                    assert_same(&medplum.run(["get", &path]).ok().json(), line);
                }
            });
        }
    });
    find_all(&medplum, &by_search);
}

#[track_caller]
fn put_all(medplum: &Medplum, kind: &str, lines: &[String]) {
    let entries: Vec<String> = lines
        .iter()
        .map(|line| {
            let (resource_type, id) = synthea::name(line);
            let request = json!({"method": "PUT", "url": format!("{resource_type}/{id}")});
            format!(r#"{{"resource":{line},"request":{request}}}"#)
        })
        .collect();
    let bundle = format!(
        r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{}]}}"#,
        entries.join(",")
    );
    let file = medplum.file("bundle.json", bundle);
    let run = medplum.run(["post", "", &format!("@{}", file.display())]);
    let answer = run.ok().json();
    assert_eq!(answer["type"], format!("{kind}-response"));
    let entries = answer["entry"].as_array().unwrap();
    assert_eq!(entries.len(), lines.len());
    for entry in entries {
        let status = entry["response"]["status"].as_str().unwrap();
        assert!(["200", "201"].contains(&status), "{entry}");
    }
}

/// Finds each type's resources by one search for their ids, page by page: they are what was sent.
pub(super) fn find_all(medplum: &Medplum, lines: &[&String]) {
    let types: BTreeSet<String> = lines.iter().map(|line| synthea::name(line).0).collect();
    for resource_type in types {
        let mine: Vec<&String> = lines
            .iter()
            .filter(|line| synthea::name(line).0 == resource_type)
            .copied()
            .collect();
        let ids: Vec<String> = mine.iter().map(|line| synthea::name(line).1).collect();
        let search = format!("{resource_type}?_id={}&_count=20", ids.join(","));
        let run = medplum.run(["get", &search, "--all", "-o", "ndjson"]);
        let found: Vec<Value> = run
            .ok()
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(found.len(), mine.len(), "{search}");
        for (id, line) in ids.iter().zip(mine) {
            let resource = found.iter().find(|resource| resource["id"] == **id);
            assert_same(resource.unwrap(), line);
        }
    }
}

/// A resource as it was read is what was sent, but for the version that the server gives.
#[track_caller]
pub(super) fn assert_same(read: &Value, sent: &str) {
    let mut read = read.clone();
    let meta = read["meta"].as_object_mut().unwrap();
    let version = [meta.remove("versionId"), meta.remove("lastUpdated")];
    assert!(version.iter().all(Option::is_some), "{sent}");
    let mut sent: Value = serde_json::from_str(sent).unwrap();
    match sent["meta"].as_object_mut() {
        Some(meta) => {
            meta.remove("versionId");
            meta.remove("lastUpdated");
        }
        None => sent["meta"] = Value::Object(Map::new()),
    }
    assert_eq!(read, sent);
}

/// So many different numbers below a limit, the same ones in every run.
pub(super) fn chosen(count: usize, below: usize) -> BTreeSet<usize> {
    let mut state: u64 = 0x5EED;
    let mut chosen = BTreeSet::new();
    while chosen.len() < count {
        // Knuth's MMIX generator; its upper bits are the good ones.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        chosen.insert((state >> 33) as usize % below);
    }
    chosen
}
