//! `bulk import` that ends early: what is kept, and what `--resume` does with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::basics::{SMALL, import, patients};
use crate::support::medplum::tree;
use crate::support::run::KILLED;
use crate::support::store::Rules;
use crate::support::{Answer, Medplum, Store};

/// A server that is silent from its `after`th Bundle on, until told otherwise.
pub(super) fn silent_after(store: &Store, after: usize) -> Arc<AtomicBool> {
    let (seen, silent) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(true)));
    let asked = Arc::clone(&silent);
    store.server.guard(move |_| {
        let is_late = seen.fetch_add(1, Ordering::SeqCst) >= after;
        (is_late && asked.load(Ordering::SeqCst)).then(Answer::silence)
    });
    silent
}

pub(super) fn start(
    medplum: &Medplum,
    store: &Store,
    args: &[&str],
) -> crate::support::run::Running {
    let flags = store.flags();
    let words = ["bulk", "import"]
        .iter()
        .chain(args)
        .chain(&SMALL)
        .map(|word| (*word).to_owned());
    medplum.spawn(words.chain(flags))
}

pub(super) fn wait_for_bundles(store: &Store, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while store.bundles().len() < count {
        assert!(Instant::now() < deadline, "no {count} bundles came");
        std::thread::yield_now();
    }
}

#[test]
fn a_killed_import_goes_on_and_loses_and_doubles_nothing() {
    let store = Store::with(Rules {
        refused: ["Patient/p3".to_owned(), "Patient/p290".to_owned()].into(),
        ..Rules::default()
    });
    let medplum = Medplum::new();
    medplum.file("a.ndjson", patients(300));
    let silent = silent_after(&store, 5);
    let running = start(&medplum, &store, &["a.ndjson", "--parallel", "2"]);
    wait_for_bundles(&store, 7);
    running.kill();
    running.finish().fails(KILLED);
    silent.store(false, Ordering::SeqCst);
    import(&medplum, &store, &["a.ndjson"])
        .fails(2)
        .says("--resume");
    let run = import(&medplum, &store, &["a.ndjson", "--resume", "-o", "json"]).fails(5);
    let report = run.json();
    assert_eq!(
        (&report["created"], &report["refused"], &report["resources"]),
        (&json!(298), &json!(2), &json!(300))
    );
    assert!(store.writes().values().all(|writes| *writes == 1));
    assert_eq!(medplum.read("rejects.ndjson").lines().count(), 2);
    assert_eq!(medplum.read("rejects.outcomes.ndjson").lines().count(), 2);
    // Once more says the same, and sends nothing.
    store.server.forget();
    let again = import(&medplum, &store, &["a.ndjson", "--resume", "-o", "json"])
        .fails(5)
        .says("finished before")
        .json();
    assert_eq!(again["created"], 298);
    assert!(store.bundles().is_empty());
}

#[test]
fn a_killed_import_by_post_reports_what_is_unknown_and_never_sends_it_twice() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", patients(200));
    let silent = silent_after(&store, 3);
    let args = ["a.ndjson", "--parallel", "2", "--method", "post"];
    let running = start(&medplum, &store, &args);
    wait_for_bundles(&store, 5);
    running.kill();
    running.finish().fails(KILLED);
    silent.store(false, Ordering::SeqCst);
    let args = [&args[..], &["--resume", "-o", "json"]].concat();
    let report = import(&medplum, &store, &args).fails(5).json();
    assert_eq!(
        (&report["created"], &report["unknown"], &report["resources"]),
        (&json!(150), &json!(50), &json!(200))
    );
    // Each line went out once, the silent ones too.
    let mut ids: Vec<Value> = store
        .server
        .requests_to("/fhir/R4")
        .iter()
        .flat_map(|request| {
            let entries = request.json()["entry"].as_array().unwrap().clone();
            entries
                .into_iter()
                .map(|entry| entry["resource"]["id"].clone())
        })
        .collect();
    assert_eq!(ids.len(), 200);
    ids.sort_by_key(Value::to_string);
    ids.dedup();
    assert_eq!(ids.len(), 200);
    assert_eq!(medplum.read("rejects.ndjson").lines().count(), 50);
}

