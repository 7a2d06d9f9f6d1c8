//! `kill -9` just before each system call that changes the disk for good, while a login is renewed, a first token is
//! stored, and a profile is changed: what is there is whole and as it was or as it should become.

use std::fs;

use serde_json::{Map, Value, json};

use crate::export::kills_calls::kills;
use crate::support::run::KILLED;
use crate::support::{Clinic, Medplum, Site};

/// What changes the disk, or the order in which changes reach it.
const CALLS: [&str; 4] = [
    "rename,renameat,renameat2,link,linkat",
    "fsync,fdatasync",
    "unlink,unlinkat,rmdir,chmod,fchmod,fchmodat",
    "write,pwrite64,ftruncate,mkdir,mkdirat",
];
/// A change of one small file makes more of them.
const FEWEST: usize = 4;

/// The profiles of a machine, every one of which can be read.
fn profiles(medplum: &Medplum) -> Vec<(String, Map<String, Value>)> {
    let mut profiles = Vec::new();
    for entry in fs::read_dir(medplum.home().join(".medplum")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(name) = name.strip_suffix(".json")
            && !name.starts_with('.')
        {
            profiles.push((name.to_owned(), medplum.profile_keys(name)));
        }
    }
    profiles.sort_by(|one, other| one.0.cmp(&other.0));
    profiles
}

/// What no profile is: names in the folder that are of no use to anybody.
fn leftovers(medplum: &Medplum) -> Vec<String> {
    let entries = fs::read_dir(medplum.home().join(".medplum")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_one = |name: &String| name.strip_suffix(".json").is_none() && name != ".locks";
    names.filter(is_one).collect()
}

#[test]
fn a_renewal_that_is_killed_between_any_two_changes_of_the_disk_leaves_a_whole_login() {
    let kills = kills(&CALLS, |calls, number| {
        let clinic = Clinic::open();
        let refresh = clinic.auth.new_refresh_token();
        let login = json!({"accessToken": "over", "refreshToken": refresh});
        let mut keys = clinic.medplum.profile_keys("clinic");
        keys.insert("activeLogin".into(), login.to_string().into());
        let text = Value::Object(keys).to_string();
        clinic.medplum.write_profile_text("clinic", &text);
        let settings = clinic.medplum.options("clinic");
        let get = ["get", "-p", "clinic", "Patient/1"];
        let get = clinic.medplum.command(get);
        let run = get.killed_before_call(calls, number).run();
        if run.code == 0 {
            return false;
        }
        let at = format!("before {calls} number {number}");
        assert_eq!(run.code, KILLED, "{at}\n{run}");
        assert_eq!(clinic.medplum.options("clinic"), settings, "{at}\n{run}");
        let after = clinic.medplum.stored("clinic", "activeLogin");
        let is_old = after["refreshToken"] == refresh.as_str();
        assert_eq!(after["accessToken"] == "over", is_old, "{at}: {after}");
        let token = after["refreshToken"].as_str().unwrap();
        assert!(is_old || clinic.auth.knows_refresh_token(token), "{at}");
        let is_lost = is_old && !clinic.auth.knows_refresh_token(token);
        // The answer came, and its process was killed before it was stored.
        clinic.get().fails(if is_lost { 3 } else { 0 });
        if !is_lost {
            assert_eq!(leftovers(&clinic.medplum), [""; 0], "{at}");
        }
        true
    });
    assert!(kills > FEWEST, "{kills} kills");
}

#[test]
fn a_first_token_whose_storing_is_killed_anywhere_leaves_the_profile_whole() {
    let kills = kills(&CALLS, |calls, number| {
        let site = Site::open();
        let settings = site.medplum.options("site");
        let get = site.medplum.command(["get", "-p", "site", "Patient/1"]);
        let run = get.killed_before_call(calls, number).run();
        if run.code == 0 {
            return false;
        }
        let at = format!("before {calls} number {number}");
        assert_eq!(run.code, KILLED, "{at}\n{run}");
        assert_eq!(site.medplum.options("site"), settings, "{at}\n{run}");
        site.get().ok();
        assert_eq!(leftovers(&site.medplum), [""; 0], "{at}");
        true
    });
    assert!(kills > FEWEST, "{kills} kills");
}

/// Changes of a profile: the words, and the names that it may have after a kill.
const CHANGES: [(&[&str], &[&str]); 5] = [
    (
        &["profile", "set", "site", "--update", "--scope", "x"],
        &["site"],
    ),
    (&["logout", "-p", "site"], &["site"]),
    (&["profile", "rename", "site", "new"], &["site", "new"]),
    (&["profile", "copy", "site", "new"], &["site", "new"]),
    (
        &["profile", "import", "moved.json", "new"],
        &["site", "new"],
    ),
];

#[test]
fn a_change_of_a_profile_that_is_killed_anywhere_leaves_it_whole_under_one_of_its_names() {
    let site = Site::open();
    site.get().ok();
    let before = site.medplum.profile_text("site");
    let export = ["profile", "export", "site", "--show-secrets"];
    let exported = site.medplum.run(export).ok().stdout;
    for (words, names) in CHANGES {
        let kills = kills(&CALLS, |calls, number| {
            let medplum = Medplum::new();
            medplum.write_profile_text("site", &before);
            medplum.file("moved.json", &exported);
            let command = medplum.command(words);
            let run = command.killed_before_call(calls, number).run();
            if run.code == 0 {
                return false;
            }
            let at = format!("{words:?} before {calls} number {number}");
            assert_eq!(run.code, KILLED, "{at}\n{run}");
            let there = profiles(&medplum);
            assert!(!there.is_empty(), "{at}: it is gone\n{run}");
            for (name, _) in &there {
                assert!(names.contains(&name.as_str()), "{at}: {name}\n{run}");
                let run = medplum.run(["get", "-p", name, "Patient/1"]);
                assert_eq!(run.code, 0, "{at}\n{run}");
            }
            // Again, as a person would; what is done already may be told as such.
            let again = medplum.run(words);
            assert!([0, 2].contains(&again.code), "{at}\n{again}");
            assert!(!profiles(&medplum).is_empty(), "{at}\n{again}");
            true
        });
        assert!(kills > FEWEST, "{words:?}: {kills} kills");
    }
}
