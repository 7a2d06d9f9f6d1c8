//! `medplum count`: the number of each type, and what was not counted is listed, not hidden.

use serde_json::{Value, json};

use crate::support::sandbox::Sandbox;
use crate::support::{Answer, Medplum, Run, Server};

/// A server that says it has `types`, with these numbers of them; a text instead of a number is the status of a refusal.
fn server(types: &Value, numbers: &'static [(&str, Result<u64, u16>)]) -> Server {
    let server = Server::start();
    let statement =
        json!({"resourceType": "CapabilityStatement", "rest": [{"resource": types}]}).to_string();
    server.on("GET", "/fhir/R4/metadata", Answer::json(200, statement));
    server.handler(move |request| {
        let name = request.target.strip_prefix("/fhir/R4/")?.strip_suffix("?_summary=count")?;
        let (_, number) = numbers.iter().find(|(known, _)| *known == name)?;
        let outcome = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"forbidden","diagnostics":"not for\nyou"}]}"#;
        Some(match number {
            Ok(number) => Answer::json(200, format!(r#"{{"resourceType":"Bundle","type":"searchset","total":{number}}}"#)),
            Err(200) => Answer::json(200, r#"{"resourceType":"Bundle","type":"searchset"}"#),
            Err(status) => Answer::json(*status, outcome),
        })
    });
    server
}

fn count(server: &Server, args: &[&str]) -> Run {
    let base = server.url("/");
    Medplum::new().run(["count"].iter().chain(args).chain(&["--base-url", &base]))
}

fn types(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"type": name, "interaction": [{"code": "read"}, {"code": "search-type"}]})).collect()
}

#[test]
fn each_type_that_can_be_searched_has_its_number() {
    let mut known = types(&["Patient", "Observation", "Patient", "../admin", "patient"]);
    let more = [
        json!({"type": "Binary", "interaction": [{"code": "read"}]}),
        json!({"type": "Device"}),
    ];
    known.as_array_mut().unwrap().extend(more);
    let server = server(
        &known,
        &[
            ("Patient", Ok(3)),
            ("Observation", Ok(12_345)),
            ("Device", Ok(0)),
        ],
    );
    let run = count(&server, &["-o", "json"]).ok();
    let found = json!([{"type": "Device", "count": 0}, {"type": "Observation", "count": 12_345}, {"type": "Patient", "count": 3}]);
    assert_eq!(run.json(), found);
    assert_eq!(server.requests().len(), 4, "{:?}", server.lines());
    let run = count(&server, &["-o", "table", "--some"]).ok();
    let rows: Vec<Vec<&str>> = run
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        rows,
        [
            ["TYPE", "COUNT", "REASON"].to_vec(),
            vec!["Observation", "12345"],
            vec!["Patient", "3"]
        ]
    );
    let run = count(&server, &["Patient", "-o", "ndjson"]).ok();
    assert_eq!(run.stdout, "{\"type\":\"Patient\",\"count\":3}\n");
}

#[test]
fn what_is_refused_or_has_no_number_is_listed_with_the_reason_and_is_exit_5() {
    let server = server(
        &types(&["Patient", "Practitioner", "Group"]),
        &[
            ("Patient", Ok(3)),
            ("Practitioner", Err(403)),
            ("Group", Err(200)),
        ],
    );
    let run = count(&server, &["-o", "json"])
        .fails(5)
        .says("2 of 3 types were not counted");
    let rows = run.json();
    assert_eq!(rows[1], json!({"type": "Patient", "count": 3}));
    assert_eq!(rows[0]["reason"], "the server gives no number");
    let reason = rows[2]["reason"].as_str().unwrap();
    assert!(
        reason.contains("403") && reason.contains("not for you"),
        "{reason}"
    );
    assert_eq!(rows[2]["count"], Value::Null);
}

#[test]
fn a_token_that_is_not_good_and_a_server_that_names_nothing_are_errors_of_their_own() {
    let known = types(&["Patient", "Group"]);
    let shut = server(&known, &[("Patient", Err(401)), ("Group", Err(401))]);
    count(&shut, &[]).fails(3).prints("").says("401");
    let silent = server(&json!([]), &[("Patient", Ok(1))]);
    count(&silent, &[])
        .fails(1)
        .prints("")
        .says("medplum count Patient");
    count(&silent, &["Patient/1"]).fails(2).says("no type");
    count(&silent, &["Patient", "-o", "json"]).ok();
}

#[test]
fn the_sandbox_has_as_many_patients_as_it_was_asked_for() {
    let medplum = Medplum::new();
    let sandbox = Sandbox::start(&medplum, &["--patients", "7"]);
    sandbox.set_profile(&medplum);
    let rows = medplum
        .run(["count", "-p", "sandbox", "-o", "json"])
        .ok()
        .json();
    let row = |name: &str| {
        rows.as_array()
            .unwrap()
            .iter()
            .find(|row| row["type"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(row("Patient")["count"], 7);
    assert!(row("Observation")["count"].as_u64().unwrap() > 0);
}