#[test]
fn ctrl_c_keeps_the_state_and_says_how_to_go_on() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", patients(300));
    let silent = silent_after(&store, 2);
    let running = start(&medplum, &store, &["a.ndjson", "-o", "json"]);
    wait_for_bundles(&store, 4);
    running.interrupt();
    let run = running.finish().fails(130).says("--resume");
    let report = run.json();
    assert_eq!(report["created"], 50);
    assert_eq!(
        report["notSent"].as_u64().unwrap() + report["unknown"].as_u64().unwrap(),
        250
    );
    silent.store(false, Ordering::SeqCst);
    let report = import(&medplum, &store, &["a.ndjson", "--resume", "-o", "json"])
        .ok()
        .json();
    assert_eq!(
        (&report["created"], &report["resources"]),
        (&json!(300), &json!(300))
    );
}

#[test]
fn a_server_that_is_gone_ends_the_run_and_a_resume_finishes_it() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", patients(300));
    let (seen, gone) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(true)));
    let asked = Arc::clone(&gone);
    store.server.guard(move |_| {
        let is_late = seen.fetch_add(1, Ordering::SeqCst) >= 4;
        (is_late && asked.load(Ordering::SeqCst)).then(Answer::reset)
    });
    let args = ["a.ndjson", "-o", "json", "--retries", "1"];
    let run = import(&medplum, &store, &args).fails(6).says("--resume");
    let report = run.json();
    assert_eq!(report["created"], 100);
    assert_eq!(report["resources"], 300);
    gone.store(false, Ordering::SeqCst);
    let report = import(&medplum, &store, &["a.ndjson", "-o", "json", "--resume"])
        .ok()
        .json();
    assert_eq!(
        (&report["created"], &report["unknown"]),
        (&json!(300), &json!(0))
    );
}

#[test]
fn a_second_process_is_told_and_changes_nothing() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", patients(100));
    let silent = silent_after(&store, 1);
    let running = start(&medplum, &store, &["a.ndjson"]);
    wait_for_bundles(&store, 2);
    let before = tree(&medplum.path(""));
    for flag in ["--resume", "--restart"] {
        import(&medplum, &store, &["a.ndjson", flag])
            .fails(2)
            .says("another process");
    }
    assert_eq!(tree(&medplum.path("")), before);
    silent.store(false, Ordering::SeqCst);
    running.kill();
    running.finish().fails(KILLED);
    import(&medplum, &store, &["a.ndjson", "--resume"]).ok();
    assert_eq!(store.names().len(), 100);
}

#[test]
fn another_request_is_not_taken_for_the_one_that_is_unfinished() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", patients(100));
    let silent = silent_after(&store, 1);
    let running = start(&medplum, &store, &["a.ndjson"]);
    wait_for_bundles(&store, 2);
    running.kill();
    running.finish().fails(KILLED);
    silent.store(false, Ordering::SeqCst);
    store.server.forget();
    import(
        &medplum,
        &store,
        &["a.ndjson", "--resume", "--method", "post"],
    )
    .fails(2)
    .says("--method was `put`");
    medplum.file("b.ndjson", patients(1));
    import(&medplum, &store, &["b.ndjson", "--resume"])
        .fails(2)
        .says("a.ndjson");
    medplum.file("a.ndjson", patients(101));
    import(&medplum, &store, &["a.ndjson", "--resume"])
        .fails(2)
        .says("has changed");
    assert!(store.bundles().is_empty());
    import(&medplum, &store, &["a.ndjson", "--restart"]).ok();
    assert_eq!(store.names().len(), 101);
}

