//! `bulk import` of the whole data set into Medplum's own FHIR router, which nobody here wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use super::router_synthea::{chosen, find_all};
use crate::support::imported::DataSet;
use crate::support::store::references;
use crate::support::{Medplum, Peer, Run, synthea};

/// How many resources are read again, chosen by chance with a fixed seed.
const READ: usize = 200;

/// A user, and a router that holds the data set.
struct Filled {
    medplum: Medplum,
    _router: Peer,
    data: DataSet,
    folder: String,
}

impl Filled {
    /// Imports the data set into a new router.
    fn of(folder: &Path) -> (Self, Run) {
        let router = Peer::router(&[]);
        let medplum = Medplum::new().env("MEDPLUM_BASE_URL", router.url("/"));
        let filled = Self {
            medplum,
            _router: router,
            data: DataSet::read(folder, 1),
            folder: folder.display().to_string(),
        };
        let run = filled.import(&[]);
        (filled, run)
    }

    fn import(&self, args: &[&str]) -> Run {
        let words = [
            "bulk",
            "import",
            &self.folder,
            "-o",
            "json",
            "--bundle-size",
            "100",
        ];
        self.medplum.run([&words, args].concat())
    }

    /// How many resources of each type the router has.
    fn counts(&self) -> BTreeMap<String, usize> {
        let types = self.data.counts().into_keys();
        types
            .map(|resource_type| {
                let search = format!("{resource_type}?_total=accurate&_count=1");
                let found = self.medplum.run(["get", &search]).ok().json();
                let total = found["total"].as_u64().unwrap();
                (resource_type, usize::try_from(total).unwrap())
            })
            .collect()
    }

    /// Some resources, chosen by chance, are on the router what they were in the files.
    fn assert_some_are_the_same(&self) {
        let lines: Vec<String> = chosen(READ, self.data.lines.len())
            .into_iter()
            .map(|at| self.data.arrived(&self.data.lines[at]))
            .collect();
        find_all(&self.medplum, &lines.iter().collect::<Vec<_>>());
    }
}

#[track_caller]
fn assert_counts(report: &Value, outcome: &str, wanted: &BTreeMap<String, usize>) {
    let types = report["types"].as_array().unwrap();
    let found: BTreeMap<String, usize> = types
        .iter()
        .map(|counts| {
            let number = counts[outcome].as_u64().unwrap();
            let name = counts["type"].as_str().unwrap().to_owned();
            (name, usize::try_from(number).unwrap())
        })
        .collect();
    assert_eq!(&found, wanted, "{outcome}");
}

/// The router answers 200 to a PUT that creates, so all counts as updated.
#[test]
fn the_whole_data_set_is_imported_into_medplums_router_and_once_more_without_a_change() {
    let Some(folder) = synthea::folder() else {
        return;
    };
    let (filled, run) = Filled::of(&folder);
    let data = &filled.data;
    assert!(data.lines.len() > 38_000, "{}", data.lines.len());
    let dangling = data.dangling();
    let run = match dangling {
        0 => run.ok(),
        _ => run.ok().says(&format!(
            "{dangling} references lead to nothing that is imported"
        )),
    };
    assert_counts(&run.json(), "updated", &data.counts());
    assert_eq!(filled.counts(), data.counts());
    filled.assert_some_are_the_same();
    // Every reference that leads to a resource of the set leads to one on the router.
    let there = on_router(&filled);
    let wanted = data.resolving(&data.lines);
    assert!(wanted.len() > 10_000, "{}", wanted.len());
    let missing: Vec<&String> = wanted.difference(&there.0).take(3).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let unled: Vec<&String> = wanted.difference(&there.1).take(3).collect();
    assert!(unled.is_empty(), "{unled:?}");

    let again = filled.import(&[]).ok().json();
    assert_eq!(
        (&again["created"], &again["refused"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(filled.counts(), data.counts());
    filled.assert_some_are_the_same();

    let unchanged = filled.import(&["--skip-unchanged"]).ok().json();
    assert_counts(&unchanged, "unchanged", &data.counts());
    assert_eq!(unchanged["updated"], 0);
}

/// The router knows no `$validate`. That says nothing about the resources.
#[test]
fn a_server_that_validates_nothing_is_named_as_such() {
    let router = Peer::router(&[]);
    let medplum = Medplum::new().env("MEDPLUM_BASE_URL", router.url("/"));
    medplum.file("a.ndjson", crate::import::basics::patients(50));
    let run = medplum.run(["bulk", "import", "a.ndjson", "--validate", "-o", "json"]);
    let report = run.fails(1).says("the server has no $validate: ").json();
    assert_eq!(
        (&report["refused"], &report["notSent"]),
        (&json!(0), &json!(50))
    );
    assert!(!medplum.path("rejects.ndjson").exists());
}

/// The names of all resources on the router, and all that they point at.
fn on_router(filled: &Filled) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut names, mut targets) = (BTreeSet::new(), BTreeSet::new());
    for resource_type in filled.data.counts().into_keys() {
        let search = format!("{resource_type}?_count=1000");
        let run = filled
            .medplum
            .run(["get", &search, "--all", "-o", "ndjson"]);
        for line in run.ok().stdout.lines() {
            let resource: Value = serde_json::from_str(line).unwrap();
            names.insert(format!(
                "{resource_type}/{}",
                resource["id"].as_str().unwrap()
            ));
            targets.extend(references(&resource));
        }
    }
    (names, targets)
}
