//! Flags that many commands take: where they may stand, who takes them, what help shows of them.

use crate::support::{Answer, Medplum, Server};

/// `-h` of a command on a terminal of 100 columns.
fn help(path: &[&str]) -> Vec<String> {
    let medplum = Medplum::new().env("COLUMNS", "100");
    let run = medplum.run(path.iter().chain(&["-h"]));
    run.ok().stdout.lines().map(str::to_owned).collect()
}

#[test]
fn help_shows_a_commands_own_flags_and_fits_a_screen() {
    for (path, most) in [
        (&["get"][..], 30),
        (&["profile", "list"], 20),
        (&["bulk", "export"], 70),
        (&[], 40),
    ] {
        let lines = help(path);
        assert!(lines.len() <= most, "{path:?}: {}\n{lines:#?}", lines.len());
        assert!(!lines.iter().any(|line| line.contains("--base-url <")));
    }
    // The program alone, without a command: the same on stderr.
    let alone = Medplum::new().env("COLUMNS", "100").run([""; 0]).fails(2);
    assert!((20..=40).contains(&alone.stderr.lines().count()), "{alone}");
}

/// The paths of all commands, as help names them.
fn commands(path: &[String], found: &mut Vec<Vec<String>>) {
    let here: Vec<&str> = path.iter().map(String::as_str).collect();
    let lines = help(&here);
    let below = lines.iter().skip_while(|line| *line != "Commands:").skip(1);
    for line in below.take_while(|line| !line.is_empty()) {
        let name = line.strip_prefix("  ").unwrap().split(' ').next().unwrap();
        if !["", "help"].contains(&name) {
            let path = [path, &[name.to_owned()]].concat();
            commands(&path, found);
            found.push(path);
        }
    }
}

/// A new command has `#[command(after_help = "Examples:\n\x20 medplum …")]` above its arguments.
/// A wrapped line pasted is two commands, so a long one is continued with a backslash or after a bar.
#[test]
fn every_example_can_be_pasted_from_a_terminal_of_80_columns() {
    let mut all = vec![Vec::new()];
    commands(&[], &mut all);
    assert!(all.len() > 25, "{all:?}");
    let text = |path: &[String], columns: &str| {
        let medplum = Medplum::new().env("COLUMNS", columns);
        let run = medplum.run(path.iter().map(String::as_str).chain(["-h"]));
        let text = run.ok().stdout;
        let examples = text.split("\nExamples:\n").nth(1).unwrap_or_default();
        examples.split("\n\n").next().unwrap().to_owned()
    };
    for path in all {
        let narrow = text(&path, "80");
        assert_eq!(narrow, text(&path, "100"), "{path:?} wraps an example");
        let mut is_continued = false;
        for line in narrow.lines() {
            let is_command = line.starts_with("  medplum ");
            assert!(
                is_command || is_continued || line.starts_with("  # "),
                "{path:?}: {line:?} is no command, and the line above goes on in no other"
            );
            is_continued = line.ends_with(['\\', '|']);
        }
    }
}

#[test]
fn every_help_has_an_example_and_says_where_the_other_flags_are() {
    let mut all = vec![Vec::new()];
    commands(&[], &mut all);
    assert!(all.len() > 25, "{all:?}");
    for path in all {
        let here: Vec<&str> = path.iter().map(String::as_str).collect();
        let text = help(&here).join("\n");
        let examples = text.split("\nExamples:\n").nth(1);
        let examples = examples.unwrap_or_else(|| panic!("no example in {path:?} -h\n{text}"));
        assert!(examples.contains("medplum "), "{path:?}: {examples}");
        assert!(text.contains(": medplum help options"), "{path:?}\n{text}");
    }
}

#[test]
fn help_options_lists_every_flag_by_group() {
    let medplum = Medplum::new().env("COLUMNS", "100");
    let text = medplum.run(["help", "options"]).ok().stdout;
    let mut rest = text.as_str();
    for word in [
        "Profile:",
        "-p, --profile <NAME>",
        "Server and sign-in:",
        "--base-url <URL>",
        "--dpop[=<BOOL>]",
        "Keys:",
        "--key-id <KID>",
        "Network:",
        "-H, --header",
        "--timeout <TIME>",
        "Output:",
        "-o, --format <FORMAT>",
        "--color <WHEN>",
    ] {
        rest = rest
            .split_once(word)
            .unwrap_or_else(|| panic!("{word}\n{text}"))
            .1;
    }
    assert_eq!(medplum.run(["options"]).ok().stdout.trim(), text.trim());
    assert_eq!(
        medplum.run(["options", "-h"]).ok().stdout.trim(),
        text.trim()
    );
}

