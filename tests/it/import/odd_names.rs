//! Names that are no UTF-8, and folders that nobody can write to.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::support::{Medplum, Store};

const PATIENT: &str = r#"{"resourceType":"Patient","id":"a"}"#;
const OTHER: &str = r#"{"resourceType":"Patient","id":"b"}"#;
const REFUSED: &str = r#"{"resourceType":"Patient"}"#;

fn odd(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

/// I5 of the kinds: such names were refused, by words that named none of them.
#[test]
fn names_that_are_no_utf_8_are_names_as_others_are() {
    let sources: [&[u8]; 6] = [
        b"in",
        b"in/a\xff.ndjson",
        b"in/*.ndjson",
        b"\xfe",
        b"[!i]*/a*.ndjson",
        b"i?/*.ndjson",
    ];
    for source in sources {
        let (store, medplum) = (Store::open(), Medplum::new());
        for folder in [b"in".as_slice(), b"\xfe"] {
            let folder = medplum.path("").join(odd(folder));
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(
                folder.join(odd(b"a\xff.ndjson")),
                [PATIENT, REFUSED].join("\n"),
            )
            .unwrap();
        }
        std::fs::write(medplum.path("in/b.txt"), OTHER).unwrap();
        let flags = store.flags();
        let mut args: Vec<OsString> = ["bulk", "import", "--rejects"].map(Into::into).into();
        args.extend([odd(b"r\xfd.ndjson").to_owned(), odd(source).to_owned()]);
        args.extend(flags.map(Into::into));
        medplum.run(&args).fails(5);
        assert_eq!(store.names(), ["Patient/a"], "{source:?}");
        let rejects = std::fs::read(medplum.path("").join(odd(b"r\xfd.ndjson"))).unwrap();
        assert_eq!(rejects, format!("{REFUSED}\n").into_bytes());
        assert!(
            medplum
                .path("")
                .join(odd(b"r\xfd.outcomes.ndjson"))
                .exists()
        );
        // What was read is known again.
        std::fs::remove_file(medplum.path("").join(odd(b"r\xfd.ndjson"))).unwrap();
        args.push("--resume".into());
        medplum.run(&args).fails(5).says("finished before");
    }
}

/// A folder that a pattern leads into and nobody can read is said: its files were left out in silence, with exit 0.
#[test]
fn a_folder_of_a_pattern_that_cannot_be_read_is_said() {
    let (store, medplum) = (Store::open(), Medplum::of_an_ordinary_user());
    medplum.file("one/a.ndjson", PATIENT);
    let closed = medplum.file("two/b.ndjson", OTHER);
    let closed = closed.parent().unwrap();
    let set =
        |mode| std::fs::set_permissions(closed, std::os::unix::fs::PermissionsExt::from_mode(mode));
    set(0o000).unwrap();
    let flags = store.flags();
    let args = ["bulk", "import", "*/*.ndjson"].map(str::to_owned);
    let run = medplum.run(args.into_iter().chain(flags));
    set(0o755).unwrap();
    run.fails(2).says("two");
    assert!(store.server.requests().is_empty());
}

/// Of an import whose working folder cannot be written nothing is sent, and the words say what failed once.
#[test]
fn a_working_folder_that_cannot_be_written_is_said_before_anything_is_sent() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", PATIENT);
    let [flag, url] = store.flags();
    let script = format!(
        "mount --bind . . && mount -o remount,bind,ro . && cd \"$PWD\" || exit 99
        exec medplum bulk import a.ndjson {flag} {url}"
    );
    let run = medplum
        .program(["unshare", "-rm", "bash", "-c", &script])
        .run();
    if run.code == 99 {
        eprintln!("left out: this system lets nobody mount a folder with unshare -rm");
        return;
    }
    let run = run
        .fails(2)
        .says("cannot write rejects.ndjson: Read-only file system")
        .says("--rejects");
    assert_eq!(
        run.stderr.matches("Read-only file system").count(),
        1,
        "{run}"
    );
    assert!(!run.stderr.contains(".tmp"), "{run}");
    assert!(store.names().is_empty());
}
