//! smart-fetch, a bulk client that nobody here wrote, exports from `medplum sandbox`; so do we, and get the same.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::sandbox::Sandbox;
use crate::support::{Medplum, synthea};

const TYPES: &str = "Patient,Condition,Observation,Encounter";

/// Ids by type of all NDJSON files in a folder, but for the log of smart-fetch.
fn ids_in(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let files = synthea::files(folder).into_iter();
    let data = files.filter(|path| !path.ends_with("log.ndjson"));
    let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in data.flat_map(|path| synthea::lines(&path).collect::<Vec<_>>()) {
        let (resource_type, id) = synthea::name(&line);
        ids.entry(resource_type).or_default().push(id);
    }
    for ids in ids.values_mut() {
        ids.sort();
    }
    ids
}

/// Runs smart-fetch with these arguments, and ours beside it; they must have fetched the same resources.
#[track_caller]
fn assert_same_export(medplum: &Medplum, sandbox: &Sandbox, sign_in: &[&str], group: bool) {
    let base = sandbox.fhir_base();
    let mut words = vec!["bulk", "--fhir-url", &base, "--type", TYPES];
    words.extend(["--no-compression", "--no-default-filters", "theirs"]);
    words.extend(sign_in);
    let mut ours = vec![
        "bulk", "export", "-p", "sandbox", "-t", TYPES, "-d", "ours", "-q",
    ];
    if group {
        words.extend(["--group", "all"]);
        ours.extend(["-e", "Group/all"]);
    }
    let run = medplum.smart_fetch(words).run().ok();
    assert!(!run.everything().to_lowercase().contains("warn"), "{run}");
    medplum.run(ours).ok();
    let [theirs, ours] = ["theirs", "ours"].map(|folder| ids_in(&medplum.path(folder)));
    assert_eq!(theirs, ours);
    let types: Vec<&str> = theirs.keys().map(String::as_str).collect();
    assert_eq!(types, ["Condition", "Encounter", "Observation", "Patient"]);
    assert_eq!(theirs["Patient"].len(), 40);
}

#[test]
fn smart_fetch_exports_from_the_sandbox_with_a_bearer_token() {
    let medplum = Medplum::new();
    let sandbox = Sandbox::start(&medplum, &["--patients", "40"]);
    sandbox.set_profile(&medplum);
    let token = medplum.run(["token", "-p", "sandbox"]).ok().stdout;
    let token = medplum.file("token.txt", token.trim());
    let token = token.display().to_string();
    assert_same_export(&medplum, &sandbox, &["--bearer-token", &token], false);
}

#[test]
fn smart_fetch_exports_a_group_of_the_sandbox_with_basic_auth() {
    let medplum = Medplum::new();
    let sandbox = Sandbox::start(&medplum, &["--patients", "40"]);
    sandbox.set_profile(&medplum);
    let password = medplum.file("password.txt", sandbox.fact("clientSecret"));
    let password = password.display().to_string();
    let sign_in = [
        "--basic-user",
        sandbox.fact("clientId"),
        "--basic-passwd",
        &password,
    ];
    assert_same_export(&medplum, &sandbox, &sign_in, true);
}
