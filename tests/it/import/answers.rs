//! What answers mean: what may have been done is not sent again, and what fails with a success is a failure.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::basics::{import, patients};
use crate::support::store::{Rules, lines_of};
use crate::support::{Answer, Medplum, Request, Store};

/// How often each patient came in a POST.
fn sent(store: &Store) -> BTreeMap<String, usize> {
    let mut sent = BTreeMap::new();
    for request in store.server.requests_to("/fhir/R4") {
        for entry in request.json()["entry"].as_array().unwrap() {
            let id = entry["resource"]["id"].as_str().unwrap().to_owned();
            *sent.entry(id).or_default() += 1;
        }
    }
    sent
}

/// A proxy that lets the first request through and answers it with an error of its own.
fn proxy(store: &Store, answer: impl Fn() -> Answer + Send + Sync + 'static) {
    let (does, seen) = (store.does(), AtomicUsize::new(0));
    store.server.guard(move |request: &Request| {
        (seen.fetch_add(1, Ordering::SeqCst) == 0).then(|| {
            does(request);
            answer()
        })
    });
}

#[test]
fn a_post_behind_a_proxys_503_or_408_is_unknown_and_not_sent_again() {
    for (status, body) in [
        (
            503,
            "upstream connect error or disconnect/reset before headers",
        ),
        (408, ""),
    ] {
        for bundle in ["batch", "transaction"] {
            let (store, medplum) = (Store::open(), Medplum::new());
            medplum.file("a.ndjson", patients(10));
            proxy(&store, move || Answer::new(status, "text/plain", body));
            let args = [
                "a.ndjson",
                "--method",
                "post",
                "--bundle",
                bundle,
                "--bundle-size",
                "5",
                "-o",
                "json",
            ];
            let report = import(&medplum, &store, &args).fails(5).json();
            assert_eq!(
                (&report["unknown"], &report["created"]),
                (&json!(5), &json!(5)),
                "{status} {bundle}"
            );
            assert!(sent(&store).values().all(|times| *times == 1));
            assert_eq!(sent(&store).len(), 10);
        }
    }
}

#[test]
fn a_503_that_says_when_is_waited_for() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", patients(5));
    let seen = AtomicUsize::new(0);
    store.server.guard(move |_| {
        let is_first = seen.fetch_add(1, Ordering::SeqCst) == 0;
        is_first.then(|| Answer::empty(503).header("Retry-After", "0"))
    });
    let args = ["a.ndjson", "--method", "post", "-o", "json"];
    let report = import(&medplum, &store, &args).ok().json();
    assert_eq!(report["created"], 5);
    assert_eq!(store.names().len(), 5);
}

