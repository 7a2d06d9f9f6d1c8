//! How `bulk import` writes: by id, by search, anew, as the Medplum CLI does, or not at all.

use serde_json::{Value, json};

use super::basics::{ODD, import, patients};
use crate::support::store::Rules;
use crate::support::{Answer, Medplum, Store};

fn person(id: &str, value: &str) -> String {
    format!(
        r#"{{"resourceType":"Patient","id":"{id}","identifier":[{{"system":"http://a","value":"{value}"}}]}}"#
    )
}

#[test]
fn a_conditional_import_finds_what_is_there_and_references_follow() {
    let store = Store::with(Rules {
        refuses_ids: true,
        ..Rules::default()
    });
    let medplum = Medplum::new();
    let observation = r#"{"resourceType":"Observation","id":"o","identifier":[{"system":"http://a","value":"o"}],"subject":{"reference":"Patient/p1"},"value":1.00}"#;
    medplum.file(
        "a.ndjson",
        format!(
            "{observation}\n{}\n{}\n{}",
            person("p1", "1"),
            person("p2", "2|3"),
            patients(1)
        ),
    );
    let args = ["a.ndjson", "--method", "conditional", "-o", "json"];
    let report = import(&medplum, &store, &args)
        .fails(5)
        .says("lacks what")
        .json();
    assert_eq!(
        (&report["created"], &report["refused"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(
        store.names(),
        ["Observation/new-3", "Patient/new-1", "Patient/new-2"]
    );
    let text = store.text("Observation/new-3");
    assert!(
        text.contains(r#""reference":"Patient/new-1""#)
            && text.contains("1.00")
            && !text.contains(r#""id""#),
        "{text}"
    );
    std::fs::remove_file(medplum.path("rejects.ndjson")).unwrap();
    std::fs::remove_file(medplum.path("rejects.outcomes.ndjson")).unwrap();
    let again = import(&medplum, &store, &args).fails(5).json();
    assert_eq!(
        (&again["created"], &again["updated"]),
        (&json!(0), &json!(3))
    );
    assert_eq!(store.names().len(), 3);
}

#[test]
fn a_post_with_a_match_creates_only_what_is_not_there() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file(
        "a.ndjson",
        format!("{}\n{}", person("p1", "1"), person("p2", "2")),
    );
    for bundle in ["batch", "none"] {
        let args = [
            "a.ndjson",
            "--method",
            "post",
            "--match",
            "Patient?identifier={identifier.system}|{identifier.value}",
            "-o",
            "json",
            "--bundle",
            bundle,
        ];
        let report = import(&medplum, &store, &args).ok().json();
        let counts = (
            report["created"].as_u64().unwrap(),
            report["unchanged"].as_u64().unwrap(),
        );
        assert_eq!(counts, if bundle == "batch" { (2, 0) } else { (0, 2) });
    }
    assert_eq!(store.names().len(), 2);
    import(&medplum, &store, &["a.ndjson", "--match", "a={b}"])
        .fails(2)
        .says("--method");
    import(
        &medplum,
        &store,
        &["a.ndjson", "--method", "post", "--match", "a=b"],
    )
    .fails(2);
}

#[test]
fn post_and_transaction_send_what_the_medplum_cli_sends_in_its_order() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("data/a.ndjson", format!("{ODD}\n{}", patients(60)));
    let args = [
        "a.ndjson",
        "-d",
        "data",
        "--method",
        "post",
        "--bundle",
        "transaction",
        "--num-resources-per-request",
        "20",
    ];
    import(&medplum, &store, &args).ok();
    let requests = store.server.requests_to("/fhir/R4");
    let sizes: Vec<usize> = requests
        .iter()
        .map(|request| request.json()["entry"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [20, 20, 20, 1]);
    assert!(requests.iter().all(|request| request.method == "POST"));
    let first = requests[0].json();
    assert_eq!(
        (&first["resourceType"], &first["type"]),
        (&json!("Bundle"), &json!("transaction"))
    );
    assert_eq!(
        first["entry"][1],
        json!({"resource": {"resourceType": "Patient", "id": "p1"}, "request": {"method": "POST", "url": "Patient"}})
    );
    assert!(requests[0].text().contains(ODD));
    import(
        &medplum,
        &store,
        &["data/a.ndjson", "--num-resources-per-request", "abc"],
    )
    .fails(2);
}

#[test]
fn missing_elements_of_an_explanation_of_benefit_get_the_medplum_clis_extension() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file(
        "a.ndjson",
        r#"{"resourceType":"ExplanationOfBenefit","id":"e","item":[{"sequence":1.0}]}"#,
    );
    import(
        &medplum,
        &store,
        &["a.ndjson", "--add-extensions-for-missing-values"],
    )
    .ok();
    let text = store.text("ExplanationOfBenefit/e");
    let json: Value = serde_json::from_str(&text).unwrap();
    let absent = json!({"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unsupported"});
    assert_eq!(
        (&json["provider"], &json["item"][0]["productOrService"]),
        (&absent, &absent)
    );
    assert!(text.contains("1.0"));
}

#[test]
fn what_is_the_same_on_the_server_is_left_alone_when_asked() {
    for bundle in ["batch", "none"] {
        let (store, medplum) = (Store::open(), Medplum::new());
        medplum.file("a.ndjson", format!("{ODD}\n{}", patients(40)));
        let args = [
            "a.ndjson",
            "--skip-unchanged",
            "-o",
            "json",
            "--bundle",
            bundle,
        ];
        let report = import(&medplum, &store, &args).ok().json();
        assert_eq!(
            (&report["created"], &report["unchanged"]),
            (&json!(41), &json!(0))
        );
        medplum.file(
            "a.ndjson",
            format!("{}\n{}", ODD.replace("1.00", "1.0"), patients(41)),
        );
        let report = import(&medplum, &store, &args).ok().json();
        assert_eq!(
            (&report["created"], &report["updated"], &report["unchanged"]),
            (&json!(1), &json!(1), &json!(40))
        );
        assert_eq!(store.writes()["Patient/p1"], 1);
    }
}

#[test]
fn one_request_for_each_resource_when_asked() {
    let store = Store::with(Rules {
        refused: ["Patient/p2".to_owned()].into(),
        ..Rules::default()
    });
    let medplum = Medplum::new();
    medplum.file("a.ndjson", format!("{ODD}\n{}", patients(3)));
    let report = import(
        &medplum,
        &store,
        &["a.ndjson", "--bundle", "none", "-o", "json"],
    )
    .fails(5)
    .json();
    assert_eq!(
        (&report["created"], &report["refused"], &report["requests"]),
        (&json!(3), &json!(1), &json!(4))
    );
    assert_eq!(store.text("Observation/odd"), ODD);
    assert!(
        medplum
            .read("rejects.outcomes.ndjson")
            .contains("p2 is not wanted")
    );
}

#[test]
fn a_validation_writes_nothing_and_names_what_is_not_valid() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file(
        "a.ndjson",
        format!(
            "{}{}",
            patients(3),
            r#"{"resourceType":"Patient","id":"b","bad":true}"#
        ),
    );
    let report = import(&medplum, &store, &["a.ndjson", "--validate", "-o", "json"])
        .fails(5)
        .says("not valid")
        .json();
    assert_eq!(
        (&report["unchanged"], &report["refused"]),
        (&json!(3), &json!(1))
    );
    assert!(store.names().is_empty());
    assert!(
        store
            .server
            .lines()
            .iter()
            .all(|line| line == "POST /fhir/R4/Patient/$validate")
    );
    assert!(medplum.read("invalid.ndjson").contains("\"b\""));
    // They are not in the way of an import.
    assert!(!medplum.path("rejects.ndjson").exists());
}

#[test]
fn a_table_names_types_in_the_order_in_which_they_went() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", format!("{ODD}\n{}", patients(2)));
    let run = import(&medplum, &store, &["a.ndjson", "-o", "table"])
        .ok()
        .says("3 resources");
    let table = "TYPE         CREATED  UPDATED\nPatient            2        0\nObservation        1        0\nall                3        0\n";
    assert_eq!(run.stdout, table);
}

#[test]
fn the_server_fetches_the_files_itself_when_asked_and_able() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let status = store.server.url("/fhir/R4/$import-poll-status?_jobId=1");
    store.server.on(
        "POST",
        "/fhir/R4/$import",
        Answer::empty(202).header("Content-Location", &status),
    );
    let done = r#"{"output":[{"type":"Patient","count":3}],"error":[]}"#;
    store.server.on_sequence(
        "GET",
        "/fhir/R4/$import-poll-status",
        [
            Answer::empty(202)
                .header("X-Progress", "half of it")
                .header("Retry-After", "0"),
            Answer::json(200, done),
        ],
    );
    let run = import(
        &medplum,
        &store,
        &[
            "--server-side",
            "https://files.example/1.Patient.ndjson",
            "Group=https://files.example/g",
        ],
    )
    .ok()
    .says("half of it");
    assert_eq!(run.json()["output"][0]["count"], 3);
    let request = store.server.request_to("/fhir/R4/$import");
    assert_eq!(request.header("Prefer"), Some("respond-async"));
    let parameters = request.json();
    assert_eq!(
        parameters["parameter"][3]["part"],
        json!([{"name": "type", "valueCode": "Patient"}, {"name": "url", "valueUri": "https://files.example/1.Patient.ndjson"}])
    );
    assert_eq!(parameters["parameter"][4]["part"][0]["valueCode"], "Group");
    let other = Store::open();
    other.server.on(
        "POST",
        "/fhir/R4/$import",
        Answer::outcome(404, "not-found", "unknown operation"),
    );
    import(
        &medplum,
        &other,
        &["--server-side", "https://files.example/1.Patient.ndjson"],
    )
    .fails(1)
    .says("has no $import");
    import(&medplum, &other, &["--server-side", "-d", "."])
        .fails(2)
        .says("--target-directory");
}

