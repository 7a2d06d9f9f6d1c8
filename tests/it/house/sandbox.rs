//! The embedded server by the book, asked by hand: what a client may rely on (Bulk Data, SMART, FHIR R4).

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Medplum;
use crate::support::plain_http::{Reply, ask};
use crate::support::sandbox::Sandbox;

const PREFER: (&str, &str) = ("Prefer", "respond-async");
const ACCEPT: (&str, &str) = ("Accept", "application/fhir+json");

fn sandbox() -> Sandbox {
    Sandbox::start(&Medplum::new(), &["--patients", "30"])
}

/// The answer, which must be an error of this status with an OperationOutcome.
#[track_caller]
fn is_outcome(reply: Reply, status: u16) {
    let reply = reply.is(status);
    let outcome = reply.json();
    assert_eq!(outcome["resourceType"], "OperationOutcome");
    assert_eq!(outcome["issue"][0]["severity"], "error");
    assert_eq!(reply.header("content-type"), Some("application/fhir+json"));
}

/// Looks at a job as often as it says until it has ended.
#[track_caller]
fn finished(status_url: &str, bearer: &str) -> Reply {
    for _ in 0..10 {
        let reply = ask("GET", status_url, &[("Authorization", bearer)], "");
        if reply.status != 202 {
            return reply.is(200);
        }
        assert!(reply.header("x-progress").is_some(), "{reply:?}");
        let wait = reply.header("retry-after").unwrap().parse().unwrap();
        thread::sleep(Duration::from_secs(wait));
    }
    panic!("the job does not end");
}

