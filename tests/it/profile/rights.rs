//! Folders that are not ours, links, what killed runs leave, and secrets that others can read.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use crate::support::medplum::tree;
use crate::support::{Answer, Medplum, Run, Server};

const GROUP: u32 = 4711;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// D20: any command closed the folder that the variable names, whatever it was.
#[test]
fn a_folder_that_a_variable_names_keeps_its_rights() {
    let mut medplum = Medplum::new();
    let home = medplum.home();
    medplum.set_env("MEDPLUM_CONFIG_DIR", &home);
    // A file of somebody else's that happens to be called like a profile.
    fs::write(home.join("package.json"), r#"{"name":"theirs"}"#).unwrap();
    for folder_mode in [0o755, 0o2750, 0o711] {
        set_mode(&home, folder_mode);
        set_mode(&home.join("package.json"), 0o644);
        let set = ["profile", "set", "x", "--base-url", "https://h.example"];
        medplum.run(set).ok();
        medplum.run(["profile", "describe", "x"]).ok();
        medplum.run(["profile", "describe", "package"]).fails(2);
        medplum.run(["profile", "list"]).ok();
        assert_eq!(mode(&home), folder_mode);
        assert_eq!(mode(&home.join("package.json")), 0o644);
        assert_eq!(mode(&home.join("x.json")) & 0o007, 0);
    }
}

/// D20: a folder of profiles that a group shares could not exist.
#[test]
fn a_folder_that_a_group_shares_works_for_its_members() {
    let medplum = Medplum::new();
    let folder = medplum.root().join("shared");
    fs::create_dir(&folder).unwrap();
    let is_root = fs::metadata(&folder).unwrap().uid() == 0;
    if is_root {
        set_mode(medplum.root(), 0o755);
        let own = medplum.root().join("bin/medplum");
        fs::remove_file(&own).unwrap();
        fs::copy(crate::support::medplum::binary(), &own).unwrap();
        chown(&folder, None, Some(GROUP)).unwrap();
    }
    set_mode(&folder, 0o2770);
    let server = Server::start();
    server.handler(|request| {
        Some(match request.method.as_str() {
            "POST" => Answer::new(
                200,
                "application/json",
                r#"{"access_token":"t-1","token_type":"bearer","expires_in":600}"#,
            ),
            _ => Answer::json(200, "{}"),
        })
    });
    let of = |user: u32, args: &[&str]| -> Run {
        let mut words: Vec<String> = Vec::new();
        if is_root {
            words.push("setpriv".into());
            words.extend([format!("--reuid={user}"), format!("--regid={GROUP}")]);
            words.extend(["--clear-groups".into(), "--".into()]);
        }
        words.push("medplum".into());
        words.extend(args.iter().map(|arg| (*arg).to_owned()));
        medplum
            .program(words)
            .env("MEDPLUM_CONFIG_DIR", &folder)
            .run()
    };
    let base = server.url("/");
    let set = [
        "profile",
        "set",
        "x",
        "--base-url",
        &base,
        "--client-id",
        "me",
    ];
    let secret = ["--client-secret", "one-secret", "--token-url", "/token"];
    of(1001, &[&set[..], &secret].concat()).ok();
    for user in [1002, 1001, 1002] {
        let run = of(user, &["get", "-p", "x", "Patient/1"]).ok();
        assert_eq!(run.stderr, "", "{run}");
        of(
            user,
            &[
                "profile",
                "set",
                "x",
                "--update",
                "--scope",
                &user.to_string(),
            ],
        )
        .ok();
    }
    assert_eq!(
        server.requests_to("/token").len(),
        3,
        "{:?}",
        server.lines()
    );
    assert_eq!(mode(&folder), 0o2770);
    assert_eq!(mode(&folder.join("x.json")), 0o660);
}

/// D29: their temporary files held tokens, and neither logout nor remove took them away.
#[test]
fn what_a_killed_run_left_is_swept_by_the_next_one_of_the_same_profile() {
    let medplum = Medplum::new();
    let secret = "left-behind-secret";
    let set = |name: &str| {
        let set = ["profile", "set", name, "--base-url", "https://h.example"];
        let set = set.map(str::to_owned).into_iter();
        set.chain(["--client-id", "me", "--client-secret", secret].map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let holds_secret = || {
        tree(&medplum.home())
            .iter()
            .filter(|(_, text)| String::from_utf8_lossy(text).contains(secret))
            .count()
    };
    for name in ["x", "x-y"] {
        medplum
            .run(["profile", "set", name, "--base-url", "https://h.example"])
            .ok();
        let killed = medplum
            .command(set(name))
            .killed_before_call("rename,renameat,renameat2", 1)
            .run();
        assert_ne!(killed.code, 0, "{killed}");
    }
    assert_eq!(holds_secret(), 2, "each left a file");
    medplum
        .run(["profile", "set", "x", "--update", "--scope", "a"])
        .ok();
    assert_eq!(holds_secret(), 1, "that of the other profile is left alone");
    medplum.run(["profile", "remove", "x-y"]).ok();
    assert_eq!(holds_secret(), 0);
}

/// D29: the link was replaced by a file, and the file that it led to kept the old secret.
#[test]
fn a_profile_that_is_a_link_is_written_through() {
    let medplum = Medplum::new();
    medplum
        .run(["profile", "set", "x", "--base-url", "https://h.example"])
        .ok();
    let (link, kept) = (medplum.profile_path("x"), medplum.path("dotfiles/x.json"));
    fs::create_dir(kept.parent().unwrap()).unwrap();
    fs::rename(&link, &kept).unwrap();
    symlink(&kept, &link).unwrap();
    medplum
        .run(["profile", "set", "x", "--update", "--scope", "through"])
        .ok();
    assert!(link.is_symlink());
    assert!(fs::read_to_string(&kept).unwrap().contains("through"));
    assert_eq!(mode(&kept), 0o600);
    let around = fs::read_dir(kept.parent().unwrap()).unwrap().count();
    assert_eq!(around, 1, "no temporary file is left there");
    let removed = medplum.run(["profile", "remove", "x"]).ok();
    removed.says(kept.to_str().unwrap());
    assert!(kept.exists() && !link.is_symlink());
}

/// D30: it was used without a word.
#[test]
fn a_secret_that_others_can_read_is_a_warning() {
    let server = Server::start();
    server.handler(|_| {
        Some(Answer::new(
            200,
            "application/json",
            r#"{"access_token":"t-1","token_type":"bearer"}"#,
        ))
    });
    let base = server.url("/");
    let medplum = Medplum::new();
    let secret = medplum.file("secret", "one-secret\n");
    let key = medplum.path("key.pem");
    fs::copy("tests/it/data/keys/p256-pkcs8.pem", &key).unwrap();
    let get = [
        "get",
        "--base-url",
        &base,
        "--client-id",
        "me",
        "-q",
        "Patient/1",
    ];
    for (path, flag) in [
        (&secret, "--client-secret-file"),
        (&key, "--private-key-path"),
    ] {
        for (bits, warns) in [(0o600, false), (0o644, true), (0o640, true), (0o604, true)] {
            set_mode(path, bits);
            let flags = [flag, path.to_str().unwrap(), "--token-url", "/token"];
            let run = medplum.run(get.iter().chain(&flags)).ok();
            let told = run
                .stderr
                .matches("Other users of this machine can read the secret in")
                .count();
            assert_eq!(told, usize::from(warns), "{bits:o}\n{run}");
            assert_eq!(mode(path), bits, "its rights are the user's own matter");
        }
    }
    // A pipe is nobody else's.
    let line = format!(
        "medplum get --base-url {base} --client-id me --token-url /token --client-secret-file <(echo s-123456) Patient/1"
    );
    assert_eq!(medplum.shell(&line).ok().stderr, "");
}

/// D31: it was sent as `Bearer -`.
#[test]
fn an_access_token_is_read_from_stdin() {
    let server = Server::start();
    server.handler(|_| Some(Answer::json(200, "{}")));
    let medplum = Medplum::new();
    let get = [
        "get",
        "--base-url",
        &server.url("/"),
        "--access-token",
        "-",
        "Patient/1",
    ];
    medplum.command(get).stdin("typed-token\n").run().ok();
    let sent = server.request_to("/fhir/R4/Patient/1");
    assert_eq!(sent.header("Authorization"), Some("Bearer typed-token"));
    medplum
        .command(get)
        .stdin("\n")
        .run()
        .fails(2)
        .says("access token");
    assert_eq!(server.lines().len(), 1);
}
