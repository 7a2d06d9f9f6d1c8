//! An answer of 200 is judged by what it says: an entry that was refused, an outcome that says error, a sign-in page.

use serde_json::json;

use crate::support::{Answer, Medplum, Run, Server};

const BATCH: &str = r#"{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient/1"}}]}"#;

/// Sends with `method` what is answered like that.
fn asked(method: &str, path: &str, answer: Answer) -> Run {
    let (server, medplum) = (Server::start(), Medplum::new());
    let target = if path.is_empty() {
        "/fhir/R4".to_owned()
    } else {
        format!("/fhir/R4/{path}")
    };
    server.on(&method.to_uppercase(), &target, answer);
    let url = server.url(&target);
    let mut args = vec![method, &url];
    if !["get", "delete"].contains(&method) {
        args.push(BATCH);
    }
    let base = server.url("/");
    args.extend(["--base-url", &base]);
    let run = medplum.run(args);
    assert_eq!(server.requests_to(&target).len(), 1, "{run}");
    run
}

fn response(entries: &[&str]) -> Answer {
    let entries: Vec<serde_json::Value> = entries
        .iter()
        .map(|entry| serde_json::from_str(entry).unwrap())
        .collect();
    let bundle = json!({"resourceType": "Bundle", "type": "batch-response", "entry": entries});
    Answer::json(200, bundle.to_string())
}

const OUTCOME: &str = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid","diagnostics":"no such thing"}]}"#;

#[test]
fn an_entry_that_was_refused_inside_a_200_decides_the_exit_code() {
    let good = r#"{"response":{"status":"201 Created"}}"#;
    let bad = [
        (
            r#"{"response":{"status":"404 Not Found"}}"#.to_owned(),
            "404 Not Found",
        ),
        (r#"{"response":{"status":422}}"#.to_owned(), "422"),
        (
            format!(r#"{{"response":{{"status":"200","outcome":{OUTCOME}}}}}"#),
            "no such thing",
        ),
        (
            format!(r#"{{"response":{{"status":"200"}},"resource":{OUTCOME}}}"#),
            "no such thing",
        ),
        (
            format!(r#"{{"response":{{"outcome":{OUTCOME}}}}}"#),
            "no such thing",
        ),
        (r#"{"response":"no"}"#.to_owned(), "cannot be read"),
    ];
    for (bad, words) in &bad {
        let run = asked("post", "", response(&[good, bad]))
            .fails(5)
            .says(words)
            .says("entry 2");
        assert!(
            run.stdout.contains("batch-response"),
            "the answer is shown: {run}"
        );
        asked("post", "", response(&[bad, bad]))
            .fails(1)
            .says(words);
    }
    asked(
        "post",
        "",
        response(&[good, r#"{"response":{"status":"304"}}"#]),
    )
    .ok();
}

#[test]
fn an_outcome_that_says_error_with_a_200_is_a_failure_of_every_method() {
    for method in ["post", "put", "delete", "get"] {
        asked(method, "Patient/1", Answer::json(200, OUTCOME))
            .fails(1)
            .says("no such thing");
        asked(
            method,
            "Patient/1",
            Answer::json(200, OUTCOME.replace("error", "warning")),
        )
        .ok();
    }
    let parameters = format!(
        r#"{{"resourceType":"Parameters","parameter":[{{"name":"return","resource":{OUTCOME}}}]}}"#
    );
    asked("post", "$x", Answer::json(200, parameters))
        .fails(1)
        .says("no such thing");
    let job = r#"{"resourceType":"AsyncJob","status":"error"}"#;
    asked("post", "$x", Answer::json(200, job))
        .fails(1)
        .says("AsyncJob error");
}

#[test]
fn what_is_stored_under_its_own_name_is_data_whatever_it_says() {
    asked("get", "OperationOutcome/1", Answer::json(200, OUTCOME)).ok();
    asked("put", "OperationOutcome/1", Answer::json(201, OUTCOME)).ok();
    asked(
        "get",
        "Bundle/1",
        response(&[r#"{"response":{"status":"404"}}"#]),
    )
    .ok();
    // No FHIR: nobody here knows what it means.
    asked("post", "$x", Answer::json(200, r#"{"status":"cancelled"}"#)).ok();
}

#[test]
fn a_sign_in_page_is_no_answer_to_a_write() {
    let page = || {
        Answer::new(
            200,
            "text/html; charset=utf-8",
            "<html><title>Sign in</title></html>",
        )
    };
    for method in ["post", "put", "delete"] {
        asked(method, "Patient/1", page()).fails(1).says("Sign in");
    }
    asked("get", "Patient/1", page()).ok();
    asked("post", "Patient/$narrative", page()).ok();
}
