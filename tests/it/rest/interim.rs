//! Interim answers without end (103 Early Hints): they say that an answer is to come, and are none. However fast they come,
//! every kind of request ends when its time is over.

use serde_json::json;

use crate::support::{Answer, Medplum, Server};

/// A server that answers everything well, but for one path.
fn server(floods: &'static str) -> Server {
    let server = Server::start();
    let url = server.url("");
    server.handler(move |request| {
        let json = |value: serde_json::Value| Answer::json(200, value.to_string());
        Some(match request.path() {
            path if path == floods => Answer::hints_for_ever(),
            "/fhir/R4/.well-known/smart-configuration" => json(json!({"token_endpoint": format!("{url}/token"),
                "revocation_endpoint": format!("{url}/revoke"), "device_authorization_endpoint": format!("{url}/device")})),
            "/token" => json(json!({"access_token": "token-1-of-interim", "token_type": "Bearer", "expires_in": 300})),
            "/fhir/R4/$export" => {
                Answer::empty(202).header("Content-Location", &format!("{url}/fhir/R4/job"))
            }
            "/fhir/R4/job" => json(json!({"transactionTime": "2026-11-28T10:00:00Z", "requiresAccessToken": false,
                "request": "x", "output": [{"type": "Patient", "url": format!("{url}/files/1")}], "error": []})),
            "/files/1" => Answer::new(200, "application/fhir+ndjson", "{\"resourceType\":\"Patient\"}\n"),
            _ => json(json!({"resourceType": "Patient", "id": "1"})),
        })
    });
    server
}

#[test]
fn no_kind_of_request_is_held_up_by_interim_answers() {
    let export = &["bulk", "export", "-d", "out", "--max-wait", "3s"][..];
    let import = &[
        "bulk",
        "import",
        "one.ndjson",
        "--bundle",
        "none",
        "--max-wait",
        "3s",
    ][..];
    let device = &["login", "--auth-type", "device-code"][..];
    let rows: [(&str, &[&str]); 8] = [
        (
            "/fhir/R4/.well-known/smart-configuration",
            &["get", "Patient/1"],
        ),
        ("/token", &["get", "Patient/1"]),
        ("/device", device),
        ("/fhir/R4/Patient/1", &["get", "Patient/1"]),
        ("/fhir/R4/Patient/1", &["delete", "Patient/1"]),
        ("/fhir/R4/$export", export),
        ("/fhir/R4/job", export),
        ("/fhir/R4/Patient/1", import),
    ];
    for (path, command) in rows {
        let (server, medplum) = (server(path), Medplum::new());
        medplum.set_client(&server.url("/"), &["--client-secret", "secret-of-interim"]);
        medplum.file(
            "one.ndjson",
            "{\"resourceType\":\"Patient\",\"id\":\"1\"}\n",
        );
        let hasty = ["-p", "x", "--timeout", "1", "--retries", "0"];
        let run = medplum.run([command, &hasty[..]].concat());
        assert!(matches!(run.code, 5 | 6), "{path}\n{run}");
        assert!(
            run.stderr.contains("in time") || run.code == 5,
            "{path}\n{run}"
        );
        assert!(!server.requests_to(path).is_empty(), "{path}\n{run}");
    }
}