#[test]
fn what_an_import_keeps_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let store = Store::with(Rules {
        refused: ["Patient/p3".to_owned()].into(),
        ..Rules::default()
    });
    let medplum = Medplum::new();
    medplum.file("a.ndjson", patients(100));
    let _silent = silent_after(&store, 1);
    let running = start(&medplum, &store, &["a.ndjson"]);
    wait_for_bundles(&store, 2);
    let mode = |name: &str| {
        std::fs::metadata(medplum.path(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(".medplum-import"), 0o700);
    for name in ["request.json", "journal.ndjson", "lock"] {
        assert_eq!(mode(&format!(".medplum-import/{name}")), 0o600, "{name}");
    }
    for name in ["rejects.ndjson", "rejects.outcomes.ndjson"] {
        let name = format!(".medplum-import/{name}");
        assert_eq!(mode(&name), 0o600, "{name}");
    }
    assert_eq!(mode("rejects.ndjson"), 0o600);
    running.kill();
    running.finish().fails(KILLED);
}

#[test]
fn what_a_kill_left_half_written_is_cut_off() {
    let store = Store::with(Rules {
        refused: ["Patient/p3".to_owned(), "Patient/p90".to_owned()].into(),
        ..Rules::default()
    });
    let medplum = Medplum::new();
    medplum.file("a.ndjson", patients(100));
    let silent = silent_after(&store, 1);
    let running = start(&medplum, &store, &["a.ndjson"]);
    wait_for_bundles(&store, 2);
    running.kill();
    running.finish().fails(KILLED);
    // A line that no journal counts, and a journal's line that has no end.
    for (name, text) in [
        (
            ".medplum-import/rejects.ndjson",
            "{\"resourceType\":\"Patient\",\"id\":\"p90\"}\n",
        ),
        (
            ".medplum-import/rejects.outcomes.ndjson",
            "{\"file\":\"a.ndj",
        ),
        (
            ".medplum-import/journal.ndjson",
            "{\"d\":[[25,75]],\"t\":{\"Pat",
        ),
    ] {
        medplum.file(name, medplum.read(name) + text);
    }
    silent.store(false, Ordering::SeqCst);
    let report = import(&medplum, &store, &["a.ndjson", "--resume", "-o", "json"])
        .fails(5)
        .json();
    let written = ["created", "updated"].map(|how| report[how].as_u64().unwrap());
    assert_eq!(written[0] + written[1], 98);
    assert_eq!(report["refused"], 2);
    let rejects = medplum.read("rejects.ndjson");
    assert_eq!(rejects.lines().count(), 2, "{rejects}");
    assert_eq!(medplum.read("rejects.outcomes.ndjson").lines().count(), 2);
}

#[test]
fn rejects_that_are_tried_again_stay_until_all_are_settled() {
    let store = Store::with(Rules {
        refused: ["Patient/p30".to_owned()].into(),
        ..Rules::default()
    });
    let medplum = Medplum::new();
    let before = patients(100);
    medplum.file("rejects.ndjson", &before);
    // A file of that name that no import wrote is not replaced.
    import(&medplum, &store, &["rejects.ndjson"])
        .fails(2)
        .says("--rejects");
    medplum.file("rejects.outcomes.ndjson", "{}\n");
    let silent = silent_after(&store, 2);
    let running = start(&medplum, &store, &["rejects.ndjson"]);
    wait_for_bundles(&store, 3);
    running.kill();
    running.finish().fails(KILLED);
    assert_eq!(medplum.read("rejects.ndjson"), before);
    silent.store(false, Ordering::SeqCst);
    let report = import(
        &medplum,
        &store,
        &["rejects.ndjson", "--resume", "-o", "json"],
    )
    .fails(5)
    .json();
    // What was written when the kill came, and not read yet, is written once more.
    let written = ["created", "updated"].map(|how| report[how].as_u64().unwrap());
    assert_eq!(written[0] + written[1], 99);
    assert_eq!(report["refused"], 1);
    assert_eq!(
        medplum.read("rejects.ndjson"),
        "{\"resourceType\":\"Patient\",\"id\":\"p30\"}\n"
    );
    assert_eq!(medplum.read("rejects.outcomes.ndjson").lines().count(), 1);
}

#[test]
fn a_full_disk_ends_the_run_and_a_resume_finishes_it() {
    let store = Store::with(Rules {
        refused: (1..=90)
            .map(|number| format!("Patient/p{number}"))
            .collect(),
        ..Rules::default()
    });
    let medplum = Medplum::new();
    medplum.file("a.ndjson", patients(100));
    let flags = store.flags();
    let words = ["bulk", "import", "a.ndjson", SMALL[0], SMALL[1]]
        .map(str::to_owned)
        .into_iter()
        .chain(flags);
    medplum
        .command(words)
        .file_size_limit(6000)
        .run()
        .fails(1)
        .says("make room")
        .says("--resume");
    let report = import(&medplum, &store, &["a.ndjson", "--resume", "-o", "json"])
        .fails(5)
        .json();
    // Those that were under way when the disk was full may be there already: they are put again.
    let number = |name: &str| report[name].as_u64().unwrap_or_default();
    assert_eq!(
        (
            number("created") + number("updated"),
            number("refused"),
            store.names().len()
        ),
        (10, 90, 10),
        "{report:#}"
    );
    assert_eq!(medplum.read("rejects.ndjson").lines().count(), 90);
    assert_eq!(medplum.read("rejects.outcomes.ndjson").lines().count(), 90);
}

/// What the forgotten import rejected goes with it; what another one left stops `--restart` before anything is lost.
#[test]
fn restart_forgets_its_own_rejects_and_loses_nothing_when_it_cannot_begin() {
    let rules = Rules {
        refused: ["Patient/p1".to_owned()].into(),
        ..Rules::default()
    };
    let (store, medplum) = (Store::with(rules), Medplum::new());
    medplum.file("a.ndjson", patients(100));
    let silent = silent_after(&store, 2);
    let running = start(&medplum, &store, &["a.ndjson"]);
    wait_for_bundles(&store, 3);
    running.interrupt();
    running.finish().fails(130);
    silent.store(false, Ordering::SeqCst);
    // Rejects of another import.
    medplum.file("other.ndjson", "{}\n");
    medplum.file("other.outcomes.ndjson", "{}\n");
    let before = tree(&medplum.path(""));
    import(
        &medplum,
        &store,
        &["a.ndjson", "--restart", "--rejects", "other.ndjson"],
    )
    .fails(2)
    .says("other.ndjson");
    assert_eq!(tree(&medplum.path("")), before);
    let report = import(&medplum, &store, &["a.ndjson", "--restart", "-o", "json"])
        .fails(5)
        .json();
    assert_eq!(report["resources"], 100);
    assert_eq!(medplum.read("rejects.ndjson").lines().count(), 1);
}

#[test]
fn what_another_version_began_says_how_it_ends() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", patients(1));
    medplum.file(".medplum-import/request.json", r#"{"version":1}"#);
    for flags in [&["a.ndjson"][..], &["a.ndjson", "--resume"]] {
        import(&medplum, &store, flags)
            .fails(2)
            .says("the version that began it")
            .says("--restart");
    }
    assert!(store.bundles().is_empty());
    import(&medplum, &store, &["a.ndjson", "--restart"]).ok();
    assert_eq!(store.names(), ["Patient/p1"]);
}

/// A last batch that is not full yet waits for more of stdin.
#[test]
fn ctrl_c_counts_what_was_read_of_stdin_and_is_in_no_request_yet() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let flags = store.flags();
    let words = ["bulk", "import", "-", "-o", "json"].map(str::to_owned);
    let running = medplum
        .command(words.into_iter().chain(flags))
        .keyboard()
        .spawn();
    running.types(patients(70).trim_end());
    wait_for_bundles(&store, 1);
    running.interrupt();
    let report = running.finish().fails(130).json();
    assert_eq!(report["resources"], 70, "{report}");
}
