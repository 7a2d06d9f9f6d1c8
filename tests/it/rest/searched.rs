//! The answer to a search: what of it is missing is said, and what the server took no notice of.

use crate::support::{Answer, Medplum, Run, Server};

/// Searches a server that says it used `used`, and that there are two more.
fn search(asked: &str, used: &str, args: &[&str]) -> Run {
    let (server, medplum) = (Server::start(), Medplum::new());
    let body = format!(
        r#"{{"resourceType":"Bundle","type":"searchset","total":3,"link":[{{"relation":"self","url":"{}"}},{{"relation":"next","url":"{}"}}],
            "entry":[{{"resource":{{"resourceType":"Patient","id":"1"}}}}]}}"#,
        server.url(&format!("/fhir/R4/{used}")),
        server.url("/fhir/R4/more"),
    );
    let target = format!("/fhir/R4/{asked}");
    server.on("GET", &target, Answer::json(200, body));
    server.on(
        "GET",
        "/fhir/R4/more",
        Answer::json(200, r#"{"resourceType":"Bundle","type":"searchset"}"#),
    );
    let base = server.url("/");
    let get = ["get", asked, "--base-url", &base];
    let run = medplum.run(get.iter().chain(args)).ok();
    assert_eq!(server.requests()[0].target, target, "{run}");
    run
}

#[test]
fn lines_and_tables_say_that_they_are_the_first_page_alone() {
    for format in ["ndjson", "table"] {
        let run = search("Patient", "Patient", &["-o", format]);
        assert!(run.stderr.contains("1 of 3 resources; --all"), "{run}");
        let quiet = search("Patient", "Patient", &["-o", format, "-q"]);
        assert_eq!(quiet.stderr, "", "{quiet}");
    }
    // The Bundle has the link itself, and --all leaves none.
    for args in [&[][..], &["--all", "-o", "ndjson"]] {
        let run = search("Patient", "Patient", args);
        assert!(!run.stderr.contains("first page"), "{run}");
    }
}

#[test]
fn a_parameter_that_the_server_does_not_name_as_used_is_warned_of() {
    for args in [&[][..], &["--all"], &["-q", "-o", "table"]] {
        let run = search("Patient?nmae=smith&_count=1", "Patient?_count=1", args);
        assert!(run.stderr.contains("no notice of nmae"), "{run}");
    }
    for (asked, used) in [
        ("Patient?name=smith", "Patient?name:contains=smith"),
        ("Patient?_elements=id&_pretty=true", "Patient"),
        ("Patient?name=a", "Patient?family=b&name=a&_count=20"),
    ] {
        let run = search(asked, used, &[]);
        assert!(!run.stderr.contains("no notice"), "{run}");
    }
}
