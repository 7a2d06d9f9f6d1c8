//! `profile copy|rename|use|export|import`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::support::keyring::Keyring;
use crate::support::oauth::{CLIENT_ID, CLIENT_SECRET};
use crate::support::{Medplum, Run, Site};

/// A site whose profile has a login, in the file or in a keyring.
fn site(in_keyring: bool) -> (Site, Option<Keyring>) {
    let keyring = in_keyring.then(Keyring::open);
    let mut site = Site::open();
    if let Some(keyring) = &keyring {
        site.medplum
            .set_env("DBUS_SESSION_BUS_ADDRESS", keyring.address());
    }
    let place = if in_keyring { "keyring" } else { "file" };
    let login = ["login", "-p", "site", "--store", place];
    site.medplum.run(login).ok();
    (site, keyring)
}

fn secret_of(medplum: &Medplum, name: &str) -> serde_json::Value {
    let describe = ["profile", "describe", name, "--show-secrets", "-o", "json"];
    medplum.run(describe).ok().json()["clientSecret"].clone()
}

fn get(site: &Site, name: &str) -> Run {
    site.medplum.run(["get", "-p", name, "Patient/1"])
}

#[test]
fn a_renamed_profile_keeps_its_secret_and_its_login() {
    for in_keyring in [false, true] {
        let (site, keyring) = site(in_keyring);
        let medplum = &site.medplum;
        medplum
            .run(["profile", "rename", "site", "new"])
            .ok()
            .prints("");
        assert!(!medplum.profile_path("site").exists());
        assert_eq!(medplum.options("new")["name"], "new");
        assert_eq!(secret_of(medplum, "new"), CLIENT_SECRET);
        get(&site, "new").ok();
        assert_eq!(site.tokens.count(), 1, "the token came along");
        medplum.run(["logout", "-p", "new"]).ok();
        medplum.run(["profile", "remove", "new"]).ok();
        if let Some(keyring) = keyring {
            assert_eq!(keyring.entries(), 0);
        }
    }
}

#[test]
fn a_copy_has_the_secret_and_no_login_and_neither_disturbs_the_other() {
    for in_keyring in [false, true] {
        let (site, keyring) = site(in_keyring);
        let medplum = &site.medplum;
        medplum
            .run(["profile", "copy", "site", "two"])
            .ok()
            .prints("");
        assert_eq!(secret_of(medplum, "two"), CLIENT_SECRET);
        let whole = medplum.profile_keys("two");
        assert!(!whole.contains_key("activeLogin") && !whole.contains_key("tokens"));
        assert_eq!(keyring.as_ref().map_or(2, Keyring::entries), 2);
        get(&site, "two").ok();
        assert_eq!(site.tokens.count(), 2, "a token of its own");
        medplum.run(["profile", "remove", "site"]).ok();
        assert_eq!(secret_of(medplum, "two"), CLIENT_SECRET);
        get(&site, "two").ok();
    }
}

#[test]
fn a_profile_of_that_name_is_replaced_only_when_that_is_asked_for() {
    for in_keyring in [false, true] {
        let (site, keyring) = site(in_keyring);
        let medplum = &site.medplum;
        let other = ["profile", "set", "other", "--base-url", "https://o.example"];
        let kept = ["--client-id", "o", "--client-secret", "other-secret"];
        let place = ["--store", if in_keyring { "keyring" } else { "file" }];
        medplum.run(other.iter().chain(&kept).chain(&place)).ok();
        for word in ["copy", "rename"] {
            let before = medplum.profile_text("other");
            medplum
                .run(["profile", word, "site", "other"])
                .fails(2)
                .says("a profile \"other\" already")
                .says("--force");
            assert_eq!(medplum.profile_text("other"), before);
            assert_eq!(secret_of(medplum, "other"), "other-secret");
        }
        medplum
            .run(["profile", "copy", "site", "other", "--force"])
            .ok();
        assert_eq!(secret_of(medplum, "other"), CLIENT_SECRET);
        medplum
            .run(["profile", "rename", "site", "other", "--force"])
            .ok();
        assert_eq!(secret_of(medplum, "other"), CLIENT_SECRET);
        get(&site, "other").ok();
        if let Some(keyring) = keyring {
            assert_eq!(keyring.entries(), 1);
        }
    }
    let medplum = Medplum::new();
    for words in [
        ["copy", "none", "x"],
        ["rename", "none", "x"],
        ["copy", "none", "../x"],
    ] {
        medplum.run(["profile"].iter().chain(&words)).fails(2);
    }
}

