//! Where the token goes in a `bulk export`, and how it is renewed while one runs.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::support::bulk::{OBSERVATIONS, PATIENTS, STATUS, ndjson, pending};
use crate::support::readings::lines;
use crate::support::{Answer, Bulk, Server};

/// B12: the token was sent whatever `requiresAccessToken` said. The file hosts refuse what is wrong.
#[test]
fn files_get_the_token_exactly_when_the_manifest_says_so() {
    for (required, expected) in [
        (json!(true), Some("Bearer token-1")),
        (json!("true"), Some("Bearer token-1")),
        (json!(false), None),
        (json!("false"), None),
        (json!(null), None),
    ] {
        let bulk = Bulk::with_three_files();
        let host = bulk.file_host();
        host.on(
            "GET",
            "/files/signed?X-Sig=1",
            ndjson(lines("Patient", 10..12)),
        );
        bulk.entry(
            "output",
            json!({"type": "Patient", "url": host.url("/files/signed?X-Sig=1")}),
        );
        bulk.manifest(|manifest| manifest["requiresAccessToken"] = required.clone());
        bulk.export(&[]).ok();
        assert_eq!(bulk.names().len(), 4, "{required}");
        let here = bulk.server.request_to("/files/p");
        let there = host.request_to("/files/signed");
        assert_eq!(here.header("Authorization"), expected, "{required}");
        assert_eq!(there.header("Authorization"), expected, "{required}");
    }
}

/// A missing field is no permission.
#[test]
fn a_manifest_that_says_nothing_of_tokens_gets_none() {
    let bulk = Bulk::with_three_files();
    bulk.manifest(|manifest| {
        drop(
            manifest
                .as_object_mut()
                .unwrap()
                .remove("requiresAccessToken"),
        );
    });
    bulk.export(&[]).ok();
    assert_eq!(
        bulk.server.request_to("/files/p").header("Authorization"),
        None
    );
}

#[test]
fn headers_of_the_user_do_not_go_to_foreign_file_hosts() {
    let bulk = Bulk::with_three_files();
    let host = bulk.file_host();
    host.on("GET", "/files/x", ndjson(lines("Patient", 10..12)));
    bulk.entry(
        "output",
        json!({"type": "Patient", "url": host.url("/files/x")}),
    );
    bulk.export(&["-H", "X-Key: secret-of-the-server"]).ok();
    assert_eq!(host.request_to("/files/x").header("X-Key"), None);
    assert_eq!(
        bulk.server.request_to("/files/p").header("X-Key"),
        Some("secret-of-the-server")
    );
}

/// Oracle Health: the file's URL leads to a signed one on another host, which fails with a token.
#[test]
fn a_file_that_redirects_to_another_origin_arrives_without_the_token() {
    let bulk = Bulk::with_three_files();
    let bucket = Server::start();
    bucket.on("GET", "/bucket/o", ndjson(OBSERVATIONS));
    let signed = bucket.url("/bucket/o?X-Amz-Signature=abc");
    bulk.server
        .on("GET", "/files/o", Answer::redirect(307, &signed));
    bulk.export(&[]).ok();
    assert_eq!(
        bulk.medplum.read("out/Observation_files_o.ndjson"),
        OBSERVATIONS
    );
    assert_eq!(
        bulk.server.request_to("/files/o").header("Authorization"),
        Some("Bearer token-1")
    );
    assert_eq!(bucket.request_to("/bucket/o").header("Authorization"), None);
}

/// The same when the redirect starts at a foreign host that may have the token: the next host may not.
#[test]
fn a_redirect_from_a_foreign_file_host_loses_the_token_too() {
    let bulk = Bulk::open();
    let (host, bucket) = (bulk.file_host(), Server::start());
    bucket.on("GET", "/o", ndjson(OBSERVATIONS));
    host.on("GET", "/files/o", Answer::redirect(302, &bucket.url("/o")));
    bulk.entry(
        "output",
        json!({"type": "Observation", "url": host.url("/files/o")}),
    );
    bulk.export(&[]).ok();
    assert_eq!(
        host.request_to("/files/o").header("Authorization"),
        Some("Bearer token-1")
    );
    assert_eq!(bucket.request_to("/o").header("Authorization"), None);
}

/// B13: the token was not renewed before a download. This one lives for a second, shorter than the wait.
#[test]
fn a_token_that_expires_in_mid_export_is_renewed_before_it_is_refused() {
    let bulk = Bulk::with_three_files();
    let _ = bulk.tokens.clone().lifetime(json!(1));
    bulk.status([pending(), pending()]);
    bulk.export(&[]).ok();
    let used: Vec<_> = bulk
        .server
        .requests_to(STATUS)
        .iter()
        .map(|request| request.header("Authorization").unwrap().to_owned())
        .collect();
    assert_eq!(used.len(), 4, "three looks and the DELETE");
    // A second lies between the looks. All tokens are good at the server: nothing but the clock asked for new ones.
    assert!(used[0] != used[1] && used[1] != used[2], "{used:?}");
    assert_eq!(bulk.server.requests_to("/files/p").len(), 1);
    assert_eq!(bulk.names().len(), 3);
}

/// B13: and one that the server takes back is asked for again once, for all files together.
#[test]
fn a_token_that_is_revoked_before_the_files_is_renewed_once() {
    let bulk = Bulk::with_three_files();
    let tokens = bulk.tokens.clone();
    bulk.server.guard(move |request| {
        if request.path() == STATUS && request.method == "GET" {
            tokens.revoke();
        }
        None
    });
    bulk.export(&[]).ok();
    assert_eq!(bulk.tokens.count(), 2);
    assert_eq!(bulk.names().len(), 3);
    assert_eq!(bulk.deletes(), 1);
}

