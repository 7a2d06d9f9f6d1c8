//! The command line itself: help, version, completions, usage errors, colours.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::{Answer, Medplum, Server};

/// The names under `Commands:` of a help text.
fn subcommands(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .filter(|name| name != "help")
        .collect()
}

/// Every command with its path, found by reading help as a user would.
fn tree(medplum: &Medplum, path: &[String], found: &mut Vec<String>) {
    let run = medplum
        .run(path.iter().map(String::as_str).chain(["--help"]))
        .ok();
    assert!(
        run.stdout.contains("Usage: ") && run.stderr.is_empty(),
        "{run}"
    );
    let short = medplum
        .run(path.iter().map(String::as_str).chain(["-h"]))
        .ok();
    assert!(short.stdout.contains("Usage: "), "{short}");
    for name in subcommands(&run.stdout) {
        let path = [path, &[name]].concat();
        found.push(path.join(" "));
        tree(medplum, &path, found);
    }
}

#[test]
fn every_command_has_help_and_what_comes_later_does_not_exist() {
    let medplum = Medplum::new();
    let mut found = Vec::new();
    tree(&medplum, &[], &mut found);
    for name in [
        "login",
        "logout",
        "whoami",
        "token",
        "doctor",
        "get",
        "post",
        "put",
        "patch",
        "delete",
        "profile set",
        "profile describe",
        "profile remove",
        "profile list",
        "bulk export",
        "bulk import",
        "bulk report",
        "completions",
        "sandbox",
        "demo",
    ] {
        assert!(
            found.iter().any(|command| command == name),
            "{name} is not among {found:?}"
        );
    }
    for later in ["bot", "agent", "project", "hl7", "aws"] {
        assert!(
            !found
                .iter()
                .any(|command| command.split(' ').any(|word| word == later)),
            "{later} is a stub"
        );
    }
}

#[test]
fn help_auth_has_a_recipe_for_each_kind_of_server() {
    let medplum = Medplum::new();
    let text = medplum.run(["help", "auth"]).ok().stdout;
    for name in [
        "Epic",
        "Oracle Health",
        "eClinicalWorks",
        "Health Gorilla",
        "BCDA",
        "Medplum",
        "authorization-code",
    ] {
        assert!(text.contains(name), "{name}\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100));
    for same in [&["auth"][..], &["auth", "--help"]] {
        assert_eq!(medplum.run(same).ok().stdout.trim(), text.trim());
    }
    let login = medplum.run(["login", "--help"]).ok().stdout;
    assert!(login.contains("medplum help auth"), "{login}");
}

#[test]
fn the_version_is_the_crates() {
    let medplum = Medplum::new();
    for flag in ["--version", "-V"] {
        let _ =
            medplum
                .run([flag])
                .ok()
                .prints(concat!("medplum ", env!("CARGO_PKG_VERSION"), "\n"));
    }
}

#[test]
fn wrong_usage_is_exit_2_on_stderr() {
    let medplum = Medplum::new();
    for args in [
        &[][..],
        &["no-such-command"],
        &["get"],
        &["get", "Patient/1", "--no-such-flag"],
        &["post", "Patient"],
        &["profile"],
        &["profile", "set"],
        &["get", "Patient/1", "--auth-type", "telepathy"],
        &["profile", "set", "x", "--auth-type", "telepathy"],
        &["profile", "set", "x", "--client-auth", "both"],
        &["get", "Patient/1", "--timeout", "soon"],
        &["get", "Patient/1", "--retries", "-1"],
        &["get", "Patient/1", "-o", "yaml"],
        &["completions", "tcl"],
    ] {
        let run = medplum.run(args).fails(2).prints("");
        assert!(!run.stderr.is_empty(), "{run}");
    }
    assert!(!medplum.home().join(".medplum").join("x.json").exists());
}

/// Whether a shell that is installed takes the script; `None` when the shell is not there.
fn parses(shell: &str, script: &str) -> Option<bool> {
    let mut check = Command::new(shell)
        .arg("-n")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    check.stdin.take()?.write_all(script.as_bytes()).ok()?;
    let output = check.wait_with_output().ok()?;
    Some(output.status.success() && output.stderr.is_empty())
}

#[test]
fn completions_parse_in_their_shells() {
    let medplum = Medplum::new();
    for shell in ["bash", "zsh", "fish"] {
        let run = medplum.run(["completions", shell]).ok();
        assert!(run.stdout.contains("MEDPLUM_COMPLETE"), "{run}");
        if shell == "bash" {
            assert_eq!(parses(shell, &run.stdout), Some(true));
        } else {
            assert_ne!(parses(shell, &run.stdout), Some(false), "{shell}");
        }
    }
}

#[test]
fn colours_are_for_terminals_or_whoever_asks() {
    let server = Server::start();
    let medplum = Medplum::new().env("MEDPLUM_BASE_URL", server.url(""));
    let coloured = |args: &[&str], variable: &str| {
        let get = medplum.command(["get", "Patient/1"].iter().chain(args));
        get.env(variable, "1")
            .run()
            .fails(4)
            .stderr
            .contains('\u{1b}')
    };
    assert!(coloured(&["--color", "always"], "X"));
    assert!(!coloured(&[], "X"));
    assert!(!coloured(&["--color", "never"], "X"));
    assert!(!coloured(&["--color", "auto"], "NO_COLOR"));
}

#[test]
fn an_error_ends_with_something_to_try_and_quiet_leaves_the_error() {
    let server = Server::start();
    server.on(
        "GET",
        "/fhir/R4/Patient/1",
        Answer::outcome(401, "login", "who are you"),
    );
    let medplum = Medplum::new().env("MEDPLUM_BASE_URL", server.url(""));
    let run = medplum
        .run(["get", "Patient/1"])
        .fails(3)
        .says("Error: ")
        .says("medplum login");
    assert!(run.stderr.lines().count() >= 2, "{run}");
    medplum
        .run(["get", "-q", "Patient/1"])
        .fails(3)
        .says("Error: ")
        .says("who are you");
}
