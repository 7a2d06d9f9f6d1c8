//! Where rejects go: nothing that is there is written over or removed, and what cannot be written is told first.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::process::Command;

use super::basics::{import, patients};
use super::resume::{silent_after, start, wait_for_bundles};
use crate::support::run::KILLED;
use crate::support::store::Rules;
use crate::support::{Medplum, Store};

/// A server that refuses two of the patients.
fn picky() -> Store {
    Store::with(Rules {
        refused: ["Patient/p3".to_owned(), "Patient/p70".to_owned()].into(),
        ..Rules::default()
    })
}

#[test]
fn a_good_import_removes_nothing_that_it_did_not_make() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", patients(3));
    let fifo = medplum.path("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let reader = std::thread::spawn({
        let fifo = fifo.clone();
        move || {
            let mut text = String::new();
            fs::File::open(fifo)
                .unwrap()
                .read_to_string(&mut text)
                .unwrap();
            text
        }
    });
    medplum.file("empty", "");
    medplum.file("target", "");
    symlink("target", medplum.path("link")).unwrap();
    for name in ["fifo", "empty", "link"] {
        import(&medplum, &store, &["a.ndjson", "--rejects", name]).ok();
        let there = fs::symlink_metadata(medplum.path(name));
        assert!(there.is_ok(), "{name} is gone");
    }
    assert_eq!(reader.join().unwrap(), "");
    assert!(fs::symlink_metadata(&fifo).unwrap().file_type().is_fifo());
    assert!(medplum.path("empty").exists() && medplum.path("target").exists());
    assert!(
        fs::symlink_metadata(medplum.path("link"))
            .unwrap()
            .is_symlink()
    );
    // What it made itself, it takes away.
    import(&medplum, &store, &["a.ndjson"]).ok();
    assert!(!medplum.path("rejects.ndjson").exists());
}

#[test]
fn rejects_go_through_a_fifo_and_along_a_symlink_and_are_private() {
    let (store, medplum) = (picky(), Medplum::new());
    medplum.file("a.ndjson", patients(80));
    let fifo = medplum.path("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        fs::File::open(fifo)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        text
    });
    import(&medplum, &store, &["a.ndjson", "--rejects", "fifo"]).fails(5);
    assert_eq!(reader.join().unwrap().lines().count(), 2);
    let target = medplum.file("private/target.ndjson", "");
    fs::set_permissions(&target, fs::Permissions::from_mode(0o644)).unwrap();
    symlink("private/target.ndjson", medplum.path("rejects.ndjson")).unwrap();
    import(&medplum, &store, &["a.ndjson"]).fails(5);
    let there = fs::symlink_metadata(medplum.path("rejects.ndjson")).unwrap();
    assert!(there.is_symlink());
    assert_eq!(medplum.read("private/target.ndjson").lines().count(), 2);
    let mode = fs::metadata(&target).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Tried again, it is one still.
    import(&medplum, &store, &["rejects.ndjson"]).fails(5);
    let there = fs::symlink_metadata(medplum.path("rejects.ndjson")).unwrap();
    assert!(there.is_symlink());
    assert_eq!(medplum.read("rejects.ndjson").lines().count(), 2);
}

#[test]
fn rejects_that_cannot_be_written_are_told_before_anything_is_sent() {
    let (store, medplum) = (picky(), Medplum::new());
    medplum.file("a.ndjson", patients(80));
    fs::create_dir_all(medplum.path("folder")).unwrap();
    for name in ["no/such/folder/r.ndjson", "folder"] {
        let run = import(&medplum, &store, &["a.ndjson", "--rejects", name])
            .fails(2)
            .says(name);
        assert!(!run.stderr.contains("make room"), "{run}");
    }
    assert!(store.server.requests().is_empty());
}

/// Between a kill and `--resume` the user puts a file of his own there.
#[test]
fn a_resume_writes_over_no_file_that_the_user_put_there_meanwhile() {
    let (store, medplum) = (picky(), Medplum::new());
    medplum.file("a.ndjson", patients(80));
    let silent = silent_after(&store, 1);
    let running = start(&medplum, &store, &["a.ndjson"]);
    wait_for_bundles(&store, 2);
    running.kill();
    running.finish().fails(KILLED);
    silent.store(false, std::sync::atomic::Ordering::SeqCst);
    let notes = "my notes\n".repeat(9000);
    medplum.file("rejects.ndjson", &notes);
    import(&medplum, &store, &["a.ndjson", "--resume"])
        .fails(2)
        .says("rejects.ndjson");
    assert_eq!(medplum.read("rejects.ndjson"), notes);
    fs::rename(medplum.path("rejects.ndjson"), medplum.path("notes")).unwrap();
    import(&medplum, &store, &["a.ndjson", "--resume"]).fails(5);
    let lines = medplum.read("rejects.ndjson");
    assert!(
        lines.starts_with('{') && lines.lines().count() == 2,
        "{lines:?}"
    );
}