#[test]
fn a_flag_stands_before_or_after_the_command_and_lists_grow_from_both_places() {
    let server = Server::start();
    let medplum = Medplum::new();
    let path = "/fhir/R4/Patient/1";
    let patient = r#"{"resourceType":"Patient","id":"1"}"#;
    for _ in 0..4 {
        server.on("GET", path, Answer::json(200, patient));
    }
    let base = server.url("");
    for args in [
        &["--base-url", &base, "get", "Patient/1"][..],
        &["get", "--base-url", &base, "Patient/1"],
        &["get", "Patient/1", "--base-url", &base],
    ] {
        let run = medplum.run(args).ok();
        assert_eq!(run.json()["id"], "1");
    }
    let args = [
        "-H",
        "X-One: 1",
        "--base-url",
        &base,
        "get",
        "-H",
        "X-Two: 2",
        "Patient/1",
    ];
    let _ = medplum.run(args).ok();
    let request = server.requests().pop().unwrap();
    assert_eq!(request.header("X-One"), Some("1"));
    assert_eq!(request.header("X-Two"), Some("2"));
    // Between the words of a command too; and what cannot stand together cannot from afar either.
    let folder = medplum.path("none");
    let run = medplum.run([
        "bulk",
        "--base-url",
        &base,
        "status",
        folder.to_str().unwrap(),
    ]);
    let _ = run.fails(2).says("holds no export");
    let apart = [
        "--client-secret",
        "a",
        "get",
        "Patient/1",
        "--client-secret-file",
        "b",
    ];
    let _ = medplum
        .run(apart)
        .fails(2)
        .says("cannot be used with '--client-secret'");
    let alone = ["get", "Patient/1", "--client-key", "key.pem"];
    let _ = medplum.run(alone).fails(2).says("--client-cert");
}

/// Nothing is silently without effect: what a command does not use it refuses, and says where it belongs.
#[test]
fn a_flag_of_another_group_is_refused_with_the_place_where_it_belongs() {
    let medplum = Medplum::new();
    for (args, words) in [
        (
            &["profile", "list", "--base-url", "x"][..],
            "`medplum profile set` stores it",
        ),
        (
            &["--base-url", "x", "profile", "list"],
            "`medplum profile set` stores it",
        ),
        (&["profile", "list", "-p", "x"], "does not take -p"),
        (
            &["-p", "x", "profile", "list"],
            "commands that talk to a server",
        ),
        (
            &["completions", "bash", "--client-id", "x"],
            "does not take --client-id",
        ),
        (
            &["keys", "show", "k", "--base-url", "x"],
            "does not take --base-url",
        ),
        (
            &["keys", "--ca-cert", "x", "jwks", "k"],
            "only with --check",
        ),
        (
            &["profile", "set", "x", "--timeout", "9"],
            "no profile keeps it",
        ),
        (&["sandbox", "--key-id", "x"], "`medplum keys`"),
        (
            &["get", "Patient/1", "--since", "2d"],
            "flag of `medplum bulk export`",
        ),
        (
            &["get", "Patient/1", "--patients=3"],
            "flag of `medplum sandbox`",
        ),
        (&["--all", "get", "Patient/1"], "medplum get --all"),
        (
            &["bulk", "report", "d", "--retries", "1"],
            "does not take --retries",
        ),
    ] {
        let run = medplum.run(args).fails(2).prints("");
        assert!(run.stderr.contains(words), "{args:?}: {words}\n{run}");
    }
    // What they do take.
    let _ = medplum
        .run(["-q", "profile", "-o", "json", "list"])
        .ok()
        .prints("[]\n");
    let _ = medplum
        .run(["keys", "generate", "--out", "k.pem", "--key-id", "mine"])
        .ok();
    assert!(!medplum.home().join(".medplum").join("x.json").exists());
}

#[test]
fn completions_know_the_flags_that_help_leaves_out() {
    let medplum = Medplum::new();
    // What the script of bash asks.
    let completed = |words: &[&str]| {
        let asked = medplum.command(["--", "medplum"].iter().chain(words));
        let asked = asked
            .env("MEDPLUM_COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
            .env("_CLAP_COMPLETE_COMP_TYPE", "9")
            .env("_CLAP_IFS", "\n");
        asked.run().ok().stdout
    };
    let get = completed(&["get", "--"]);
    assert!(
        get.contains("--base-url") && get.contains("--as-transaction"),
        "{get}"
    );
    let list = completed(&["profile", "list", "--"]);
    assert!(
        !list.contains("--base-url") && list.contains("--show-secrets"),
        "{list}"
    );
}

#[test]
fn a_command_of_another_tool_is_answered_with_its_name_here_and_a_word_too_many_is_no_flag() {
    let medplum = Medplum::new();
    for (words, tip) in [
        (&["export"][..], "`medplum bulk export`"),
        (&["find", "Patient"], "medplum search Patient name=smith"),
        (&["profile", "delete", "x"], "`medplum profile remove NAME`"),
        (&["bulk", "export", "-e", "Group/all", "prod"], "-d prod"),
    ] {
        medplum.run(words).fails(2).says(tip);
    }
    let run = medplum.run(["get", "Patient/1", "pat"]).fails(2);
    assert!(!run.stderr.contains("does not take"), "{run}");
}
