//! A folder from anybody: what stands in the place of our lists and documents is no file, or one without an end.

use std::fs::{self, File};
use std::process::Command;

use crate::support::Bulk;

/// What is read of a folder: state, log, marks, what was kept.
const NAMES: [&str; 7] = [
    ".medplum-export/job.json",
    ".medplum-export/files.json",
    ".medplum-export/plan.1.ndjson",
    ".medplum-export/done.ndjson",
    ".medplum-export/ours.ndjson",
    "manifest.json",
    "log.ndjson",
];
const COMMANDS: [&[&str]; 6] = [
    &["bulk", "status", "out"],
    &["bulk", "resume", "out"],
    &["bulk", "report", "out"],
    &["bulk", "verify", "out"],
    &["bulk", "cancel", "out"],
    &["bulk", "import", "-p", "site", "out", "--dry-run"],
];
const LARGEST_PEAK: u64 = 96 << 20;
/// A hole: it is on no disk, and all of it is one line.
const LENGTH: u64 = 400 << 20;

/// An export that is complete, and its folder with something else in the place of one of its files.
/// `None` where this version keeps no file of that name.
fn with(name: &str, put: impl FnOnce(&str)) -> Option<Bulk> {
    let bulk = Bulk::with_three_files();
    bulk.export(&[]).ok();
    let path = bulk.medplum.path(&format!("out/{name}"));
    fs::remove_file(&path).ok()?;
    put(path.to_str().unwrap());
    Some(bulk)
}

/// It waited for ever for the other end of the FIFO.
#[test]
fn a_fifo_in_the_place_of_any_file_of_an_export_hangs_nothing() {
    std::thread::scope(|scope| {
        for name in NAMES {
            scope.spawn(move || {
                let bulk = with(name, |path| {
                    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
                });
                let Some(bulk) = bulk else { return };
                for command in COMMANDS {
                    let run = bulk.medplum.run(command);
                    assert!(run.code <= 5, "{name}: {run}");
                }
                let run = bulk.export(&["--overwrite"]);
                assert!(run.code <= 5, "{name}: {run}");
                let run = bulk.medplum.run(["bulk", "verify", "out"]);
                if name == "manifest.json" {
                    let _ = run.fails(1).says("no plain file");
                }
            });
        }
    });
}

/// A line without an end was read as long as there was memory.
#[test]
fn a_file_without_a_line_end_costs_no_memory() {
    std::thread::scope(|scope| {
        for name in NAMES {
            scope.spawn(move || {
                let bulk = with(name, |path| {
                    File::create(path).unwrap().set_len(LENGTH).unwrap();
                });
                let Some(bulk) = bulk else { return };
                for command in COMMANDS {
                    let (run, peak) = bulk.medplum.measured(command);
                    assert!(run.code <= 5, "{name}: {run}");
                    assert!(peak < LARGEST_PEAK, "{name}: {peak} bytes\n{run}");
                }
            });
        }
    });
}
