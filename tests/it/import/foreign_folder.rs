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