#[test]
fn a_kick_off_that_is_not_by_the_book_is_refused() {
    let sandbox = sandbox();
    let url = format!("{}/$export", sandbox.fhir_base());
    let bearer = sandbox.bearer();
    let authorization = ("Authorization", bearer.as_str());
    let get =
        |headers: &[(&str, &str)], suffix: &str| ask("GET", &format!("{url}{suffix}"), headers, "");
    let good = [authorization, PREFER, ACCEPT];
    let accepted = get(&good, "").is(202);
    assert!(
        accepted
            .header("content-location")
            .unwrap()
            .starts_with(&sandbox.fhir_base())
    );

    is_outcome(get(&[authorization, ACCEPT], ""), 400);
    is_outcome(
        get(&[authorization, ("Prefer", "return=minimal"), ACCEPT], ""),
        400,
    );
    is_outcome(
        get(&[authorization, PREFER, ("Accept", "text/html")], ""),
        400,
    );
    for token in ["Bearer no-such-token", "Basic bm90OnJpZ2h0"] {
        is_outcome(get(&[("Authorization", token), PREFER, ACCEPT], ""), 401);
    }
    let without = get(&[PREFER, ACCEPT], "");
    assert!(without.header("www-authenticate").is_some());
    is_outcome(without, 401);
    for query in [
        "?_type=Nothing",
        "?_since=yesterday",
        "?_outputFormat=text/csv",
        "?_color=blue",
        "?_typeFilter=x",
    ] {
        is_outcome(get(&good, query), 400);
    }
    for spelling in ["application/fhir%2Bndjson", "application/ndjson", "ndjson"] {
        let _ = get(&good, &format!("?_outputFormat={spelling}")).is(202);
    }
    let unknown = format!("{}/Group/none/$export", sandbox.fhir_base());
    is_outcome(ask("GET", &unknown, &good, ""), 404);
    is_outcome(
        ask("POST", &url, &good, r#"{"resourceType":"Patient"}"#),
        400,
    );
    is_outcome(ask("PUT", &url, &good, "{}"), 405);
}

#[test]
fn an_export_goes_from_kick_off_to_deletion_by_the_book() {
    let sandbox = sandbox();
    let bearer = sandbox.bearer();
    let authorization = ("Authorization", bearer.as_str());
    let url = format!("{}/Patient/$export", sandbox.fhir_base());
    let body = json!({"resourceType": "Parameters", "parameter": [
        {"name": "_type", "valueString": "Patient"}, {"name": "_type", "valueString": "Encounter"},
        {"name": "_since", "valueInstant": "2000-01-01T00:00:00Z"}]});
    let headers = [
        authorization,
        PREFER,
        ACCEPT,
        ("Content-Type", "application/fhir+json"),
    ];
    let accepted = ask("POST", &url, &headers, &body.to_string()).is(202);
    let status_url = accepted.header("content-location").unwrap();
    is_outcome(ask("GET", status_url, &[], ""), 401);

    let reply = finished(status_url, &bearer);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert!(reply.header("expires").is_some());
    let manifest = reply.json();
    assert_eq!(manifest["request"], url);
    assert_eq!(manifest["requiresAccessToken"], true);
    let _: jiff::Timestamp = manifest["transactionTime"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(
        (&manifest["error"], &manifest["deleted"]),
        (&json!([]), &json!([]))
    );
    let output = manifest["output"].as_array().unwrap();
    let types: Vec<&Value> = output.iter().map(|file| &file["type"]).collect();
    assert_eq!(types, ["Encounter", "Patient"]);
    for item in output {
        let file_url = item["url"].as_str().unwrap();
        is_outcome(ask("GET", file_url, &[], ""), 401);
        let file = ask("GET", file_url, &[authorization], "").is(200);
        assert_eq!(file.header("content-type"), Some("application/fhir+ndjson"));
        let text = file.text();
        assert!(text.ends_with("}\n"));
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!(
            lines
                .iter()
                .all(|resource| resource["resourceType"] == item["type"])
        );
        assert_eq!(item["count"], lines.len());
    }

    let _ = ask("DELETE", status_url, &[authorization], "").is(202);
    is_outcome(ask("GET", status_url, &[authorization], ""), 404);
    is_outcome(ask("DELETE", status_url, &[authorization], ""), 404);
    is_outcome(
        ask(
            "GET",
            output[0]["url"].as_str().unwrap(),
            &[authorization],
            "",
        ),
        404,
    );
}

/// A client that looks again at once is told to wait.
#[test]
fn a_job_that_is_asked_too_often_answers_429() {
    let sandbox = sandbox();
    let bearer = sandbox.bearer();
    let authorization = ("Authorization", bearer.as_str());
    let url = format!("{}/$export", sandbox.fhir_base());
    let accepted = ask("GET", &url, &[authorization, PREFER, ACCEPT], "").is(202);
    let status_url = accepted.header("content-location").unwrap();
    let answers: Vec<Reply> = (0..20)
        .map(|_| ask("GET", status_url, &[authorization], ""))
        .collect();
    let throttled = answers.iter().find(|reply| reply.status == 429).unwrap();
    assert_eq!(throttled.header("retry-after"), Some("1"));
}

#[test]
fn what_the_server_says_of_itself_is_open_to_all() {
    let sandbox = sandbox();
    let metadata = ask("GET", &format!("{}/metadata", sandbox.fhir_base()), &[], "")
        .is(200)
        .json();
    assert_eq!(
        (&metadata["resourceType"], &metadata["fhirVersion"]),
        (&json!("CapabilityStatement"), &json!("4.0.1"))
    );
    assert_eq!(metadata["rest"][0]["operation"][0]["name"], "export");
    let resources = metadata["rest"][0]["resource"].as_array().unwrap();
    for level in ["Patient", "Group"] {
        let resource = resources
            .iter()
            .find(|resource| resource["type"] == level)
            .unwrap();
        assert_eq!(resource["operation"][0]["name"], "export");
    }
    let url = format!("{}/.well-known/smart-configuration", sandbox.fhir_base());
    let smart = ask("GET", &url, &[], "").is(200);
    assert_eq!(smart.header("content-type"), Some("application/json"));
    let endpoint = format!("{}oauth2/token", sandbox.fact("baseUrl"));
    assert_eq!(smart.json()["token_endpoint"], endpoint);
}

#[test]
fn the_token_endpoint_takes_one_proof_and_only_the_right_one() {
    let sandbox = sandbox();
    let grant = "grant_type=client_credentials";
    let (id, secret) = (sandbox.fact("clientId"), sandbox.fact("clientSecret"));
    let form = format!("{grant}&client_id={id}&client_secret={secret}&scope=system%2F*.read");
    let token = sandbox.ask_for_token(&[], &form).is(200);
    assert_eq!(token.header("cache-control"), Some("no-store"));
    assert_eq!(
        (&token.json()["token_type"], &token.json()["expires_in"]),
        (&json!("bearer"), &json!(300))
    );
    assert_eq!(token.json()["scope"], "system/*.read");
    let both = sandbox.ask_for_token(
        &[("Authorization", "Basic ZGVtby1jbGllbnQ6ZGVtby1zZWNyZXQ=")],
        &form,
    );
    assert_eq!(both.is(400).json()["error"], "invalid_request");
    let wrong = format!("{grant}&client_id={id}&client_secret=wrong");
    assert_eq!(
        sandbox.ask_for_token(&[], &wrong).is(401).json()["error"],
        "invalid_client"
    );
    let password = format!("grant_type=password&client_id={id}&client_secret={secret}");
    assert_eq!(
        sandbox.ask_for_token(&[], &password).is(400).json()["error"],
        "unsupported_grant_type"
    );
}

#[test]
fn resources_are_stored_found_and_deleted_as_fhir_has_it() {
    let sandbox = sandbox();
    let bearer = sandbox.bearer();
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/fhir+json"),
    ];
    let url = |path: &str| format!("{}/{path}", sandbox.fhir_base());
    let text = r#"{"resourceType":"Observation","status":"final","valueQuantity":{"value":1.00},"code":{"text":"x"}}"#;
    let created = ask("POST", &url("Observation"), &headers, text).is(201);
    assert!(created.text().contains("1.00"), "{created:?}");
    assert_eq!(created.header("etag"), Some("W/\"1\""));
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let location = created.header("location").unwrap();
    assert_eq!(location, url(&format!("Observation/{id}/_history/1")));
    let here = url(&format!("Observation/{id}"));
    let stale = [&headers[..], &[("If-Match", "W/\"7\"")]].concat();
    let body = created.text();
    is_outcome(ask("PUT", &here, &stale, &body), 412);
    let changed = ask("PUT", &here, &headers, &body).is(200);
    assert_eq!(changed.header("etag"), Some("W/\"2\""));
    is_outcome(ask("PUT", &url("Observation/other"), &headers, &body), 400);
    is_outcome(ask("POST", &url("Patient"), &headers, &body), 400);
    is_outcome(ask("POST", &url("Patient"), &headers, "{"), 400);
    let _ = ask("DELETE", &here, &headers, "").is(204);
    is_outcome(ask("GET", &here, &headers, ""), 410);
    is_outcome(ask("GET", &url("Observation/none"), &headers, ""), 404);

    let page = ask("GET", &url("Patient?_count=20"), &headers, "")
        .is(200)
        .json();
    assert_eq!(
        (&page["type"], &page["total"]),
        (&json!("searchset"), &json!(30))
    );
    let next = page["link"]
        .as_array()
        .unwrap()
        .iter()
        .find(|link| link["relation"] == "next");
    let rest = ask("GET", next.unwrap()["url"].as_str().unwrap(), &headers, "")
        .is(200)
        .json();
    assert_eq!(rest["entry"].as_array().unwrap().len(), 10);
    assert!(
        rest["link"]
            .as_array()
            .unwrap()
            .iter()
            .all(|link| link["relation"] != "next")
    );
}

#[test]
fn the_same_seed_gives_the_same_data_and_another_one_gives_other_data() {
    let medplum = Medplum::new();
    let patients = |seed: &str| {
        let sandbox = Sandbox::start(&medplum, &["--patients", "5", "--seed", seed]);
        let url = format!("{}/Patient?_count=5", sandbox.fhir_base());
        let page = ask("GET", &url, &[("Authorization", &sandbox.bearer())], "")
            .is(200)
            .json();
        let entries = page["entry"].as_array().unwrap().iter();
        entries
            .map(|entry| entry["resource"].clone())
            .collect::<Vec<_>>()
    };
    let first = patients("7");
    assert_eq!(first.len(), 5);
    assert_eq!(patients("7"), first);
    assert_ne!(patients("8"), first);
}

/// The first thing that a new user does.
#[test]
fn the_commands_that_it_prints_work_as_they_are_pasted() {
    let medplum = Medplum::new();
    let running = medplum.spawn(["sandbox", "--port", "0", "--patients", "5"]);
    running.stdout_line("Ctrl-C");
    let text = running.stdout_so_far();
    let commands: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .collect();
    assert_eq!(commands.len(), 3, "{text}");
    let told: Vec<String> = commands
        .iter()
        .map(|command| medplum.shell(command).ok().stdout)
        .collect();
    assert!(told[1].contains("\"Patient\""), "{told:?}");
    let patients = medplum.shell("cat export/Patient*.ndjson").ok().stdout;
    assert_eq!(patients.lines().count(), 5);
}
