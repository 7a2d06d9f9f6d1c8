//! `--resume` goes on only with an import that is there, is the same, can be read, and is the asker's own.

use std::fs;
use std::sync::atomic::Ordering;

use serde_json::json;

use super::basics::{import, patients};
use super::resume::{silent_after, start, wait_for_bundles};
use crate::support::run::KILLED;
use crate::support::{Medplum, Store};

const POST: [&str; 3] = ["a.ndjson", "--method", "post"];

/// An import of 200 patients by POST that was killed after 100.
fn killed() -> (Store, Medplum) {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", patients(200));
    let silent = silent_after(&store, 4);
    let running = start(
        &medplum,
        &store,
        &[&POST[..], &["--parallel", "1"]].concat(),
    );
    wait_for_bundles(&store, 5);
    running.kill();
    running.finish().fails(KILLED);
    silent.store(false, Ordering::SeqCst);
    (store, medplum)
}

fn resume(medplum: &Medplum, store: &Store) -> crate::support::Run {
    let args = [&POST[..], &["--resume", "-o", "json"]].concat();
    import(medplum, store, &args)
}

/// No line went out twice.
#[track_caller]
fn assert_nothing_came_twice(store: &Store, count: usize) {
    let mut ids: Vec<String> = Vec::new();
    for request in store.server.requests_to("/fhir/R4") {
        let entries = request.json()["entry"].as_array().unwrap().clone();
        ids.extend(
            entries
                .iter()
                .map(|entry| entry["resource"]["id"].to_string()),
        );
    }
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!((all, ids.len()), (count, count));
}

#[test]
fn nothing_is_resumed_where_nothing_was_begun() {
    let (store, medplum) = killed();
    let before = store.bundles().len();
    fs::create_dir_all(medplum.path("elsewhere")).unwrap();
    let whole = medplum.path("a.ndjson");
    let words = [
        "bulk",
        "import",
        whole.to_str().unwrap(),
        "--method",
        "post",
        "--resume",
    ];
    let words = words.map(str::to_owned).into_iter().chain(store.flags());
    // As a cron job does that runs in another working folder.
    let line: Vec<String> = words.map(|word| format!("'{word}'")).collect();
    let binary = crate::support::medplum::binary();
    let line = format!("cd elsewhere && '{}' {}", binary.display(), line.join(" "));
    medplum
        .shell(&line)
        .fails(2)
        .says("no unfinished import")
        .says("elsewhere/.medplum-import");
    assert_eq!(store.bundles().len(), before);
}

#[test]
fn a_finished_import_whose_file_grew_is_not_begun_anew_by_resume() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", patients(50));
    import(&medplum, &store, &POST).ok();
    medplum.file("a.ndjson", patients(51));
    resume(&medplum, &store).fails(2).says("has changed");
    assert_nothing_came_twice(&store, 50);
}

#[test]
fn a_state_that_cannot_be_read_is_an_error_and_not_an_empty_one() {
    let (store, medplum) = killed();
    let before = store.bundles().len();
    let journal = medplum.read(".medplum-import/journal.ndjson");
    let request = medplum.read(".medplum-import/request.json");
    // In the middle, where only the last line may be broken.
    let mut lines: Vec<&str> = journal.lines().collect();
    lines[1] = "{\"d\":[[0,2";
    medplum.file(".medplum-import/journal.ndjson", lines.join("\n") + "\n");
    resume(&medplum, &store)
        .fails(1)
        .says("journal.ndjson")
        .says("--restart");
    medplum.file(".medplum-import/journal.ndjson", &journal);
    medplum.file(
        ".medplum-import/request.json",
        &request[..request.len() / 2],
    );
    resume(&medplum, &store).fails(1).says("request.json");
    assert_eq!(store.bundles().len(), before);
    assert_eq!(medplum.read(".medplum-import/journal.ndjson"), journal);
    medplum.file(".medplum-import/request.json", &request);
    resume(&medplum, &store).fails(5);
    assert_nothing_came_twice(&store, 200);
}

#[test]
fn a_folder_that_was_moved_and_files_that_were_touched_are_known_again() {
    let (store, medplum) = killed();
    let text = fs::read(medplum.path("a.ndjson")).unwrap();
    fs::remove_file(medplum.path("a.ndjson")).unwrap();
    fs::create_dir(medplum.path("moved")).unwrap();
    fs::write(medplum.path("moved/a.ndjson"), text).unwrap();
    fs::rename(
        medplum.path(".medplum-import"),
        medplum.path("moved/.medplum-import"),
    )
    .unwrap();
    let flags = store.flags().join(" ");
    let binary = crate::support::medplum::binary();
    let line = format!(
        "cd moved && '{}' bulk import {} --resume {flags} --bundle-size 25",
        binary.display(),
        POST.join(" ")
    );
    medplum.shell(&line).fails(5).says("unknown");
    assert_nothing_came_twice(&store, 200);
}

#[test]
fn another_user_does_not_go_on_with_an_import() {
    let (store, medplum) = killed();
    let before = store.bundles().len();
    let other = [&POST[..], &["--resume", "-H", "X-Tenant: b"]].concat();
    import(&medplum, &store, &other)
        .fails(2)
        .says("another client, user or project");
    assert_eq!(store.bundles().len(), before);
    let report = resume(&medplum, &store).fails(5).json();
    assert_eq!(report["resources"], json!(200));
}

/// What the journal says was sent has to be on the disk before it goes out: a power cut must not let it be sent twice.
#[test]
fn the_journal_is_synced_before_a_post_goes_out() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", patients(50));
    let flags = store.flags().join(" ");
    let binary = crate::support::medplum::binary();
    let calls = "fdatasync,fsync,write,sendto,sendmsg,writev";
    let line = format!(
        "strace -f -y -e trace={calls} -o trace '{}' bulk import {} --parallel 1 --bundle-size 25 {flags}",
        binary.display(),
        POST.join(" ")
    );
    medplum.shell(&line).ok();
    let trace = medplum.read("trace");
    let mut is_synced = true;
    let (mut posts, mut syncs) = (0, 0);
    for call in trace.lines() {
        if call.contains("write(") && call.contains("journal.ndjson") && call.contains("{\\\"s\\\"")
        {
            is_synced = false;
        } else if call.contains("sync(") && call.contains("journal.ndjson") {
            is_synced = true;
            syncs += 1;
        } else if call.contains("POST /fhir/R4") {
            assert!(is_synced, "{trace}");
            posts += 1;
        }
    }
    assert_eq!((posts, syncs), (2, 2), "{trace}");
}
