//! Odd shapes and contradictions: what is promised, said, or answered in a way that others pass over.

use serde_json::{Value, json};

use crate::support::bulk::{CONDITIONS, OBSERVATIONS, PATIENTS, STATUS, ndjson, outcome, pending};
use crate::support::readings::{TIME, counted, entry, lines, page, readings};
use crate::support::{Answer, Bulk};

/// E13, H4: without a type that is promised, what says that something went wrong was taken for data.
#[test]
fn an_outcome_in_place_of_data_is_no_data_where_no_type_is_promised() {
    for (kind, text) in [
        ("OperationOutcome", outcome("error")),
        ("Bundle", "{\"resourceType\":\"Bundle\"}\n".to_owned()),
    ] {
        let bulk = Bulk::open();
        readings(
            &bulk,
            [page(TIME, [json!({"url": bulk.server.url("/files/x")})])],
        );
        bulk.server.on("GET", "/files/x", ndjson(&text));
        bulk.export(&[])
            .fails(5)
            .says(&format!("holds {kind} where data is promised"));
        let bulk = Bulk::open();
        bulk.file("output", "Patient", "/files/x", ndjson(&text));
        bulk.export(&["--organize-output-by", "Patient"]).fails(5);
        // Where it is promised, it is data.
        let bulk = Bulk::open();
        bulk.file("output", kind, "/files/x", ndjson(&text));
        bulk.export(&["--fail-on", "never"]).ok();
    }
    let bulk = Bulk::open();
    readings(
        &bulk,
        [page(TIME, [json!({"url": bulk.server.url("/files/x")})])],
    );
    bulk.server.on("GET", "/files/x", ndjson(PATIENTS));
    bulk.export(&[]).ok();
}

/// E16: one Binary that holds NDJSON, in a file of Binaries.
#[test]
fn a_binary_that_is_promised_is_not_unwrapped() {
    let bulk = Bulk::open();
    let data = "eyJyZXNvdXJjZVR5cGUiOiJCaW5hcnkifQo=";
    let binary = json!({"resourceType": "Binary", "id": "1", "contentType": "application/fhir+ndjson", "data": data});
    let text = format!("{binary}\n");
    bulk.file(
        "output",
        "Binary",
        "/files/b",
        Answer::new(200, "application/json", &text),
    );
    bulk.export(&[]).ok();
    assert_eq!(bulk.files()[0].1, text.as_bytes());
}

/// E17, H1: a count is a number however it is written, and what is none is said.
#[test]
fn a_count_that_is_written_oddly_counts_or_is_said() {
    for (count, code, words) in [
        (json!(3.0), 0, ""),
        (json!("3"), 0, ""),
        (json!(2.0), 5, "promises 2 resources"),
        (json!(-1), 0, "no number of resources, such as -1"),
        (json!(1e30), 0, "no number of resources"),
        (json!("many"), 0, "no number of resources"),
    ] {
        let bulk = Bulk::open();
        readings(
            &bulk,
            [page(
                TIME,
                [counted(&bulk, "Patient", "/files/p", count.clone())],
            )],
        );
        bulk.server
            .on("GET", "/files/p", ndjson(lines("Patient", 0..3)));
        let run = bulk.export(&[]);
        assert_eq!(run.code, code, "{count}\n{run}");
        assert!(run.stderr.contains(words), "{count}\n{run}");
    }
}

/// E19: a body without any length, cut where a line ends, cannot be told from a whole one.
#[test]
fn a_file_that_cannot_be_told_whole_is_said_once() {
    let bulk = Bulk::open();
    for n in 0..3 {
        let text = lines("Patient", n * 10..n * 10 + 2);
        bulk.file(
            "output",
            "Patient",
            &format!("/files/{n}"),
            ndjson(text).until_close(),
        );
    }
    let run = bulk.export(&[]).ok();
    assert_eq!(run.stderr.matches("cannot be told").count(), 1, "{run}");
    // A count, a length or chunks tell it.
    let bulk = Bulk::open();
    readings(
        &bulk,
        [page(TIME, [counted(&bulk, "Patient", "/files/p", 2)])],
    );
    bulk.server
        .on("GET", "/files/p", ndjson(PATIENTS).until_close());
    let run = bulk.export(&[]).ok();
    assert!(!run.stderr.contains("cannot be told"), "{run}");
    let bulk = Bulk::open();
    bulk.file("output", "Patient", "/files/p", ndjson(PATIENTS).chunked());
    bulk.file("output", "Observation", "/files/o", ndjson(OBSERVATIONS));
    bulk.file(
        "output",
        "Condition",
        "/files/c",
        ndjson(CONDITIONS).gzip().until_close(),
    );
    let run = bulk.export(&[]).ok();
    assert!(!run.stderr.contains("cannot be told"), "{run}");
}