#[test]
fn a_match_finds_the_element_that_has_what_it_names_in_each_list_by_itself() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file(
        "a.ndjson",
        r#"{"resourceType":"Patient","identifier":[{"value":"no"},{"system":"http://a","value":"1"}],"name":[{"family":"Doe"}]}"#,
    );
    let template = "identifier={identifier.system}|{identifier.value}&family={name.family}";
    let args = ["a.ndjson", "--method", "conditional", "--match", template];
    import(&medplum, &store, &args).ok();
    assert_eq!(
        store.bundles(),
        [["PUT Patient?identifier=http%3A%2F%2Fa%7C1&family=Doe"]]
    );
}

#[test]
fn an_entry_that_is_only_for_what_is_not_there_is_not_posted_unless_a_match_tells_that() {
    let medplum = Medplum::new();
    let person = person("p1", "1");
    let request = r#"{"method":"POST","url":"Patient","ifNoneExist":"identifier=http://a|1"}"#;
    medplum.file(
        "b.json",
        format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"resource":{person},"request":{request}}}]}}"#),
    );
    let store = Store::open();
    import(&medplum, &store, &["b.json", "--method", "post"])
        .fails(5)
        .says("ifNoneExist")
        .says("--match");
    assert!(store.names().is_empty());
    let again = ["rejects.ndjson", "--method", "post"];
    import(&medplum, &store, &again).fails(5);
    std::fs::remove_file(medplum.path("rejects.ndjson")).unwrap();
    std::fs::remove_file(medplum.path("rejects.outcomes.ndjson")).unwrap();
    let template = "identifier={identifier.system}|{identifier.value}";
    for args in [
        &["--method", "post", "--match", template][..],
        &["--method", "conditional"],
        &["--method", "put"],
    ] {
        let args = [&["b.json"], args].concat();
        import(&medplum, &store, &args).ok();
    }
    assert_eq!(store.names().len(), 2);
}