#[test]
fn a_token_that_cannot_be_renewed_stops_the_export() {
    let bulk = Bulk::with_three_files();
    let tokens = bulk.tokens.clone();
    bulk.server.guard(move |request| {
        if request.path() == STATUS && request.method == "GET" {
            tokens.revoke();
            tokens.fail(Answer::new(
                401,
                "application/json",
                r#"{"error":"invalid_client"}"#,
            ));
        }
        None
    });
    bulk.export(&[])
        .fails(3)
        .says("invalid_client")
        .says(STATUS)
        .prints("");
    assert_eq!((bulk.names().len(), bulk.deletes()), (0, 0));
}

/// A manifest that a foreign host made up must not name the hosts that get the token.
#[test]
fn a_manifest_from_another_origin_sends_the_token_nowhere_else() {
    for by in ["status URL", "redirect", "next page"] {
        let bulk = Bulk::with_three_files();
        let foreign = Server::start();
        let line = r#"{"resourceType":"Patient","id":"3"}"#;
        let manifest = json!({"requiresAccessToken": true, "output": [
            {"type": "Patient", "url": foreign.url("/file")},
            {"type": "Patient", "url": bulk.server.url("/files/p")},
        ]});
        let manifest = Answer::new(200, "application/json", manifest.to_string());
        foreign.on("GET", "/job", manifest);
        foreign.on("GET", "/file", ndjson(line));
        foreign.on("DELETE", "/job", Answer::empty(202));
        match by {
            "status URL" => {
                let answer = Answer::empty(202).header("Content-Location", &foreign.url("/job"));
                bulk.server.on("GET", "/fhir/R4/$export", answer);
            }
            "redirect" => bulk.status([Answer::redirect(302, &foreign.url("/job"))]),
            _ => bulk.manifest(|manifest| {
                manifest["link"] = json!([{"relation": "next", "url": foreign.url("/job")}]);
            }),
        }
        let run = bulk.export(&[]);
        assert!(foreign.lines().contains(&"GET /file".to_owned()), "{run}");
        for request in foreign.requests() {
            let sent = request.header("Authorization");
            assert_eq!(sent, None, "{by}: {}\n{run}", request.line());
        }
    }
}

/// A signed URL is a credential: neither the trace nor an error shows what signs it.
#[test]
fn what_signs_a_url_is_not_printed() {
    let bulk = Bulk::with_three_files();
    let bucket = Server::start();
    let signed = "/files/x?X-Amz-Signature=SIGNED-BY-ME&X-Amz-Expires=60";
    bucket.on(
        "GET",
        "/files/x",
        Answer::new(403, "application/xml", "<Error/>"),
    );
    bulk.entry(
        "output",
        json!({"type": "Patient", "url": bucket.url(signed)}),
    );
    bulk.server.on(
        "GET",
        "/files/o",
        Answer::redirect(307, &bucket.url(signed)),
    );
    bulk.manifest(|manifest| manifest["requiresAccessToken"] = json!(false));
    for args in [&["-vv"][..], &["-o", "json"]] {
        let run = bulk.export(args).fails(5);
        assert!(!run.everything().contains("SIGNED-BY-ME"), "{run}");
    }
    assert_eq!(bulk.kick_offs(), 1);
}

/// What stands before a server fails now and then; the job and the file know nothing of it.
#[test]
fn what_fails_on_the_way_to_the_server_is_tried_again() {
    for status in [408, 425, 500, 520, 524] {
        let bulk = Bulk::with_three_files();
        let page = Answer::new(status, "text/html", "<title>timed out</title>");
        bulk.status([pending().header("Retry-After", "0.1"), page.clone()]);
        let file = ndjson(PATIENTS);
        bulk.server
            .on_sequence("GET", "/files/p", [page, file].to_vec());
        bulk.export(&[]).ok();
        assert_eq!(bulk.names().len(), 3, "{status}");
    }
}

#[test]
fn a_token_endpoint_that_is_down_for_a_moment_does_not_end_an_export() {
    let bulk = Bulk::with_three_files();
    let tokens = bulk.tokens.clone();
    let (looks, asked) = (AtomicUsize::new(0), AtomicUsize::new(0));
    bulk.status([pending().header("Retry-After", "0.1")]);
    bulk.server.guard(move |request| {
        if request.path() == STATUS && looks.fetch_add(1, Ordering::SeqCst) == 1 {
            tokens.revoke();
            tokens.fail(Answer::empty(503));
        }
        // The first token, one that is refused, and then it is well again.
        if request.path() == "/oauth2/token" && asked.fetch_add(1, Ordering::SeqCst) == 2 {
            tokens.recover();
        }
        None
    });
    bulk.export(&["--retries", "0"]).ok();
    assert_eq!(bulk.names().len(), 3);
}

/// What stopped the export comes before what is missing (exit codes, `design.md` §3).
#[test]
fn a_given_token_that_is_over_ends_the_export_with_3() {
    let bulk = Bulk::with_three_files();
    bulk.server.guard(|request| {
        let is_file = request.path().starts_with("/files/");
        is_file.then(|| Answer::outcome(401, "expired", "the token has expired"))
    });
    let token = bulk.medplum.run(["token", "-p", "site"]).ok().stdout;
    let args = ["--access-token", token.trim(), "--retries", "0"];
    bulk.export(&args)
        .fails(3)
        .says("the token has expired")
        .says("--access-token");
}
