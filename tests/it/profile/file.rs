//! `medplum profile set|describe|remove|list`: the Medplum CLI's file, kept private and never half written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use crate::support::medplum::{ReadOnly, tree};
use crate::support::{Answer, Medplum, Server, Site};

const SECRET: &str = "s3cret-of-the-client";

/// A machine with the profile `x`, which has a secret.
fn with_profile() -> Medplum {
    let medplum = Medplum::new();
    let flags = [
        "--base-url",
        "https://a.example",
        "--client-id",
        "me",
        "--client-secret",
        SECRET,
    ];
    medplum
        .run(["profile", "set", "x"].iter().chain(&flags))
        .ok();
    medplum
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn set_stores_every_flag_as_the_medplum_cli_does_and_prints_nothing() {
    let medplum = Medplum::new();
    let pairs = [
        ("--auth-type", "authType", "client-credentials"),
        ("--base-url", "baseUrl", "https://api.example.com"),
        ("--fhir-url-path", "fhirUrlPath", "api/v2/"),
        ("--token-url", "tokenUrl", "/oauth2/token"),
        ("--authorize-url", "authorizeUrl", "oauth2/authorize"),
        ("--client-id", "clientId", "MY_CLIENT_ID"),
        ("--client-secret", "clientSecret", "MY_CLIENT_SECRET"),
        ("--scope", "scope", "openid profile"),
        ("--audience", "audience", "/oauth2/token"),
        ("--subject", "subject", "john_doe"),
        ("--issuer", "issuer", "api.example.com"),
        ("--callback-url", "callbackUrl", "http://localhost:9615"),
    ];
    let flags = pairs.iter().flat_map(|(flag, _, value)| [*flag, *value]);
    medplum
        .run(["profile", "set", "example"].into_iter().chain(flags))
        .ok()
        .prints("");

    assert_eq!(
        medplum.profile_keys("example").keys().collect::<Vec<_>>(),
        ["options"]
    );
    let options = medplum.options("example");
    assert_eq!(options["name"], "example");
    for (_, key, value) in pairs {
        assert_eq!(options[key], value, "{key}");
    }
    assert_eq!(
        options.as_object().unwrap().len(),
        pairs.len() + 1,
        "only what was given: {options}"
    );
}

#[test]
fn set_replaces_the_settings_and_update_merges_them() {
    let medplum = with_profile();
    medplum
        .run(["profile", "set", "x", "--update", "--scope", "system/*.rs"])
        .ok();
    let options = medplum.options("x");
    assert_eq!(
        (&options["clientId"], &options["scope"]),
        (&json!("me"), &json!("system/*.rs"))
    );

    medplum
        .run(["profile", "set", "x", "--base-url", "https://b.example"])
        .ok();
    let options = medplum.options("x");
    assert_eq!(options["baseUrl"], "https://b.example");
    assert!(
        options.get("clientId").is_none() && options.get("clientSecret").is_none(),
        "{options}"
    );
}

#[test]
fn keys_of_other_programs_survive_a_rewrite() {
    let medplum = Medplum::new();
    medplum.write_profile_text("x", r#"{"theirs":"1","options":"{\"name\":\"x\",\"baseUrl\":\"https://a.example\",\"ours\":\"2\"}"}"#);
    medplum
        .run(["profile", "set", "x", "--base-url", "https://b.example"])
        .ok();
    assert_eq!(medplum.profile_keys("x")["theirs"], "1");
    assert_eq!(medplum.options("x")["ours"], "2");
}

/// A4: secrets in a file of mode 0644 in a folder of 0755.
#[test]
fn the_folder_and_everything_in_it_are_for_the_owner_alone() {
    let medplum = with_profile();
    let folder = medplum.home().join(".medplum");
    assert_eq!(mode(&folder), 0o700);
    for (path, _) in tree(&folder) {
        let allowed = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), allowed, "{}", path.display());
    }
}

