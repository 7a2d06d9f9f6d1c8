//! `--client-secret-command`: a program that prints the client secret, run without a shell and only when it is needed.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::{fs, process};

use crate::support::oauth::{CLIENT_ID, CLIENT_SECRET};
use crate::support::{Backend, Medplum, Run, Site};

/// A program in the working folder, which writes a line into `ran` each time it runs.
fn program(medplum: &Medplum, name: &str, body: &str) -> PathBuf {
    let ran = medplum.path("ran").display().to_string();
    let text = format!("#!/bin/bash\necho \"$$\" >>'{ran}'\n{body}\n");
    let path = medplum.file(name, text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// How often a program ran.
fn runs(medplum: &Medplum) -> usize {
    let ran = fs::read_to_string(medplum.path("ran")).unwrap_or_default();
    ran.lines().count()
}

/// Sets the profile of a site to this command.
#[track_caller]
fn set(site: &Site, command: &str) {
    let base = site.server.url("/");
    let args = ["profile", "set", "site", "--base-url", &base];
    let args = args.into_iter().chain(["--client-id", CLIENT_ID]);
    let args = args.chain(["--token-url", "oauth2/token", "--client-secret-command"]);
    site.medplum.run(args.chain([command])).ok();
}

/// A site whose command does this.
fn site_with(body: &str) -> Site {
    let site = Site::without_profile();
    program(&site.medplum, "pw", body);
    set(&site, "./pw");
    site
}

#[track_caller]
fn get(site: &Site) -> Run {
    site.medplum.run(["get", "-p", "site", "Patient/1", "-vv"])
}

#[test]
fn the_secret_is_asked_for_once_for_a_token_and_never_written() {
    let site = site_with(&format!("echo '{CLIENT_SECRET}'"));
    assert_eq!(runs(&site.medplum), 0, "not when it is set");
    for _ in 0..3 {
        let run = get(&site).ok();
        assert!(!run.everything().contains(CLIENT_SECRET), "{run}");
    }
    assert_eq!((runs(&site.medplum), site.tokens.count()), (1, 1));
    let text = site.medplum.profile_text("site");
    assert!(!text.contains(CLIENT_SECRET), "{text}");
    // Another token needs the secret again.
    let get = ["get", "-p", "site", "--scope", "other", "Patient/1"];
    site.medplum.run(get).ok();
    assert_eq!(runs(&site.medplum), 2);
}

#[test]
fn a_process_that_needs_it_twice_runs_it_once() {
    let site = site_with(&format!("echo '{CLIENT_SECRET}'"));
    site.tokens.refuse_all_tokens();
    get(&site).fails(3);
    assert_eq!((runs(&site.medplum), site.tokens.count()), (1, 2));
    let before = runs(&site.medplum);
    // Basic asks for it with every request.
    let base = site.server.url("/");
    let args = [
        "profile",
        "set",
        "basic",
        "--auth-type",
        "basic",
        "--base-url",
        &base,
    ];
    let args = args.into_iter().chain(["--client-id", CLIENT_ID]);
    site.medplum
        .run(args.chain(["--client-secret-command", "./pw"]))
        .ok();
    site.medplum
        .run(["get", "-p", "basic", "Patient/1"])
        .fails(3);
    assert_eq!(runs(&site.medplum), before + 1);
    let requests = site.server.requests_to("/fhir/R4/Patient/1");
    let header = requests
        .last()
        .unwrap()
        .header("Authorization")
        .unwrap()
        .to_owned();
    assert_eq!(header, "Basic TVlfQ0xJRU5UX0lEOk1ZX0NMSUVOVF9TRUNSRVQ=");
}

#[test]
fn arguments_keep_their_spaces_and_no_shell_reads_them() {
    let site = Site::without_profile();
    program(
        &site.medplum,
        "my tools/pw",
        &format!(
            r#"[ "$#" = 3 ] && [ "$1" = "a  b" ] && [ "$2" = '$(touch owned)|;>x' ] && [ "$3" = "it's" ] && printf '{CLIENT_SECRET}\r\n'"#
        ),
    );
    let word = r#""my tools/pw" 'a  b' "\$(touch owned)|;>x" "it's""#;
    let json = r#"["my tools/pw", "a  b", "$(touch owned)|;>x", "it's"]"#;
    for command in [word, json] {
        set(&site, command);
        site.medplum.run(["login", "-p", "site"]).ok();
        assert!(!site.medplum.path("owned").exists());
    }
    assert_eq!(site.tokens.count(), 2);
    // The program was named from here, and is the same one from everywhere.
    let stored = site.medplum.options("site")["clientSecretCommand"].to_string();
    let path = site.medplum.path("my tools/pw").display().to_string();
    assert!(stored.contains(&path), "{stored}");
}

#[test]
fn a_command_that_cannot_be_read_is_refused_when_it_is_given() {
    let medplum = Medplum::new();
    for command in ["", "pass 'show", "[1]"] {
        let set = ["profile", "set", "x", "--client-secret-command", command];
        medplum.run(set).fails(2);
    }
    assert!(!medplum.profile_path("x").exists());
}

#[test]
fn a_program_that_fails_is_quoted_and_nothing_is_sent() {
    for (body, code, words) in [
        ("echo 'vault is sealed' >&2; exit 3", 3, "vault is sealed"),
        ("true", 3, "printed nothing"),
        ("echo a; echo b", 3, "several lines"),
        (r"printf '\377\376\n'", 3, "not UTF-8"),
        ("head -c 100000 /dev/zero", 3, "more than 64 kB"),
    ] {
        let site = site_with(body);
        get(&site).fails(code).says(words).prints("");
        assert_eq!(site.server.requests().len(), 0, "{body}");
    }
    let site = Site::without_profile();
    set(&site, "no-such-program --read");
    let run = get(&site).fails(2).says("no-such-program");
    run.says("no shell");
    assert_eq!(site.server.requests().len(), 0);
}

/// It waits for 30 seconds by its own clock, which runs faster here: sixteen seconds of it are one.
#[test]
fn a_program_that_hangs_is_killed() {
    let site = site_with("exec sleep 600");
    let fast = ["faketime", "-f", "+0 x16", "medplum"];
    let get = ["get", "-p", "site", "Patient/1"];
    let run = site.medplum.program(fast.iter().chain(&get)).run();
    run.fails(6).says("30 s");
    let process: u32 = site.medplum.read("ran").trim().parse().unwrap();
    let process = process.to_string();
    let alive = process::Command::new("kill")
        .args(["-0", &process])
        .output();
    assert!(!alive.unwrap().status.success(), "it still runs");
    assert_eq!(site.server.requests().len(), 0);
}

#[test]
fn its_stdin_is_not_the_data_of_the_command() {
    let site = site_with(&format!("[ -z \"$(cat)\" ] && echo '{CLIENT_SECRET}'"));
    site.server.on(
        "POST",
        "/fhir/R4/Patient",
        crate::support::Answer::json(201, r#"{"resourceType":"Patient","id":"9"}"#),
    );
    let post = ["post", "-p", "site", "Patient", "-"];
    let post = site.medplum.command(post);
    post.stdin(r#"{"resourceType":"Patient"}"#).run().ok();
}

/// Whoever fills a folder must not say which program runs there.
#[test]
fn a_env_file_names_no_program() {
    let site = Site::without_profile();
    let pw = program(&site.medplum, "pw", &format!("echo '{CLIENT_SECRET}'"));
    let (base, pw) = (site.server.url("/"), pw.display().to_string());
    let server = format!("MEDPLUM_BASE_URL={base}\nMEDPLUM_TOKEN_URL=oauth2/token\n");
    let text =
        format!("{server}MEDPLUM_CLIENT_ID={CLIENT_ID}\nMEDPLUM_CLIENT_SECRET_COMMAND={pw}\n");
    site.medplum.file(".env", text);
    let run = site.medplum.run(["get", "Patient/1"]).fails(3);
    run.says("MEDPLUM_CLIENT_SECRET_COMMAND");
    assert_eq!(runs(&site.medplum), 0);
    // Of the environment it is taken, for the server that the environment names.
    let get = || {
        let command = site.medplum.command(["get", "Patient/1", "--no-env-file"]);
        let command = command.env("MEDPLUM_CLIENT_SECRET_COMMAND", &pw);
        command
            .env("MEDPLUM_CLIENT_ID", CLIENT_ID)
            .env("MEDPLUM_TOKEN_URL", "oauth2/token")
    };
    get().env("MEDPLUM_BASE_URL", &base).run().ok();
    assert_eq!(runs(&site.medplum), 1);
}

#[test]
fn the_command_of_one_server_does_not_run_for_another() {
    let site = site_with(&format!("echo '{CLIENT_SECRET}'"));
    let other = Site::without_profile();
    let base = other.server.url("/");
    let get = ["get", "-p", "site", "--base-url", &base, "Patient/1"];
    site.medplum.run(get).fails(3);
    // Nor for a server that only a .env file names.
    let env = format!("MEDPLUM_BASE_URL={base}\n");
    site.medplum.file(".env", env);
    let command = site.medplum.command(["get", "Patient/1"]);
    let command = command.env("MEDPLUM_CLIENT_SECRET_COMMAND", site.medplum.path("pw"));
    command.env("MEDPLUM_CLIENT_ID", CLIENT_ID).run().fails(3);
    assert_eq!(runs(&site.medplum), 0);
    assert_eq!(other.tokens.count(), 0);
}

/// One way to give the secret takes the place of another.
#[test]
fn a_command_takes_the_place_of_a_stored_secret_and_the_other_way_round() {
    let site = Site::open();
    program(&site.medplum, "pw", &format!("echo '{CLIENT_SECRET}'"));
    let update = ["profile", "set", "site", "--update"];
    let to_command = update.iter().chain(&["--client-secret-command", "./pw"]);
    site.medplum.run(to_command).ok();
    assert!(!site.medplum.profile_text("site").contains(CLIENT_SECRET));
    get(&site).ok();
    assert_eq!(runs(&site.medplum), 1);
    site.medplum
        .run(update.iter().chain(&["--client-secret", CLIENT_SECRET]))
        .ok();
    assert!(site.medplum.options("site")["clientSecretCommand"].is_null());
    site.medplum.run(["login", "-p", "site"]).ok();
    assert_eq!(runs(&site.medplum), 1);
}

/// A private key proves the client; what else the profile could ask for is left alone.
#[test]
fn with_a_private_key_it_does_not_run() {
    let backend = Backend::smart();
    program(&backend.medplum, "pw", "echo other");
    let key = crate::support::keys::key_file("rsa-pkcs8.pem")
        .display()
        .to_string();
    backend.set_key(&key, &["--client-secret-command", "./pw"]);
    backend.get().ok();
    assert_eq!(runs(&backend.medplum), 0);
}
