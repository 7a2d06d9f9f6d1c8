//! A disk that is full: nothing that was sent counts as not sent, the file is named, and what to do then works.

use serde_json::Value;

use super::basics::{import, patients};
use crate::support::medplum::Invocation;
use crate::support::store::Rules;
use crate::support::{Medplum, Run, Store};

/// An import of `a.ndjson`, one resource in a bundle, as JSON.
fn prepared<'a>(medplum: &'a Medplum, store: &Store, flags: &[&str]) -> Invocation<'a> {
    let words = ["bulk", "import", "-o", "json", "--bundle-size", "1"];
    let flags = flags.iter().map(|flag| (*flag).to_owned());
    let words = words.map(str::to_owned).into_iter().chain(flags);
    medplum.command(words.chain(store.flags()).collect::<Vec<_>>())
}

fn count(report: &Value, name: &str) -> usize {
    usize::try_from(report[name].as_u64().unwrap()).unwrap()
}

#[track_caller]
fn is_about(run: &Run, file: &str) {
    assert!(run.stderr.contains(file), "{run}");
    assert!(run.stderr.contains("make room on the disk"), "{run}");
}

#[test]
fn what_was_sent_when_the_journal_is_full_counts_as_what_the_server_said() {
    for method in ["post", "put", "conditional"] {
        for room in [900, 1500, 2500] {
            let (store, medplum) = (Store::open(), Medplum::new());
            let lines: Vec<String> = (1..=100)
                .map(|number| super::identity::resource("Patient", &format!("p{number}"), ""))
                .collect();
            medplum.file("a.ndjson", lines.join("\n"));
            let flags = ["a.ndjson", "--method", method];
            let run = prepared(&medplum, &store, &flags)
                .file_size_limit(room)
                .run()
                .fails(1);
            is_about(&run, "journal.ndjson");
            let report = run.json();
            let there = store.names().len();
            assert!(there > 0 && there < 100, "{run}");
            assert_eq!(count(&report, "created"), there, "{run}");
            assert_eq!(count(&report, "notSent"), 100 - there, "{run}");
            assert!(run.stderr.contains("then go on with --resume"), "{run}");
            // The hint leads somewhere, and nothing is doubled.
            let run = prepared(&medplum, &store, &[&flags[..], &["--resume"]].concat()).run();
            let report = run.json();
            let unknown = count(&report, "unknown");
            assert_eq!(count(&report, "notSent"), 0, "{run}");
            assert_eq!(store.names().len(), 100, "{run}");
            if method == "post" {
                assert_eq!(run.code, if unknown > 0 { 5 } else { 0 }, "{run}");
                assert_eq!(store.server.requests_to("/fhir/R4").len(), 100, "{run}");
            } else {
                assert_eq!((run.code, unknown), (0, 0), "{run}");
            }
        }
    }
}

#[test]
fn what_was_refused_when_the_rejects_are_full_counts_as_refused() {
    let names = (1..=100).map(|number| format!("Patient/p{number}"));
    let store = Store::with(Rules {
        refused: names.collect(),
        ..Rules::default()
    });
    let medplum = Medplum::new();
    medplum.file("a.ndjson", patients(100));
    for method in ["post", "put"] {
        store.server.forget();
        let flags = ["a.ndjson", "--method", method];
        let run = prepared(&medplum, &store, &flags)
            .file_size_limit(2000)
            .run()
            .fails(1);
        is_about(&run, "rejects");
        let report = run.json();
        let asked = store.server.requests_to("/fhir/R4").len();
        assert!(asked > 0 && asked < 100, "{run}");
        assert_eq!(count(&report, "refused"), asked, "{run}");
        assert_eq!(count(&report, "notSent"), 100 - asked, "{run}");
        let run = prepared(&medplum, &store, &[&flags[..], &["--resume"]].concat())
            .run()
            .fails(5);
        let report = run.json();
        let (refused, unknown) = (count(&report, "refused"), count(&report, "unknown"));
        assert_eq!(refused + unknown, 100, "{run}");
        assert_eq!(medplum.read("rejects.ndjson").lines().count(), 100, "{run}");
        std::fs::remove_file(medplum.path("rejects.ndjson")).unwrap();
        std::fs::remove_file(medplum.path("rejects.outcomes.ndjson")).unwrap();
    }
}

#[test]
fn a_disk_that_is_full_from_the_beginning_is_told_and_the_same_command_goes_later() {
    for flags in [&["a.ndjson"][..], &["a.ndjson", "--method", "post"]] {
        for room in [0, 100] {
            let (store, medplum) = (Store::open(), Medplum::new());
            medplum.file("a.ndjson", patients(3));
            let run = prepared(&medplum, &store, flags)
                .file_size_limit(room)
                .run();
            assert_eq!(run.code, 1, "{run}");
            let run = run.says("make room on the disk").says("nothing was sent");
            assert!(!run.stderr.contains("--resume"), "{run}");
            assert!(store.server.requests().is_empty(), "{run}");
            prepared(&medplum, &store, flags).run().ok();
            assert_eq!(store.names().len(), 3);
        }
    }
}

#[test]
fn rejects_that_have_no_room_where_they_belong_are_told_where_they_are() {
    let store = Store::with(Rules {
        refused: ["Patient/p2".to_owned()].into(),
        ..Rules::default()
    });
    let medplum = Medplum::new();
    medplum.file("a.ndjson", patients(3));
    let kept = ".medplum-import/rejects.ndjson";
    let flags = ["a.ndjson", "--rejects", "/dev/full"];
    let run = prepared(&medplum, &store, &flags)
        .run()
        .fails(1)
        .says("cannot be put to /dev/full")
        .says(kept)
        .says("copy them from there");
    let report = run.json();
    let rejects = report["rejects"].as_str().unwrap();
    assert!(rejects.ends_with(kept), "{run}");
    assert_eq!(count(&report, "created"), 2, "{run}");
    assert!(medplum.read(kept).contains("p2"));
    // No later import throws them away.
    import(&medplum, &store, &["a.ndjson"]).fails(2).says(kept);
    import(&medplum, &store, &flags).fails(2).says(kept);
    assert!(medplum.read(kept).contains("p2"));
}
