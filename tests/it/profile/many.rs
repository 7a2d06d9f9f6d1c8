//! Many processes on one profile at once, and processes that die at any moment.

use crate::support::run::Running;
use crate::support::{Answer, Site};

const PROCESSES: usize = 50;

/// A3, A20: parallel commands read half-written files and each asked for a token of its own.
#[test]
fn fifty_commands_at_once_share_one_token_and_lose_nothing() {
    let site = Site::open();
    site.server.on(
        "GET",
        "/fhir/R4/Patient",
        Answer::json(200, r#"{"resourceType":"Bundle","type":"searchset"}"#),
    );
    let settings = site.medplum.options("site");
    let running: Vec<Running> = (0..PROCESSES)
        .map(|_| site.medplum.spawn(["get", "-p", "site", "Patient"]))
        .collect();
    for run in running {
        run.finish().ok();
    }
    assert_eq!(site.tokens.count(), 1, "token requests");
    assert_eq!(site.server.requests_to("/fhir/R4/Patient").len(), PROCESSES);
    assert_eq!(site.medplum.options("site"), settings);
}

/// A3: two writers, one loses. Some processes store a token each, for a scope of their own, while others change settings.
#[test]
fn tokens_and_settings_written_at_once_all_arrive() {
    let site = Site::open();
    let scopes: Vec<String> = (0..16).map(|at| format!("scope-{at}")).collect();
    let settings = [
        ("--issuer", "issuer"),
        ("--subject", "subject"),
        ("--callback-url", "callbackUrl"),
    ];
    let get = |scope: &String| {
        site.medplum
            .spawn(["get", "-p", "site", "--scope", scope, "Patient/1"])
    };
    let mut running: Vec<Running> = scopes.iter().map(get).collect();
    for at in 0..PROCESSES - scopes.len() {
        let (flag, _) = settings[at % settings.len()];
        let value = format!("https://v.example/{at}");
        running.push(
            site.medplum
                .spawn(["profile", "set", "site", "--update", flag, &value]),
        );
    }
    for run in running {
        run.finish().ok();
    }
    let options = site.medplum.options("site");
    for (_, key) in settings {
        assert!(
            options[key]
                .as_str()
                .is_some_and(|value| value.starts_with("https://v.")),
            "{key}: {options}"
        );
    }
    assert_eq!(options["clientSecret"], "MY_CLIENT_SECRET");
    for run in scopes.iter().map(get) {
        run.finish().ok();
    }
    assert_eq!(site.tokens.count(), scopes.len(), "a stored token was lost");
}

/// A3: a kill during a write left a profile of 0 bytes. Wherever the write is cut, the file stays the old one.
#[cfg(target_os = "linux")]
#[test]
fn a_kill_in_the_middle_of_a_write_leaves_the_old_file() {
    let site = Site::open();
    let before = site.medplum.profile_text("site");
    for bytes in [0, 1, 100, before.len() as u64] {
        let scope = "a scope that makes the file longer";
        let set = ["profile", "set", "site", "--update", "--scope", scope];
        let run = site
            .medplum
            .command(set)
            .killed_when_a_file_grows_to(bytes)
            .run();
        // SIGXFSZ is 25.
        run.fails(128 + 25);
        assert_eq!(site.medplum.profile_text("site"), before, "cut at {bytes}");
    }
    let login = site
        .medplum
        .command(["login", "-p", "site"])
        .killed_when_a_file_grows_to(100)
        .run();
    login.fails(128 + 25);
    assert_eq!(site.medplum.profile_text("site"), before);
    // What the dead ones left is no profile and no lock.
    site.get().ok();
    assert_eq!(
        site.medplum
            .run(["profile", "list"])
            .ok()
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

/// One process asks for a token while the others wait; if it dies, another one asks.
#[test]
fn a_process_that_dies_while_it_asks_for_a_token_holds_nobody_up() {
    let site = Site::open();
    site.tokens.fail(Answer::silence());
    let dying = site.medplum.spawn(["get", "-p", "site", "Patient/1"]);
    site.server.wait_for("/oauth2/token");
    let waiting: Vec<Running> = (0..3)
        .map(|_| site.medplum.spawn(["get", "-p", "site", "Patient/1"]))
        .collect();
    site.tokens.recover();
    dying.kill();
    dying.finish().fails(128 + 9);
    for run in waiting {
        run.finish().ok();
    }
    assert_eq!(
        site.tokens.count(),
        2,
        "one from the dead, one for all others"
    );
}