/// A4: what the Medplum CLI left open is closed at the next rewrite.
#[test]
fn an_open_file_becomes_private_when_it_is_rewritten() {
    let medplum = Medplum::new();
    medplum.write_profile(
        "x",
        &json!({"options": {"name": "x", "baseUrl": "https://a.example"}}),
    );
    let path = medplum.profile_path("x");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    medplum
        .run(["profile", "set", "x", "--update", "--scope", "openid"])
        .ok();
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
}

/// A23: `describe` printed secrets, and not as JSON.
#[test]
fn describe_is_json_with_masked_secrets() {
    let medplum = with_profile();
    let run = medplum.run(["profile", "describe", "x"]).ok();
    let shown = run.json();
    assert_eq!(
        (&shown["baseUrl"], &shown["clientId"]),
        (&json!("https://a.example"), &json!("me"))
    );
    assert_eq!(shown["clientSecret"], "********");
    assert!(!run.everything().contains(SECRET), "{run}");

    let run = medplum
        .run(["profile", "describe", "x", "--show-secrets"])
        .ok();
    assert_eq!(run.json()["clientSecret"], SECRET);
}

/// A23: `list` printed secrets, and did not see names with a dot.
#[test]
fn list_is_json_with_every_name_and_no_secret() {
    let medplum = with_profile();
    medplum
        .run(["profile", "set", "a.b", "--base-url", "https://b.example"])
        .ok();
    let run = medplum.run(["profile", "list"]).ok();
    let profiles = run.json();
    let names: Vec<_> = profiles
        .as_array()
        .unwrap()
        .iter()
        .map(|profile| &profile["name"])
        .collect();
    assert_eq!(names, ["a.b", "x"]);
    assert!(!run.everything().contains(SECRET), "{run}");
    let run = medplum.run(["profile", "list", "--show-secrets"]).ok();
    assert!(run.stdout.contains(SECRET), "{run}");
    assert_eq!(
        medplum.run(["profile", "describe", "a.b"]).ok().json()["baseUrl"],
        "https://b.example"
    );
}

/// A23: `list` failed when no profile had ever been set.
#[test]
fn list_without_a_folder_is_an_empty_list() {
    let medplum = Medplum::new();
    assert_eq!(medplum.run(["profile", "list"]).ok().json(), json!([]));
    assert!(!medplum.home().join(".medplum").exists());
}

/// The Medplum CLI takes every file whose name does not start with a dot for a profile.
#[test]
fn the_folder_holds_profiles_and_names_with_a_dot_only() {
    let medplum = with_profile();
    medplum
        .run(["profile", "set", "x", "--update", "--scope", "openid"])
        .ok();
    let names = fs::read_dir(medplum.home().join(".medplum")).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| !name.starts_with('.'));
    assert_eq!(names, ["x.json"]);
}

/// A23: `remove` left the tokens on disk.
#[test]
fn remove_says_so_and_leaves_neither_secret_nor_token_on_disk() {
    let site = Site::open();
    site.get().ok();
    site.medplum.run(["login", "-p", "site"]).ok();
    let on_disk = |text: &str| {
        let files = tree(site.medplum.root());
        files
            .iter()
            .any(|(_, bytes)| String::from_utf8_lossy(bytes).contains(text))
    };
    assert!(on_disk("MY_CLIENT_SECRET") && on_disk("token-"));
    site.medplum
        .run(["profile", "remove", "site"])
        .ok()
        .prints("site profile removed\n");
    assert!(!on_disk("MY_CLIENT_SECRET") && !on_disk("token-"));
    assert_eq!(site.medplum.run(["profile", "list"]).ok().json(), json!([]));
}

#[test]
fn an_unknown_profile_is_bad_input() {
    let medplum = Medplum::new();
    let before = tree(medplum.root());
    for command in [
        &["profile", "describe", "x"][..],
        &["profile", "remove", "x"],
        &["get", "-p", "x", "Patient/1"],
        &["whoami", "-p", "x"],
        &["token", "-p", "x"],
        &["bulk", "export", "-p", "x"],
    ] {
        let run = medplum.run(command).fails(2).prints("");
        run.says("Error: Profile \"x\" does not exist");
    }
    assert_eq!(tree(medplum.root()), before);
}

