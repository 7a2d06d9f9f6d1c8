//! `post --prefer-async`: the result of a job is judged by what it says, not by its 200.

use crate::support::{Answer, Site};

/// A site whose `$reindex` is done at once, with this result.
fn done_with(result: Answer) -> Site {
    let site = Site::open();
    let status = site.server.url("/fhir/R4/job/1");
    let accepted = Answer::empty(202).header("Content-Location", &status);
    site.server.on("POST", "/fhir/R4/$reindex", accepted);
    site.server.on("GET", "/fhir/R4/job/1", result);
    site
}

const POST: [&str; 6] = ["post", "-p", "site", "--prefer-async", "$reindex", "{}"];

#[test]
fn a_result_that_says_failure_with_a_200_is_a_failure_in_its_own_words() {
    for (body, words) in [
        (
            r#"{"status":"failed","error":"no such bucket"}"#,
            "no such bucket",
        ),
        (
            r#"{"resourceType":"OperationOutcome","issue":[{"severity":"fatal","code":"exception","diagnostics":"disk full"}]}"#,
            "disk full",
        ),
        (
            r#"{"resourceType":"AsyncJob","status":"error"}"#,
            "AsyncJob error",
        ),
        (
            r#"{"resourceType":"AsyncJob","status":"cancelled"}"#,
            "AsyncJob cancelled",
        ),
        (
            r#"{"resourceType":"Bundle","type":"batch-response","entry":[{"response":{"status":"404 Not Found"}}]}"#,
            "entry 1: 404 Not Found",
        ),
    ] {
        let site = done_with(Answer::json(200, body));
        let run = site.medplum.run(POST).fails(1).says(words);
        assert!(!run.stdout.is_empty(), "the result is shown: {run}");
        assert_eq!(site.server.requests_to("/fhir/R4/job/1").len(), 1);
    }
}

#[test]
fn a_result_of_which_a_part_failed_is_partial() {
    let body = r#"{"resourceType":"Bundle","type":"batch-response","entry":[
        {"response":{"status":"201"}},{"response":{"status":"422"}}]}"#;
    let site = done_with(Answer::json(200, body));
    site.medplum.run(POST).fails(5).says("entry 2: 422");
    let body = r#"{"output":[],"error":[{"type":"OperationOutcome","url":"https://h.example/e","count":3}]}"#;
    let site = done_with(Answer::json(200, body));
    site.medplum
        .run(POST)
        .fails(5)
        .says("3 errors in https://h.example/e");
}

#[test]
fn a_sign_in_page_or_nothing_at_all_is_no_result() {
    let page = "<html><title>Sign in</title><body>Please</body></html>";
    for answer in [
        Answer::new(200, "text/html", page),
        Answer::new(200, "application/fhir+json", page),
        Answer::empty(200),
    ] {
        let site = done_with(answer);
        let run = site.medplum.run(POST).fails(1).says("says nothing of it");
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn a_result_that_says_nothing_bad_is_good() {
    for body in [
        r#"{"output":[],"error":[{"type":"OperationOutcome","url":"https://h.example/e","count":0}]}"#,
        r#"{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational"}]}"#,
        r#"{"resourceType":"AsyncJob","status":"completed"}"#,
    ] {
        let site = done_with(Answer::json(200, body));
        site.medplum.run(POST).ok();
    }
    let site = done_with(Answer::empty(204));
    site.medplum.run(POST).ok();
    let site = done_with(Answer::new(200, "text/csv", "a,b\n1,2\n"));
    site.medplum.run(POST).ok().prints("a,b\n1,2\n");
}

/// A result was kept in memory up to 1 GiB, and judged and printed from there.
#[test]
fn a_result_without_measure_does_not_fill_the_memory() {
    let long = format!(
        r#"{{"resourceType":"Parameters","x":"{}"}}"#,
        "x".repeat(150 << 20)
    );
    let site = done_with(Answer::json(200, long));
    let (run, peak) = site.medplum.measured(&POST);
    assert!(peak < 72 << 20, "{} MB", peak >> 20);
    run.fails(1).says("fetch its result from the status URL");
}
