//! REST against HAPI: each status that it answers otherwise than Medplum's server.

use serde_json::{Value, json};

use super::hapi::{SHARED, STRICT, hapi, user_of};
use crate::support::Medplum;

fn user() -> Option<Medplum> {
    hapi().map(|hapi| user_of(hapi, SHARED))
}

fn patient(family: &str) -> Value {
    json!({"resourceType": "Patient", "active": true, "name": [{"family": family, "given": ["Ana"]}],
        "identifier": [{"system": "http://example.com/mrn", "value": family}]})
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

#[test]
fn hapi_creates_reads_changes_and_deletes_a_resource_and_keeps_its_history() {
    let Some(medplum) = user() else { return };
    let created = create(&medplum, &patient("Lifelong"));
    let path = path(&created);
    assert_eq!(medplum.run(["get", &path]).ok().json(), created);
    let whole = hapi().unwrap().url(&format!("/{SHARED}/{path}"));
    assert_eq!(medplum.run(["get", &whole]).ok().json(), created);

    let mut changed = created.clone();
    changed["birthDate"] = json!("1970-01-01");
    let body = changed.to_string();
    let run = medplum.run(["put", &path, &body, "--if-match", "W/\"1\""]);
    let updated = run.ok().json();
    assert_eq!(
        (&updated["birthDate"], &updated["meta"]["versionId"]),
        (&json!("1970-01-01"), &json!("2"))
    );
    let operation = r#"[{"op":"replace","path":"/active","value":false}]"#;
    let patched = medplum.run(["patch", &path, operation]).ok().json();
    assert_eq!(
        (&patched["active"], &patched["meta"]["versionId"]),
        (&json!(false), &json!("3"))
    );
    let deleted = medplum.run(["delete", &path]).ok().json();
    assert_eq!(deleted["resourceType"], "OperationOutcome");
    medplum
        .run(["get", &path])
        .fails(4)
        .says("410 Gone")
        .says("Resource was deleted at");
    let old = medplum.run(["get", &format!("{path}/_history/1")]).ok();
    assert_eq!(old.json(), created);
    let history = medplum.run(["get", &format!("{path}/_history")]).ok();
    let methods: Vec<Value> = history.json()["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["request"]["method"].clone())
        .collect();
    assert_eq!(methods, ["DELETE", "PUT", "PUT", "POST"]);
}

/// HAPI says 409 to an `If-Match` of an old version, where the specification has 412.
#[test]
fn hapi_refuses_an_update_of_an_old_version_and_changes_nothing() {
    let Some(medplum) = user() else { return };
    let mut first = create(&medplum, &patient("Versioned"));
    let path = path(&first);
    first["gender"] = json!("female");
    let now = medplum.run(["put", &path, &first.to_string()]).ok().json();
    first["gender"] = json!("male");
    let body = first.to_string();
    let run = medplum.run(["put", &path, &body, "--if-match", "W/\"1\""]);
    run.fails(1)
        .says("409 Conflict")
        .says("this is not the current version")
        .prints("");
    let operation = r#"[{"op":"test","path":"/gender","value":"male"}]"#;
    medplum.run(["patch", &path, operation]).fails(1);
    assert_eq!(medplum.run(["get", &path]).ok().json(), now);
}

#[test]
fn hapi_gives_the_resource_that_is_there_for_a_conditional_create_and_412_for_two() {
    let Some(medplum) = user() else { return };
    let body = patient("Only-One").to_string();
    let condition = "identifier=http://example.com/mrn|Only-One";
    let post = || medplum.run(["post", "Patient", &body, "--if-none-exist", condition]);
    let (first, second) = (post().ok(), post().ok());
    assert_eq!(first.json()["id"], second.json()["id"]);
    assert_eq!(second.json()["meta"]["versionId"], "1");
    create(&medplum, &patient("Only-One"));
    post()
        .fails(1)
        .says("412")
        .says("this search matched 2 resources");
}

/// Its pages are links to a search that it keeps: `?_getpages=…`.
#[test]
fn hapi_gives_all_pages_of_a_search() {
    let Some(medplum) = user() else { return };
    let names: Vec<String> = (0..47).map(|at| format!("Paged{at:02}")).collect();
    let entries: Vec<Value> = names
        .iter()
        .map(|name| json!({"resource": patient(name), "request": {"method": "POST", "url": "Patient"}}))
        .collect();
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
    medplum
        .command(["post", "", "-"])
        .stdin(bundle.to_string())
        .run()
        .ok();
    let search = "Patient?family=Paged&_count=5&_sort=family";
    let page = medplum.run(["get", search]).ok().json();
    assert_eq!(page["entry"].as_array().unwrap().len(), 5);
    let lines = medplum.run(["get", search, "--all", "-o", "ndjson"]).ok();
    let found: Vec<String> = lines
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|found| found["name"][0]["family"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(found, names);
}

/// What HAPI refuses by its settings is told in its own words: ids of digits alone, a reference to nothing.
#[test]
fn hapi_says_itself_why_it_refuses() {
    let Some(medplum) = user() else { return };
    let digits = r#"{"resourceType":"Patient","id":"777777"}"#;
    let run = medplum.run(["put", "Patient/777777", digits]);
    run.fails(1)
        .says("HAPI-0960")
        .says("non-numeric")
        .prints("");
    let unknown = r#"{"resourceType":"Patientt"}"#;
    medplum
        .run(["post", "Patientt", unknown])
        .fails(4)
        .says("Unknown resource type 'Patientt'");
    medplum
        .run(["get", "Patient/not-there"])
        .fails(4)
        .says("Resource Patient/not-there is not known");
    let strict = user_of(hapi().unwrap(), STRICT);
    let dangling = r#"{"resourceType":"Observation","status":"final","code":{"text":"a"},
        "subject":{"reference":"Patient/not-there"}}"#;
    let run = strict.run(["post", "Observation", dangling]);
    run.fails(1)
        .says("Resource Patient/not-there not found, specified in path: Observation.subject");
}

/// HAPI answers a search by POST with a link to its next page, and `_summary=count` with the number alone.
#[test]
fn hapi_is_searched_by_url_and_by_body_page_by_page() {
    let Some(medplum) = user() else { return };
    let mut made: Vec<String> = (0..7)
        .map(|_| path(&create(&medplum, &patient("Söhne & Co"))))
        .collect();
    made.sort();
    let family = "family:exact=Söhne & Co";
    for more in [&[][..], &["--post"]] {
        let args = ["search", "Patient", family, "_count=2", "--all", "--ids"];
        let run = medplum.run(args.iter().chain(more)).ok();
        let mut found: Vec<&str> = run.stdout.lines().collect();
        found.sort_unstable();
        assert_eq!(found, made, "{run}");
        let count = ["search", "Patient", family, "--count"];
        medplum.run(count.iter().chain(more)).ok().prints("7\n");
        let some = [
            "search", "Patient", family, "--limit", "3", "--fields", "id",
        ];
        let run = medplum.run(some.iter().chain(more)).ok();
        assert_eq!(run.stdout.lines().count(), 1 + 3, "{run}");
    }
}

#[test]
fn hapi_counts_each_type_that_it_has() {
    let Some(medplum) = user() else { return };
    create(&medplum, &patient("Counted"));
    let rows = medplum.run(["count", "-o", "json"]).ok().json();
    let rows = rows.as_array().unwrap();
    assert!(rows.len() > 100, "{}", rows.len());
    let patients = rows.iter().find(|row| row["type"] == "Patient").unwrap();
    let count = medplum.run(["search", "Patient", "--count"]).ok().stdout;
    assert!(patients["count"].as_u64().unwrap() > 0);
    assert!(count.trim().parse::<u64>().unwrap() > 0);
}
