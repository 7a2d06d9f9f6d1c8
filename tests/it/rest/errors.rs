//! What goes wrong with a request: the exit code, the server's words, what is tried again and what is not.

use crate::support::{Answer, Medplum, Run, Server};

const PATIENT: &str = "/fhir/R4/Patient/1";

fn machine(server: &Server) -> Medplum {
    Medplum::new().env("MEDPLUM_BASE_URL", server.url(""))
}

/// The end of `get Patient/1` when the server answers like this.
#[track_caller]
fn get(answer: Answer) -> Run {
    let server = Server::start();
    server.on("GET", PATIENT, answer);
    machine(&server).run(["get", "Patient/1"])
}

/// D3: one exit code for everything, and the status was lost.
#[test]
fn the_exit_code_and_the_words_tell_the_status() {
    for (status, code) in [
        (400, 1),
        (401, 3),
        (403, 3),
        (404, 4),
        (405, 1),
        (409, 1),
        (410, 4),
        (412, 1),
        (422, 1),
        (500, 1),
        (501, 1),
    ] {
        let run = get(Answer::outcome(
            status,
            "processing",
            "the server's own words",
        ))
        .fails(code)
        .prints("");
        run.says("Error: ")
            .says("the server's own words")
            .says(&status.to_string())
            .says(PATIENT);
    }
}

/// D3: most of the `OperationOutcome` was lost.
#[test]
fn every_issue_of_an_operation_outcome_is_shown() {
    let run = get(Answer::json(
        422,
        r#"{"resourceType":"OperationOutcome","issue":[
            {"severity":"error","code":"required","details":{"text":"name is missing"},"expression":["Patient.name"]},
            {"severity":"warning","code":"business-rule","diagnostics":"the date is odd"},
            {"severity":"error","code":"value","details":{"coding":[{"code":"59100","display":"content invalid"}]}}]}"#,
    ))
    .fails(1);
    for text in [
        "name is missing",
        "Patient.name",
        "the date is odd",
        "59100",
        "content invalid",
        "required",
    ] {
        assert!(run.stderr.contains(text), "{text}\n{run}");
    }
}