#[test]
fn the_profile_in_use_ranks_below_the_flag_and_the_variable() {
    let (one, two) = (Site::open(), Site::open());
    let medplum = &one.medplum;
    let base = two.server.url("/");
    for name in ["two", "three"] {
        let set = [
            "profile",
            "set",
            name,
            "--base-url",
            &base,
            "--client-id",
            CLIENT_ID,
        ];
        medplum
            .run(set.iter().chain(&["--client-secret", CLIENT_SECRET]))
            .ok();
    }
    medplum.run(["profile", "use", "none"]).fails(2);
    medplum.run(["profile", "use", "site"]).ok().prints("");
    medplum.run(["get", "Patient/1"]).ok();
    assert_eq!((one.gets(), two.gets()), (1, 0));
    medplum.run(["get", "-p", "two", "Patient/1"]).ok();
    let by_variable = medplum
        .command(["get", "Patient/1"])
        .env("MEDPLUM_PROFILE", "two");
    by_variable.run().ok();
    assert_eq!((one.gets(), two.gets()), (1, 2));
    let list = medplum.run(["profile", "list"]).ok().json();
    let marked: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .filter(|profile| profile["inUse"] == true)
        .collect();
    assert_eq!((marked.len(), &marked[0]["name"]), (1, &json!("site")));
    let table = medplum.run(["profile", "list", "-o", "table"]).ok();
    assert!(table.stdout.contains("site (in use)"), "{table}");

    // It follows a new name, and goes with the profile.
    medplum.run(["profile", "rename", "site", "renamed"]).ok();
    medplum.run(["get", "Patient/1"]).ok();
    assert_eq!(one.gets(), 2);
    medplum.run(["profile", "remove", "renamed"]).ok();
    medplum
        .run(["get", "Patient/1"])
        .fails(3)
        .says("no server is named");
    medplum.run(["profile", "use", "two"]).ok();
    medplum.run(["profile", "use", "default"]).ok();
    medplum
        .run(["get", "Patient/1"])
        .fails(3)
        .says("no server is named");
}

#[test]
fn an_export_holds_secrets_only_when_they_are_asked_for_and_comes_back_by_import() {
    let (site, _) = site(false);
    let medplum = &site.medplum;
    let plain = medplum.run(["profile", "export", "site"]).ok();
    let plain = plain.says("clientSecret").says("--show-secrets");
    assert!(!plain.everything().contains(CLIENT_SECRET) && !plain.stdout.contains("token-1"));
    assert_eq!(plain.json()["clientId"], CLIENT_ID);
    assert!(plain.json().get("clientSecret").is_none());

    medplum
        .run([
            "profile",
            "export",
            "site",
            "--show-secrets",
            "--output",
            "site.json",
        ])
        .ok()
        .prints("");
    let mode = fs::metadata(medplum.path("site.json"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!medplum.read("site.json").contains("token-1"));
    medplum
        .run(["profile", "import", "site.json"])
        .fails(2)
        .says("already");
    medplum.run(["profile", "import", "site.json", "two"]).ok();
    assert_eq!(secret_of(medplum, "two"), CLIENT_SECRET);
    get(&site, "two").ok();
    let from_stdin = medplum
        .command(["profile", "import", "-", "three"])
        .stdin(medplum.read("site.json"));
    from_stdin.run().ok();
    assert_eq!(
        medplum.options("three")["tokenUrl"],
        medplum.options("site")["tokenUrl"]
    );
    // A profile file of the Medplum CLI is one too; its login stays where it is.
    fs::copy(medplum.profile_path("site"), medplum.path("cli.json")).unwrap();
    medplum.run(["profile", "import", "cli.json", "four"]).ok();
    assert_eq!(
        medplum.profile_keys("four").keys().collect::<Vec<_>>(),
        ["options"]
    );
    medplum.run(["profile", "export", "none"]).fails(2);
}

/// Somebody else may have written the file: it names no program and no file of ours unasked.
#[test]
fn an_import_takes_what_runs_or_reads_something_only_when_it_is_trusted() {
    let medplum = Medplum::new();
    for (key, value) in [
        ("clientSecretCommand", "touch ran"),
        ("clientSecretFile", "/etc/passwd"),
        ("privateKeyPath", "/etc/passwd"),
        ("headers", "X-A: b"),
        ("insecure", "true"),
        ("trustOrigin", "https://evil.example"),
        ("caCert", "/etc/passwd"),
    ] {
        let profile = json!({"name": "x", "baseUrl": "https://h.example", key: value});
        medplum.file("x.json", profile.to_string());
        medplum
            .run(["profile", "import", "x.json"])
            .fails(2)
            .says(key)
            .says("--trust");
        assert!(!medplum.profile_path("x").exists());
        if !value.contains("passwd") {
            medplum
                .run(["profile", "import", "x.json", "--trust", "--force"])
                .ok();
            medplum.run(["profile", "remove", "x"]).ok();
        }
    }
    for (text, reason) in [
        ("[]", "no JSON object"),
        ("{}", "no settings"),
        (r#"{"clientSecret":"********","name":"x"}"#, "masked"),
        (r#"{"baseUrl":"no url","name":"x"}"#, "baseUrl"),
        (r#"{"baseUrl":"https://h.example"}"#, "names no profile"),
        (
            r#"{"baseUrl":"https://h.example","name":"../x"}"#,
            "not a profile name",
        ),
    ] {
        medplum.file("x.json", text);
        medplum
            .run(["profile", "import", "x.json"])
            .fails(2)
            .says(reason);
    }
    medplum
        .run(["profile", "import", "/dev/zero"])
        .fails(2)
        .says("more than");
}
