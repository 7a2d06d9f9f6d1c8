//! The table of faults, the disk's part: no room, no right, a folder that goes away while files come into it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::support::bulk::{CONDITIONS, OBSERVATIONS, PATIENTS, STATUS, ndjson};
use crate::support::medplum::ReadOnly;
use crate::support::{Answer, Bulk, Medplum, Site};

use super::faults::{ALL, C, O, P};

/// B5: a folder that could not be written meant exit 0. Here nothing is asked of the server.
#[test]
fn a_folder_that_cannot_be_made_is_found_before_anything_is_sent() {
    let bulk = Bulk::with_three_files();
    let _ = bulk.medplum.file("file", "in the way");
    for folder in ["file", "file/out"] {
        let run = bulk
            .medplum
            .run(["bulk", "export", "-p", "site", "-d", folder])
            .fails(2)
            .prints("");
        assert!(run.stderr.contains(folder), "{run}");
    }
    assert_eq!(bulk.server.lines(), [""; 0]);
    assert_eq!(bulk.medplum.read("file"), "in the way");
}

/// The same as a user who is not root.
#[test]
fn a_folder_that_cannot_be_written_is_found_before_anything_is_sent() {
    let mut site = Site::open();
    site.medplum = Medplum::of_an_ordinary_user();
    site.set_profile(&["--token-url", "oauth2/token"]);
    let bulk = Bulk::on(site, "/fhir/R4", STATUS);
    let work = bulk.medplum.path("");
    let _locked = ReadOnly::folder(PathBuf::from(work.to_str().unwrap().trim_end_matches('/')));
    for args in [
        &["bulk", "export", "-p", "site"][..],
        &["bulk", "export", "-p", "site", "-d", "out"],
    ] {
        bulk.medplum
            .run(args)
            .fails(2)
            .says("ermission denied")
            .prints("");
    }
    assert_eq!(bulk.server.lines(), [""; 0]);
    assert_eq!(fs::read_dir(&work).unwrap().count(), 0);
}

/// A disk that is full stops the export: every other file would fail too.
#[test]
fn a_full_disk_stops_the_export_with_what_was_complete() {
    let bulk = Bulk::with_three_files();
    bulk.server
        .on("GET", "/files/o", ndjson(OBSERVATIONS.repeat(4000)));
    let run = bulk
        .command(&["--parallel", "1"])
        .file_size_limit(100_000)
        .run()
        .fails(1);
    assert!(
        run.stderr.contains(O) && run.stderr.contains("File too large"),
        "{run}"
    );
    let last = run.stderr.rsplit("Warning:").next().unwrap();
    assert!(last.contains(&bulk.server.url(STATUS)), "{run}");
    assert_eq!(
        bulk.files(),
        [(P.to_owned(), PATIENTS.as_bytes().to_vec())],
        "{run}"
    );
    assert_eq!((bulk.kick_offs(), bulk.deletes()), (1, 0));
}

/// A disk that is really full, at every point that a size can stop an export at: a small tmpfs in a name space of its
/// own, which needs no root. When there is room again the same command ends the export; or the first one has named the
/// status URL that does.
#[test]
fn a_disk_that_is_full_at_any_point_costs_no_file() {
    let allowed = Command::new("unshare").args(["-rm", "true"]).status();
    if !allowed.is_ok_and(|status| status.success()) {
        eprintln!("left out: this system lets nobody mount a tmpfs with unshare -rm");
        return;
    }
    // The last is enough.
    for kilobytes in [4, 8, 12, 16, 20, 24, 32, 40, 80, 120, 200, 900] {
        full_at(kilobytes);
    }
}

fn full_at(kilobytes: u32) {
    let bulk = Bulk::with_three_files();
    // This server gives every job the same URL: one that was ended must not take the next one along.
    bulk.server
        .guard(|request| (request.method == "DELETE").then(|| Answer::empty(202)));
    let big = OBSERVATIONS.repeat(1000);
    bulk.server.on("GET", "/files/o", ndjson(&big));
    bulk.medplum.run(["token", "-p", "site"]).ok();
    let _ = bulk.medplum.file("first/x", "");
    let _ = bulk.medplum.file("second/x", "");
    let status_url = bulk.server.url(STATUS);
    let script = format!(
        "mkdir out && mount -t tmpfs -o size={kilobytes}k,mode=700 none out || exit 99
        medplum bulk export -p site -d out --file-names medplum --parallel 2 2>first.err >first.out; echo $? >first.code
        cp -a out/. first; mount -o remount,size=64m out
        medplum bulk export -p site -d out --file-names medplum 2>second.err >second.out; echo $? >second.code
        if grep -q -e --restart second.err && grep -q {status_url} first.err; then
          medplum bulk export -p site -d out --file-names medplum --restart --status-url {status_url} 2>>second.err; echo $? >second.code
        fi
        cp -a out/. second"
    );
    let run = bulk
        .medplum
        .program(["unshare", "-rm", "bash", "-c", &script])
        .run()
        .ok();
    let read = |name: &str| bulk.medplum.read(name);
    let seen = format!(
        "{kilobytes} kB: {run}\n{}{}{}{}",
        read("first.code"),
        read("first.err"),
        read("second.code"),
        read("second.err")
    );
    let whole = |name: &str| match name {
        P => PATIENTS,
        O => &big,
        _ => CONDITIONS,
    };
    let there = |folder: &str| -> Vec<&str> {
        let path = bulk.medplum.path(folder);
        let names = ALL.iter().filter(|name| path.join(name).exists());
        names.copied().collect()
    };
    for folder in ["first", "second"] {
        for name in there(folder) {
            assert!(read(&format!("{folder}/{name}")) == whole(name), "{seen}");
        }
    }
    let first = read("first.code");
    match first.trim() {
        "0" => {
            assert_eq!(there("first"), ALL, "{seen}");
            return;
        }
        // Nothing had been asked of the server, or the export had begun.
        "1" | "2" => assert!(
            read("first.err").contains("No space left on device"),
            "{seen}"
        ),
        _ => panic!("{seen}"),
    }
    // A job that the server started is never lost: the next run knows it, the first one named it, or ended it.
    let second = read("second.code");
    assert_eq!(
        (second.trim(), there("second")),
        ("0", ALL.to_vec()),
        "{seen}"
    );
    let was_ended = usize::from(read("first.err").contains("it was ended there again"));
    let asked = (bulk.kick_offs(), bulk.deletes());
    assert_eq!(asked, (1 + was_ended, 1 + was_ended), "{seen}");
}

