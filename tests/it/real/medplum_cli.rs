//! The same commands by the Medplum CLI and by this program, against one recording server: what differs is in one table.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;

use super::sides::Sides;
use crate::support::{Answer, Server};

/// A command that both run with a profile of this auth type.
struct Command {
    name: &'static str,
    auth_type: &'static str,
    args: &'static [&'static str],
}

/// What differs on purpose. In a text, `…` stands for anything; `-` is what is not there.
struct Difference {
    /// The names of the commands.
    of: &'static [&'static str],
    what: &'static str,
    theirs: &'static str,
    ours: &'static str,
    /// The row of the table of differences that tells of it: how it begins.
    readme: &'static str,
}

const REST: &[&str] = &[
    "get",
    "search",
    "get --as-transaction",
    "get digits",
    "get nothing",
    "get from the base",
    "flags first",
    "post",
    "put",
    "patch",
    "delete",
];
const WITH_TOKEN: &[&str] = &["token", "whoami", "bulk export"];

#[rustfmt::skip]
const DIFFERENCES: &[Difference] = &[
    Difference { of: REST, what: "request: accept", theirs: "application/fhir+json, */*; q=0.1", ours: "application/fhir+json",
        readme: "`Accept: application/fhir+json`, exactly" },
    Difference { of: REST, what: "request: x-medplum", theirs: "extended", ours: "-",
        readme: "`X-Medplum: extended` goes to Medplum only" },
    Difference { of: &["get digits"], what: "stdout", theirs: "…\"value\": 1\n…", ours: "…\"value\": 1.00\n…",
        readme: "digits of numbers are kept" },
    Difference { of: &["get nothing"], what: "exit code", theirs: "1", ours: "4", readme: "exit codes tell what failed" },
    Difference { of: &["unknown profile"], what: "exit code", theirs: "1", ours: "2", readme: "exit codes tell what failed" },
    Difference { of: &["delete"], what: "stdout", theirs: "undefined\n", ours: "", readme: "`delete` prints nothing" },
    Difference { of: &["post of no JSON"], what: "request", theirs: "sent", ours: "-", readme: "a body can be `@file` or `-`, and must be JSON" },
    Difference { of: &["post of no JSON"], what: "exit code", theirs: "0", ours: "2", readme: "a body can be `@file` or `-`, and must be JSON" },
    Difference { of: &["post of no JSON"], what: "stdout", theirs: "{…}\n", ours: "", readme: "a body can be `@file` or `-`, and must be JSON" },
    Difference { of: WITH_TOKEN, what: "token request: accept", theirs: "*/*", ours: "application/json",
        readme: "`Accept: application/fhir+json`, exactly" },
    Difference { of: WITH_TOKEN, what: "token request: body",
        theirs: "grant_type=client_credentials&client_id=cid&client_secret=not-a-secret",
        ours: "grant_type=client_credentials&scope=system%2F*.read", readme: "the secret goes in the header" },
    Difference { of: &["whoami"], what: "exit code", theirs: "1", ours: "0", readme: "`whoami` works with any server" },
    Difference { of: &["whoami"], what: "stdout", theirs: "Server:  HOST/\n", ours: "Server:  HOST/\nFHIR:    HOST/fhir/R4\n…Client:  cid\n…",
        readme: "`whoami` works with any server" },
    Difference { of: &["whoami"], what: "request", theirs: "-", ours: "sent", readme: "`whoami` works with any server" },
    Difference { of: &["whoami"], what: "request 2", theirs: "-", ours: "sent", readme: "`whoami` works with any server" },
    Difference { of: &["bulk export"], what: "kick-off: method", theirs: "POST", ours: "GET", readme: "bulk export starts with GET" },
    Difference { of: &["bulk export"], what: "kick-off: accept", theirs: "application/fhir+json, */*; q=0.1", ours: "application/fhir+json",
        readme: "`Accept: application/fhir+json`, exactly" },
    Difference { of: &["bulk export"], what: "kick-off: x-medplum", theirs: "extended", ours: "-",
        readme: "`X-Medplum: extended` goes to Medplum only" },
    Difference { of: &["bulk export"], what: "status: accept", theirs: "application/fhir+json, */*; q=0.1", ours: "application/json",
        readme: "`Accept: application/fhir+json`, exactly" },
    Difference { of: &["bulk export"], what: "status: x-medplum", theirs: "extended", ours: "-",
        readme: "`X-Medplum: extended` goes to Medplum only" },
    Difference { of: &["bulk export"], what: "file: accept", theirs: "*/*", ours: "application/fhir+ndjson",
        readme: "`Accept: application/fhir+json`, exactly" },
    Difference { of: &["bulk export"], what: "file: x-medplum", theirs: "extended", ours: "-",
        readme: "`X-Medplum: extended` goes to Medplum only" },
    Difference { of: &["bulk export"], what: "deletion of the job", theirs: "-", ours: "sent", readme: "Retry-After and X-Progress are honoured; the job is deleted" },
    Difference { of: &["bulk export"], what: "files", theirs: "", ours: "out/Patient_files_Patient.ndjson (50 bytes), out/log.ndjson…",
        readme: "a folder that is not there is created" },
    Difference { of: &["profile set nothing"], what: "exit code", theirs: "0", ours: "2", readme: "`profile set` needs at least one setting" },
    Difference { of: &["profile describe"], what: "stdout", theirs: "{\n  name: 'site',…clientSecret: 'not-a-secret',…",
        ours: "{\n  \"name\": \"site\",…\"clientSecret\": \"********\",…", readme: "`profile describe` and `list` print JSON and mask secrets" },
    Difference { of: &["profile list"], what: "stdout", theirs: "[\n  {\n    profileName: 'site',…clientSecret: 'not-a-secret',…",
        ours: "[\n  {\n    \"name\": \"site\",…\"clientSecret\": \"********\",…", readme: "`profile describe` and `list` print JSON and mask secrets" },
];

