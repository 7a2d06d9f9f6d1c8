//! The manifest of `bulk export`: how it is sent, its pages, and what is none.

use serde_json::json;

use crate::support::bulk::{PATIENTS, STATUS, ndjson, pending};
use crate::support::readings::lines;
use crate::support::{Answer, Bulk};

const THREE: [&str; 3] = [
    "Condition_files_c.ndjson",
    "Observation_files_o.ndjson",
    "Patient_files_p.ndjson",
];

/// B11: a manifest whose Content-Type is not JSON led to exit 0 and no file. Its shapes are in the table of faults.
#[test]
fn a_manifest_is_read_however_the_server_sends_it() {
    for content_type in [
        "text/plain",
        "application/octet-stream",
        "application/fhir+json",
        "text/html",
        "",
    ] {
        let bulk = Bulk::with_three_files();
        bulk.status([Answer::new(200, content_type, bulk.manifest_text())]);
        let run = bulk.export(&[]);
        assert_eq!(
            (run.code, bulk.names()),
            (0, THREE.map(str::to_owned).to_vec()),
            "{content_type}\n{run}"
        );
    }
    for answer in [
        |text: &str| Answer::new(200, "application/json", format!("\u{feff}{text}\r\n")),
        |text: &str| Answer::new(200, "application/json", text).gzip(),
        |text: &str| Answer::new(200, "application/json", text).chunked(),
    ] {
        let bulk = Bulk::with_three_files();
        bulk.status([answer(&bulk.manifest_text())]);
        bulk.export(&[]).ok();
        assert_eq!(bulk.names(), THREE);
    }
}

/// B10: `error` was ignored; the 4.0 ballot calls it `outcome` and has no `request`.
#[test]
fn the_outcome_list_of_bulk_data_4_is_the_error_list() {
    let bulk = Bulk::open();
    bulk.manifest(|manifest| {
        *manifest = json!({
            "manifestType": "http://hl7.org/fhir/uv/bulkdata/ManifestType/bulk-export",
            "transactionTime": "2026-01-31T10:00:00Z", "requiresAccessToken": true,
            "outputFormat": "application/fhir+ndjson", "output": [], "outcome": [], "extension": [],
        });
    });
    let line = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational"}]}"#;
    bulk.file("output", "Patient", "/files/p", ndjson(PATIENTS));
    bulk.file("outcome", "OperationOutcome", "/files/e", ndjson(line));
    bulk.export(&[]).ok();
    assert_eq!(
        bulk.names(),
        [
            "Patient_files_p.ndjson",
            "errors/OperationOutcome_files_e.ndjson"
        ]
    );
}

/// B10: `link` was ignored, so that an export of several pages looked complete after the first.
#[test]
fn all_pages_of_a_manifest_are_fetched_and_waited_for() {
    let bulk = Bulk::with_three_files();
    bulk.manifest(|manifest| manifest["link"] = json!([{"relation": "next", "url": "1?page=2"}]));
    let page = |target: &str, link: &str| {
        let next = if link.is_empty() {
            json!([])
        } else {
            json!([{"relation": "NEXT", "url": link}])
        };
        let page = json!({
            "transactionTime": "2026-01-31T10:00:00Z", "requiresAccessToken": true, "link": next,
            "output": [{"type": "Patient", "url": bulk.server.url(target)}], "error": [],
        });
        let from = target.bytes().map(usize::from).sum::<usize>();
        bulk.server
            .on("GET", target, ndjson(lines("Patient", from..from + 1)));
        Answer::new(200, "application/json", page.to_string())
    };
    let second = page(
        "/files/p2",
        &bulk.server.url("/fhir/R4/bulkstatus/1?page=3"),
    );
    let third = page("/files/p3", "");
    bulk.server
        .on_sequence("GET", "/fhir/R4/bulkstatus/1?page=2", [pending(), second]);
    bulk.server.on("GET", "/fhir/R4/bulkstatus/1?page=3", third);
    let run = bulk.export(&[]).ok();
    let two_more = ["Patient_files_p2.ndjson", "Patient_files_p3.ndjson"];
    assert_eq!(bulk.names(), [&THREE[..], &two_more].concat(), "{run}");
    assert_eq!(run.stdout.lines().count(), 5);
    // The job is deleted where it was started, not at its last page.
    let last = bulk.server.requests().pop().unwrap();
    assert_eq!(last.line(), format!("DELETE {STATUS}"));
}

