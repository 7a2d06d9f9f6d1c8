//! What a status and a body with it mean for each kind of write: nothing passes for done that is not said to be.

use serde_json::json;

use super::basics::import;
use super::identity::resource;
use crate::support::{Answer, Medplum, Run, Store};

/// One Patient by itself, and the server's one answer to it.
fn answered(method: &str, answer: impl Fn() -> Answer + Send + Sync + 'static) -> Run {
    let (store, medplum) = (Store::open(), Medplum::new());
    store.server.guard(move |_| Some(answer()));
    medplum.file("a.ndjson", resource("Patient", "1", ""));
    let args = [
        "a.ndjson", "--bundle", "none", "--method", method, "-o", "json",
    ];
    import(&medplum, &store, &args)
}

#[test]
fn a_put_may_be_answered_without_a_body_and_by_nothing_that_is_about_something_else() {
    for (status, count) in [
        (200, "updated"),
        (201, "created"),
        (204, "updated"),
        (304, "unchanged"),
    ] {
        let run = answered("put", move || Answer::empty(status)).ok();
        assert_eq!(run.json()[count], 1, "{status} {run}");
    }
    for status in [202, 205, 226] {
        let run = answered("put", move || Answer::empty(status)).fails(5);
        assert_eq!(run.json()["unknown"], 1, "{status} {run}");
    }
    for (kind, body) in [
        (
            "application/fhir+json",
            r#"{"resourceType":"Bundle","type":"searchset"}"#,
        ),
        ("application/fhir+json", r#"["Patient","1"]"#),
        ("application/fhir+json", "[]"),
        ("application/fhir+json", "null"),
        (
            "application/fhir+json",
            r#"{"resourceType":"Patient","id":"2"}"#,
        ),
        ("text/html", "<html><title>Sign in</title></html>"),
        ("text/plain", "OK"),
    ] {
        for status in [200, 201] {
            let run = answered("put", move || Answer::new(status, kind, body)).fails(1);
            let report = run.json();
            assert_eq!(
                (&report["created"], &report["updated"]),
                (&json!(0), &json!(0)),
                "{run}"
            );
            assert_eq!(report["notSent"], 0, "{run}");
        }
    }
    let error = || Answer::outcome(200, "processing", "it was not stored");
    let run = answered("put", error).fails(5).says("it was not stored");
    assert_eq!(run.json()["refused"], 1, "{run}");
}

#[test]
fn a_post_must_say_that_or_where_something_was_created() {
    let run = answered("post", || Answer::empty(201)).ok();
    assert_eq!(run.json()["created"], 1, "{run}");
    let run = answered("post", || {
        Answer::json(200, r#"{"resourceType":"Patient","id":"9"}"#)
    })
    .ok();
    assert_eq!(run.json()["created"], 1, "{run}");
    for status in [200, 202, 204] {
        let run = answered("post", move || Answer::empty(status)).fails(5);
        assert_eq!(run.json()["unknown"], 1, "{status} {run}");
    }
    let run = answered("post", || Answer::empty(304)).fails(5);
    assert_eq!(run.json()["refused"], 1, "{run}");
}

/// Two Patients in a Bundle, and what is said of them in the places of both.
fn of_two(method: &str, entries: &'static [&'static str]) -> Run {
    let (store, medplum) = (Store::open(), Medplum::new());
    store.server.guard(move |_| {
        let entries = entries.join(",");
        Some(Answer::json(
            200,
            format!(r#"{{"resourceType":"Bundle","type":"batch-response","entry":[{entries}]}}"#),
        ))
    });
    let entry = |number: u32, kind: &str| {
        let text = resource(kind, &number.to_string(), "");
        format!(
            r#"{{"fullUrl":"urn:uuid:0c3151bd-1cbf-4d64-b04d-00000000000{number}","resource":{text}}}"#
        )
    };
    medplum.file(
        "a.json",
        format!(
            r#"{{"resourceType":"Bundle","type":"batch","entry":[{},{}]}}"#,
            entry(1, "Patient"),
            entry(2, "Patient")
        ),
    );
    let args = ["a.json", "--method", method, "-o", "json"];
    import(&medplum, &store, &args)
}

#[test]
fn answers_that_are_in_another_order_are_noticed_by_all_that_they_say() {
    for (method, entries) in [
        // By ids.
        (
            "put",
            &[
                r#"{"response":{"status":"201","location":"Patient/2/_history/1"}}"#,
                r#"{"response":{"status":"201","location":"Patient/1/_history/1"}}"#,
            ][..],
        ),
        // By the type of the location, and of what is brought back.
        (
            "post",
            &[
                r#"{"response":{"status":"201","location":"Group/9/_history/1"}}"#,
                r#"{"response":{"status":"201","location":"Patient/8/_history/1"}}"#,
            ],
        ),
        (
            "post",
            &[
                r#"{"response":{"status":"201"},"resource":{"resourceType":"Group","id":"9"}}"#,
                r#"{"response":{"status":"201"},"resource":{"resourceType":"Patient","id":"8"}}"#,
            ],
        ),
        // By the full URLs that are said back.
        (
            "post",
            &[
                r#"{"fullUrl":"URN:UUID:0c3151bd-1cbf-4d64-b04d-000000000002","response":{"status":"201","location":"Patient/8"}}"#,
                r#"{"fullUrl":"urn:uuid:0c3151bd-1cbf-4d64-b04d-000000000001","response":{"status":"201","location":"Patient/9"}}"#,
            ],
        ),
        // Two in one place, and one too few or too many.
        (
            "post",
            &[
                r#"{"response":{"status":"201","location":"Patient/8"}}"#,
                r#"{"response":{"status":"201","location":"Patient/8"}}"#,
            ],
        ),
        (
            "post",
            &[r#"{"response":{"status":"201","location":"Patient/8"}}"#],
        ),
        (
            "post",
            &[
                r#"{"response":{"status":"201","location":"Patient/8"}}"#,
                r#"{"response":{"status":"201","location":"Patient/9"}}"#,
                r#"{"response":{"status":"201","location":"Patient/10"}}"#,
            ],
        ),
    ] {
        let run = of_two(method, entries)
            .fails(1)
            .says("cannot be understood");
        let report = run.json();
        assert_eq!(
            (&report["created"], &report["notSent"]),
            (&json!(0), &json!(0)),
            "{run}"
        );
        assert_eq!(report["unknown"], 2, "{run}");
    }
    let run = of_two(
        "post",
        &[
            r#"{"fullUrl":"https://there/Patient/8","response":{"status":"201","location":"Patient/8"}}"#,
            r#"{"response":{"status":"201"},"resource":{"resourceType":"Patient","id":"9"}}"#,
        ],
    );
    assert_eq!(run.ok().json()["created"], 2);
}
