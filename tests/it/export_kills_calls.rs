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
    let found = Command::new("strace").arg("-V").output();
    assert!(
        found.is_ok(),
        "strace is missing: run tests/run, or apt-get install strace"
    );
    let whole = victim().undisturbed();
    let (left, kills) = (Mutex::new(CALLS.to_vec()), Mutex::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(calls) = left.lock().unwrap().pop() else {
                        return;
                    };
                    let number = (1..MOST)
                        .find(|number| !survives(calls, *number, &whole))
                        .unwrap();
                    *kills.lock().unwrap() += number - 1;
                    eprintln!("{} kills before {calls}", number - 1);
                }
            });
        }
    });
    assert!(kills.into_inner().unwrap() > 30, "strace kills nothing");
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

fn again(victim: &Victim, args: &[&str]) -> Run {
    victim.bulk.server.forget();
    victim.command(args).run()
}
