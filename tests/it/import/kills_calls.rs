//! `kill -9` just before each system call that changes the disk or sends something: no moment lies between two of them.
//! The same command with `--resume` then ends the import.

use crate::export::kills_calls::sweep;
use crate::support::import_kills::{How, Victim};

const PAIRS: usize = 6;
/// What changes the disk, the order in which changes reach it, or the server.
const CALLS: [&str; 6] = [
    "rename,renameat,renameat2,link,linkat",
    "fsync,fdatasync,sync_file_range,syncfs",
    "unlink,unlinkat,rmdir",
    "write,pwrite64,ftruncate",
    "mkdir,mkdirat",
    "sendto,sendmsg,writev,connect",
];

#[test]
fn an_import_that_is_killed_between_any_two_system_calls_ends_whole() {
    sweep(&CALLS, |calls, number| {
        survives(How::Put, "a.ndjson", calls, number)
    });
}

#[test]
fn an_import_by_post_that_is_killed_between_any_two_system_calls_sends_nothing_twice() {
    sweep(&CALLS, |calls, number| {
        survives(How::Post, "a.ndjson", calls, number)
    });
}

/// What is still refused takes the place of the file that is read.
#[test]
fn rejects_that_are_tried_again_are_not_lost_by_a_kill_between_any_two_system_calls() {
    sweep(&CALLS, |calls, number| {
        survives(How::Put, "rejects.ndjson", calls, number)
    });
}

/// Kills an import before this call and lets the same command end it. `false` when so many calls were not made.
fn survives(how: How, source: &str, calls: &str, number: usize) -> bool {
    let victim = Victim::new(how, PAIRS);
    if source == "rejects.ndjson" {
        victim.medplum.file(source, victim.medplum.read("a.ndjson"));
        victim.medplum.file("rejects.outcomes.ndjson", "{}\n");
    }
    let command = victim.command(source).killed_before_call(calls, number);
    let run = command.run();
    if run.code != 137 {
        victim.assert_complete(&run);
        return false;
    }
    let run = victim.command(source).run();
    eprintln!("before {calls} number {number}");
    victim.assert_complete(&run);
    true
}
