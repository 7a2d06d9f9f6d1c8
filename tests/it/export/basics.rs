//! `bulk export` from the kick-off to the manifest: what is asked for, how the job is waited for, how it ends.

use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::support::bulk::{CONDITIONS, OBSERVATIONS, PATIENTS, STATUS, ndjson, pending};
use crate::support::{Answer, Bulk, Request, Server, Site};

const KICK_OFF: &str = "/fhir/R4/$export";
const THREE: [&str; 3] = [
    "Condition_files_c.ndjson",
    "Observation_files_o.ndjson",
    "Patient_files_p.ndjson",
];

fn header_names(request: &Request) -> Vec<String> {
    let mut names: Vec<_> = request
        .headers
        .iter()
        .map(|(name, _)| name.to_lowercase())
        .collect();
    names.sort();
    names
}

/// B1: the kick-off was a POST without a body. B2: `Accept` held `*/*` too, which the SMART reference server refuses.
/// B15: `X-Medplum` was sent to foreign servers.
#[test]
fn the_kick_off_has_exactly_the_headers_of_the_specification() {
    let bulk = Bulk::with_three_files();
    bulk.export(&[]).ok();
    let request = bulk.server.request_to(KICK_OFF);
    assert_eq!(request.line(), "GET /fhir/R4/$export");
    assert_eq!(
        header_names(&request),
        [
            "accept",
            "accept-encoding",
            "authorization",
            "host",
            "prefer",
            "user-agent"
        ]
    );
    assert_eq!(request.header("Accept"), Some("application/fhir+json"));
    assert_eq!(request.header("Prefer"), Some("respond-async"));
    assert_eq!(request.header("Authorization"), Some("Bearer token-1"));
    assert_eq!(request.text(), "");
    for request in bulk.server.requests() {
        assert_eq!(request.header("X-Medplum"), None, "{}", request.line());
    }
}

/// B1: a server that takes only POST wants Parameters in it.
#[test]
fn a_kick_off_by_post_carries_parameters() {
    let bulk = Bulk::with_three_files();
    let args = [
        "--method",
        "post",
        "-t",
        "Patient,Observation",
        "-s",
        "2026-01-31T10:00:00+02:00",
    ];
    bulk.export(&args).ok();
    let request = bulk.server.request_to(KICK_OFF);
    assert_eq!(request.line(), "POST /fhir/R4/$export");
    assert_eq!(
        header_names(&request),
        [
            "accept",
            "accept-encoding",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "prefer",
            "user-agent"
        ]
    );
    assert_eq!(
        request.json(),
        json!({"resourceType": "Parameters", "parameter": [
            {"name": "_type", "valueString": "Patient"},
            {"name": "_type", "valueString": "Observation"},
            {"name": "_since", "valueInstant": "2026-01-31T10:00:00+02:00"},
        ]})
    );
}

#[test]
fn a_kick_off_by_post_without_parameters_has_a_body_all_the_same() {
    let bulk = Bulk::with_three_files();
    bulk.export(&["--method", "post"]).ok();
    let request = bulk.server.request_to(KICK_OFF);
    assert_eq!(request.json(), json!({"resourceType": "Parameters"}));
}

#[test]
fn an_export_for_which_the_server_lists_no_files_says_so() {
    let bulk = Bulk::open();
    bulk.export(&[]).ok().says("listed no files");
    assert_eq!(bulk.files().len(), 0);
    let run = Bulk::with_three_files().export(&[]).ok();
    assert!(!run.stderr.contains("listed no files"), "{run}");
}

#[test]
fn the_level_is_the_system_all_patients_or_a_group() {
    for (level, path) in [
        (&[][..], "/fhir/R4/$export"),
        (&["-e", ""], "/fhir/R4/$export"),
        (&["-e", "Patient"], "/fhir/R4/Patient/$export"),
        (
            &["--export-level", "Group/all"],
            "/fhir/R4/Group/all/$export",
        ),
    ] {
        let bulk = Bulk::open();
        bulk.export(level).ok();
        assert_eq!(bulk.server.request_to(path).method, "GET", "{level:?}");
        assert_eq!(bulk.kick_offs(), 1, "{level:?}");
    }
}