#[test]
fn two_imports_do_not_write_to_one_rejects_file() {
    let (store, one, two) = (picky(), Medplum::new(), Medplum::new());
    for medplum in [&one, &two] {
        medplum.file("a.ndjson", patients(80));
    }
    let rejects = one.path("rejects.ndjson");
    let rejects = rejects.to_str().unwrap();
    let silent = silent_after(&store, 1);
    let running = start(&one, &store, &["a.ndjson", "--rejects", rejects]);
    wait_for_bundles(&store, 2);
    import(&two, &store, &["a.ndjson", "--rejects", rejects])
        .fails(2)
        .says("another process");
    silent.store(false, std::sync::atomic::Ordering::SeqCst);
    running.kill();
    running.finish().fails(KILLED);
    let args = ["a.ndjson", "--rejects", rejects, "--resume"];
    import(&one, &store, &args).fails(5);
    assert_eq!(one.read("rejects.ndjson").lines().count(), 2);
}

/// Somebody else's file that came while all was sent is kept, and so are the rejects.
#[test]
fn rejects_that_find_their_place_taken_are_kept_until_it_is_free() {
    let (store, medplum) = (picky(), std::sync::Arc::new(Medplum::new()));
    medplum.file("a.ndjson", patients(80));
    let of = std::sync::Arc::clone(&medplum);
    store.server.guard(move |_| {
        of.file("rejects.ndjson", "mine\n");
        None
    });
    import(&medplum, &store, &["a.ndjson"])
        .fails(1)
        .says("rejects.ndjson holds something else")
        .says(".medplum-import");
    assert_eq!(medplum.read("rejects.ndjson"), "mine\n");
    store.server.guard(|_| None);
    fs::rename(medplum.path("rejects.ndjson"), medplum.path("mine")).unwrap();
    import(&medplum, &store, &["a.ndjson", "--resume"])
        .fails(5)
        .says("finished before");
    assert_eq!(medplum.read("rejects.ndjson").lines().count(), 2);
}

/// A line that the server refused, one that cannot be sent, and one that points at what was refused.
#[test]
fn what_the_server_refused_and_what_never_went_to_it_are_told_apart() {
    let store = Store::with(Rules {
        refused: ["Patient/p1".to_owned()].into(),
        ..Rules::default()
    });
    let medplum = Medplum::new();
    let pointing = r#"{"resourceType":"Observation","subject":{"reference":"Patient/p1"}}"#;
    medplum.file("a.ndjson", format!("{}no JSON\n{pointing}\n", patients(3)));
    let flags = ["a.ndjson", "--method", "post", "--order", "auto"];
    let run = import(&medplum, &store, &[&flags[..], &["-o", "json"]].concat())
        .fails(5)
        .says("1 of 5 resources were refused by the server")
        .says("2 of 5 resources cannot be sent, and never were")
        .says("refused: 422")
        .says("never sent: error (processing) it is no JSON resource");
    let report = run.json();
    assert_eq!(
        (
            &report["refused"],
            &report["refusedHere"],
            &report["created"]
        ),
        (&3.into(), &2.into(), &2.into()),
        "{run}"
    );
    std::fs::remove_file(medplum.path("rejects.ndjson")).unwrap();
    std::fs::remove_file(medplum.path("rejects.outcomes.ndjson")).unwrap();
    let run = import(&medplum, &store, &[&flags[..], &["-o", "table"]].concat()).fails(5);
    let mut lines = run.stdout.lines();
    let words = |line: &str| {
        line.split("  ")
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let header = words(lines.next().unwrap());
    let all = words(lines.last().unwrap());
    let of = |name: &str| {
        &all[header
            .iter()
            .position(|word| word.eq_ignore_ascii_case(name))
            .unwrap()]
    };
    assert_eq!((&**of("refused"), &**of("never sent")), ("1", "2"), "{run}");
}
