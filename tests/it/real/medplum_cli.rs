//! The same commands by the Medplum CLI and by this program, against one recording server.

use std::collections::BTreeMap;
use std::thread;

use super::sides::Sides;
use crate::support::{Answer, Server};

/// A command that both run.
struct Command {
    name: &'static str,
    auth_type: &'static str,
    args: &'static [&'static str],
}

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

const COMMANDS: [Command; 17] = [
    basic("get", &["get", "-p", "site", "Patient/1"]),
    basic(
        "search",
        &["get", "-p", "site", "Observation?code=a,b&_count=2"],
    ),
    basic(
        "get --as-transaction",
        &["get", "-p", "site", "Observation", "--as-transaction"],
    ),
    basic(
        "get of digits",
        &["get", "-p", "site", "Observation/digits"],
    ),
    basic("get of nothing", &["get", "-p", "site", "Patient/none"]),
    basic(
        "get from the base",
        &["get", "-p", "site", "admin/projects"],
    ),
    basic("post", &["post", "-p", "site", "Patient", BODY]),
    basic("put", &["put", "-p", "site", "Patient/1", BODY]),
    basic("patch", &["patch", "-p", "site", "Patient/1", PATCH]),
    basic("delete", &["delete", "-p", "site", "Patient/1"]),
    with_token("token", &["token", "-p", "site"]),
    with_token("whoami", &["whoami", "-p", "site"]),
    with_token(
        "bulk export",
        &[
            "bulk",
            "export",
            "-p",
            "site",
            "-e",
            "Group/g",
            "-t",
            "Patient,Condition",
            "-s",
            "2026-01-01T00:00:00Z",
            "-d",
            "out",
        ],
    ),
    basic(
        "profile set",
        &[
            "profile",
            "set",
            "new",
            "--base-url",
            "https://fhir.example.com",
            "--client-id",
            "x",
        ],
    ),
    basic("profile describe", &["profile", "describe", "site"]),
    basic("profile list", &["profile", "list"]),
    basic("profile remove", &["profile", "remove", "site"]),
];

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
    let list = |kind: &str| {
        format!(
            r#"[{{"type":"{kind}","url":"{}","count":1}}]"#,
            server.url(&format!("/files/{kind}"))
        )
    };
    let manifest = format!(
        r#"{{"transactionTime":"2026-01-02T00:00:00Z","request":"r","requiresAccessToken":true,"output":{},"error":[]}}"#,
        list("Patient")
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

#[test]
fn what_differs_from_the_medplum_cli_is_what_the_table_says() {
    let found: BTreeMap<String, (String, String)> = thread::scope(|scope| {
        let threads: Vec<_> = COMMANDS
            .iter()
            .map(|command| {
                scope.spawn(move || {
                    let sides = Sides::with_profile(command.auth_type);
                    routes(&sides.server);
                    let both = sides.run(command.args);
                    let host = sides.server.url("");
                    sides
                        .differences(&both)
                        .into_iter()
                        .map(|(name, (theirs, ours))| {
                            let plain = |text: String| text.replace(&host, "HOST");
                            (
                                format!("{}: {name}", command.name),
                                (plain(theirs), plain(ours)),
                            )
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    for (n, (t, o)) in &found {
        println!("{n}\n   T {t:?}\n   O {o:?}");
    }
}
