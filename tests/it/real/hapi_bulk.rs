//! Bulk export from HAPI and bulk import into it.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::{Value, json};

use super::hapi::{EXPORTED, SHARED, hapi, user_of};
use crate::support::{Medplum, synthea};

fn ids(medplum: &Medplum, folder: &str) -> BTreeSet<String> {
    resources(medplum, folder)
        .iter()
        .map(|resource| {
            let [of, id] = ["resourceType", "id"].map(|name| resource[name].as_str().unwrap());
            format!("{of}/{id}")
        })
        .collect()
}

pub fn resources(medplum: &Medplum, folder: &str) -> Vec<Value> {
    synthea::files(&medplum.path(folder))
        .iter()
        .flat_map(|path| synthea::lines(path))
        .map(|line| serde_json::from_str(&line).unwrap())
        .collect()
}

fn names(of: &str, numbers: impl IntoIterator<Item = usize>) -> BTreeSet<String> {
    let named = numbers.into_iter();
    named.map(|at| format!("{of}/{}{at}", &of[..1])).collect()
}

/// Twelve patients, an observation of each, and a group of the first two.
fn clinic() -> String {
    let mut lines = String::new();
    for at in 0..12 {
        let patient = json!({"resourceType": "Patient", "id": format!("P{at}"), "name": [{"family": format!("Bulk{at}x")}]});
        let observation = json!({"resourceType": "Observation", "id": format!("O{at}"), "status": "final",
            "code": {"text": "weight"}, "subject": {"reference": format!("Patient/P{at}")}});
        writeln!(lines, "{patient}\n{observation}").unwrap();
    }
    let group = json!({"resourceType": "Group", "id": "G0", "type": "person", "actual": true,
        "member": [{"entity": {"reference": "Patient/P0"}}, {"entity": {"reference": "Patient/P1"}}]});
    writeln!(lines, "{group}").unwrap();
    lines
}

/// Its files are Binary resources that hold NDJSON; five resources in each here.
#[test]
fn hapi_exports_the_system_its_patients_and_a_group() {
    let Some(hapi) = hapi() else { return };
    let medplum = user_of(hapi, EXPORTED);
    medplum.file("clinic.ndjson", clinic());
    medplum.run(["bulk", "import", "clinic.ndjson"]).ok();
    let export = |folder: &str, args: &[&str]| {
        let words = ["bulk", "export", "-q", "-d", folder];
        medplum.run([&words, args].concat()).ok();
        ids(&medplum, folder)
    };
    let all = &names("Patient", 0..12) | &names("Observation", 0..12);
    let types = ["-t", "Patient,Observation"];
    let with_group = ["-t", "Patient,Observation,Group"];
    assert_eq!(export("system", &with_group), &all | &names("Group", [0]));
    assert!(synthea::files(&medplum.path("system")).len() >= 5);
    let manifest: Value = serde_json::from_str(&medplum.read("system/manifest.json")).unwrap();
    let url = manifest["output"][0]["url"].as_str().unwrap();
    assert!(url.contains("/Binary/"), "{url}");

    assert_eq!(
        export("patients", &[&["-e", "Patient"], &types[..]].concat()),
        all
    );
    let of_group = export("group", &[&["-e", "Group/G0"], &types[..]].concat());
    assert_eq!(
        of_group,
        &names("Patient", 0..2) | &names("Observation", 0..2)
    );
    let words = ["-e", "Group/G0", "--method", "post", "-t", "Patient"];
    assert_eq!(export("posted", &words), names("Patient", 0..2));
    let words = ["-t", "Patient", "--type-filter", "Patient?name=Bulk7x"];
    assert_eq!(export("filtered", &words), names("Patient", [7]));
}

#[test]
fn hapi_ends_an_export_that_is_cancelled() {
    let Some(hapi) = hapi() else { return };
    let medplum = user_of(hapi, SHARED);
    let words = ["bulk", "export", "-t", "Device", "-d", "out", "--detach"];
    let run = medplum.run(words).ok();
    assert!(
        run.everything().contains("$export-poll-status?_jobId="),
        "{run}"
    );
    let run = medplum.run(["bulk", "cancel", "out"]).ok();
    assert!(
        run.everything().contains("The server was told to stop."),
        "{run}"
    );
}