#[test]
fn what_is_no_level_and_no_instant_is_refused_before_anything_is_sent() {
    for (args, words) in [
        (["-e", "Group"], "Group"),
        (["-e", "Group/a/b"], "Group/a/b"),
        (["-e", "Observation"], "Observation"),
        (["-e", "../admin"], "../admin"),
        (["-s", "yesterday"], "yesterday"),
        (["-s", "2026-01-31T10:00:00"], "2026-01-31T10:00:00"),
        (["--parallel", "0"], "0"),
        (["--max-wait", "long"], "long"),
    ] {
        let bulk = Bulk::open();
        bulk.export(&args).fails(2).says(words).prints("");
        assert_eq!(bulk.server.lines(), [""; 0], "{args:?}");
    }
}

#[test]
fn types_are_one_comma_list_and_since_keeps_its_zone() {
    for (since, sent) in [
        ("2026-01-31T10:00:00+02:00", "2026-01-31T10:00:00%2B02:00"),
        (
            "2026-01-31T10:00:00.123-05:00",
            "2026-01-31T10:00:00.123-05:00",
        ),
        ("2026-01-31T10:00:00Z", "2026-01-31T10:00:00Z"),
        ("2026-01-31", "2026-01-31T00:00:00Z"),
    ] {
        let bulk = Bulk::open();
        let args = [
            "-t",
            "Patient,Observation",
            "--types",
            "Condition",
            "--since",
            since,
        ];
        bulk.export(&args).ok();
        assert_eq!(
            bulk.server.request_to(KICK_OFF).target,
            format!("/fhir/R4/$export?_type=Patient,Observation,Condition&_since={sent}")
        );
    }
}

#[test]
fn a_kick_off_that_is_refused_is_reported_in_the_servers_words() {
    for (answer, code, words) in [
        (
            Answer::outcome(400, "invalid", "no such group"),
            1,
            "no such group",
        ),
        (
            Answer::outcome(403, "forbidden", "scope is too small"),
            3,
            "scope is too small",
        ),
        (
            Answer::outcome(404, "not-found", "no $export here"),
            4,
            "no $export here",
        ),
        (
            Answer::new(405, "text/plain", "only POST"),
            1,
            "--method post",
        ),
        (
            Answer::new(500, "text/html", "<title>Oops</title>"),
            1,
            "Oops",
        ),
        (Answer::empty(429).header("Retry-After", "0"), 1, "429"),
    ] {
        let bulk = Bulk::with_three_files();
        bulk.server.on("GET", KICK_OFF, answer);
        bulk.export(&[])
            .fails(code)
            .says(words)
            .says(KICK_OFF)
            .prints("");
        assert_eq!(bulk.kick_offs(), 1, "{words}");
        assert_eq!(bulk.names(), [""; 0], "{words}");
    }
}

#[test]
fn a_kick_off_whose_token_was_revoked_is_sent_again_with_a_new_one() {
    let bulk = Bulk::with_three_files();
    bulk.medplum.run(["token", "-p", "site"]).ok();
    bulk.tokens.revoke();
    bulk.export(&[]).ok();
    let sent: Vec<_> = bulk
        .server
        .requests_to(KICK_OFF)
        .iter()
        .map(|request| request.header("Authorization").unwrap().to_owned())
        .collect();
    assert_eq!(sent, ["Bearer token-1", "Bearer token-2"]);
    assert_eq!(bulk.names(), THREE);
}

