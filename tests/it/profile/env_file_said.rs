//! What of a `.env` file is said before it has its effect: a pace that holds requests up, a server that is written to.

use crate::support::{Answer, Medplum, Run, Server};

/// A server that takes whatever it gets.
fn taker() -> Server {
    let server = Server::start();
    server.handler(|request| {
        let is_kickoff = request.path().ends_with("$export");
        Some(match request.path() {
            path if path.contains(".well-known") => Answer::empty(404),
            _ if is_kickoff => {
                let job = "http://".to_owned() + request.header("Host").unwrap_or_default();
                Answer::empty(202).header("Content-Location", &(job + "/fhir/R4/job"))
            }
            _ => Answer::json(200, r#"{"resourceType":"Patient","id":"1"}"#),
        })
    });
    server
}

/// Hours went by without a word.
#[test]
fn a_pace_that_holds_requests_up_is_said_with_what_set_it() {
    let server = taker();
    let base = server.url("/");
    // The clock of the program runs thirty times as fast.
    let slow = |medplum: &Medplum, flags: &[&str]| -> Run {
        let get = ["get", "Patient?_count=1", "--all", "--base-url", &base];
        let words = ["faketime", "-f", "+0 x30", "medplum"];
        medplum.program([&words[..], &get, flags].concat()).run()
    };
    let page = |next: &str| {
        let bundle = serde_json::json!({"resourceType": "Bundle", "type": "searchset", "entry": [],
            "link": [{"relation": "next", "url": server.url(next)}]});
        Answer::json(200, bundle.to_string())
    };
    server.on("GET", "/fhir/R4/Patient", page("/fhir/R4/two"));
    server.on("GET", "/fhir/R4/two", page("/fhir/R4/three"));
    server.on(
        "GET",
        "/fhir/R4/three",
        Answer::json(200, r#"{"resourceType":"Bundle","type":"searchset"}"#),
    );
    let variable = "MEDPLUM_MAX_REQUESTS_PER_SECOND";
    let medplum = Medplum::new();
    medplum.file(".env", format!("{variable}=0.05\n"));
    let run = slow(&medplum, &[]).ok();
    let run = run.says(&format!(
        "One request in 20 s ({variable} in the .env file here)"
    ));
    assert_eq!(run.stderr.matches("One request in").count(), 1, "{run}");
    assert_eq!(server.lines().len(), 3);
    let exported = Medplum::new().env(variable, "0.05");
    let run = slow(&exported, &[]).ok();
    let _ = run.says(&format!("One request in 20 s ({variable})"));
    let typed = slow(&Medplum::new(), &["--max-requests-per-second", "0.05"]).ok();
    let _ = typed.says("--max-requests-per-second of a flag");
    // A pace that nobody notices is not spoken of.
    let quick = slow(&Medplum::new(), &["--max-requests-per-second", "2"]).ok();
    assert_eq!(quick.stderr, "");
}

#[test]
fn whoever_leaves_something_at_a_server_that_an_env_file_names_is_told_which() {
    let server = taker();
    let medplum = Medplum::new();
    medplum.file(".env", format!("MEDPLUM_BASE_URL={}\n", server.url("/")));
    medplum.file(
        "one.ndjson",
        "{\"resourceType\":\"Patient\",\"id\":\"1\"}\n",
    );
    let words = format!(
        "The server {} is named by the .env file here (MEDPLUM_BASE_URL)",
        server.url("/fhir/R4")
    );
    let commands: [&[&str]; 7] = [
        &["post", "Patient", "{}"],
        &[
            "put",
            "Patient/1",
            "{\"resourceType\":\"Patient\",\"id\":\"1\"}",
        ],
        &["patch", "Patient/1", "[]"],
        &["delete", "Patient/1"],
        &["bulk", "import", "one.ndjson", "--bundle", "none"],
        &["bulk", "cancel", "out"],
        &["login", "--client-id", "me", "--auth-type", "device-code"],
    ];
    let export = ["bulk", "export", "-d", "out", "--detach"];
    let _ = medplum.run(export).ok();
    for command in commands {
        server.forget();
        let run = medplum.run(command).says(&words);
        assert_eq!(run.stderr.matches(&words).count(), 1, "{run}");
        assert!(!server.lines().is_empty(), "{run}");
        // Before anything else is said.
        assert!(run.stderr.starts_with(&words), "{run}");
    }
    let read = medplum.run(["get", "Patient/1"]).ok();
    assert_eq!(read.stderr, "");
    let quiet = medplum.run(["post", "-q", "Patient", "{}"]).ok();
    assert_eq!(quiet.stderr, "");
    let typed = ["post", "Patient", "{}", "--base-url", &server.url("/")];
    assert!(!medplum.run(typed).ok().stderr.contains(".env"));
    medplum.file(".env", "MEDPLUM_FHIR_URL_PATH=other/path\n");
    let run = medplum.run(typed).ok();
    let _ = run.says("/other/path is named by the .env file here (MEDPLUM_FHIR_URL_PATH)");
}
