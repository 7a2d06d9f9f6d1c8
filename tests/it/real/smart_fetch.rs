//! A client that nobody here wrote exports from our sandbox, and gets what we get.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::Medplum;

/// Lines by resource type in the NDJSON files of a folder named `TYPE.001.ndjson`, or numbered `1.TYPE.ndjson`.
fn counts(folder: &Path, types: &[&str]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(of) = types
            .iter()
            .find(|of| name.split('.').any(|part| part == **of))
        else {
            continue;
        };
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        *counts.entry((*of).to_owned()).or_default() += lines;
    }
    counts
}

#[test]
fn smart_fetch_exports_from_the_sandbox_what_we_export() {
    let medplum = Medplum::new();
    let sandbox = medplum.spawn(["sandbox", "--port", "0", "--patients", "30", "-o", "ndjson"]);
    let facts: Value = serde_json::from_str(&sandbox.stdout_line("baseUrl")).unwrap();
    let text = |key: &str| facts[key].as_str().unwrap();
    let _ = medplum
        .run([
            "profile",
            "set",
            "sandbox",
            "--base-url",
            text("baseUrl"),
            "--client-id",
            text("clientId"),
            "--client-secret",
            text("clientSecret"),
        ])
        .ok();
    let types = ["Condition", "Observation", "Patient"];
    let _ = medplum
        .run([
            "bulk",
            "export",
            "-p",
            "sandbox",
            "-e",
            "Group/all",
            "-d",
            "ours",
            "-t",
            &types.join(","),
            "--file-names",
            "numbered",
        ])
        .ok();

    let token = medplum.run(["token", "-p", "sandbox"]).ok();
    let token_file = medplum.file("token", token.stdout.trim());
    let base = format!("{}fhir/R4", text("baseUrl"));
    let theirs = medplum.path("theirs");
    let run = medplum
        .smart_fetch([
            "bulk",
            "--fhir-url",
            &base,
            "--type",
            &types.join(","),
            "--group",
            "all",
            "--no-compression",
            "--no-default-filters",
            "--bearer-token",
            &token_file.display().to_string(),
            &theirs.display().to_string(),
        ])
        .run()
        .ok();

    let ours = counts(&medplum.path("ours"), &types);
    assert_eq!(ours.len(), types.len(), "{ours:?}");
    assert_eq!(counts(&theirs, &types), ours, "{run}");
}
