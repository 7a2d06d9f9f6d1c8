//! What lies in `~/.medplum` in the place of a file of ours: nothing hangs, what is no plain file is not opened, and the words
//! name the file and the way out.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use super::odd_machines::own_mounts;
use crate::support::medplum::ReadOnly;
use crate::support::{Medplum, Site};

/// What somebody put there, and a word of what is said of it.
const ODD: [(&str, &str); 6] = [
    ("fifo", "no plain file"),
    ("folder", "folder"),
    ("circle", "leads back to itself"),
    ("/dev/full", "no plain file"),
    ("socket", "no plain file"),
    ("huge", "larger than"),
];

fn put(kind: &str, path: &Path) {
    let _ = fs::remove_file(path);
    match kind {
        "fifo" => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        "folder" => fs::create_dir(path).unwrap(),
        "circle" => symlink(path, path).unwrap(),
        "socket" => drop(UnixListener::bind(path).unwrap()),
        "huge" => File::create(path).unwrap().set_len(3 << 30).unwrap(),
        "bytes" => fs::write(path, b"\xff\xfe").unwrap(),
        target => symlink(target, path).unwrap(),
    }
}

fn folder_of(medplum: &Medplum) -> std::path::PathBuf {
    medplum.home().join(".medplum")
}

/// A FIFO in the place of a profile held every command for ever, and `/dev/zero` filled the memory.
#[test]
fn a_profile_that_is_no_plain_file_is_named_and_nobody_waits_for_it() {
    for (kind, words) in ODD {
        let site = Site::open();
        let path = site.medplum.profile_path("site");
        put(kind, &path);
        let shown = path.to_str().unwrap();
        for command in [
            &["get", "-p", "site", "Patient/1"][..],
            &["login", "-p", "site"],
            &["logout", "-p", "site"],
            &["token", "-p", "site"],
            &["doctor", "-p", "site"],
            &["profile", "describe", "site"],
            &["profile", "set", "site", "--update", "--scope", "a"],
            &["profile", "use", "site"],
            &["profile", "rename", "site", "other"],
            &["profile", "copy", "site", "other"],
            &["profile", "export", "site"],
        ] {
            let run = site.medplum.run(command).fails(2).says(shown).says(words);
            assert!(run.everything().contains("take it away"), "{kind}: {run}");
        }
        let run = site.medplum.run(["profile", "list"]).ok().says(shown);
        assert_eq!(run.json(), serde_json::json!([]), "{run}");
        assert_eq!(site.server.lines(), [""; 0], "{kind}");
        let removed = site.medplum.run(["profile", "remove", "site"]);
        match kind {
            "folder" => drop(removed.fails(1).says(shown).says("Hint: ")),
            _ => assert!(removed.ok().stderr.contains("not given back")),
        }
        assert!(Path::new("/dev/full").exists());
    }
}

#[test]
fn what_names_the_profile_in_use_is_read_as_a_name_or_named_itself() {
    let more = [("bytes", "UTF-8"), ("/dev/null", "no plain file")];
    for (kind, words) in ODD.iter().chain(&more) {
        let site = Site::open();
        let medplum = &site.medplum;
        let choice = folder_of(medplum).join(".in-use");
        put(kind, &choice);
        let get = ["get", "Patient/1"];
        let run = medplum.run(get).fails(2).says(choice.to_str().unwrap());
        assert!(run.stderr.contains(words), "{kind}: {run}");
        let run = run.says("profile use");
        assert!(run.stderr.contains("-p"), "{run}");
        site.get().ok();
        medplum.run(["profile", "list"]).ok();
        if *kind == "folder" {
            let again = medplum.run(["profile", "use", "site"]).fails(1);
            assert!(again.stderr.contains("take away"), "{again}");
        } else {
            medplum.run(["profile", "use", "site"]).ok();
            medplum.run(get).ok();
        }
        // A profile is removed and renamed whatever lies there.
        put_anew(kind, &choice);
        medplum.run(["profile", "rename", "site", "other"]).ok();
        medplum.run(["profile", "remove", "other"]).ok();
    }
}

fn put_anew(kind: &str, path: &Path) {
    if kind != "folder" {
        put(kind, path);
    }
}

/// Two commands that renew one login without a lock lose it, so going on as if there were none is no way.
#[test]
fn a_lock_that_is_no_plain_file_is_named_and_nothing_is_asked() {
    for (kind, words) in ODD.iter().filter(|(kind, _)| *kind != "huge") {
        for name in ["site.token", "site.lock"] {
            let site = Site::open();
            let lock = folder_of(&site.medplum).join(".locks").join(name);
            put(kind, &lock);
            let set = ["profile", "set", "site", "--update", "--scope", "a"];
            let command = match name {
                "site.token" => &["get", "-p", "site", "Patient/1"][..],
                _ => &set,
            };
            let run = site.medplum.run(command).fails(1);
            let words = if *kind == "circle" { "a link" } else { words };
            let run = run.says(lock.to_str().unwrap()).says(words);
            assert!(run.stderr.contains("Hint: take away"), "{run}");
            let login = site.medplum.run(["login", "-p", "site"]);
            if name == "site.lock" {
                drop(login.fails(1).says(lock.to_str().unwrap()));
            }
            if kind.starts_with('/') || name == "site.lock" {
                assert!(site.tokens.count() <= 1, "{kind} {name}");
            }
        }
    }
    let site = Site::open();
    let locks = folder_of(&site.medplum).join(".locks");
    fs::remove_dir_all(&locks).unwrap();
    fs::write(&locks, "").unwrap();
    let run = site.get().fails(1).says(".locks is no folder");
    assert!(run.stderr.contains("Hint: "), "{run}");
    assert_eq!(site.server.lines(), [""; 0]);
}

