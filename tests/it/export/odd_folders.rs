//! Folders whose names are no UTF-8, and folders that nobody can write to.

use std::os::unix::ffi::OsStrExt;

use crate::support::Bulk;

#[test]
fn a_folder_whose_name_is_no_utf_8_is_a_folder_as_others_are() {
    let bulk = Bulk::with_three_files();
    let folder = std::ffi::OsStr::from_bytes(b"out\xff");
    let with = |words: &[&str]| {
        let mut args: Vec<std::ffi::OsString> = words.iter().map(Into::into).collect();
        args.push(folder.to_owned());
        bulk.medplum.run(&args)
    };
    with(&["bulk", "export", "-p", "site", "-d"]).ok();
    with(&["bulk", "status"]).ok();
    with(&["bulk", "report", "-o", "json"]).ok();
    with(&["bulk", "verify"]).ok();
    with(&["bulk", "resume", "-p", "site"]).ok();
    assert_eq!(bulk.kick_offs(), 1);
    assert!(
        bulk.medplum
            .path("")
            .join(folder)
            .join("manifest.json")
            .exists()
    );
}

/// Nothing is asked of the server, and what failed is said once, without the names of our own temporary files.
#[test]
fn a_folder_that_cannot_be_written_is_said_before_anything_is_asked() {
    for flags in [
        "-d out",
        "-d out/new",
        "-d out --overwrite",
        "-d out/new --since auto",
    ] {
        let bulk = Bulk::with_three_files();
        if flags.contains("overwrite") {
            bulk.export(&[]).ok();
        }
        let before = bulk.kick_offs();
        let script = format!(
            "mkdir -p out && mount --bind out out && mount -o remount,bind,ro out || exit 99
            exec medplum bulk export -p site {flags}"
        );
        let run = bulk
            .medplum
            .program(["unshare", "-rm", "bash", "-c", &script])
            .run();
        if run.code == 99 {
            eprintln!("left out: this system lets nobody mount a folder with unshare -rm");
            return;
        }
        let run = run
            .fails(2)
            .says("cannot write to out")
            .says("choose another folder");
        assert_eq!(
            run.stderr.matches("Read-only file system").count(),
            1,
            "{run}"
        );
        assert!(!run.stderr.contains("medplum-probe"), "{run}");
        assert_eq!(bulk.kick_offs(), before);
    }
}
