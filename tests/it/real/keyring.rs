//! `--store keyring` with gnome-keyring: no file holds a secret, and nothing is lost on the way there and back.

use std::fs;

use serde_json::Value;

use crate::support::keyring::Keyring;
use crate::support::medplum::tree;
use crate::support::oauth::{CLIENT_ID, CLIENT_SECRET};
use crate::support::run::Running;
use crate::support::{Answer, Clinic, Site};

/// A site whose profile keeps its secrets in a keyring.
fn open() -> (Site, Keyring) {
    let keyring = Keyring::open();
    let mut site = Site::without_profile();
    site.medplum
        .set_env("DBUS_SESSION_BUS_ADDRESS", keyring.address());
    site.set_profile(&[
        "--auth-type",
        "client-credentials",
        "--token-url",
        "oauth2/token",
        "--store",
        "keyring",
    ]);
    (site, keyring)
}

/// No file of the user holds any of these texts.
#[track_caller]
fn assert_no_file_holds(site: &Site, texts: &[&str]) {
    for (path, contents) in tree(site.medplum.root()) {
        let contents = String::from_utf8_lossy(&contents).into_owned();
        for text in texts {
            assert!(!contents.contains(text), "{text} in {}", path.display());
        }
    }
}

/// Moves the secrets.
#[track_caller]
fn move_to(site: &Site, place: &str) {
    let set = ["profile", "set", "site", "--store", place];
    site.medplum.run(set).ok();
}

/// What the profile holds, secrets and all.
#[track_caller]
fn described(site: &Site) -> Value {
    let describe = [
        "profile",
        "describe",
        "site",
        "--show-secrets",
        "-o",
        "json",
    ];
    let mut shown = site.medplum.run(describe).ok().json();
    shown.as_object_mut().unwrap().remove("store");
    shown
}

#[test]
fn no_file_holds_a_secret_or_a_token_and_one_token_serves_many_commands() {
    let (site, keyring) = open();
    for _ in 0..3 {
        site.get().ok();
    }
    assert_eq!(site.tokens.count(), 1, "the token is kept");
    site.medplum.run(["login", "-p", "site"]).ok();
    site.get().ok();
    assert_no_file_holds(&site, &[CLIENT_SECRET, "token-1", "token-2"]);
    let keys = site.medplum.profile_keys("site");
    for key in ["tokens", "activeLogin", "logins"] {
        assert!(!keys.contains_key(key), "{keys:?}");
    }
    assert_eq!(keyring.entries(), 1);
    let shown = site
        .medplum
        .run(["profile", "describe", "site", "-o", "json"]);
    let shown = shown.ok().json();
    assert_eq!(shown["clientSecret"], "********");
    assert_eq!(shown["store"], "keyring");
    assert_eq!(described(&site)["clientSecret"], CLIENT_SECRET);
}

#[test]
fn there_and_back_again_loses_nothing() {
    let (site, keyring) = open();
    site.get().ok();
    let before = described(&site);
    for _ in 0..2 {
        move_to(&site, "file");
        assert_eq!(keyring.entries(), 0, "nothing stays behind");
        assert_eq!(site.medplum.options("site")["clientSecret"], CLIENT_SECRET);
        assert!(site.medplum.profile_text("site").contains("token-1"));
        assert_eq!(described(&site), before);
        site.get().ok();
        move_to(&site, "keyring");
        assert_no_file_holds(&site, &[CLIENT_SECRET, "token-1"]);
        assert_eq!(keyring.entries(), 1);
        assert_eq!(described(&site), before);
        site.get().ok();
    }
    assert_eq!(site.tokens.count(), 1, "the token moved along");
}

#[test]
fn settings_changed_later_stay_in_the_keyring() {
    let (site, keyring) = open();
    let set = ["profile", "set", "site", "--update"];
    let change = set.into_iter().chain(["--client-secret", "another-secret"]);
    site.medplum.run(change).ok();
    assert_no_file_holds(&site, &[CLIENT_SECRET, "another-secret"]);
    let shown = described(&site);
    assert_eq!(shown["clientSecret"], "another-secret");
    assert_eq!(shown["clientId"], CLIENT_ID);
    assert_eq!(keyring.entries(), 1, "the old entry is gone");
}

#[test]
fn logout_and_remove_leave_nothing_in_the_keyring() {
    let (site, keyring) = open();
    site.medplum.run(["login", "-p", "site"]).ok();
    site.medplum.run(["logout", "-p", "site"]).ok();
    let shown = described(&site);
    assert_eq!(shown["clientSecret"], CLIENT_SECRET, "settings stay");
    move_to(&site, "file");
    assert!(!site.medplum.profile_text("site").contains("token-1"));
    move_to(&site, "keyring");
    site.medplum.run(["profile", "remove", "site"]).ok();
    assert_eq!(keyring.entries(), 0);
    assert!(!site.medplum.profile_path("site").exists());
}

