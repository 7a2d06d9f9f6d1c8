//! Bundles in lines, ids and deletions that would reach farther than they say, and imports by the server itself.

use serde_json::json;

use super::basics::{import, patients};
use crate::support::{Answer, Medplum, Store};

#[test]
fn bundles_in_lines_are_unpacked() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let line = |kind: &str, number: u32| {
        format!(
            r#"{{"resourceType":"Bundle","id":"x{number}","type":"{kind}","entry":[{{"fullUrl":"urn:uuid:0c3151bd-1cbf-4d64-b04d-000000000001","resource":{{"resourceType":"Patient","id":"p{number}"}},"request":{{"method":"PUT","url":"Patient/p{number}"}}}},
            {{"resource":{{"resourceType":"Observation","id":"o{number}","subject":{{"reference":"urn:uuid:0c3151bd-1cbf-4d64-b04d-000000000001"}}}}}}]}}"#
        )
        .replace('\n', " ")
    };
    let lines = [
        line("transaction", 1),
        line("batch", 2),
        line("searchset", 3),
    ];
    medplum.file("a.ndjson", lines.join("\n"));
    let report = import(&medplum, &store, &["a.ndjson", "-o", "json"])
        .ok()
        .json();
    assert_eq!(report["created"], 6);
    assert!(!store.names().iter().any(|name| name.starts_with("Bundle")));
    // The same full URL on two lines is two resources.
    for number in 1..=3 {
        let text = store.text(&format!("Observation/o{number}"));
        assert!(text.contains(&format!("Patient/p{number}")), "{text}");
    }
}

#[test]
fn what_a_server_said_is_no_resource_to_import() {
    let (store, medplum) = (Store::open(), Medplum::new());
    for kind in ["history", "batch-response", "transaction-response"] {
        let bundle = format!(
            r#"{{"resourceType":"Bundle","id":"page-1","type":"{kind}","entry":[{{"resource":{{"resourceType":"Patient","id":"1"}}}}]}}"#
        );
        medplum.file("a.json", &bundle);
        medplum.file("b.ndjson", format!("{bundle}\n{bundle}\n"));
        for (name, count) in [("a.json", 1), ("b.ndjson", 2)] {
            let rejects = format!("{kind}-{name}.ndjson");
            let args = [name, "-o", "json", "--rejects", &rejects];
            let run = import(&medplum, &store, &args).fails(5).says(kind);
            assert_eq!(run.json()["refused"], count, "{name}");
        }
    }
    assert!(store.server.requests().is_empty());
}

fn deletion(url: &str) -> String {
    format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"request":{{"method":"DELETE","url":"{url}"}}}}]}}"#
    )
}

#[test]
fn ids_that_lead_elsewhere_in_a_url_are_refused_before_anything_is_sent() {
    let ids = [".", "..", "%2e", "%2E%2e", "%252e", "a/b", "a#b"];
    let lines: Vec<String> = ids
        .iter()
        .flat_map(|id| {
            let resource = format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#);
            [resource, deletion(&format!("Patient/{id}"))]
        })
        .collect();
    for bundle in ["none", "batch"] {
        let (store, medplum) = (Store::open(), Medplum::new());
        medplum.file("a.ndjson", lines.join("\n"));
        let args = ["a.ndjson", "--bundle", bundle, "-o", "json"];
        let run = import(&medplum, &store, &args).fails(5);
        assert_eq!(run.json()["refused"], lines.len(), "{run}");
        assert!(store.server.requests().is_empty());
    }
    // Other signs are the server's business.
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", r#"{"resourceType":"Patient","id":"a_b~c"}"#);
    import(&medplum, &store, &["a.ndjson"]).ok();
    assert_eq!(store.names(), ["Patient/a_b~c"]);
}

#[test]
fn a_level_that_leads_elsewhere_is_no_level() {
    let (store, medplum) = (Store::open(), Medplum::new());
    for level in ["Group/..", "Group/%2e%2e", "Patient/."] {
        let words = ["bulk", "export", "-e", level, "-d", "out"].map(str::to_owned);
        medplum.run(words.into_iter().chain(store.flags())).fails(2);
    }
    assert!(store.server.requests().is_empty());
}

#[test]
fn a_deletion_by_search_needs_criteria_and_a_flag() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let all = [
        "Patient?_format=json",
        "Patient?_count=1000",
        "Patient?_pretty=true",
        "Patient?_sort=name",
        "Patient?_sort:asc=name",
    ];
    let some = "Patient?identifier=a%7Cb";
    let lines: Vec<String> = all.iter().chain([&some]).map(|url| deletion(url)).collect();
    medplum.file("a.ndjson", lines.join("\n"));
    let args = ["a.ndjson", "-o", "json", "--rejects", "one.ndjson"];
    let run = import(&medplum, &store, &args)
        .fails(5)
        .says("--delete-by-search");
    assert_eq!(run.json()["refused"], 6);
    assert!(store.server.requests().is_empty());
    let args = ["a.ndjson", "--delete-by-search", "-o", "json"];
    let run = import(&medplum, &store, &args).fails(5);
    assert_eq!(run.json()["refused"], 5);
    assert_eq!(store.bundles(), [[format!("DELETE {some}")]]);
}