/// Report 28.
#[test]
fn pretty_printed_json_is_called_that() {
    let resource = "{\n  \"resourceType\": \"Patient\",\n  \"id\": \"1\"\n}\n";
    for (text, content_type) in [
        (resource.to_owned(), "application/fhir+ndjson"),
        (resource.to_owned(), "application/fhir+json"),
        (format!("[\n{resource}]\n"), "application/json"),
    ] {
        let bulk = Bulk::open();
        bulk.file(
            "output",
            "Patient",
            "/files/p",
            Answer::new(200, content_type, &text),
        );
        bulk.export(&[])
            .fails(5)
            .says("JSON written over several lines, not NDJSON");
    }
}

/// Report 28: a proxy that changed something on the way says so with 203; the check tells whether the lines are whole.
#[test]
fn a_file_that_a_proxy_passed_on_is_taken_when_it_is_checked() {
    let bulk = Bulk::open();
    bulk.file(
        "output",
        "Patient",
        "/files/p",
        Answer::new(203, "application/fhir+ndjson", PATIENTS),
    );
    bulk.export(&["--no-verify"]).fails(5).says("203");
    bulk.export(&[]).ok();
    assert_eq!(bulk.files()[0].1, PATIENTS.as_bytes());
}

fn accepted(bulk: &Bulk, answer: Answer) {
    bulk.server
        .guard(move |request| request.path().ends_with("$export").then(|| answer.clone()));
}

/// Report 16: the kick-off's own URL as the status URL makes a job with each look.
#[test]
fn a_kick_off_that_names_no_job_is_told_with_what_came() {
    let bulk = Bulk::open();
    let own = bulk.server.url("/fhir/R4/$export");
    let job = bulk.server.url("/job/1");
    for (answer, words) in [
        (
            Answer::empty(202).header("Content-Location", ""),
            "without a Content-Location".to_owned(),
        ),
        (
            Answer::empty(202).header("Content-Location", &own),
            "the kick-off's own URL".to_owned(),
        ),
        (Answer::empty(202), "without a Content-Location".to_owned()),
        (
            Answer::empty(200).header("Content-Location", &job),
            format!("Content-Location {job}"),
        ),
        (
            Answer::empty(201).header("Content-Location", &job),
            format!("Content-Location {job}"),
        ),
        (
            Answer::empty(202).header("Content-Location", "urn:job:1"),
            "urn:job:1".to_owned(),
        ),
    ] {
        let bulk = Bulk::open();
        let answer = if words.contains("own URL") {
            let own = bulk.server.url("/fhir/R4/$export");
            Answer::empty(202).header("Content-Location", &own)
        } else {
            answer
        };
        accepted(&bulk, answer);
        let run = bulk.export(&["--max-wait", "2s"]);
        assert_eq!(run.code, 1, "{words}\n{run}");
        assert!(run.stderr.contains(&words), "{words}\n{run}");
        assert_eq!(bulk.kick_offs(), 1, "{words}\n{run}");
    }
}

/// Report 12: what the server passed over.
#[test]
fn what_the_server_says_of_an_accepted_kick_off_is_a_warning_and_in_the_log() {
    let bulk = Bulk::open();
    bulk.file("output", "Patient", "/files/p", ndjson(PATIENTS));
    let words = json!({"resourceType": "OperationOutcome", "issue": [
        {"severity": "warning", "code": "not-supported", "diagnostics": "_typeFilter is ignored"}]});
    let answer =
        Answer::json(202, words.to_string()).header("Content-Location", &bulk.server.url(STATUS));
    accepted(&bulk, answer);
    bulk.export(&["--lenient"])
        .ok()
        .says("_typeFilter is ignored");
    let log = bulk.medplum.read("out/log.ndjson");
    let has_it = log
        .lines()
        .any(|line| line.contains("_kickoff_outcome") && line.contains("_typeFilter is ignored"));
    assert!(has_it, "{log}");
}