/// A23: `--profile ../../x` wrote outside the folder.
#[test]
fn a_name_that_is_a_path_is_refused_and_writes_nothing() {
    let medplum = with_profile();
    let before = tree(medplum.root());
    for name in ["../x", "../../x", "..", ".", "a/b", "/tmp/x", "a\\b", ""] {
        for command in [
            &["profile", "set", name, "--base-url", "https://b.example"][..],
            &["profile", "describe", name],
            &["profile", "remove", name],
            &["get", "-p", name, "Patient/1"],
            &["login", "-p", name, "--base-url", "https://b.example"],
        ] {
            let run = medplum.run(command).fails(2).prints("");
            assert!(
                run.stderr.starts_with("Error: ") || run.stderr.starts_with("error: "),
                "{run}"
            );
        }
    }
    assert_eq!(tree(medplum.root()), before);
}

#[test]
fn a_base_url_that_is_no_url_is_refused_and_changes_nothing() {
    let medplum = with_profile();
    let before = tree(medplum.root());
    for text in [
        "not a url",
        "api.example.com",
        "ftp://a.example",
        "https://",
    ] {
        for name in ["x", "new"] {
            let run = medplum
                .run(["profile", "set", name, "--base-url", text])
                .fails(2)
                .prints("");
            run.says("Error: ").says(text);
        }
        medplum
            .run(["get", "--base-url", text, "Patient/1"])
            .fails(2)
            .prints("")
            .says(text);
    }
    let names = |files: &[(std::path::PathBuf, Vec<u8>)]| -> Vec<_> {
        files
            .iter()
            .filter(|(path, _)| !path.to_string_lossy().contains(".locks"))
            .cloned()
            .collect()
    };
    assert_eq!(names(&tree(medplum.root())), names(&before));
}

