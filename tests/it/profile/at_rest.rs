//! Profiles at rest: rights of others are taken away, and the binding of a token tells nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::oauth::{CLIENT_ID, CLIENT_SECRET};
use crate::support::{Medplum, Site};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_profile_that_others_could_read_is_mended_with_a_notice_once() {
    let site = Site::open();
    let file = site.medplum.profile_path("site");
    let folder = file.parent().unwrap().to_owned();
    for args in [
        ["get", "-p", "site", "Patient/1"].as_slice(),
        &["profile", "describe", "site"],
        &["profile", "list"],
        &["profile", "set", "site", "--update", "--scope", "x"],
    ] {
        set_mode(&file, 0o644);
        set_mode(&folder, 0o755);
        let run = site.medplum.run(args).ok();
        for path in [&file, &folder] {
            let told = format!("could read {};", path.display());
            assert_eq!(run.everything().matches(&told).count(), 1, "{run}");
        }
        assert_eq!((mode(&file), mode(&folder)), (0o600, 0o700), "{args:?}");
        let again = site.medplum.run(args).ok();
        assert!(!again.everything().contains("could read"), "{again}");
    }
}

/// A folder that all users share, such as /tmp, is not closed to them.
#[test]
fn a_shared_folder_stays_open_and_the_profile_in_it_does_not() {
    let mut medplum = Medplum::new();
    let folder = medplum.path("shared");
    fs::create_dir(&folder).unwrap();
    set_mode(&folder, 0o1777);
    medplum.set_env("MEDPLUM_CONFIG_DIR", folder.to_str().unwrap());
    let set = ["profile", "set", "x", "--base-url", "https://h.example"];
    medplum.run(set).ok();
    assert_eq!(mode(&folder), 0o1777);
    assert_eq!(mode(&folder.join("x.json")), 0o600);
}

/// The same secret in two profiles, or twice in one, leaves no two equal values, and another secret finds no token.
#[test]
fn what_a_token_is_bound_to_is_salted() {
    let site = Site::open();
    let credentials = |name: &str| -> Vec<String> {
        let tokens = site.medplum.stored(name, "tokens");
        let entries = tokens.as_array().unwrap().iter();
        entries
            .map(|entry| entry["credential"].as_str().unwrap().to_owned())
            .collect()
    };
    site.get().ok();
    let get = ["get", "-p", "site", "--scope", "other", "Patient/1"];
    site.medplum.run(get).ok();
    let both = credentials("site");
    assert_eq!(both.len(), 2);
    assert_ne!(both[0], both[1]);
    site.get().ok();
    site.medplum.run(get).ok();
    assert_eq!(site.tokens.count(), 2, "both are found again");
    let base = site.server.url("/");
    let other = [
        "--base-url",
        &base,
        "--client-id",
        CLIENT_ID,
        "--client-secret",
        "wrong-secret",
    ];
    let get = ["get", "-p", "site", "Patient/1"].iter().chain(&other);
    site.medplum.run(get).fails(3);
    assert!(
        !site
            .medplum
            .stored("site", "tokens")
            .to_string()
            .contains(CLIENT_SECRET)
    );
}