/// The disk is full when the server has accepted the job: a server guards its few jobs, and nobody would find this one again.
#[test]
fn a_job_that_cannot_be_kept_is_ended_or_named() {
    let allowed = Command::new("unshare").args(["-rm", "true"]).status();
    if !allowed.is_ok_and(|status| status.success()) {
        eprintln!("left out: this system lets nobody mount a tmpfs with unshare -rm");
        return;
    }
    for (args, delete, is_ended) in [
        ("", Answer::empty(202), true),
        ("--detach", Answer::empty(202), true),
        (
            "",
            Answer::outcome(403, "forbidden", "not for clients"),
            false,
        ),
        (
            "--detach",
            Answer::outcome(403, "forbidden", "not for clients"),
            false,
        ),
    ] {
        unkept(args, delete, is_ended);
    }
}

fn unkept(args: &str, delete: Answer, is_ended: bool) {
    let bulk = Bulk::with_three_files();
    bulk.server
        .guard(move |request| (request.method == "DELETE").then(|| delete.clone()));
    let (asked, filled) = (bulk.medplum.path("asked"), bulk.medplum.path("filled"));
    bulk.server.guard(move |request| {
        // The disk is filled between the kick-off and its answer.
        if request.path().ends_with("$export") && !filled.exists() {
            fs::write(&asked, "").unwrap();
            let started = std::time::Instant::now();
            while !filled.exists() && started.elapsed().as_secs() < 60 {
                std::thread::yield_now();
            }
        }
        None
    });
    bulk.medplum.run(["token", "-p", "site"]).ok();
    let script = format!(
        "mkdir out && mount -t tmpfs -o size=256k,mode=700 none out || exit 99
        (until [ -e asked ]; do sleep 0.01; done; head -c 1M /dev/zero >out/full; touch filled) 2>full.err &
        medplum bulk export -p site -d out -q {args} 2>first.err >first.out; echo $? >first.code
        rm out/full
        medplum bulk export -p site -d out {args} 2>second.err >second.out; echo $? >second.code"
    );
    let run = bulk
        .medplum
        .program(["unshare", "-rm", "bash", "-c", &script])
        .run()
        .ok();
    let read = |name: &str| bulk.medplum.read(name);
    let first = read("first.err");
    let seen = format!("{args} {is_ended}: {run}\n{first}\n{}", read("second.err"));
    assert_eq!(read("first.code").trim(), "1", "{seen}");
    assert!(first.contains("No space left on device"), "{seen}");
    assert!(
        !first.contains("Run the same command again to go on"),
        "{seen}"
    );
    let status_url = bulk.server.url(STATUS);
    if is_ended {
        assert!(first.contains("ended there again"), "{seen}");
        assert_eq!(read("second.code").trim(), "0", "{seen}");
        assert_eq!(bulk.kick_offs(), 2, "{seen}");
    } else {
        assert!(first.contains("not for clients"), "{seen}");
        assert!(
            first.contains(&format!("Status URL: {status_url}")),
            "{seen}"
        );
        assert!(
            first.contains(&format!("bulk cancel --status-url {status_url}")),
            "{seen}"
        );
        assert_eq!(read("second.code").trim(), "1", "{seen}");
        assert_eq!(bulk.kick_offs(), 1, "{seen}");
    }
}

/// What was complete is gone with the folder, so the export cannot end well; the next run fetches all of it.
#[test]
fn a_folder_that_is_removed_in_mid_export_is_no_success() {
    for (parallel, which) in [("1", "/files/c"), ("1", "/files/o"), ("3", "/files/c")] {
        let bulk = Bulk::with_three_files();
        let out = bulk.medplum.path("out");
        let gone = std::sync::Once::new();
        bulk.server.guard(move |request| {
            if request.path() == which {
                // A file may come into it meanwhile.
                gone.call_once(|| while out.exists() && fs::remove_dir_all(&out).is_err() {});
            }
            None
        });
        let run = bulk.export(&["--parallel", parallel]);
        let complete = bulk.names() == ALL;
        assert!(
            run.code == 1 || (run.code == 0 && complete),
            "{which}: {:?}\n{run}",
            bulk.names()
        );
        if run.code == 1 {
            assert!(run.stderr.contains(&bulk.server.url(STATUS)), "{run}");
            assert_eq!(bulk.deletes(), 0, "{which}: the files are needed\n{run}");
            // The job went with the folder; its status URL, which the user was told, brings the files.
            let status_url = bulk.server.url(STATUS);
            bulk.export(&["--restart", "--status-url", &status_url])
                .ok();
        }
        for (name, bytes) in bulk.files() {
            let whole = match name.as_str() {
                P => PATIENTS,
                O => OBSERVATIONS,
                C => CONDITIONS,
                _ => panic!("{name}"),
            };
            assert_eq!(bytes, whole.as_bytes(), "{name}");
        }
        assert_eq!(bulk.names(), ALL);
    }
}