/// A login by browser has no secret, so its logout leaves nothing to hold.
#[test]
fn a_login_by_browser_is_kept_and_taken_out_again() {
    let keyring = Keyring::open();
    let mut clinic = Clinic::open();
    clinic
        .medplum
        .set_env("DBUS_SESSION_BUS_ADDRESS", keyring.address());
    let (run, _) = clinic.log_in(&["--store", "keyring"]);
    run.ok();
    let keys = clinic.medplum.profile_keys("clinic");
    assert!(!keys.contains_key("activeLogin") && !keys.contains_key("tokens"));
    assert_eq!(keyring.entries(), 1);
    clinic.get().ok();
    clinic.medplum.run(["logout", "-p", "clinic"]).ok();
    assert_eq!(keyring.entries(), 0);
    clinic.get().fails(3).says("medplum login");
}

#[test]
fn fifty_commands_at_once_share_one_token_of_the_keyring() {
    const PROCESSES: usize = 50;
    let (site, _keyring) = open();
    site.server.on(
        "GET",
        "/fhir/R4/Patient",
        Answer::json(200, r#"{"resourceType":"Bundle","type":"searchset"}"#),
    );
    let before = described(&site);
    let running: Vec<Running> = (0..PROCESSES)
        .map(|_| site.medplum.spawn(["get", "-p", "site", "Patient"]))
        .collect();
    for run in running {
        run.finish().ok();
    }
    assert_eq!(site.tokens.count(), 1, "token requests");
    assert_eq!(described(&site), before);
}

/// Each change of a setting takes a new entry and removes the old one, while others read.
#[test]
fn commands_find_the_secrets_while_settings_change() {
    let (site, keyring) = open();
    site.get().ok();
    let mut running: Vec<Running> = Vec::new();
    for at in 0..24 {
        let value = format!("https://v.example/{at}");
        let set = ["profile", "set", "site", "--update", "--issuer", &value];
        running.push(if at % 3 == 0 {
            site.medplum.spawn(set)
        } else {
            site.medplum.spawn(["get", "-p", "site", "Patient/1"])
        });
    }
    for run in running {
        run.finish().ok();
    }
    assert_eq!(described(&site)["clientSecret"], CLIENT_SECRET);
    assert_eq!(keyring.entries(), 1);
}

/// The keyring is written first and the file then. A kill between the two leaves the old profile, whole.
#[cfg(target_os = "linux")]
#[test]
fn a_kill_between_keyring_and_file_leaves_the_old_profile() {
    let (site, keyring) = open();
    site.get().ok();
    let changes: [&[&str]; 2] = [
        &[
            "--update",
            "--client-secret",
            "another-secret",
            "--issuer",
            "x",
        ],
        &[
            "--base-url",
            "https://other.example",
            "--client-secret",
            "another-secret",
        ],
    ];
    for place in ["keyring", "file"] {
        move_to(&site, place);
        let before = (described(&site), site.medplum.profile_text("site"));
        let there = ["--store", if place == "file" { "keyring" } else { "file" }];
        for change in changes.into_iter().chain([there.as_slice()]) {
            let set = ["profile", "set", "site"].iter().chain(change);
            let set = site.medplum.command(set);
            // SIGXFSZ is 25.
            set.killed_when_a_file_grows_to(0).run().fails(128 + 25);
            let after = (described(&site), site.medplum.profile_text("site"));
            assert_eq!(after, before, "{place} {change:?}");
        }
        site.get().ok();
    }
    assert_eq!(site.tokens.count(), 1);
    move_to(&site, "keyring");
    site.medplum.run(["profile", "remove", "site"]).ok();
    assert!(keyring.entries() <= 1, "what the killed switch left");
}

#[test]
fn a_copied_profile_parts_with_the_first_and_a_renamed_one_keeps_its_entry() {
    let (site, keyring) = open();
    let path = |name: &str| site.medplum.profile_path(name);
    fs::copy(path("site"), path("copy")).unwrap();
    let set = [
        "profile",
        "set",
        "copy",
        "--update",
        "--client-secret",
        "copys-own",
    ];
    site.medplum.run(set).ok();
    assert_eq!(described(&site)["clientSecret"], CLIENT_SECRET);
    assert_eq!(keyring.entries(), 2);
    site.medplum.run(["profile", "remove", "copy"]).ok();
    assert_eq!(described(&site)["clientSecret"], CLIENT_SECRET);
    // Only its token changes: that of the first one stays.
    site.get().ok();
    fs::copy(path("site"), path("copy")).unwrap();
    site.medplum.run(["login", "-p", "copy"]).ok();
    assert_eq!((keyring.entries(), site.tokens.count()), (2, 2));
    site.medplum.run(["logout", "-p", "copy"]).ok();
    site.medplum.run(["profile", "remove", "copy"]).ok();
    site.get().ok();
    assert_eq!((keyring.entries(), site.tokens.count()), (1, 2));
    // A copy that was never changed takes nothing along when it goes.
    fs::copy(path("site"), path("copy")).unwrap();
    site.medplum.run(["profile", "remove", "copy"]).ok();
    assert_eq!(described(&site)["clientSecret"], CLIENT_SECRET);
    fs::rename(path("site"), path("renamed")).unwrap();
    site.medplum.run(["get", "-p", "renamed", "Patient/1"]).ok();
    site.medplum.run(["profile", "remove", "renamed"]).ok();
    assert_eq!(keyring.entries(), 0);
}

/// A copy must not follow the first one to another server's secret.
#[test]
fn a_copy_whose_entry_went_is_told_and_mended() {
    let (site, _keyring) = open();
    let path = |name: &str| site.medplum.profile_path(name);
    fs::copy(path("site"), path("copy")).unwrap();
    for secret in ["second-secret", "third-secret"] {
        let set = [
            "profile",
            "set",
            "site",
            "--base-url",
            "https://other.example",
        ];
        let set = set.into_iter().chain(["--client-secret", secret]);
        site.medplum.run(set).ok();
        let run = site
            .medplum
            .run(["get", "-p", "copy", "Patient/1"])
            .fails(2);
        run.says("does not have the secrets").says("--store");
    }
    site.medplum
        .run(["profile", "set", "copy", "--store", "file"])
        .ok();
    let set = [
        "profile",
        "set",
        "copy",
        "--update",
        "--client-secret",
        CLIENT_SECRET,
    ];
    site.medplum.run(set).ok();
    site.medplum.run(["get", "-p", "copy", "Patient/1"]).ok();
}

/// What the Medplum CLI writes into the file counts, and goes to the keyring with the next change.
#[test]
fn a_secret_that_another_program_wrote_goes_to_the_keyring() {
    let (site, _keyring) = open();
    let text = site.medplum.profile_text("site");
    let text = text.replace(
        r#"\"clientId\""#,
        r#"\"clientSecret\":\"theirs-is-new\",\"clientId\""#,
    );
    site.medplum.write_profile_text("site", &text);
    assert_eq!(described(&site)["clientSecret"], "theirs-is-new");
    move_to(&site, "keyring");
    assert_no_file_holds(&site, &["theirs-is-new"]);
    assert_eq!(described(&site)["clientSecret"], "theirs-is-new");
}

#[test]
fn without_a_keyring_nothing_is_written_and_nothing_is_asked() {
    let site = Site::open();
    let before = tree(&site.medplum.home());
    let nowhere = "unix:path=/nonexistent/bus";
    for (args, bus) in [
        (["profile", "set", "site", "--store", "keyring"], None),
        (
            ["profile", "set", "site", "--store", "keyring"],
            Some(nowhere),
        ),
        (["login", "-p", "site", "--store", "keyring"], None),
    ] {
        // Without an address the bus of the runtime folder is asked: not that of the tester's own session.
        let mut command = site.medplum.command(args);
        command = command.env("XDG_RUNTIME_DIR", site.medplum.home());
        if let Some(bus) = bus {
            command = command.env("DBUS_SESSION_BUS_ADDRESS", bus);
        }
        let run = command.run().fails(2).prints("");
        let run = run.says("keyring").says("Secret Service");
        run.says("--store file").says("--client-secret-command");
        assert_eq!(tree(&site.medplum.home()), before);
    }
    let set = [
        "profile",
        "set",
        "new",
        "--client-secret",
        "x-secret",
        "--store",
        "keyring",
    ];
    let set = site.medplum.command(set);
    let set = set.env("XDG_RUNTIME_DIR", site.medplum.home());
    set.run().fails(2);
    assert!(!site.medplum.profile_path("new").exists());
    assert_eq!(site.tokens.count(), 0);
}

/// The bus answers, and nobody offers secrets there: also then the file is no substitute.
#[test]
fn a_profile_of_the_keyring_fails_loudly_without_it() {
    let (site, keyring) = open();
    let before = site.medplum.profile_text("site");
    drop(keyring);
    for args in [
        ["get", "-p", "site", "Patient/1"].as_slice(),
        &["profile", "set", "site", "--update", "--scope", "x"],
        &["profile", "set", "site", "--store", "file"],
        &["profile", "remove", "site"],
    ] {
        let run = site.medplum.run(args).fails(2);
        run.says("keyring").says("--client-secret-command");
        assert_eq!(site.medplum.profile_text("site"), before);
    }
    // To see what is set, no secret is needed.
    let list = site.medplum.run(["profile", "list", "-o", "json"]).ok();
    assert_eq!(list.json()[0]["store"], "keyring");
    assert_eq!(site.gets(), 0);
}

#[test]
fn a_locked_keyring_that_nobody_unlocks_is_an_error() {
    let (site, keyring) = open();
    keyring.lock();
    site.get().fails(2).says("keyring");
    assert_eq!(site.gets(), 0);
}
