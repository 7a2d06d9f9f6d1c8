//! Writes that are redirected, and a base that needs its slash.

use crate::support::{Answer, Site};

const BATCH: &str =
    r#"{"resourceType":"Bundle","type":"batch-response","entry":[{"response":{"status":"201"}}]}"#;

#[test]
fn a_303_after_a_write_is_no_success() {
    for (method, args) in [
        ("PUT", &["put", "Patient/1", "{}"][..]),
        ("POST", &["post", "Patient/1", "{}"]),
        ("PATCH", &["patch", "Patient/1", "[]"]),
        ("DELETE", &["delete", "Patient/1"]),
    ] {
        let site = Site::open();
        let there = Answer::redirect(303, "/sign-in");
        site.server.on(method, "/fhir/R4/Patient/1", there);
        site.server.on("GET", "/sign-in", Answer::json(200, "{}"));
        let run = site.medplum.run([args, &["-p", "site"]].concat());
        run.fails(1).says("/sign-in").says("may have been");
        assert!(site.server.requests_to("/sign-in").is_empty());
        assert_eq!(site.server.requests_to("/fhir/R4/Patient/1").len(), 1);
    }
}

#[test]
fn a_write_that_misses_only_a_slash_is_sent_again_and_no_other() {
    for status in [301, 302] {
        let site = Site::open();
        let slash = Answer::redirect(status, &site.server.url("/fhir/R4/"));
        site.server.on("POST", "/fhir/R4", slash);
        site.server
            .on("POST", "/fhir/R4/", Answer::json(200, BATCH));
        site.medplum.run(["post", "-p", "site", "", "{}"]).ok();
        let request = site.server.request_to("/fhir/R4/");
        assert_eq!(
            (request.method.as_str(), request.body.as_slice()),
            ("POST", &b"{}"[..])
        );
        site.medplum
            .file("in.ndjson", r#"{"resourceType":"Patient","id":"9"}"#);
        site.medplum
            .run(["bulk", "import", "-p", "site", "in.ndjson"])
            .ok();

        let elsewhere =
            ["/fhir/other/", "/fhir/R4/?x=1", "/fhir/R4//"].map(|path| site.server.url(path));
        let foreign = site.server.url_as_localhost("/fhir/R4/");
        for target in elsewhere.iter().chain([&foreign]) {
            let there = Answer::redirect(status, target);
            site.server.on("POST", "/fhir/R4", there);
            site.server.forget();
            site.medplum.run(["post", "-p", "site", "", "{}"]).fails(1);
            assert_eq!(site.server.lines(), ["POST /fhir/R4"]);
        }
    }
}

#[test]
fn a_slash_that_the_user_wrote_at_the_end_of_the_fhir_path_stays() {
    let site = Site::without_profile();
    site.set_profile(&["--token-url", "oauth2/token", "--fhir-url-path", "fhir/R4/"]);
    site.server
        .on("POST", "/fhir/R4/", Answer::json(200, BATCH));
    site.server.on("GET", "/fhir/R4/", Answer::json(200, "{}"));
    site.medplum.run(["post", "-p", "site", "", "{}"]).ok();
    site.medplum
        .run(["get", "-p", "site", "?_type=Patient"])
        .ok();
    site.medplum
        .file("in.ndjson", r#"{"resourceType":"Patient","id":"9"}"#);
    site.medplum
        .run(["bulk", "import", "-p", "site", "in.ndjson"])
        .ok();
    site.medplum.run(["get", "-p", "site", "Patient/1"]).ok();
    let fhir: Vec<_> = site.server.lines();
    let fhir: Vec<_> = fhir.iter().filter(|line| line.contains("/fhir/")).collect();
    assert_eq!(
        fhir,
        [
            "POST /fhir/R4/",
            "GET /fhir/R4/?_type=Patient",
            "POST /fhir/R4/",
            "GET /fhir/R4/Patient/1"
        ]
    );
}

#[test]
fn a_repeated_write_that_then_finds_nothing_or_another_version_may_have_been_done() {
    for (method, args, status) in [
        ("DELETE", &["delete", "Patient/1"][..], 404),
        ("DELETE", &["delete", "Patient/1"], 410),
        ("DELETE", &["delete", "Patient/1", "--if-match", "3"], 412),
        ("PUT", &["put", "Patient/1", "{}", "--if-match", "3"], 412),
        ("PUT", &["put", "Patient/1", "{}", "--if-match", "3"], 409),
    ] {
        let site = Site::open();
        let answers = [
            Answer::empty(503).header("Retry-After", "0"),
            Answer::empty(status),
        ];
        site.server
            .on_sequence(method, "/fhir/R4/Patient/1", answers);
        let run = site.medplum.run([args, &["-p", "site"]].concat());
        assert!(run.says("may have been done").code != 0);
        // Without an earlier try it is what it is.
        site.server
            .on(method, "/fhir/R4/Patient/1", Answer::empty(status));
        let run = site.medplum.run([args, &["-p", "site"]].concat());
        assert!(!run.stderr.contains("may have been done"), "{run}");
    }
}