/// B11: an answer without a job was taken for an export without files, exit 0.
#[test]
fn a_kick_off_that_names_no_job_fails() {
    for answer in [
        Answer::empty(202),
        Answer::json(202, r#"{"resourceType":"OperationOutcome","issue":[]}"#),
        Answer::empty(200),
        Answer::new(200, "application/json", Bulk::open().manifest_text()),
        Answer::new(200, "text/html", "<title>Sign in</title>"),
    ] {
        let bulk = Bulk::with_three_files();
        bulk.server.on("GET", KICK_OFF, answer);
        bulk.export(&[])
            .fails(1)
            .says("Content-Location")
            .prints("");
        assert_eq!(bulk.names(), [""; 0]);
    }
}

#[test]
fn a_relative_content_location_is_resolved_against_the_kick_off() {
    for location in [STATUS, "bulkstatus/1"] {
        let bulk = Bulk::with_three_files();
        let answer = Answer::empty(202).header("Content-Location", location);
        bulk.server.on("GET", KICK_OFF, answer);
        bulk.export(&[]).ok().says(&bulk.server.url(STATUS));
        assert_eq!(bulk.names(), THREE, "{location}");
    }
}

/// B9: the status URL was never shown, so that any failure lost the job.
#[test]
fn the_status_url_is_printed_as_soon_as_the_job_is_accepted() {
    let bulk = Bulk::open();
    bulk.server.on("GET", STATUS, Answer::silence());
    let running = bulk.command(&[]).spawn();
    let line = running.stderr_line(STATUS);
    assert!(line.contains(&bulk.server.url(STATUS)), "{line}");
    running.interrupt();
    running.finish().fails(130).prints("");
}

/// B8: Retry-After and X-Progress were ignored. A wait that would outlast `--max-wait` shows that it was read.
#[test]
fn retry_after_is_read_as_seconds_and_as_a_date() {
    let hour = SystemTime::now() + Duration::from_secs(3600);
    for asked in ["3600".to_owned(), httpdate::fmt_http_date(hour)] {
        let bulk = Bulk::with_three_files();
        bulk.status([Answer::empty(202).header("Retry-After", &asked)]);
        bulk.export(&["--max-wait", "20s"]).fails(6);
        assert_eq!(bulk.server.requests_to(STATUS).len(), 1, "{asked}");
    }
    for asked in ["0", "1", "soon", "Thu, 01 Jan 1970 00:00:00 GMT"] {
        let bulk = Bulk::with_three_files();
        bulk.status([Answer::empty(202).header("Retry-After", asked)]);
        bulk.export(&["--max-wait", "20s"]).ok();
        assert_eq!(bulk.names(), THREE, "{asked}");
    }
}

/// Oracle Health asks for hours. The cap is the user's.
#[test]
fn a_wait_that_the_server_asks_for_is_capped() {
    let bulk = Bulk::with_three_files();
    bulk.status([Answer::empty(202).header("Retry-After", "36000")]);
    bulk.export(&["--max-retry-after", "1s"]).ok();
    assert_eq!(bulk.names(), THREE);
}

/// The kick-off's own Retry-After is part of the wait.
#[test]
fn the_longest_wait_counts_from_the_kick_off() {
    let bulk = Bulk::with_three_files();
    let answer = Answer::empty(202).header("Content-Location", &bulk.server.url(STATUS));
    bulk.server
        .on("GET", KICK_OFF, answer.header("Retry-After", "3600"));
    let args = ["--max-wait", "1s", "--max-retry-after", "2s"];
    bulk.export(&args).fails(6).says(&bulk.server.url(STATUS));
    assert_eq!(bulk.names(), [""; 0]);
}

/// B8: progress was shown to nobody.
#[test]
fn the_servers_words_of_progress_are_shown() {
    let bulk = Bulk::with_three_files();
    bulk.status([
        pending().header("X-Progress", "Pending"),
        pending().header("X-Progress", "In Progress, 80%"),
    ]);
    let run = bulk
        .export(&[])
        .ok()
        .says("Pending")
        .says("In Progress, 80%");
    let (first, second) = (
        run.stderr.find("Pending"),
        run.stderr.find("In Progress, 80%"),
    );
    assert!(first < second, "{run}");
}

/// Bulk Data 3.0: the HTTP status is the poll's, `X-Export-Status` the job's.
#[test]
fn a_separate_export_status_counts_before_the_http_status() {
    let bulk = Bulk::with_three_files();
    let early =
        Answer::new(200, "application/json", "{}").header("X-Export-Status", "202 Accepted");
    bulk.status([early.header("Retry-After", "1")]);
    bulk.export(&[]).ok();
    assert_eq!(bulk.names(), THREE);

    let failed = Answer::outcome(200, "processing", "the job ran out of disk");
    let bulk = Bulk::with_three_files();
    bulk.status([failed.header("X-Export-Status", "500 Internal Server Error")]);
    bulk.export(&[]).fails(1).says("the job ran out of disk");
}

#[test]
fn a_job_that_failed_or_is_gone_ends_the_export() {
    for (answer, code, words) in [
        (
            Answer::outcome(500, "processing", "the database is lost"),
            1,
            "the database is lost",
        ),
        (
            Answer::outcome(422, "invalid", "unknown type"),
            1,
            "unknown type",
        ),
        (
            Answer::outcome(403, "forbidden", "another client's job"),
            3,
            "another client's job",
        ),
        (
            Answer::outcome(404, "not-found", "it was cancelled"),
            4,
            "it was cancelled",
        ),
        (
            Answer::new(410, "text/plain", "it has expired"),
            4,
            "it has expired",
        ),
    ] {
        let bulk = Bulk::with_three_files();
        bulk.status([answer]);
        bulk.export(&[])
            .fails(code)
            .says(words)
            .says(STATUS)
            .prints("");
        assert_eq!(bulk.server.requests_to(STATUS).len(), 1, "{words}");
        assert_eq!(bulk.names(), [""; 0], "{words}");
    }
}

/// A job that is dead at the server is dead in the folder too: going on with it would fail for ever.
#[test]
fn after_a_job_that_failed_or_is_gone_the_user_learns_how_to_start_a_new_one() {
    for answer in [
        Answer::outcome(500, "processing", "the database is lost"),
        Answer::new(410, "text/plain", "it has expired"),
    ] {
        let bulk = Bulk::with_three_files();
        bulk.status([answer]);
        let run = bulk.export(&[]);
        assert!(run.stderr.contains("--restart"), "{run}");
        bulk.export(&["--restart"]).ok();
        assert_eq!((bulk.names().len(), bulk.kick_offs()), (3, 2));
    }
}

/// B9: whatever ends the waiting, the job is not lost. Some servers leave a failed job at 202 for ever (Medplum, HAPI).
#[test]
fn the_longest_wait_ends_with_the_status_url_and_leaves_the_job() {
    let bulk = Bulk::with_three_files();
    bulk.server.on("GET", STATUS, pending());
    let run = bulk.export(&["--max-wait", "1s"]).fails(6).prints("");
    let last = run
        .stderr
        .lines()
        .filter(|line| line.contains(&bulk.server.url(STATUS)));
    assert!(last.count() >= 2, "at kick-off and at the end\n{run}");
    assert!(run.stderr.contains("--max-wait"), "{run}");
    assert_eq!(bulk.deletes(), 0);
}

/// B9: no job was ever deleted, so servers that allow one at a time stayed blocked.
#[test]
fn the_job_is_deleted_once_when_all_files_are_here() {
    let bulk = Bulk::with_three_files();
    bulk.export(&[]).ok();
    assert_eq!(
        bulk.server.lines().last().unwrap(),
        &format!("DELETE {STATUS}")
    );
    assert_eq!(bulk.deletes(), 1);

    let bulk = Bulk::with_three_files();
    bulk.export(&["--keep"]).ok();
    assert_eq!((bulk.names().len(), bulk.deletes()), (3, 0));

    let bulk = Bulk::with_three_files();
    bulk.server
        .on("GET", "/files/o", Answer::outcome(403, "forbidden", "no"));
    bulk.export(&[]).fails(5);
    assert_eq!((bulk.names().len(), bulk.deletes()), (2, 0));
}

/// HAPI answers the DELETE of a finished job with 404.
#[test]
fn a_job_that_cannot_be_deleted_does_not_spoil_the_export() {
    for (answer, words) in [
        (Answer::empty(200), ""),
        (Answer::empty(204), ""),
        (Answer::outcome(404, "not-found", "gone"), ""),
        (Answer::new(410, "text/plain", "gone"), ""),
        (
            Answer::outcome(403, "forbidden", "not for clients"),
            "not for clients",
        ),
        (
            Answer::outcome(500, "exception", "the queue is down"),
            "the queue is down",
        ),
    ] {
        let bulk = Bulk::with_three_files();
        bulk.server.on("DELETE", STATUS, answer);
        let run = bulk.export(&["-q"]).ok().says(words);
        assert_eq!(run.stderr.is_empty(), words.is_empty(), "{run}");
        assert_eq!(bulk.names(), THREE);
    }
}

#[test]
fn ctrl_c_while_waiting_leaves_the_job_and_says_where_it_is() {
    let bulk = Bulk::with_three_files();
    bulk.server.on(
        "GET",
        STATUS,
        Answer::empty(202).header("Retry-After", "300"),
    );
    let running = bulk.command(&["-q"]).spawn();
    bulk.server.wait_for(STATUS);
    running.interrupt();
    running
        .finish()
        .fails(130)
        .says(&bulk.server.url(STATUS))
        .prints("");
    assert_eq!(bulk.names(), [""; 0]);
    assert_eq!(bulk.deletes(), 0);
}

/// Nobody can know whether the kick-off arrived: that is said.
#[test]
fn ctrl_c_before_the_kick_off_is_answered_says_that_a_job_may_run() {
    let bulk = Bulk::with_three_files();
    bulk.server.on("GET", KICK_OFF, Answer::silence());
    let running = bulk.command(&[]).spawn();
    bulk.server.wait_for(KICK_OFF);
    running.interrupt();
    running
        .finish()
        .fails(130)
        .says("may have reached the server")
        .prints("");
    assert_eq!((bulk.names().len(), bulk.kick_offs()), (0, 1));
}

/// The status URL and the next page are no files: to another origin they go without the token.
#[test]
fn no_token_goes_to_a_status_url_or_a_page_of_another_origin() {
    let bulk = Bulk::with_three_files();
    let foreign = Server::start();
    let kick_off = Answer::empty(202).header("Content-Location", &foreign.url("/job"));
    bulk.server.on("GET", KICK_OFF, kick_off);
    bulk.manifest(|manifest| manifest["link"] = json!([{"relation": "next", "url": "/page"}]));
    foreign.on(
        "GET",
        "/job",
        Answer::new(200, "application/json", bulk.manifest_text()),
    );
    foreign.on(
        "GET",
        "/page",
        Answer::new(200, "application/json", r#"{"output":[]}"#),
    );
    foreign.on("DELETE", "/job", Answer::empty(202));
    bulk.export(&["-H", "X-Key: secret-of-the-server"]).ok();
    assert_eq!(foreign.lines(), ["GET /job", "GET /page", "DELETE /job"]);
    for request in foreign.requests() {
        assert_eq!(request.header("Authorization"), None, "{}", request.line());
        assert_eq!(request.header("X-Key"), None, "{}", request.line());
    }
    assert_eq!(bulk.names(), THREE);
    assert_eq!(
        bulk.server.request_to("/files/p").header("Authorization"),
        Some("Bearer token-1")
    );
}

/// A profile without credentials exports from an open server.
#[test]
fn an_open_server_needs_no_token() {
    let site = Site::without_profile();
    let open = Server::start();
    let status = open.url("/fhir/R4/job");
    open.on(
        "GET",
        KICK_OFF,
        Answer::empty(202).header("Content-Location", &status),
    );
    let manifest = json!({"requiresAccessToken": true, "output": [
        {"type": "Patient", "url": open.url("/p")},
        {"type": "Observation", "url": open.url("/o")},
        {"type": "Condition", "url": open.url("/c")},
    ]});
    open.on(
        "GET",
        "/fhir/R4/job",
        Answer::new(200, "application/json", manifest.to_string()),
    );
    open.on("DELETE", "/fhir/R4/job", Answer::empty(202));
    open.on("GET", "/p", ndjson(PATIENTS));
    open.on("GET", "/o", ndjson(OBSERVATIONS));
    open.on("GET", "/c", ndjson(CONDITIONS));
    site.medplum
        .run(["bulk", "export", "--base-url", &open.url("/")])
        .ok();
    assert_eq!(site.medplum.read("Patient_p.ndjson"), PATIENTS);
    for request in open.requests() {
        assert_eq!(request.header("Authorization"), None, "{}", request.line());
    }
}