#[test]
fn pages_that_lead_in_a_circle_fail() {
    let bulk = Bulk::with_three_files();
    bulk.manifest(|manifest| manifest["link"] = json!([{"relation": "next", "url": STATUS}]));
    bulk.export(&[]).fails(1).says("circle").prints("");
    assert_eq!(bulk.names(), [""; 0]);
}

/// A page that is not there must not make an export look complete (B10).
#[test]
fn a_page_that_cannot_be_had_fails_the_export() {
    for (link, answer) in [
        (
            "1?page=2",
            Answer::outcome(404, "not-found", "the page has expired"),
        ),
        (
            "1?page=2",
            Answer::new(200, "text/html", "<title>Sign in</title>"),
        ),
        ("http://[", Answer::empty(200)),
        ("s3://bucket/page-2", Answer::empty(200)),
    ] {
        let bulk = Bulk::with_three_files();
        bulk.manifest(|manifest| manifest["link"] = json!([{"relation": "next", "url": link}]));
        bulk.server
            .on("GET", "/fhir/R4/bulkstatus/1?page=2", answer);
        let run = bulk.export(&[]);
        assert_ne!(run.code, 0, "{link}\n{run}");
        assert_eq!(bulk.deletes(), 0, "{link}");
    }
}

#[test]
fn what_is_no_manifest_fails() {
    for (answer, words) in [
        (
            Answer::new(200, "text/html", "<html><title>Sign in</title></html>"),
            "Sign in",
        ),
        (
            Answer::outcome(200, "processing", "it went wrong"),
            "OperationOutcome",
        ),
        (Answer::new(200, "application/json", ""), "empty"),
        (Answer::new(200, "application/json", "[]"), "not a manifest"),
        (Answer::json(200, "{}"), "without a list `output`"),
        // Each was taken for an export without files, and the job was deleted.
        (
            Answer::json(
                200,
                r#"{"transactionTime":"2026-01-31T10:00:00Z","error":[]}"#,
            ),
            "without a list `output`",
        ),
        (
            Answer::json(200, r#"{"status":"completed","output":[]}"#),
            "no transactionTime",
        ),
        (
            Answer::json(
                200,
                r#"{"transactionTime":"2026-01-31T10:00:00Z","output":null}"#,
            ),
            "without a list `output`",
        ),
        (
            Answer::json(
                200,
                r#"{"resourceType":"Task","transactionTime":"2026-01-31T10:00:00Z","output":[]}"#,
            ),
            "a Task",
        ),
        (
            Answer::new(200, "application/json", r#"{"output":{}}"#),
            "output",
        ),
        (
            Answer::new(
                200,
                "application/json",
                r#"{"output":[{"type":"Patient"}]}"#,
            ),
            "URL",
        ),
        (
            Answer::new(
                200,
                "application/json",
                r#"{"output":[{"type":"Patient","url":"s3://b/p"}]}"#,
            ),
            "s3://b/p",
        ),
        (Answer::empty(204), "204"),
    ] {
        let bulk = Bulk::with_three_files();
        bulk.status([answer]);
        bulk.export(&[])
            .fails(1)
            .says(words)
            .says(STATUS)
            .prints("");
        assert_eq!(bulk.names(), [""; 0], "{words}");
        assert_eq!(bulk.deletes(), 0, "{words}");
    }
}

/// Which servers leave out is not known; nothing is lost by reading a null or a missing list beside another one.
#[test]
fn a_manifest_without_files_in_its_output_is_one_when_it_says_so() {
    for manifest in [
        r#"{"transactionTime":"2026-01-31T10:00:00Z","output":[],"deleted":null}"#,
        r#"{"transactionTime":"2026-01-31T10:00:00Z","requiresAccessToken":true,"output":[]}"#,
    ] {
        let bulk = Bulk::open();
        bulk.status([Answer::json(200, manifest)]);
        bulk.export(&[]).ok().says("0 resources in 0 files");
        assert_eq!(bulk.deletes(), 1, "{manifest}");
    }
}

/// A page in the middle that is none hides the files of all that come behind it.
#[test]
fn a_later_page_that_is_no_manifest_keeps_the_job() {
    for page in ["{}", r#"{"transactionTime":"2026-01-31T10:00:00Z"}"#] {
        let bulk = Bulk::with_three_files();
        bulk.manifest(|manifest| {
            manifest["link"] = json!([{"relation": "next", "url": "1?page=2"}]);
        });
        bulk.server.on(
            "GET",
            "/fhir/R4/bulkstatus/1?page=2",
            Answer::json(200, page),
        );
        bulk.export(&[]).fails(1).says("without a list `output`");
        assert_eq!((bulk.names().len(), bulk.deletes()), (0, 0), "{page}");
    }
}

#[test]
fn an_export_without_files_is_complete() {
    let bulk = Bulk::open();
    bulk.export(&[])
        .ok()
        .prints("")
        .says("0 resources in 0 files");
    assert_eq!(bulk.names(), [""; 0]);
    assert_eq!(bulk.deletes(), 1);
}

/// Links are signed, and lines are somebody's health: what is said of a bad one goes to stderr and into the log.
#[test]
fn nothing_is_quoted_of_what_is_no_manifest_and_of_a_line_that_is_no_resource() {
    let signed = "https://store.example/x?X-Amz-Signature=CANARY&sig=CANARY";
    let list = json!([{"type": "Patient", "url": signed}]);
    let time = "2026-01-31T10:00:00Z";
    for text in [
        json!({"transactionTime": time, "files": list}),
        json!({"transactionTime": time, "output": signed}),
        json!({"transactionTime": time, "output": [{"url": "ftp://u:CANARY@h/x?sig=CANARY"}]}),
        json!({"transactionTime": time, "output": [{"url": {"href": signed}}]}),
        json!({"transactionTime": time, "output": [], "link": [{"relation": "next", "url": "ftp://u:CANARY@h/?sig=CANARY"}]}),
        json!({"transactionTime": time, "output": [], "link": signed}),
        json!({"transactionTime": time, "access_token": "CANARY"}),
        list.clone(),
        json!(signed),
    ] {
        let bulk = Bulk::with_three_files();
        bulk.status([Answer::json(200, text.to_string())]);
        let run = bulk.export(&[]).fails(1);
        assert!(run.stderr.contains("manifest"), "{run}");
        let log = std::fs::read_to_string(bulk.medplum.path("out/log.ndjson")).unwrap();
        let everything = format!("{}{log}", run.everything());
        assert!(!everything.contains("CANARY"), "{text}\n{everything}");
    }
    for line in [
        r#"{"resourceType":"Patient","name":[{"text":"CANARY"}],}"#,
        r#"{"name":[{"text":"CANARY"}]}"#,
        r#"ANARY"}]}"#,
        r#"[{"resourceType":"Patient","name":"CANARY"}]"#,
    ] {
        let bulk = Bulk::with_three_files();
        bulk.server.on("GET", "/files/p", ndjson(line));
        let run = bulk.export(&[]).fails(5);
        assert!(run.stderr.contains("line 1"), "{run}");
        let log = std::fs::read_to_string(bulk.medplum.path("out/log.ndjson")).unwrap();
        let everything = format!("{}{log}", run.everything());
        assert!(!everything.contains("ANARY"), "{line}\n{everything}");
    }
}