#[rustfmt::skip]
const COMMANDS: &[Command] = &[
    basic("get", &["get", "-p", "site", "Patient/1"]),
    basic("search", &["get", "-p", "site", "Observation?code=a,b&_count=2"]),
    basic("get --as-transaction", &["get", "-p", "site", "Observation", "--as-transaction"]),
    basic("get digits", &["get", "-p", "site", "Observation/digits"]),
    basic("get nothing", &["get", "-p", "site", "Patient/none"]),
    basic("get from the base", &["get", "-p", "site", "admin/projects"]),
    basic("flags first", &["-p", "site", "get", "fhir/R4/Patient/1"]),
    basic("unknown profile", &["get", "-p", "unknown", "Patient/1"]),
    basic("post", &["post", "-p", "site", "Patient", BODY]),
    basic("post of no JSON", &["post", "-p", "site", "Patient", "{no JSON"]),
    basic("put", &["put", "-p", "site", "Patient/1", BODY]),
    basic("patch", &["patch", "-p", "site", "Patient/1", PATCH]),
    basic("delete", &["delete", "-p", "site", "Patient/1"]),
    with_token("token", &["token", "-p", "site"]),
    with_token("whoami", &["whoami", "-p", "site"]),
    with_token("bulk export", &["bulk", "export", "-p", "site", "-e", "Group/g", "-t", "Patient,Condition", "-s", "2026-01-01T00:00:00Z", "-d", "out"]),
    basic("profile set", &["profile", "set", "new", "--base-url", "https://fhir.example.com", "--client-id", "x"]),
    basic("profile set nothing", &["profile", "set", "new"]),
    basic("profile describe", &["profile", "describe", "site"]),
    basic("profile list", &["profile", "list"]),
    basic("profile remove", &["profile", "remove", "site"]),
];