/// Three patients that are good and one that HAPI refuses.
fn admitted(prefix: &str) -> String {
    let mut lines = String::new();
    for at in 0..4 {
        let mut patient = json!({"resourceType": "Patient", "id": format!("{prefix}-{at}"),
            "identifier": [{"system": "urn:oid:1.2.3", "value": format!("{prefix}-{at}")}]});
        if at == 3 {
            patient["birthDate"] = "never".into();
        }
        writeln!(lines, "{patient}").unwrap();
    }
    lines
}

#[test]
fn hapi_takes_an_import_by_each_method_and_what_it_refuses_is_kept() {
    let Some(hapi) = hapi() else { return };
    let medplum = user_of(hapi, SHARED);
    let by_identifier = "identifier={identifier.system}|{identifier.value}";
    let conditional = ["--method", "conditional", "--match", by_identifier];
    for (name, args, again) in [
        ("put", &[][..], ["created", "updated"]),
        ("none", &["--bundle", "none"], ["created", "updated"]),
        ("post", &["--method", "post"], ["created", "created"]),
        ("conditional", &conditional, ["created", "updated"]),
    ] {
        let file = format!("{name}.ndjson");
        medplum.file(&file, admitted(name));
        for outcome in again {
            let words = ["bulk", "import", &file, "-q", "-o", "json"];
            let run = medplum.run([&words, args].concat());
            let run = run.fails(5).says("Invalid date/time format: \"never\"");
            let report = run.json();
            assert_eq!(
                (&report[outcome], &report["refused"]),
                (&json!(3), &json!(1)),
                "{run}"
            );
            let rejects = medplum.read("rejects.ndjson");
            assert_eq!(rejects.lines().count(), 1, "{rejects}");
            assert!(rejects.contains("never"), "{rejects}");
            for name in ["rejects.ndjson", "rejects.outcomes.ndjson"] {
                std::fs::remove_file(medplum.path(name)).unwrap();
            }
        }
    }
}

/// HAPI adds the id of the request to `meta.source`, which is no change of the resource.
#[test]
fn hapi_is_sent_nothing_that_is_there_already() {
    let Some(hapi) = hapi() else { return };
    let medplum = user_of(hapi, SHARED);
    let lines: String = admitted("same")
        .lines()
        .take(3)
        .fold(String::new(), |text, line| text + line + "\n");
    medplum.file("same.ndjson", lines);
    let words = [
        "bulk",
        "import",
        "same.ndjson",
        "-q",
        "-o",
        "json",
        "--skip-unchanged",
    ];
    assert_eq!(medplum.run(words).ok().json()["created"], 3);
    let report = medplum.run(words).ok().json();
    assert_eq!(
        (&report["unchanged"], &report["updated"]),
        (&json!(3), &json!(0))
    );
}

/// All of a transaction or nothing.
#[test]
fn hapi_takes_transactions_of_500_and_nothing_of_one_with_a_fault() {
    let Some(hapi) = hapi() else { return };
    let medplum = user_of(hapi, SHARED);
    let mut lines = String::new();
    for at in 0..1000 {
        let basic =
            json!({"resourceType": "Basic", "id": format!("large-{at}"), "code": {"text": "x"}});
        writeln!(lines, "{basic}").unwrap();
    }
    medplum.file("large.ndjson", lines);
    let words = [
        "bulk",
        "import",
        "-o",
        "json",
        "-q",
        "--bundle",
        "transaction",
    ];
    let run = medplum.run([&words[..], &["large.ndjson", "--bundle-size", "500"]].concat());
    assert_eq!(run.ok().json()["created"], 1000);
    medplum.file("fault.ndjson", admitted("fault"));
    let report = medplum
        .run([&words[..], &["fault.ndjson"]].concat())
        .fails(5);
    assert_eq!(report.json()["refused"], 4);
    medplum.run(["get", "Patient/fault-0"]).fails(4);
}