/// A person who signed in lost the login when it could not be written: that is looked at before anybody is asked.
#[test]
fn a_login_that_cannot_be_kept_is_not_begun() {
    let medplum = Medplum::of_an_ordinary_user();
    let site = Site::without_profile();
    let base = site.server.url("/");
    let login = ["login", "-p", "site", "--base-url", &base, "--client-id"];
    let secret = ["MY_CLIENT_ID", "--client-secret", "MY_CLIENT_SECRET"];
    let login = [&login[..], &secret].concat();
    let home = ReadOnly::folder(medplum.home());
    let run = medplum.run(&login).fails(1).says("MEDPLUM_CONFIG_DIR");
    assert!(run.stderr.contains(medplum.home().to_str().unwrap()));
    assert_eq!(site.server.lines(), [""; 0]);
    drop(home);
    medplum.run(&login).ok();
    assert_eq!(site.tokens.count(), 1);
}

/// A disk that is really full, and a folder that is really read-only.
#[test]
fn a_full_disk_and_a_read_only_mount_are_told_with_a_way_out() {
    let site = Site::open();
    let before = site.medplum.profile_text("site");
    let full = "mount -t tmpfs -o size=24k none \"$0\" && cp \"$OLD\" \"$0/site.json\" && mkdir \"$0/.locks\" && \
        touch \"$0/.locks/site.lock\" \"$0/.locks/site.token\" && head -c 1000000 /dev/zero > \"$0/filler\"; \"$@\"; code=$?; \
        cat \"$0/site.json\"; exit $code";
    let read_only = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && \"$@\"; code=$?; cat \"$0/site.json\"; \
        exit $code";
    for (script, words) in [(full, "make room"), (read_only, "MEDPLUM_CONFIG_DIR")] {
        let run = |command: &[&str]| {
            let old = site.medplum.file("old.json", &before);
            let folder = folder_of(&site.medplum);
            let mut words: Vec<&str> = own_mounts().to_vec();
            words.extend(["bash", "-c", script, folder.to_str().unwrap(), "medplum"]);
            words.extend(command);
            let run = site.medplum.program(words);
            run.env("OLD", old).run()
        };
        let set = ["profile", "set", "site", "--update", "--scope", "a"];
        let set = run(&set).fails(1).says(words);
        assert_eq!(set.stdout.trim(), before.trim(), "{set}");
        assert!(set.stderr.contains(".medplum"), "{set}");
        // A command that only reads goes on without a cache.
        let get = run(&["get", "-p", "site", "Patient/1"]).ok();
        assert!(get.stdout.contains("\"active\": true"), "{get}");
        assert!(get.stderr.contains("could not be cached"), "{get}");
        let login = run(&["login", "-p", "site"]).fails(1).says(words);
        assert!(!login.stderr.contains("Logged in"), "{login}");
    }
    assert_eq!(site.medplum.profile_text("site"), before);
}

/// What is edited by hand: a `baseUrl` that was passed over would have sent the secret beside it to the default server.
#[test]
fn a_setting_that_is_no_text_is_named_or_read_as_it_is_meant() {
    let medplum = Medplum::new();
    for value in ["[\"https://h.example\"]", "{\"a\":1}"] {
        let options = format!(
            "{{\"baseUrl\":{value},\"clientId\":\"me\",\"clientSecret\":\"hand-secret-1\"}}"
        );
        let file = serde_json::json!({"options": options}).to_string();
        medplum.write_profile_text("x", &file);
        let run = medplum.run(["get", "-p", "x", "Patient/1"]).fails(2);
        let run = run.says("its baseUrl is no text").says("x.json");
        assert!(!run.everything().contains("hand-secret"));
    }
    let options = "{\"baseUrl\":\"https://h.example\",\"dpop\":true,\"connectTimeout\":7}";
    medplum.write_profile_text("x", &serde_json::json!({"options": options}).to_string());
    let shown = medplum.run(["profile", "describe", "x"]).ok().json();
    assert_eq!(
        (&shown["dpop"], &shown["connectTimeout"]),
        (&"true".into(), &"7".into())
    );
}

/// A secret's file may be a pipe, but one that nobody writes to held the command for ever.
#[test]
fn a_pipe_that_nobody_writes_to_is_not_waited_for_without_end() {
    let site = Site::without_profile();
    let pipe = site.medplum.path("pipe");
    put("fifo", &pipe);
    let base = site.server.url("/");
    let words = ["faketime", "-f", "+0 x60", "medplum", "get", "Patient/1"];
    let flags = [
        "--base-url",
        &base,
        "--client-id",
        "me",
        "--client-secret-file",
    ];
    let words = [&words[..], &flags, &[pipe.to_str().unwrap()]].concat();
    let run = site.medplum.program(words).run().fails(2);
    run.says("nothing came out of it within 60 s").says("pipe");
}
