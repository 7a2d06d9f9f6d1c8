//! The tour: one command, and a newcomer has exported files.

use std::fs;

use crate::support::medplum::tree;
use crate::support::{Medplum, synthea};

#[test]
fn the_demo_ends_by_itself_with_exported_files_that_it_names() {
    let medplum = Medplum::new();
    let run = medplum.run(["demo", "-d", "tour"]).ok();
    let folder = medplum.path("tour/export");
    let files: Vec<_> = synthea::files(&folder)
        .into_iter()
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "ndjson")
                && !path.ends_with("log.ndjson")
        })
        .collect();
    assert!(files.len() >= 3, "{files:?}");
    assert!(!run.stdout.contains("log.ndjson ("), "{run}");
    for file in files {
        let resources = synthea::ids(synthea::lines(&file));
        let count: usize = resources
            .values()
            .map(std::collections::BTreeSet::len)
            .sum();
        let named = format!("{} ({count} resources)", file.display());
        assert!(run.stdout.contains(&named), "{named}\n{run}");
    }
}

/// Every command of the tour is shown as it can be typed, with its result below it.
#[test]
fn the_demo_shows_every_command_with_its_result() {
    let run = Medplum::new().run(["demo"]).ok();
    let mut rest = run.stdout.as_str();
    for shown in [
        "$ medplum profile set demo --base-url http://127.0.0.1:",
        "$ medplum login -p demo",
        "$ medplum whoami -p demo",
        "Server:",
        "$ medplum get -p demo 'Patient?identifier:contains=3SH0A00AA00'",
        "\"resourceType\": \"Bundle\"",
        "$ medplum post -p demo Encounter '{\"resourceType\": \"Encounter\"",
        "\"resourceType\": \"Encounter\"",
        "$ medplum bulk export -p demo -e Group/all -d export",
        "is created",
        "Patient",
    ] {
        rest = rest
            .split_once(shown)
            .unwrap_or_else(|| panic!("{shown:?} does not come, or too early\n{run}"))
            .1;
    }
    // Without -d the folder is one for temporary files; it is named, and the tester's to remove.
    let file = run
        .stdout
        .lines()
        .find(|line| line.contains(".ndjson ("))
        .unwrap();
    let path = std::path::Path::new(file.split(" (").next().unwrap());
    fs::remove_dir_all(path.parent().unwrap().parent().unwrap()).unwrap();
}

/// Neither the home folder nor settings of the environment have a part in it.
#[test]
fn the_demo_leaves_a_users_own_settings_alone() {
    let medplum = Medplum::new()
        .env("MEDPLUM_BASE_URL", "https://production.example.com")
        .env("MEDPLUM_PROFILE", "production")
        .env("HTTP_PROXY", "http://127.0.0.1:1");
    medplum.write_profile_text("default", "{\"options\":\"{}\"}");
    medplum.file(".env", "MEDPLUM_CLIENT_ACCESS_TOKEN=x\n");
    let before = tree(&medplum.home());
    medplum.run(["demo", "-d", "tour"]).ok();
    assert!(tree(&medplum.home()) == before);
    assert!(medplum.path("tour/profiles/demo.json").is_file());
}

/// The tour is on this machine alone.
#[test]
fn the_demo_goes_past_any_proxy() {
    for proxy in [
        "socks5h://127.0.0.1:1",
        "http://127.0.0.1:1",
        "ftp://nowhere",
    ] {
        Medplum::new().env("ALL_PROXY", proxy).run(["demo"]).ok();
    }
}

/// A second tour in the same folder would fail in its last step only.
#[test]
fn the_demo_refuses_a_folder_with_an_export_and_changes_nothing() {
    let medplum = Medplum::new();
    medplum.file("tour/export/mine.txt", "mine");
    let before = tree(medplum.root());
    medplum
        .run(["demo", "-d", "tour"])
        .fails(2)
        .says("-d")
        .prints("");
    assert!(tree(medplum.root()) == before);
}