#[test]
fn deletions_are_read_as_servers_write_them() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", patients(4));
    import(&medplum, &store, &["a.ndjson"]).ok();
    let entries = json!([
        {"request": {"method": "delete", "url": "Patient/p1"}},
        {"request": {"method": "DELETE", "url": "/Patient/p2"}},
        {"fullUrl": "https://old/fhir/Patient/p3", "request": {"method": "DELETE", "url": "https://old/fhir/Patient/p3"}},
        {"request": {"method": "DELETE", "url": "https://old/fhir/Patient/p4"}},
    ]);
    let bundle = json!({"resourceType": "Bundle", "type": "batch", "entry": entries});
    medplum.file("b.json", bundle.to_string());
    let report = import(&medplum, &store, &["b.json", "-o", "json"])
        .fails(5)
        .json();
    assert_eq!(
        (&report["deleted"], &report["refused"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(store.names(), ["Patient/p4"]);
}

/// Deletions go last: what is written again behind one would be gone in the end, with exit 0.
#[test]
fn what_is_written_again_behind_its_deletion_is_refused_or_sent_in_the_order_given() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let deletion = json!({"request": {"method": "DELETE", "url": "Patient/p1"}});
    let bundle = |entries: serde_json::Value| {
        json!({"resourceType": "Bundle", "type": "batch", "entry": entries}).to_string()
    };
    medplum.file("1.ndjson", patients(1));
    medplum.file("2.json", bundle(json!([deletion])));
    medplum.file("3.ndjson", patients(1));
    let again = json!({"resource": {"resourceType": "Patient", "id": "p1"}, "request": {"method": "PUT", "url": "Patient/p1"}});
    medplum.file("4.json", bundle(json!([deletion, again])));
    for files in [&["1.ndjson", "2.json", "3.ndjson"][..], &["4.json"]] {
        import(&medplum, &store, files)
            .fails(2)
            .says("Patient/p1 is deleted and then written again");
        assert!(store.bundles().is_empty());
    }
    // A deletion behind all is what an export has.
    import(&medplum, &store, &["1.ndjson", "2.json"]).ok();
    assert!(store.names().is_empty() && !store.bundles().is_empty());
    let given = ["1.ndjson", "2.json", "3.ndjson", "--order", "given"];
    import(&medplum, &store, &given).ok();
    assert_eq!(store.names(), ["Patient/p1"]);
}

/// What a server says with a 200 of an import of its own.
#[test]
fn an_import_by_the_server_is_judged_by_what_it_says() {
    for (body, code, words) in [
        (
            r#"{"status":"failed","error":"no such bucket"}"#,
            1,
            "no such bucket",
        ),
        (
            r#"{"resourceType":"OperationOutcome","issue":[{"severity":"fatal","code":"exception","diagnostics":"out of memory"}]}"#,
            1,
            "out of memory",
        ),
        (
            r#"{"resourceType":"Bundle","type":"batch-response","entry":[{"response":{"status":"404"}},{"response":{"status":"201"}}]}"#,
            5,
            "404",
        ),
        (
            r#"{"resourceType":"AsyncJob","status":"cancelled"}"#,
            1,
            "cancelled",
        ),
        ("<html><title>Sign in</title></html>", 1, "does not say"),
        ("", 1, "does not say"),
        (
            r#"{"error":[{"type":"OperationOutcome","url":"https://h/e","count":2}]}"#,
            5,
            "2 errors",
        ),
        (
            r#"{"error":[{"type":"OperationOutcome","url":"https://h/e","count":0}]}"#,
            0,
            "",
        ),
        (
            r#"{"output":[{"type":"Patient","count":1}],"error":[]}"#,
            0,
            "",
        ),
    ] {
        let (store, medplum) = (Store::open(), Medplum::new());
        let status = store.server.url("/fhir/R4/status");
        let accepted = Answer::empty(202).header("Content-Location", &status);
        store.server.on("POST", "/fhir/R4/$import", accepted);
        store
            .server
            .on("GET", "/fhir/R4/status", Answer::json(200, body));
        let args = ["--server-side", "https://files.example/1.Patient.ndjson"];
        import(&medplum, &store, &args).fails(code).says(words);
    }
}