const fn basic(name: &'static str, args: &'static [&'static str]) -> Command {
    Command {
        name,
        auth_type: "basic",
        args,
    }
}

const fn with_token(name: &'static str, args: &'static [&'static str]) -> Command {
    Command {
        name,
        auth_type: "client-credentials",
        args,
    }
}

const BODY: &str = r#"{"resourceType": "Patient", "active": true}"#;
const PATCH: &str = r#"[{"op": "replace", "path": "/active", "value": false}]"#;

fn routes(server: &Server) {
    let patient = r#"{"resourceType":"Patient","id":"1","active":true}"#;
    server.on("POST", "/fhir/R4/Patient", Answer::json(201, patient));
    server.on("PUT", "/fhir/R4/Patient/1", Answer::json(200, patient));
    server.on("PATCH", "/fhir/R4/Patient/1", Answer::json(200, patient));
    server.on("DELETE", "/fhir/R4/Patient/1", Answer::empty(204));
    server.on(
        "GET",
        "/admin/projects",
        Answer::new(200, "application/json", r#"{"projects":[]}"#),
    );
    let digits = r#"{"resourceType":"Observation","id":"digits","valueQuantity":{"value":1.00}}"#;
    server.on(
        "GET",
        "/fhir/R4/Observation/digits",
        Answer::json(200, digits),
    );
    let bundle = r#"{"resourceType":"Bundle","type":"searchset","entry":[
        {"fullUrl":"https://a.example.com/Observation/o","resource":{"resourceType":"Observation","id":"o","status":"final","subject":{"reference":"Patient/p"}}},
        {"fullUrl":"https://a.example.com/Patient/p","resource":{"resourceType":"Patient","id":"p"}}]}"#;
    server.on("GET", "/fhir/R4/Observation", Answer::json(200, bundle));
    let accepted = Answer::empty(202).header("Content-Location", &server.url("/fhir/R4/job"));
    server.on("GET", "/fhir/R4/Group/g/$export", accepted.clone());
    server.on("POST", "/fhir/R4/Group/g/$export", accepted);
    let manifest = format!(
        r#"{{"transactionTime":"2026-01-02T00:00:00Z","request":"r","requiresAccessToken":true,"error":[],
            "output":[{{"type":"Patient","url":"{}","count":1}}]}}"#,
        server.url("/files/Patient")
    );
    server.on(
        "GET",
        "/fhir/R4/job",
        Answer::new(200, "application/json", manifest),
    );
    server.on("DELETE", "/fhir/R4/job", Answer::empty(202));
    server.on(
        "GET",
        "/files/Patient",
        Answer::new(200, "application/fhir+ndjson", format!("{patient}\n")),
    );
}

/// Every difference of every command: theirs, then ours.
fn found() -> BTreeMap<String, (String, String)> {
    let differences = |command: &Command| -> Vec<(String, (String, String))> {
        let sides = Sides::with_profile(command.auth_type);
        routes(&sides.server);
        let both = sides.run(command.args);
        let host = sides.server.url("");
        let plain = |text: String| text.replace(&host, "HOST");
        let found = sides.differences(&both).into_iter();
        found
            .map(|(what, (theirs, ours))| {
                (
                    format!("{}: {what}", command.name),
                    (plain(theirs), plain(ours)),
                )
            })
            .collect()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = COMMANDS
            .iter()
            .map(|command| scope.spawn(move || differences(command)))
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap());
        joined.flatten().collect()
    })
}

/// Whether a text is what a pattern says.
fn is_like(text: &str, pattern: &str) -> bool {
    let parts: Vec<&str> = pattern.split('…').collect();
    let [first, middle @ .., last] = &parts[..] else {
        return text == pattern;
    };
    let Some(mut rest) = text
        .strip_prefix(first)
        .and_then(|rest| rest.strip_suffix(last))
    else {
        return false;
    };
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

#[test]
fn what_differs_from_the_medplum_cli_is_what_the_table_says() {
    let mut found = found();
    let mut wrong = Vec::new();
    for row in DIFFERENCES {
        for command in row.of {
            let name = format!("{command}: {}", row.what);
            match found.remove(&name) {
                Some((theirs, ours))
                    if is_like(&theirs, row.theirs) && is_like(&ours, row.ours) => {}
                other => wrong.push(format!("{name}: not as in the table, but {other:?}")),
            }
        }
    }
    wrong.extend(
        found
            .into_iter()
            .map(|(name, row)| format!("{name}: not in the table: {row:?}")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_difference_has_its_row_in_the_documents() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/differences.md");
    let page = std::fs::read_to_string(page).unwrap();
    let table = page
        .split("# Differences from the Medplum CLI")
        .nth(1)
        .unwrap();
    for row in DIFFERENCES {
        let start = format!("| {}", row.readme);
        assert!(
            table.lines().any(|line| line.starts_with(&start)),
            "the table of differences has no row {start:?} for {:?}, {}",
            row.of,
            row.what
        );
    }
}
