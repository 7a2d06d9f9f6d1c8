//! A working folder that somebody else gave: its state and its links lead nothing out of it.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use serde_json::Value;

use super::basics::{import, patients};
use crate::support::medplum::tree;
use crate::support::store::Rules;
use crate::support::{Medplum, Store};

fn picky() -> Store {
    Store::with(Rules {
        refused: ["Patient/p3".to_owned()].into(),
        ..Rules::default()
    })
}

/// The state says that rejects have yet to be put somewhere; the next import did that, wherever it was, whatever they were.
#[test]
fn rejects_of_a_state_that_somebody_wrote_are_put_nowhere() {
    let (store, medplum) = (picky(), Arc::new(Medplum::new()));
    medplum.file("a.ndjson", patients(5));
    medplum.file("b.ndjson", patients(2));
    let of = Arc::clone(&medplum);
    store.server.guard(move |_| {
        of.file("rejects.ndjson", "in the way\n");
        None
    });
    import(&medplum, &store, &["a.ndjson"]).fails(1);
    store.server.guard(|_| None);
    fs::remove_file(medplum.path("rejects.ndjson")).unwrap();
    let state = medplum.path(".medplum-import/request.json");
    let mut request: Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
    let elsewhere = medplum.home().join(".profile");
    request["rejects"] = elsewhere.to_str().unwrap().into();
    fs::write(&state, request.to_string()).unwrap();
    medplum.file(".medplum-import/rejects.ndjson", "rm -rf everything\n");
    store.server.forget();
    import(&medplum, &store, &["b.ndjson"])
        .fails(2)
        .says("--rejects")
        .says(".medplum-import/rejects.ndjson");
    assert!(!elsewhere.exists());
    assert!(store.server.requests().is_empty());
    // Who names it means it.
    let named = elsewhere.to_str().unwrap();
    import(&medplum, &store, &["b.ndjson", "--rejects", named])
        .fails(2)
        .says("holds what another import left");
    assert_eq!(
        fs::read_to_string(&elsewhere).unwrap(),
        "rm -rf everything\n"
    );
}

/// The usual name of the rejects, and that of their outcomes which nobody names, lead out of the folder.
#[test]
fn a_link_under_a_name_that_nobody_gave_leads_nothing_away() {
    for (name, args) in [
        ("rejects.ndjson", &["a.ndjson"][..]),
        ("rejects.outcomes.ndjson", &["a.ndjson"]),
        (
            "rejects.outcomes.ndjson",
            &["a.ndjson", "--rejects", "rejects.ndjson"],
        ),
        ("invalid.ndjson", &["a.ndjson", "--validate"]),
    ] {
        let (store, medplum) = (picky(), Medplum::new());
        medplum.file("a.ndjson", patients(5));
        let elsewhere = medplum.home().join(".profile");
        symlink(&elsewhere, medplum.path(name)).unwrap();
        import(&medplum, &store, args)
            .fails(2)
            .says(name)
            .says("out of its folder");
        assert!(!elsewhere.exists());
        assert!(store.server.requests().is_empty());
    }
}

#[test]
fn a_state_that_is_a_link_leads_nothing_away() {
    let (store, medplum) = (picky(), Medplum::new());
    medplum.file("a.ndjson", patients(5));
    for name in [
        "journal.ndjson",
        "request.json",
        "rejects.ndjson",
        "rejects.outcomes.ndjson",
    ] {
        medplum.file(&format!("theirs/{name}"), "mine");
    }
    symlink("theirs", medplum.path(".medplum-import")).unwrap();
    let before = tree(&medplum.path("theirs"));
    for args in [
        &["a.ndjson"][..],
        &["a.ndjson", "--restart"],
        &["a.ndjson", "--resume"],
    ] {
        let run = import(&medplum, &store, args);
        assert!(run.code == 1 || run.code == 2, "{run}");
        assert_eq!(tree(&medplum.path("theirs")), before, "{run}");
    }
    assert!(store.server.requests().is_empty());
}

/// A file of somebody's home, once as a resource that would be sent, and once as a secret that would be quoted.
fn outside(medplum: &Medplum) -> [std::path::PathBuf; 2] {
    let folder = medplum.home().join("private");
    fs::create_dir(&folder).unwrap();
    let files = [
        (
            "resource.ndjson",
            r#"{"resourceType":"Patient","id":"canary-7f3a"}"#,
        ),
        (
            "x.json",
            r#"{"clientSecret":"canary-7f3a","id":{"resourceType":"canary-7f3a"}}"#,
        ),
    ];
    files.map(|(name, text)| {
        fs::write(folder.join(name), text).unwrap();
        folder.join(name)
    })
}

#[test]
fn a_link_in_a_folder_leads_to_nothing_outside_of_it() {
    for (link, args) in [
        ("Patient.ndjson", &["."][..]),
        ("Patient.json", &["."]),
        ("data/Patient.ndjson", &["data"]),
        ("data/deleted/Patient.ndjson", &["data"]),
        ("Patient.ndjson", &["*.ndjson"]),
        ("data/a/Patient.ndjson", &["data/**/*.ndjson"]),
        ("data/a/Patient.ndjson", &["d*/a/Patient.ndjson"]),
    ] {
        for dry in [&[][..], &["--dry-run"]] {
            for target in 0..2 {
                let (store, medplum) = (Store::open(), Medplum::new());
                medplum.file("data/Group.ndjson", r#"{"resourceType":"Group","id":"g"}"#);
                let target = &outside(&medplum)[target];
                fs::create_dir_all(medplum.path(link).parent().unwrap()).unwrap();
                symlink(target, medplum.path(link)).unwrap();
                let run = import(&medplum, &store, &[args, dry].concat())
                    .fails(2)
                    .says("Patient.")
                    .says("is a link that leads out of")
                    .says("nothing was sent");
                assert!(!run.to_string().contains("canary"), "{run}");
                assert!(store.server.requests().is_empty());
            }
        }
    }
}

#[test]
fn a_folder_that_is_a_link_leads_to_nothing_outside_of_the_one_it_lies_in() {
    for (link, args) in [
        ("data/deleted", &["data"][..]),
        ("data/sub", &["data/*/*.ndjson"]),
    ] {
        let (store, medplum) = (Store::open(), Medplum::new());
        medplum.file("data/Group.ndjson", r#"{"resourceType":"Group","id":"g"}"#);
        let [resource, _] = outside(&medplum);
        symlink(resource.parent().unwrap(), medplum.path(link)).unwrap();
        import(&medplum, &store, args)
            .fails(2)
            .says("is a link that leads out of data");
        assert!(store.server.requests().is_empty());
    }
}

#[test]
fn links_that_the_user_names_and_links_within_a_folder_are_followed() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let [resource, _] = outside(&medplum);
    symlink(&resource, medplum.path("mine.ndjson")).unwrap();
    import(&medplum, &store, &["mine.ndjson"]).ok();
    medplum.file("data/.kept/a.ndjson", patients(2));
    symlink(".kept/a.ndjson", medplum.path("data/Patient.ndjson")).unwrap();
    symlink("data", medplum.path("also")).unwrap();
    for args in [&["data"], &["also"], &["also/*.ndjson"]] {
        import(&medplum, &store, args).ok();
    }
    let writes = store.writes();
    assert_eq!(writes["Patient/canary-7f3a"], 1);
    assert_eq!((writes["Patient/p1"], writes["Patient/p2"]), (3, 3));
}
