//! REST against Medplum's own FHIR router with its in-memory repository.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::support::{Medplum, Peer, Run};

/// One router for this file; each test keeps to resources of its own.
fn router() -> &'static Peer {
    static ROUTER: OnceLock<Peer> = OnceLock::new();
    ROUTER.get_or_init(|| Peer::router(&[]))
}

/// A user whose profile is the router's.
fn user_of(router: &Peer) -> Medplum {
    let medplum = Medplum::new().env("MEDPLUM_PROFILE", "router");
    medplum
        .run(["profile", "set", "router", "--base-url", &router.url("/")])
        .ok();
    medplum
}

#[track_caller]
fn create(medplum: &Medplum, resource: &Value) -> Value {
    let resource_type = resource["resourceType"].as_str().unwrap();
    medplum
        .run(["post", resource_type, &resource.to_string()])
        .ok()
        .json()
}

fn path(resource: &Value) -> String {
    format!(
        "{}/{}",
        resource["resourceType"].as_str().unwrap(),
        resource["id"].as_str().unwrap()
    )
}

fn etag(resource: &Value) -> String {
    format!("W/\"{}\"", resource["meta"]["versionId"].as_str().unwrap())
}

fn patient(family: &str) -> Value {
    json!({"resourceType": "Patient", "active": true, "name": [{"family": family, "given": ["Ana"]}],
        "identifier": [{"system": "http://example.com/mrn", "value": family}]})
}

fn families(bundle: &Value) -> Vec<&str> {
    let entries = bundle["entry"].as_array().unwrap().iter();
    entries
        .map(|entry| entry["resource"]["name"][0]["family"].as_str().unwrap())
        .collect()
}

#[test]
fn a_resource_is_created_read_found_changed_and_deleted() {
    let medplum = user_of(router());
    let created = create(&medplum, &patient("Lifelong"));
    let path = path(&created);
    let location = router().url(&format!("/fhir/R4/{path}"));
    let shown = medplum.run(["get", "-i", &path]).ok();
    assert!(shown.stdout.starts_with("HTTP 200 OK\n"), "{shown}");
    assert_eq!(medplum.run(["get", &path]).ok().json(), created);
    assert_eq!(medplum.run(["get", &location]).ok().json(), created);
    let found = medplum
        .run(["get", "Patient?name=lifelong&_total=accurate"])
        .ok()
        .json();
    assert_eq!(
        (&found["total"], &found["entry"][0]["resource"]),
        (&json!(1), &created)
    );

    let mut changed = created.clone();
    changed["birthDate"] = json!("1970-01-01");
    let run = medplum.run([
        "put",
        &path,
        &changed.to_string(),
        "--if-match",
        &etag(&created),
    ]);
    let updated = run.ok().json();
    assert_eq!(updated["birthDate"], "1970-01-01");
    assert_ne!(updated["meta"]["versionId"], created["meta"]["versionId"]);

    let operation = r#"[{"op":"replace","path":"/active","value":false}]"#;
    let patched = medplum.run(["patch", &path, operation]).ok().json();
    assert_eq!(
        (&patched["active"], &patched["birthDate"]),
        (&json!(false), &json!("1970-01-01"))
    );

    let deleted = medplum.run(["delete", &path]).ok().json();
    assert_eq!(deleted["resourceType"], "OperationOutcome");
    medplum.run(["get", &path]).fails(4).says("404");
    medplum.run(["delete", &path]).fails(4).says("Not found");
}

#[test]
fn an_update_of_an_old_version_is_refused_and_changes_nothing() {
    let medplum = user_of(router());
    let first = create(&medplum, &patient("Versioned"));
    let path = path(&first);
    let mut second = first.clone();
    second["gender"] = json!("female");
    medplum.run(["put", &path, &second.to_string()]).ok();
    let now = medplum.run(["get", &path]).ok().json();
    let mut late = first.clone();
    late["gender"] = json!("male");
    let run = medplum.run(["put", &path, &late.to_string(), "--if-match", &etag(&first)]);
    run.fails(1).says("412").prints("");
    assert_eq!(medplum.run(["get", &path]).ok().json(), now);
}

#[test]
fn a_conditional_create_gives_the_resource_that_is_there() {
    let medplum = user_of(router());
    let body = patient("Only-One").to_string();
    let post = || -> Run {
        let condition = "identifier=http://example.com/mrn|Only-One";
        medplum
            .run(["post", "Patient", &body, "--if-none-exist", condition])
            .ok()
    };
    let (first, second) = (post(), post());
    assert_eq!(first.json(), second.json());
    let found = medplum
        .run(["get", "Patient?name=Only-One&_total=accurate"])
        .ok();
    assert_eq!(found.json()["total"], 1);
}