/// A3: a file cut by a kill must be reported, not read as an empty profile and not replaced.
#[test]
fn a_broken_profile_file_is_named_and_left_byte_for_byte() {
    let server = Server::start();
    server.on("GET", "/fhir/R4/Patient/1", Answer::json(200, "{}"));
    let medplum = Medplum::new();
    let path = medplum.profile_path("x");
    for text in [
        "",
        "{\"options\":\"{\\\"baseUrl\\\":",
        "[]",
        "{\"options\":\"not json\"}",
        "\u{0}\u{0}\u{0}",
    ] {
        medplum.write_profile_text("x", text);
        let base = server.url("/");
        for command in [
            &["profile", "describe", "x"][..],
            &["profile", "set", "x", "--base-url", &base],
            &["profile", "set", "x", "--update", "--base-url", &base],
            &["get", "-p", "x", "Patient/1"],
            &[
                "login",
                "-p",
                "x",
                "--client-id",
                "a",
                "--client-secret",
                "b",
                "--base-url",
                &base,
            ],
        ] {
            let run = medplum.run(command).fails(2).prints("");
            run.says("Error: ").says(path.to_str().unwrap());
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
    assert_eq!(server.lines(), [""; 0]);
}

#[test]
fn only_flags_are_stored_never_what_the_environment_held() {
    let medplum = Medplum::new()
        .env("MEDPLUM_CLIENT_ID", "env-id")
        .env("MEDPLUM_CLIENT_SECRET", "env-secret")
        .env("MEDPLUM_BASE_URL", "https://env.example")
        .env("MEDPLUM_CLIENT_ACCESS_TOKEN", "env-token");
    medplum.file(
        ".env",
        "MEDPLUM_TOKEN_URL=https://file.example/token\nMEDPLUM_SCOPE=file-scope\n",
    );
    medplum
        .run(["profile", "set", "x", "--fhir-url-path", "fhir"])
        .ok();
    medplum
        .run(["profile", "set", "x", "--update", "--issuer", "me"])
        .ok();
    assert_eq!(
        medplum.options("x"),
        json!({"name": "x", "fhirUrlPath": "fhir", "issuer": "me"})
    );
}

#[test]
fn tokens_go_when_server_or_client_change_and_stay_otherwise() {
    for (flags, kept) in [
        (["--issuer", "someone"], true),
        (["--client-id", "another"], false),
        (["--base-url", "https://b.example"], false),
        (["--fhir-url-path", "other"], false),
    ] {
        let site = Site::open();
        site.medplum.run(["login", "-p", "site"]).ok();
        site.medplum
            .run(["profile", "set", "site", "--update"].iter().chain(&flags))
            .ok();
        assert_eq!(
            site.medplum.profile_text("site").contains("token-1"),
            kept,
            "{flags:?}"
        );
    }
}

#[test]
fn key_and_secret_files_are_stored_as_what_any_folder_can_use() {
    let medplum = Medplum::new();
    medplum.file("key.pem", "a key");
    medplum
        .run(["profile", "set", "x", "--private-key-path", "key.pem"])
        .ok();
    let stored = medplum.options("x")["privateKeyPath"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        fs::canonicalize(stored).unwrap(),
        fs::canonicalize(medplum.path("key.pem")).unwrap()
    );

    let set = medplum.command([
        "profile",
        "set",
        "y",
        "--client-id",
        "me",
        "--client-secret-file",
        "-",
    ]);
    set.stdin(format!("{SECRET}\n")).run().ok();
    assert_eq!(medplum.options("y")["clientSecret"], SECRET);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_the_old_profile_stays_whole() {
    let medplum = with_profile();
    let before = medplum.profile_text("x");
    let set = medplum.command(["profile", "set", "x", "--base-url", "https://b.example"]);
    set.file_size_limit(16)
        .run()
        .fails(1)
        .prints("")
        .says("Error: ")
        .says(".medplum");
    assert_eq!(medplum.profile_text("x"), before);
    assert_eq!(
        medplum
            .run(["profile", "list"])
            .ok()
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let medplum = Medplum::of_an_ordinary_user();
    let _home = ReadOnly::folder(medplum.home());
    let set = medplum.run(["profile", "set", "x", "--base-url", "https://b.example"]);
    set.fails(1)
        .prints("")
        .says("Error: ")
        .says(medplum.home().to_str().unwrap());
}

/// What is not given is gone, as in the Medplum CLI; that is said, since the next request goes elsewhere then.
#[test]
fn settings_that_a_set_takes_away_are_named_and_an_update_needs_a_profile() {
    let medplum = Medplum::new();
    let all = [
        "--base-url",
        "https://h.example/",
        "--client-id",
        "id",
        "--scope",
        "a",
    ];
    medplum
        .run([&["profile", "set", "p"][..], &all].concat())
        .ok();
    let run = medplum
        .run(["profile", "set", "p", "--update", "--scope", "b"])
        .ok();
    assert!(!run.stderr.contains("no longer"), "{run}");
    medplum
        .run(["profile", "set", "p", "--scope", "c"])
        .ok()
        .says("It no longer has baseUrl, clientId.")
        .says("--update");
    medplum
        .run(["profile", "set", "q", "--update", "--scope", "c"])
        .fails(2)
        .says("q");
    let list = medplum.run(["profile", "list"]).ok();
    assert!(!list.stdout.contains("\"q\""), "{list}");
}

/// A forgotten -p must not send a patient to a server that nobody named.
#[test]
fn without_a_server_and_a_login_nothing_is_sent() {
    let medplum = Medplum::new();
    medplum
        .run([
            "profile",
            "set",
            "clinic",
            "--base-url",
            "https://h.example/",
        ])
        .ok();
    medplum
        .run(["post", "Patient", r#"{"resourceType":"Patient"}"#])
        .fails(3)
        .says("no server is named")
        .says("there are clinic");
}
