//! `kill -9` just before each system call that changes the disk for good: no moment lies between two of them. strace
//! kills the process at the n-th call of a kind in a thread; the same command then ends the export.

use std::process::Command;
use std::sync::Mutex;
use std::thread;

use crate::support::Run;
use crate::support::kills::{Files, Victim};

const FILES: usize = 4;
/// No thread of so small an export makes more calls of one kind.
const MOST: usize = 300;
/// What changes the disk, or the order in which changes reach it.
const CALLS: [&str; 5] = [
    "rename,renameat,renameat2,link,linkat",
    "fsync,fdatasync,sync_file_range,syncfs",
    "unlink,unlinkat,rmdir",
    "write,pwrite64,ftruncate",
    "mkdir,mkdirat",
];

/// The same files each time, so that one undisturbed export shows what all of them should leave.
fn victim() -> Victim {
    Victim::new(FILES, &mut fastrand::Rng::with_seed(2))
}

#[test]
fn an_export_that_is_killed_between_any_two_changes_of_the_disk_ends_whole() {
    let whole = victim().undisturbed();
    sweep(&CALLS, |calls, number| survives(calls, number, &whole));
}

#[test]
fn a_replacement_that_is_killed_between_any_two_changes_of_the_disk_loses_no_file() {
    sweep(&CALLS, replaces);
}

/// Kills before every call of every kind, as long as `survives` says that such a call was made.
pub fn sweep(calls: &[&'static str], survives: impl Fn(&str, usize) -> bool + Sync) {
    assert!(kills(calls, survives) > 30, "strace kills nothing");
}

/// The same of what makes few calls; how many kills there were.
pub fn kills(calls: &[&'static str], survives: impl Fn(&str, usize) -> bool + Sync) -> usize {
    let found = Command::new("strace").arg("-V").output();
    assert!(
        found.is_ok(),
        "strace is missing: run tests/run, or apt-get install strace"
    );
    let (left, kills) = (Mutex::new(calls.to_vec()), Mutex::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(calls) = left.lock().unwrap().pop() else {
                        return;
                    };
                    let number = (1..MOST).find(|number| !survives(calls, *number)).unwrap();
                    *kills.lock().unwrap() += number - 1;
                    eprintln!("{} kills before {calls}", number - 1);
                }
            });
        }
    });
    kills.into_inner().unwrap()
}

/// Kills an export before this call and lets the same command end it. `false` when so many calls were not made.
fn survives(calls: &str, number: usize, whole: &Files) -> bool {
    let victim = victim();
    let run = victim.command(&[]).killed_before_call(calls, number).run();
    if run.code == 0 {
        return false;
    }
    let at = format!("before {calls} number {number}");
    assert_eq!(run.code, 137, "{at}\n{run}");
    let there = victim.assert_unharmed(&Vec::new(), whole, &run);
    let kick_offs = victim.kick_offs();
    let run = again(&victim, &[]);
    let run = if run.code == 1 && run.stderr.contains("--restart") {
        // Between the kick-off and its record.
        assert!(there.is_empty() && kick_offs <= 1, "{at}\n{run}");
        again(&victim, &["--restart"])
    } else {
        assert_eq!(victim.kick_offs(), 1, "{at}\n{run}");
        run
    };
    let finished =
        run.code == 2 && run.stderr.contains("finished export") && there.len() == whole.len();
    assert!(run.code == 0 || finished, "{at}\n{run}");
    let _ = victim.assert_unharmed(&there, whole, &run);
    victim.assert_complete(whole, &run);
    true
}

/// Kills an export that replaces a finished one. Every file is the old one or the new one at any time, and in the end
/// all are new and those that only the old export had are gone.
fn replaces(calls: &str, number: usize) -> bool {
    let victim = victim();
    victim.command(&[]).run().ok();
    let old = victim.bulk.files();
    let new = victim.renewed();
    let args = &["--overwrite"];
    let run = victim.command(args).killed_before_call(calls, number).run();
    if run.code == 0 {
        return false;
    }
    let at = format!("before {calls} number {number}");
    assert_eq!(run.code, 137, "{at}\n{run}");
    let now = victim.bulk.files();
    for (name, _) in new
        .iter()
        .filter(|(name, _)| old.iter().any(|(other, _)| other == name))
    {
        assert!(
            now.iter().any(|(other, _)| other == name),
            "{at}: {name} is gone\n{run}"
        );
    }
    for file in now.iter().filter(|(name, _)| !name.starts_with('.')) {
        assert!(
            old.contains(file) || new.contains(file),
            "{at}: {} is neither\n{run}",
            file.0
        );
    }
    let mut run = again(&victim, args);
    if run.code == 1 && run.stderr.contains("--restart") {
        run = again(&victim, &["--overwrite", "--restart"]);
    }
    assert_eq!(run.code, 0, "{at}\n{run}");
    assert!(
        victim.bulk.files() == new,
        "{at}: {:?}\n{run}",
        victim.bulk.names()
    );
    true
}

fn again(victim: &Victim, args: &[&str]) -> Run {
    victim.bulk.server.forget();
    victim.command(args).run()
}
