//! The first thing a newcomer runs.

use std::fs;

use crate::support::Medplum;

#[test]
fn the_demo_ends_with_exported_files_and_touches_no_profile_of_the_users() {
    let medplum = Medplum::new();
    let run = medplum.run(["demo", "-d", "tour"]).ok();
    for command in [
        "profile set demo",
        "login -p demo",
        "whoami -p demo",
        "get -p demo",
        "post -p demo",
        "bulk export -p demo",
    ] {
        assert!(
            run.stdout.contains(&format!("$ medplum {command}")),
            "{command}\n{run}"
        );
    }
    for name in [
        "1.Patient.ndjson",
        "1.Observation.ndjson",
        "1.Encounter.ndjson",
    ] {
        let path = medplum.path("tour/export").join(name);
        assert!(
            run.stdout.contains(&path.display().to_string()),
            "{name}\n{run}"
        );
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.lines().count() > 50, "{name}");
    }
    assert!(!medplum.home().join(".medplum").exists());
}

#[test]
fn a_step_of_the_demo_that_fails_ends_it() {
    let medplum = Medplum::new();
    medplum.file("tour/profiles", "a file where the profiles would go");
    let _ = medplum
        .run(["demo", "-d", "tour"])
        .fails(1)
        .says("this step of the demo failed");
}