/// A server that answers the Bundle with this entry for each resource.
fn answering(entry: &str) -> (Store, Medplum) {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", patients(3));
    let entry = entry.to_owned();
    store.server.guard(move |request: &Request| {
        let entries = vec![entry.clone(); lines_of(request).len()].join(",");
        let body =
            format!(r#"{{"resourceType":"Bundle","type":"batch-response","entry":[{entries}]}}"#);
        Some(Answer::json(200, body))
    });
    (store, medplum)
}

#[test]
fn an_entry_that_says_an_error_with_a_success_is_refused() {
    let outcome = |severity: &str| {
        format!(
            r#"{{"resourceType":"OperationOutcome","issue":[{{"severity":"{severity}","code":"processing","diagnostics":"nothing was stored"}}]}}"#
        )
    };
    for (status, severity) in [("200 OK", "error"), ("201 Created", "fatal")] {
        for member in [
            format!(
                r#"{{"response":{{"status":"{status}","outcome":{}}}}}"#,
                outcome(severity)
            ),
            format!(
                r#"{{"response":{{"status":"{status}"}},"resource":{}}}"#,
                outcome(severity)
            ),
        ] {
            let (store, medplum) = answering(&member);
            let args = ["a.ndjson", "-o", "json"];
            let run = import(&medplum, &store, &args)
                .fails(5)
                .says("nothing was stored");
            assert_eq!(run.json()["refused"], 3, "{member}");
        }
    }
    // A hint is no error.
    let member = format!(
        r#"{{"response":{{"status":"200 OK","outcome":{}}}}}"#,
        outcome("warning")
    );
    let (store, medplum) = answering(&member);
    import(&medplum, &store, &["a.ndjson"]).ok();
}

#[test]
fn an_entry_that_promises_to_try_is_unknown_and_a_status_is_three_digits() {
    for status in ["202 Accepted", "207 Multi-Status"] {
        let (store, medplum) = answering(&format!(r#"{{"response":{{"status":"{status}"}}}}"#));
        let report = import(&medplum, &store, &["a.ndjson", "-o", "json"])
            .fails(5)
            .json();
        assert_eq!(report["unknown"], 3, "{status}");
    }
    for status in ["200garbage", "2000", "2", ""] {
        let (store, medplum) = answering(&format!(r#"{{"response":{{"status":"{status}"}}}}"#));
        import(&medplum, &store, &["a.ndjson"])
            .fails(1)
            .says("status");
    }
}

#[test]
fn an_entry_of_a_post_with_503_or_408_is_unknown() {
    for status in [503, 408] {
        let (store, medplum) = answering(&format!(r#"{{"response":{{"status":"{status}"}}}}"#));
        let args = ["a.ndjson", "--method", "post", "-o", "json"];
        let report = import(&medplum, &store, &args).fails(5).json();
        assert_eq!(report["unknown"], 3, "{status}");
        assert!(sent(&store).values().all(|times| *times == 1));
    }
}

/// It may have stored some of them before it broke off.
#[test]
fn a_batch_of_posts_that_is_refused_whole_is_not_sent_again_in_parts() {
    for (outcome, again) in [("invariant", false), ("structure", true)] {
        let (store, medplum) = (Store::open(), Medplum::new());
        medplum.file("a.ndjson", patients(8));
        proxy(&store, move || Answer::outcome(400, outcome, "no"));
        let args = ["a.ndjson", "--method", "post", "-o", "json"];
        let run = import(&medplum, &store, &args);
        let most = sent(&store).values().copied().max().unwrap();
        if again {
            assert!(run.code == 0 && most == 2, "{run}");
        } else {
            let run = run.fails(5);
            assert!(run.json()["unknown"] == 8 && most == 1, "{run}");
        }
    }
}

/// The server takes at most 20 entries, and says so in words only.
fn small(words: &'static str, status: u16) -> (Store, Arc<Mutex<Vec<usize>>>) {
    let store = Store::open();
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sizes);
    store.server.guard(move |request: &Request| {
        let size = lines_of(request).len();
        seen.lock().unwrap().push(size);
        (size > 20).then(|| Answer::outcome(status, "processing", words))
    });
    (store, sizes)
}

#[test]
fn the_limit_of_entries_is_learnt() {
    for (words, bundle, most) in [
        ("no", "batch", 40),
        (
            "a Bundle may hold at most 20 entries, the maximum",
            "batch",
            40,
        ),
        (
            "a transaction may not have more than 20 entries",
            "transaction",
            40,
        ),
    ] {
        let (store, sizes) = small(words, 400);
        let medplum = Medplum::new();
        medplum.file("a.ndjson", patients(300));
        let args = ["a.ndjson", "--bundle", bundle, "--bundle-size", "50"];
        import(&medplum, &store, &args).ok();
        assert_eq!(store.names().len(), 300);
        let sizes = sizes.lock().unwrap();
        let too_large = sizes.iter().filter(|size| **size > 20).count();
        assert!(sizes.len() <= most && too_large <= 12, "{words}: {sizes:?}");
    }
}

#[test]
fn entries_that_were_not_taken_now_wait_as_long_as_the_answer_says() {
    for by_header in [true, false] {
        let (store, medplum) = (Store::open(), Medplum::new());
        medplum.file("a.ndjson", patients(3));
        let (seen, times) = (AtomicUsize::new(0), Arc::new(Mutex::new(Vec::new())));
        let came = Arc::clone(&times);
        store.server.guard(move |_| {
            came.lock().unwrap().push(std::time::Instant::now());
            if seen.fetch_add(1, Ordering::SeqCst) > 0 {
                return None;
            }
            let extension = r#","outcome":{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"throttled","extension":[{"url":"https://medplum.com/fhir/StructureDefinition/rate-limit-reset","valueInteger":2}]}]}"#;
            let entry = format!(r#"{{"response":{{"status":"429"{}}}}}"#, if by_header { "" } else { extension });
            let body = format!(r#"{{"resourceType":"Bundle","type":"batch-response","entry":[{}]}}"#, vec![entry; 3].join(","));
            let answer = Answer::json(200, body);
            Some(if by_header { answer.header("Retry-After", "2") } else { answer })
        });
        import(&medplum, &store, &["a.ndjson"]).ok();
        let times = times.lock().unwrap();
        // Without it, a quarter of a second would do.
        assert!(times[1] - times[0] >= std::time::Duration::from_secs(2));
    }
}

#[test]
fn ids_of_digits_that_a_server_keeps_for_itself_get_the_cure_as_a_hint() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", r#"{"resourceType":"Patient","id":"1"}"#);
    store.server.guard(|_| {
        let entry = json!({"response": {"status": "400", "outcome": {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "processing",
            "diagnostics": "HAPI-0960: Can not create resource with ID[1], ID must contain at least one non-numeric character"}]}}});
        let bundle: Value = json!({"resourceType": "Bundle", "type": "batch-response", "entry": [entry]});
        Some(Answer::json(200, bundle.to_string()))
    });
    import(&medplum, &store, &["a.ndjson"])
        .fails(5)
        .says("--method conditional");
}

/// What is not refused by itself stays so: each resource alone, and those that the server names.
#[test]
fn a_resource_that_is_refused_by_its_own_entry_changes_no_limit() {
    let (store, medplum) = (
        Store::with(Rules {
            refused: ["Patient/p5".to_owned()].into(),
            ..Rules::default()
        }),
        Medplum::new(),
    );
    medplum.file("a.ndjson", patients(100));
    import(&medplum, &store, &["a.ndjson"]).fails(5);
    assert_eq!(store.bundles().len(), 4);
}

/// It is not read to its end, and what was asked for may have been done.
#[test]
fn an_answer_without_measure_leaves_a_post_unknown() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", patients(3));
    proxy(&store, || {
        let long = " ".repeat(64 << 20);
        Answer::json(200, long)
    });
    let args = ["a.ndjson", "--method", "post", "-o", "json"];
    let report = import(&medplum, &store, &args).fails(5).json();
    assert_eq!(report["unknown"], 3);
    assert!(sent(&store).values().all(|times| *times == 1));
}

/// It goes as a request of its own, byte for byte.
#[test]
fn a_line_of_many_megabytes_arrives_beside_the_others() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let long = format!(
        r#"{{"resourceType":"Binary","id":"long","data":"{}"}}"#,
        "A".repeat(20 << 20)
    );
    medplum.file("a.ndjson", patients(3) + &long + "\n");
    import(&medplum, &store, &["a.ndjson"]).ok();
    assert_eq!(store.names().len(), 4);
    assert!(store.text("Binary/long") == long);
    assert_eq!(store.server.requests_to("/fhir/R4/Binary/long").len(), 1);
}

/// Neither is the answer to a write: what stands before the server, or what is about something else, says 200 too.
#[test]
fn an_answer_that_is_about_something_else_is_no_success() {
    for (body, words) in [
        (r#"{"status":"failed","error":"no disk"}"#, "no disk"),
        (r#"{"message":"hello"}"#, "without a resourceType"),
        (r#"{"resourceType":"Bundle","type":"searchset"}"#, "Bundle"),
        (
            r#"{"resourceType":"AsyncJob","status":"error"}"#,
            "AsyncJob error",
        ),
    ] {
        let (store, medplum) = (Store::open(), Medplum::new());
        medplum.file("a.ndjson", patients(1));
        store.server.guard(move |_| Some(Answer::json(200, body)));
        let args = ["a.ndjson", "--bundle", "none", "-o", "json"];
        let run = import(&medplum, &store, &args).fails(1).says(words);
        assert_eq!(run.json()["updated"], 0, "{body}");
    }
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", patients(1));
    store
        .server
        .guard(|_| Some(Answer::outcome(200, "exception", "no disk")));
    import(&medplum, &store, &["a.ndjson"])
        .fails(1)
        .says("no disk");
}

/// Those that came beside the ones that were asked for are counted, not kept.
#[test]
fn an_answer_with_entries_without_end_is_no_answer() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", patients(3));
    let entries = vec!["{}"; 1_000_000].join(",");
    let body =
        format!(r#"{{"resourceType":"Bundle","type":"batch-response","entry":[{entries}]}}"#);
    store
        .server
        .guard(move |_| Some(Answer::json(200, body.clone())));
    import(&medplum, &store, &["a.ndjson"])
        .fails(1)
        .says("1000000 entries for 3 requests");
}

#[test]
fn a_post_that_is_redirected_is_unknown_and_not_sent_again() {
    for status in [301, 302, 303, 307, 308] {
        for target in ["https://other.example/sign-in", "http://[broken"] {
            for bundle in ["none", "batch"] {
                let (store, medplum) = (Store::open(), Medplum::new());
                medplum.file("a.ndjson", patients(1));
                proxy(&store, move || Answer::redirect(status, target));
                let args = [
                    "a.ndjson", "--method", "post", "--bundle", bundle, "-o", "json",
                ];
                let run = import(&medplum, &store, &args);
                let report = run.json();
                let case = format!("{status} {target} {bundle}: {run}");
                assert_eq!(report["unknown"], 1, "{case}");
                assert_eq!(store.names().len(), 1, "{case}");
                import(&medplum, &store, &[&args[..], &["--resume"]].concat());
                assert_eq!(store.names().len(), 1, "{case}");
            }
        }
    }
}