/// What only informs is no warning, and what is a warning is not pushed out by it.
#[test]
fn the_word_before_what_a_server_says_is_that_of_its_severity() {
    let bulk = Bulk::open();
    bulk.file("output", "Patient", "/files/p", ndjson(PATIENTS));
    let reported = outcome("information").repeat(9) + &outcome("warning");
    bulk.file("error", "OperationOutcome", "/files/e", ndjson(reported));
    let words = json!({"resourceType": "OperationOutcome", "issue": [
        {"severity": "information", "code": "informational", "diagnostics": "it begins"},
        {"severity": "warning", "code": "not-supported", "diagnostics": "_typeFilter is ignored"}]});
    let answer =
        Answer::json(202, words.to_string()).header("Content-Location", &bulk.server.url(STATUS));
    accepted(&bulk, answer);
    let run = bulk.export(&[]).ok();
    let of = |text: &str| {
        let line = run.stderr.lines().find(|line| line.contains(text));
        line.unwrap_or_else(|| panic!("no {text}\n{run}"))
            .starts_with("Warning:")
    };
    assert!(!of("it begins"), "{run}");
    assert!(of("_typeFilter is ignored"), "{run}");
    assert!(!of("some information"), "{run}");
    assert!(of("some warning"), "{run}");
}

/// Report 19: one odd answer of a gateway, while a job runs.
#[test]
fn one_odd_answer_while_a_job_runs_is_looked_at_again() {
    let page = "<html><title>404 Not Found</title></html>";
    for odd in [
        Answer::outcome(404, "not-found", "no such job"),
        Answer::outcome(403, "forbidden", "not you"),
        Answer::outcome(400, "invalid", "what?"),
        Answer::new(404, "text/html", page),
        Answer::new(410, "text/html", page),
    ] {
        let bulk = Bulk::open();
        bulk.file("output", "Patient", "/files/p", ndjson(PATIENTS));
        bulk.status([pending(), odd]);
        bulk.export(&[]).ok();
    }
    // A page is a gateway's also at the first look; the server's own word is believed then.
    let bulk = Bulk::open();
    bulk.file("output", "Patient", "/files/p", ndjson(PATIENTS));
    bulk.status([Answer::new(404, "text/html", page)]);
    bulk.export(&[]).ok();
    let bulk = Bulk::open();
    bulk.server.guard(|request| {
        let is_look = request.method == "GET" && request.path() == STATUS;
        is_look.then(|| Answer::outcome(404, "not-found", "no such job"))
    });
    bulk.export(&[]).fails(4).says("no such job");
    assert_eq!(bulk.server.requests_to(STATUS).len(), 1);
}

/// Report 10: what is no instant of FHIR did not go out as one.
#[test]
fn since_goes_out_as_an_instant_and_elements_without_blanks() {
    for (typed, sent) in [
        ("2026-01-01 00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00+0200", "2025-12-31T22:00:00Z"),
        ("2026-01-01T00:00:00+02:00", "2026-01-01T00:00:00%2B02:00"),
    ] {
        let bulk = Bulk::open();
        bulk.export(&["--since", typed, "--elements", "id, Patient.name"])
            .ok();
        let lines = bulk.server.lines();
        let asked = lines.iter().find(|line| line.contains("$export")).unwrap();
        assert!(asked.contains(&format!("_since={sent}")), "{asked}");
        assert!(asked.contains("_elements=id,Patient.name&"), "{asked}");
    }
    let bulk = Bulk::open();
    bulk.export(&["--since", "2026-01-01T00:00"]).fails(2);
    assert_eq!(bulk.kick_offs(), 0);
}