#[test]
fn errors_in_other_shapes_keep_status_and_url_too() {
    for (answer, words) in [
        (
            Answer::new(
                400,
                "application/json",
                r#"{"error":"invalid_request","error_description":"bad thing"}"#,
            ),
            &["invalid_request", "bad thing"][..],
        ),
        (
            Answer::new(400, "application/json", r#"{"message":"an AWS message"}"#),
            &["an AWS message"],
        ),
        (
            Answer::new(
                400,
                "application/json",
                r#"{"error":{"code":400,"message":"a GCP message"}}"#,
            ),
            &["a GCP message"],
        ),
        (
            Answer::new(400, "text/plain", "plain words"),
            &["plain words"],
        ),
        (
            Answer::new(
                400,
                "text/html; charset=utf-8",
                "<html><head><title>Oops</title></head><body><p>Gateway words</p></body></html>",
            ),
            &["words"],
        ),
        (Answer::new(400, "application/fhir+json", "{broken"), &[]),
        (
            Answer::new(400, "application/octet-stream", [0xff, 0xfe, 0x00]),
            &[],
        ),
        (Answer::empty(400), &[]),
    ] {
        let run = get(answer).fails(1).prints("").says("400").says(PATIENT);
        for word in words {
            assert!(run.stderr.contains(word), "{word}\n{run}");
        }
        assert!(
            !run.stderr.contains("<p>") && !run.stderr.contains('\u{0}'),
            "{run}"
        );
    }
}

#[test]
fn a_servers_words_cannot_drive_the_terminal() {
    let run = get(Answer::new(
        400,
        "text/plain",
        "\u{1b}[2Jred\u{7}\u{9b}31m\r\nError: forged",
    ))
    .fails(1);
    assert!(!run.stderr.contains(['\u{1b}', '\u{7}', '\u{9b}']), "{run}");
}

#[test]
fn a_passing_failure_of_an_idempotent_request_is_tried_again() {
    let not_now = |status| Answer::new(status, "text/plain", "not now").header("Retry-After", "0");
    for status in [429, 502, 503, 504] {
        for (args, method) in [
            (&["get", "Patient/1"][..], "GET"),
            (&["put", "Patient/1", "{}"], "PUT"),
            (&["delete", "Patient/1"], "DELETE"),
        ] {
            let server = Server::start();
            server.on_sequence(method, PATIENT, [not_now(status), Answer::json(200, "{}")]);
            machine(&server).run(args).ok().prints("{}\n");
            assert_eq!(
                server.lines(),
                [format!("{method} {PATIENT}"), format!("{method} {PATIENT}")]
            );
        }
    }
}

#[test]
fn a_request_that_is_not_idempotent_is_sent_once() {
    for answer in [
        Answer::empty(503).header("Retry-After", "0"),
        Answer::empty(429),
        Answer::reset(),
    ] {
        let server = Server::start();
        server.on("POST", "/fhir/R4/Patient", answer.clone());
        server.on("PATCH", PATIENT, answer);
        let medplum = machine(&server);
        for args in [
            &["post", "Patient", "{}"][..],
            &["patch", "Patient/1", "[]"],
        ] {
            let run = medplum.run(args).prints("");
            assert!([1, 6].contains(&run.code), "{run}");
        }
        assert_eq!(
            server.lines(),
            [
                "POST /fhir/R4/Patient".to_owned(),
                format!("PATCH {PATIENT}")
            ]
        );
    }
}

#[test]
fn tries_end_and_their_number_can_be_set() {
    for (flags, tries) in [
        (&[][..], 4),
        (&["--retries", "1"], 2),
        (&["--retries", "0"], 1),
    ] {
        let server = Server::start();
        server.on(
            "GET",
            PATIENT,
            Answer::new(503, "text/plain", "closed").header("Retry-After", "0"),
        );
        let run = machine(&server).run(["get", "Patient/1"].iter().chain(flags));
        run.fails(1).prints("").says("503").says("closed");
        assert_eq!(server.lines().len(), tries);
    }
}

#[test]
fn a_broken_connection_is_tried_again_and_then_a_network_failure() {
    let server = Server::start();
    let faults = [
        Answer::reset(),
        Answer::json(200, "{\"a\":1}").cut_body_at(3),
        Answer::json(200, "{}"),
    ];
    server.on_sequence("GET", PATIENT, faults);
    machine(&server)
        .run(["get", "Patient/1"])
        .ok()
        .prints("{}\n");

    for fault in [
        Answer::reset(),
        Answer::json(200, "{\"a\":1}").reset_after(3),
        Answer::json(200, "{\"a\":1}").cut_body_at(3),
        Answer::json(200, "{\"a\":1}").chunked().cut_body_at(3),
        Answer::new(200, "text/plain", "half a text").cut_body_at(4),
    ] {
        server.on("GET", PATIENT, fault);
        let run = machine(&server).run(["get", "Patient/1", "--retries", "0"]);
        assert!(run.stdout.is_empty() || run.stdout == "half", "{run}");
        run.fails(6).says("Error: ").says(PATIENT);
    }
}

/// The first DELETE may have done its work before its answer was lost.
#[test]
fn after_a_repeated_request_a_refusal_may_mean_that_it_was_done() {
    let lost = Answer::empty(503).header("Retry-After", "0");
    let server = Server::start();
    server.on_sequence(
        "DELETE",
        PATIENT,
        [lost.clone(), Answer::outcome(404, "not-found", "unknown")],
    );
    machine(&server)
        .run(["delete", "Patient/1"])
        .fails(4)
        .says("may have been done");
    server.on_sequence(
        "PUT",
        PATIENT,
        [lost, Answer::outcome(412, "conflict", "version 4 now")],
    );
    let run = machine(&server).run(["put", "Patient/1", "{}", "--if-match", "W/\"3\""]);
    run.fails(1).says("may have been done");
    let plain = machine(&server).run(["delete", "Patient/9"]).fails(4);
    assert!(!plain.stderr.contains("may have been done"), "{plain}");
}

#[test]
fn an_unknown_host_is_a_network_failure_that_names_it() {
    let run = Medplum::new().run([
        "get",
        "--base-url",
        "http://no-such-host.invalid",
        "--retries",
        "0",
        "Patient/1",
    ]);
    run.fails(6)
        .prints("")
        .says("Error: ")
        .says("no-such-host.invalid");
}

#[test]
fn a_refused_connection_is_a_network_failure() {
    let gone = Server::start().url("");
    Medplum::new()
        .run(["get", "--base-url", &gone, "--retries", "0", "Patient/1"])
        .fails(6)
        .prints("")
        .says(&gone);
}

/// D2: there was no time limit.
#[test]
fn a_silent_server_runs_into_the_time_limit() {
    let server = Server::start();
    server.on("GET", PATIENT, Answer::silence());
    server.on(
        "GET",
        "/fhir/R4/Patient/2",
        Answer::json(200, "{\"a\":1}").stall_at(3),
    );
    for id in ["Patient/1", "Patient/2"] {
        let run = machine(&server).run(["get", id, "--timeout", "1", "--retries", "0"]);
        run.fails(6).prints("").says("Error: ").says(id);
    }
}

#[test]
fn ctrl_c_is_130() {
    let server = Server::start();
    server.on("GET", PATIENT, Answer::silence());
    let running = machine(&server).spawn(["get", "-v", "Patient/1"]);
    server.wait_for(PATIENT);
    assert!(running.stderr_line("GET").contains(PATIENT));
    running.interrupt();
    running.finish().fails(130).prints("");
}

/// D2: `HTTP_PROXY` and `HTTPS_PROXY` were ignored.
#[test]
fn a_proxy_of_the_environment_is_used() {
    let proxy = Server::start();
    proxy.handler(|request| match request.method.as_str() {
        "CONNECT" => Some(Answer::empty(502)),
        _ => request
            .target
            .starts_with("http://")
            .then(|| Answer::json(200, "{}")),
    });
    let medplum = Medplum::new()
        .env("HTTP_PROXY", proxy.url(""))
        .env("HTTPS_PROXY", proxy.url(""));
    medplum
        .run(["get", "--base-url", "http://fhir.example", "Patient/1"])
        .ok()
        .prints("{}\n");
    medplum
        .run([
            "get",
            "--base-url",
            "https://fhir.example",
            "--retries",
            "0",
            "Patient/1",
        ])
        .fails(6);
    assert_eq!(
        proxy.lines(),
        [
            "GET http://fhir.example/fhir/R4/Patient/1",
            "CONNECT fhir.example:443"
        ]
    );

    let direct = Server::start();
    direct.on("GET", PATIENT, Answer::json(200, "{}"));
    let port = direct.url("").rsplit_once(':').unwrap().1.to_owned();
    let get = |exceptions: &str| {
        let get = ["get", "--base-url", &direct.url(""), "Patient/1"];
        medplum.command(get).env("NO_PROXY", exceptions).run().ok();
        (direct.lines().len(), proxy.lines().len())
    };
    // The machine itself goes past it, unless it is asked for.
    assert_eq!(get(""), (1, 2));
    assert_eq!(get("<-loopback>"), (1, 3));
    assert_eq!(get("<-loopback>,127.0.0.1:1"), (1, 4));
    assert_eq!(get(&format!("<-loopback>,127.0.0.1:{port}")), (2, 4));
    assert_eq!(get("<-loopback>,*"), (3, 4));
}

/// D2: no option for a certificate authority.
#[test]
fn a_certificate_file_that_cannot_be_used_is_named() {
    let server = Server::start();
    let medplum = machine(&server);
    medplum.file("empty.pem", "no certificate here");
    for file in ["missing.pem", "empty.pem"] {
        medplum
            .run(["get", "Patient/1", "--ca-cert", file])
            .fails(2)
            .prints("")
            .says(file);
    }
    assert_eq!(server.lines(), [""; 0]);
}

#[test]
fn a_path_with_a_slash_in_front_that_is_not_there_is_told_what_it_means() {
    let server = Server::start();
    let base = server.url("/");
    let run = Medplum::new()
        .run(["get", "/Patient/1", "--base-url", &base])
        .fails(4);
    run.says("404")
        .says("below the FHIR base it is `Patient/1`");
    let run = Medplum::new()
        .run(["get", "Patient/1", "--base-url", &base])
        .fails(4);
    assert!(!run.stderr.contains("slash"), "{run}");
    assert_eq!(server.lines(), ["GET /Patient/1", "GET /fhir/R4/Patient/1"]);
}