#[test]
fn all_pages_of_a_search_are_followed() {
    let medplum = user_of(router());
    let names: Vec<String> = (0..7).map(|at| format!("Paged{at}")).collect();
    for name in &names {
        create(&medplum, &patient(name));
    }
    let search = "Patient?name=paged&_count=3&_sort=family";
    let page = medplum.run(["get", search]).ok().json();
    assert_eq!(families(&page), names[..3]);
    let all = medplum.run(["get", search, "--all"]).ok().json();
    assert_eq!(families(&all), names);
    let lines = medplum.run(["get", search, "--all", "-o", "ndjson"]).ok();
    let listed: Vec<Value> = lines
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let whole: Vec<&Value> = all["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["resource"])
        .collect();
    assert_eq!(listed.iter().collect::<Vec<_>>(), whole);
}

#[test]
fn a_transaction_from_stdin_links_what_it_creates() {
    let medplum = user_of(router());
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"fullUrl": "urn:uuid:7a1bf6d3-4f05-4f6c-8d3c-3b9a8b0f9c11", "resource": patient("Transacted"),
            "request": {"method": "POST", "url": "Patient"}},
        {"resource": {"resourceType": "Observation", "status": "final", "code": {"text": "weight"},
            "subject": {"reference": "urn:uuid:7a1bf6d3-4f05-4f6c-8d3c-3b9a8b0f9c11"}},
            "request": {"method": "POST", "url": "Observation"}},
    ]});
    let run = medplum
        .command(["post", "", "-"])
        .stdin(bundle.to_string())
        .run();
    let answer = run.ok().json();
    assert_eq!(answer["type"], "transaction-response");
    let [patient, observation] = [0, 1].map(|at| &answer["entry"][at]["resource"]);
    let stored = medplum.run(["get", &path(observation)]).ok().json();
    assert_eq!(stored["subject"]["reference"], path(patient));
}

/// `get --as-transaction` of one server is what another one takes.
#[test]
fn a_search_as_transaction_can_be_posted_again() {
    let medplum = user_of(router());
    create(&medplum, &patient("Copied"));
    let run = medplum.run(["get", "Patient?name=Copied", "--as-transaction"]);
    let bundle = medplum.file("bundle.json", run.ok().stdout);
    let posted = medplum.run(["post", "/fhir/R4", &format!("@{}", bundle.display())]);
    assert_eq!(posted.ok().json()["entry"][0]["response"]["status"], "201");
    let run = medplum.run(["get", "Patient?name=Copied&_total=accurate"]);
    assert_eq!(run.ok().json()["total"], 2);
}

/// With Medplum's own validation, and a token that must be the right one.
#[test]
fn refusals_come_with_the_routers_own_words() {
    let strict = Peer::router(&["--validate", "--authorization", "Bearer good-token"]);
    let medplum = user_of(&strict).env("MEDPLUM_CLIENT_ACCESS_TOKEN", "good-token");
    let bad = r#"{"resourceType":"Patient","active":"yes","color":"blue"}"#;
    let run = medplum.run(["post", "Patient", bad]);
    let run = run.fails(1).says("400").says("Patient.active");
    run.says("Patient.color").prints("");
    medplum.run(["post", "Patient", "{}"]).fails(1).says("400");
    let missing = medplum.run(["get", "Patient/00000000-0000-4000-8000-000000000000"]);
    missing.fails(4).says("Not found");
    medplum.run(["get", "Patient?name=x"]).ok();
    let refused = medplum.run(["get", "Patient", "--access-token", "bad-token"]);
    let refused = refused.fails(3).says("401").says("Unauthorized");
    assert!(!refused.everything().contains("bad-token"), "{refused}");
    let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": [
        {"request": {"method": "GET", "url": "Patient/none"}},
        {"resource": patient("Batched"), "request": {"method": "POST", "url": "Patient"}}]});
    // A part of it was refused, and a script looks at the exit code alone.
    let run = medplum.run(["post", "", &batch.to_string()]).fails(5);
    let answer = run.json();
    assert_eq!(
        [0, 1].map(|at| &answer["entry"][at]["response"]["status"]),
        ["404", "201"]
    );
}