#[test]
fn associated_data_is_asked_for_in_query_and_parameters_and_shown_in_the_report() {
    let bulk = Bulk::open();
    let codes = "LatestProvenanceResources, RelevantProvenanceResources";
    bulk.export(&["--include-associated-data", codes]).ok();
    let lines = bulk.server.lines();
    let asked = lines.iter().find(|line| line.contains("$export")).unwrap();
    let sent = "includeAssociatedData=LatestProvenanceResources,RelevantProvenanceResources";
    assert!(asked.ends_with(sent), "{asked}");
    let report = bulk.medplum.run(["bulk", "report", "out", "-o", "json"]);
    let shown = &report.ok().json()["parameters"][0];
    assert_eq!(shown["name"], "includeAssociatedData");
    assert_eq!(shown["value"], codes.replace(' ', ""));
    let bulk = Bulk::open();
    bulk.export(&["--include-associated-data", "X", "--method", "post"])
        .ok();
    let body = bulk.server.request_to("/fhir/R4/$export").text();
    let parameter = r#"{"name":"includeAssociatedData","valueCode":"X"}"#;
    assert!(body.contains(parameter), "{body}");
}

/// E22, I6: the password of a status URL stays here.
#[test]
fn the_password_of_a_status_url_is_not_printed() {
    let bulk = Bulk::open();
    let secret = bulk
        .server
        .url(STATUS)
        .replace("http://", "http://user1:pass-of-job@");
    accepted(
        &bulk,
        Answer::empty(202).header("Content-Location", &secret),
    );
    bulk.status((0..9).map(|_| pending()));
    let run = bulk.export(&["--max-wait", "0s"]).fails(6);
    let status = bulk
        .medplum
        .run(["bulk", "status", "out", "-p", "site"])
        .ok();
    let json = bulk
        .medplum
        .run(["bulk", "status", "out", "-p", "site", "-o", "json"])
        .ok();
    for run in [run, status, json] {
        let said = run.everything();
        assert!(said.contains(STATUS), "{run}");
        assert!(
            !said.contains("pass-of-job") && !said.contains("user1"),
            "{run}"
        );
    }
}

/// E21, I2: what a server says cannot look like our own lines, or turn them around.
#[test]
fn words_of_a_manifest_steer_neither_the_terminal_nor_the_report() {
    let bulk = Bulk::open();
    let evil = "2026\nError: all is lost\u{202e}\u{9b}31m";
    let refused = Answer::outcome(403, "forbidden", evil);
    let mut listed = entry(&bulk, &format!("Patient{evil}"), "/files/p");
    listed["count"] = 1.into();
    readings(&bulk, [page(evil, [listed])]);
    bulk.server.on("GET", "/files/p", refused);
    let run = bulk.export(&[]).fails(5);
    let status = bulk
        .medplum
        .run(["bulk", "status", "out", "-p", "site"])
        .ok();
    let report = bulk
        .medplum
        .run(["bulk", "report", "out", "-o", "table"])
        .ok();
    bulk.medplum
        .run(["bulk", "report", "out", "--html", "report.html"])
        .ok();
    for said in [
        run.everything(),
        status.everything(),
        report.everything(),
        bulk.medplum.read("report.html"),
    ] {
        assert!(!said.contains("\nError: all is lost"), "{said}");
        assert!(!said.contains(['\u{202e}', '\u{9b}', '\u{1b}']), "{said}");
    }
}

/// Report 18: what may be a signature in a link stays out of the words.
#[test]
fn no_parameter_of_a_file_that_is_missing_is_printed() {
    let bulk = Bulk::open();
    let names = [
        "code",
        "jwt",
        "hmac",
        "hdnea",
        "auth",
        "sign",
        "ticket",
        "hash",
        "st",
        "accesskey",
        "sessionid",
        "x",
    ];
    for (n, name) in names.iter().enumerate() {
        let answer = Answer::outcome(403, "forbidden", "no");
        bulk.file(
            "output",
            "Patient",
            &format!("/files/{n}?{name}=canary-value"),
            answer,
        );
    }
    let run = bulk.export(&[]).fails(5).says("is missing");
    assert!(!run.everything().contains("canary-value"), "{run}");
    for kept in ["log.ndjson", "manifest.json"] {
        assert!(
            !bulk.medplum.read(&format!("out/{kept}")).contains("canary"),
            "{kept}"
        );
    }
    let value: Value = serde_json::from_str(&bulk.medplum.read("out/manifest.json")).unwrap();
    assert_eq!(value["output"].as_array().unwrap().len(), names.len());
}
