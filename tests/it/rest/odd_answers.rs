//! Answers that other clients read: codings that are none, and heads that are not by the book.

use crate::support::{Answer, Bulk, Medplum, Server, Site};

const PATIENT: &str = r#"{"resourceType":"Patient","id":"1"}"#;

fn get(answer: Answer) -> crate::support::Run {
    let site = Site::open();
    site.server.on("GET", "/fhir/R4/Patient/1", answer);
    site.get()
}

#[test]
fn a_content_encoding_that_packs_nothing_is_passed_over() {
    for coding in [
        "aws-chunked",
        "identity",
        "none",
        "UTF-8",
        "binary",
        "8bit",
        "",
        "aws-chunked,identity",
    ] {
        let answer = Answer::json(200, PATIENT).header("Content-Encoding", coding);
        let run = get(answer).ok();
        assert_eq!(run.json()["id"], "1", "{coding}");
    }
    // Packed by gzip, and by nothing else.
    let answer = Answer::json(200, PATIENT).gzip();
    get(answer.clone().header("Content-Encoding", "aws-chunked")).ok();
    for coding in ["br", "gzip, br"] {
        let answer = Answer::json(200, PATIENT).header("Content-Encoding", coding);
        get(answer).fails(1).says(coding);
    }
}

#[test]
fn files_and_tokens_come_with_such_codings_too() {
    let bulk = Bulk::with_three_files();
    bulk.server.on(
        "GET",
        "/files/d",
        crate::support::bulk::ndjson("{\"resourceType\":\"Device\",\"id\":\"1\"}\n")
            .header("Content-Encoding", "aws-chunked"),
    );
    let url = bulk.server.url("/files/d");
    bulk.manifest(|manifest| {
        manifest["output"] = serde_json::json!([{"type": "Device", "url": url}]);
    });
    bulk.export(&[]).ok();
    assert_eq!(bulk.names(), ["Device_files_d.ndjson"]);

    let server = Server::start();
    let token = r#"{"access_token":"token-of-a-store","expires_in":300}"#;
    let answer = Answer::new(200, "application/json", token).header("Content-Encoding", "none");
    server.on("POST", "/oauth2/token", answer);
    let base = server.url("/");
    let args = ["token", "--base-url", &base, "--token-url", "oauth2/token"];
    let client = ["--client-id", "some-id", "--client-secret", "some-secret"];
    let run = Medplum::new().run(args.iter().chain(&client)).ok();
    assert_eq!(run.stdout, "token-of-a-store\n");
}

#[test]
fn heads_that_other_clients_read_are_read() {
    let plain = || Answer::json(200, PATIENT);
    let mut many = plain();
    for number in 0..400 {
        many = many.header(&format!("X-Header-{number}"), "value");
    }
    for (what, answer) in [
        (
            "folded",
            plain().header("X-Folded", "one,\r\n two,\r\n\tthree"),
        ),
        (
            "a blank before the colon",
            plain().header("X-Blank ", "value"),
        ),
        (
            "a line without a colon",
            plain().header("nonsense\r\nX-Good", "value"),
        ),
        ("many", many),
    ] {
        let run = get(answer);
        assert_eq!(run.code, 0, "{what}: {run}");
        assert_eq!(run.json()["id"], "1");
    }
}
