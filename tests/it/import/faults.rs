//! `bulk import` against a server that fails: nothing lost, nothing doubled, nothing said that is not so.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};

use serde_json::{Value, json};

use super::basics::{import, patients};
use crate::support::request::Request;
use crate::support::store::{Rules, lines_of};
use crate::support::{Answer, Medplum, Store};

/// Answers the Bundles with these numbers (from 0) otherwise.
fn fault(
    store: &Store,
    numbers: &'static [usize],
    answer: impl Fn() -> Answer + Send + Sync + 'static,
) {
    let seen = AtomicUsize::new(0);
    store.server.guard(move |request| {
        let number = seen.fetch_add(1, Ordering::SeqCst);
        (request.path() == "/fhir/R4" && numbers.contains(&number)).then(&answer)
    });
}

/// Every patient is there and was written once.
#[track_caller]
fn assert_all_written_once(store: &Store, count: usize) {
    let writes = store.writes();
    assert_eq!(writes.len(), count);
    assert!(writes.values().all(|writes| *writes == 1), "{writes:?}");
}

fn outcomes(medplum: &Medplum) -> Vec<Value> {
    let text = medplum.read("rejects.outcomes.ndjson");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_bundle_that_is_too_large_goes_in_smaller_ones() {
    let (store, medplum) = (Store::open(), Medplum::new());
    store.server.guard(|request| {
        let is_large = request.path() == "/fhir/R4" && lines_of(request).len() > 7;
        is_large.then(|| Answer::outcome(413, "too-long", "at most 7"))
    });
    medplum.file("a.ndjson", patients(100));
    let report = import(&medplum, &store, &["a.ndjson", "-o", "json"])
        .ok()
        .json();
    assert_eq!(report["created"], 100);
    assert_all_written_once(&store, 100);
    // Later bundles are small from the start: few are refused, and not each one anew.
    let refused = store
        .bundles()
        .iter()
        .filter(|bundle| bundle.len() > 7)
        .count();
    assert!(refused <= 5, "{refused} bundles were too large");
}

#[test]
fn a_single_resource_that_is_too_large_is_refused_and_the_others_go() {
    let (store, medplum) = (Store::open(), Medplum::new());
    store
        .server
        .guard(|request| request.text().contains("p3\"").then(|| Answer::empty(413)));
    medplum.file("a.ndjson", patients(9));
    let report = import(&medplum, &store, &["a.ndjson", "-o", "json"])
        .fails(5)
        .json();
    assert_eq!(
        (&report["created"], &report["refused"]),
        (&json!(8), &json!(1))
    );
    assert_eq!(outcomes(&medplum)[0]["status"], 413);
}

#[test]
fn a_server_that_says_not_now_is_waited_for() {
    for status in [429, 503] {
        let (store, medplum) = (Store::open(), Medplum::new());
        fault(&store, &[1, 2, 5], move || {
            Answer::empty(status).header("Retry-After", "0.2")
        });
        medplum.file("a.ndjson", patients(200));
        for method in ["put", "post"] {
            let report = import(
                &medplum,
                &store,
                &["a.ndjson", "-o", "json", "--method", method],
            )
            .ok()
            .says(&status.to_string())
            .json();
            assert_eq!(report["created"], 200);
            store.server.forget();
            if method == "put" {
                assert_all_written_once(&store, 200);
            }
            fault(&store, &[1, 2], move || {
                Answer::empty(status).header("Retry-After", "0.2")
            });
        }
        assert_eq!(store.names().len(), 400);
    }
}

#[test]
fn entries_that_are_told_to_wait_are_sent_again_alone() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let busy = AtomicUsize::new(0);
    store.server.guard(move |request| {
        if request.path() != "/fhir/R4" || busy.fetch_add(1, Ordering::SeqCst) > 0 {
            return None;
        }
        let entry = |line: &String| {
            let status = if line.ends_with("/p2") {
                "429 Too Many Requests"
            } else {
                "201"
            };
            json!({"response": {"status": status}})
        };
        let entries: Vec<Value> = lines_of(request).iter().map(entry).collect();
        Some(Answer::json(
            200,
            json!({"resourceType": "Bundle", "type": "batch-response", "entry": entries})
                .to_string(),
        ))
    });
    medplum.file("a.ndjson", patients(5));
    let report = import(&medplum, &store, &["a.ndjson", "-o", "json"])
        .ok()
        .json();
    assert_eq!(report["created"], 5);
    assert_eq!(store.bundles()[1], ["PUT Patient/p2"]);
}

#[test]
fn a_server_that_never_has_time_stops_the_run_with_the_state_kept() {
    let (store, medplum) = (Store::open(), Medplum::new());
    store
        .server
        .guard(|_| Some(Answer::empty(503).header("Retry-After", "0")));
    medplum.file("a.ndjson", patients(60));
    let run = import(
        &medplum,
        &store,
        &["a.ndjson", "-o", "json", "--max-wait", "1s"],
    )
    .fails(1)
    .says("--resume");
    assert_eq!(
        (&run.json()["notSent"], &run.json()["rejects"]),
        (&json!(60), &Value::Null)
    );
}

/// How often it says so is no measure: a server that is restarted says so for minutes.
#[test]
fn a_server_that_says_not_now_many_times_is_waited_for_all_the_same() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let seen = AtomicUsize::new(0);
    store.server.guard(move |_| {
        let is_early = seen.fetch_add(1, Ordering::SeqCst) < 7;
        is_early.then(|| Answer::empty(429).header("Retry-After", "0"))
    });
    medplum.file("a.ndjson", patients(60));
    let args = ["a.ndjson", "-o", "json", "--retries", "0"];
    let report = import(&medplum, &store, &args).ok().json();
    assert_eq!(report["created"], 60);
}

#[test]
fn a_put_whose_answer_was_lost_is_sent_again() {
    let (store, medplum) = (Store::open(), Medplum::new());
    fault(&store, &[0, 3], Answer::reset);
    medplum.file("a.ndjson", patients(100));
    let report = import(&medplum, &store, &["a.ndjson", "-o", "json"])
        .ok()
        .json();
    assert_eq!(report["created"], 100);
    assert_eq!(store.names().len(), 100);
}

#[test]
fn a_post_whose_answer_was_lost_is_reported_and_not_sent_again() {
    let (store, medplum) = (Store::open(), Medplum::new());
    fault(&store, &[1], Answer::reset);
    medplum.file("a.ndjson", patients(100));
    let args = [
        "a.ndjson",
        "-o",
        "json",
        "--method",
        "post",
        "--parallel",
        "1",
    ];
    let run = import(&medplum, &store, &args).fails(5).says("not known");
    let report = run.json();
    assert_eq!(
        (&report["created"], &report["unknown"]),
        (&json!(75), &json!(25))
    );
    assert_eq!(store.bundles().len(), 4);
    assert_eq!(medplum.read("rejects.ndjson").lines().count(), 25);
    let outcome = &outcomes(&medplum)[0];
    assert_eq!(
        (&outcome["result"], &outcome["line"], &outcome["status"]),
        (&json!("unknown"), &json!(26), &Value::Null)
    );
}

#[test]
fn a_transaction_that_is_refused_is_refused_whole() {
    let store = Store::with(Rules {
        refused: ["Patient/p30".to_owned()].into(),
        ..Rules::default()
    });
    let medplum = Medplum::new();
    medplum.file("a.ndjson", patients(75));
    let run = import(
        &medplum,
        &store,
        &["a.ndjson", "-o", "json", "--bundle", "transaction"],
    )
    .fails(5);
    let report = run.json();
    assert_eq!(
        (&report["created"], &report["refused"]),
        (&json!(50), &json!(25))
    );
    assert_eq!(store.names().len(), 50);
    let outcomes = outcomes(&medplum);
    assert_eq!(outcomes.len(), 25);
    assert!(outcomes.iter().all(
        |outcome| outcome["outcome"]["issue"][0]["diagnostics"] == "Patient/p30 is not wanted"
    ));
}

#[test]
fn one_resource_that_the_server_cannot_read_does_not_take_its_batch_along() {
    let (store, medplum) = (Store::open(), Medplum::new());
    store.server.guard(|request| {
        request
            .text()
            .contains("p8\"")
            .then(|| Answer::outcome(400, "structure", "cannot read it"))
    });
    medplum.file("a.ndjson", patients(25));
    let report = import(&medplum, &store, &["a.ndjson", "-o", "json"])
        .fails(5)
        .json();
    assert_eq!(
        (&report["created"], &report["refused"]),
        (&json!(24), &json!(1))
    );
    assert_eq!(
        medplum.read("rejects.ndjson"),
        "{\"resourceType\":\"Patient\",\"id\":\"p8\"}\n"
    );
}

#[test]
fn a_slow_server_gets_smaller_bundles() {
    let (store, medplum) = (Store::open(), Medplum::new());
    store
        .server
        .guard(|request| (lines_of(request).len() > 10).then(Answer::silence));
    medplum.file("a.ndjson", patients(40));
    let report = import(
        &medplum,
        &store,
        &[
            "a.ndjson",
            "-o",
            "json",
            "--timeout",
            "400ms",
            "--bundle-size",
            "20",
            "--parallel",
            "2",
        ],
    )
    .ok()
    .json();
    assert_eq!(report["created"], 40);
    assert_all_written_once(&store, 40);
}

#[test]
fn without_rights_the_run_ends_at_once() {
    for status in [401, 403] {
        let (store, medplum) = (Store::open(), Medplum::new());
        store
            .server
            .guard(move |_| Some(Answer::outcome(status, "forbidden", "no rights")));
        medplum.file("a.ndjson", patients(60));
        let run = import(&medplum, &store, &["a.ndjson", "-o", "json"])
            .fails(3)
            .says("no rights");
        assert_eq!(run.json()["notSent"], 60);
        assert_eq!(store.bundles().len(), 1);
    }
}

#[test]
fn an_answer_that_is_no_bundle_ends_the_run_and_claims_nothing() {
    let (store, medplum) = (Store::open(), Medplum::new());
    store.server.guard(|_| {
        Some(Answer::json(
            200,
            r#"{"resourceType":"Bundle","entry":[{}]}"#,
        ))
    });
    medplum.file("a.ndjson", patients(60));
    let run = import(&medplum, &store, &["a.ndjson", "-o", "json"])
        .fails(1)
        .says("1 entries for 25 requests");
    assert_eq!(
        (
            &run.json()["created"],
            &run.json()["unknown"],
            &run.json()["notSent"]
        ),
        (&json!(0), &json!(25), &json!(35))
    );
}

#[test]
fn a_server_without_batches_is_named_as_such() {
    let (store, medplum) = (Store::open(), Medplum::new());
    store
        .server
        .guard(|request| (request.path() == "/fhir/R4").then(|| Answer::empty(405)));
    medplum.file("a.ndjson", patients(3));
    import(&medplum, &store, &["a.ndjson"])
        .fails(1)
        .says("--bundle none");
    let report = import(
        &medplum,
        &store,
        &["a.ndjson", "--bundle", "none", "-o", "json"],
    )
    .ok()
    .json();
    assert_eq!(
        (&report["created"], &report["requests"]),
        (&json!(3), &json!(3))
    );
}

#[test]
fn two_versions_of_one_resource_arrive_in_the_order_of_the_lines() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let line = |number: usize| {
        format!(
            "{{\"resourceType\":\"Patient\",\"id\":\"p{}\",\"version\":{number}}}",
            number % 7
        )
    };
    let lines: Vec<String> = (0..140).map(line).collect();
    medplum.file("a.ndjson", lines.join("\n"));
    // Answers that come late must not let a later version overtake.
    let (seen, order) = (AtomicUsize::new(0), Arc::new(Mutex::new(Vec::new())));
    let arrived = Arc::clone(&order);
    store.server.guard(move |request: &Request| {
        arrived.lock().unwrap().push(request.text());
        (seen.fetch_add(1, Ordering::SeqCst) % 5 == 1).then(Answer::reset)
    });
    import(
        &medplum,
        &store,
        &["a.ndjson", "--bundle-size", "4", "--parallel", "8"],
    )
    .ok();
    for number in 0..7 {
        let last = lines
            .iter()
            .rev()
            .find(|line| line.contains(&format!("\"p{number}\"")))
            .unwrap();
        assert_eq!(&store.text(&format!("Patient/p{number}")), last);
    }
    assert!(order.lock().unwrap().len() > 35);
}

/// A type that the server does not know is no reason to hold up all others.
#[test]
fn an_unknown_type_is_refused_and_the_others_go() {
    let mut rules = Rules::default();
    rules.unknown_types.insert("Library".into());
    let (store, medplum) = (Store::with(rules), Medplum::new());
    let library = r#"{"resourceType":"Library","id":"l"}"#;
    medplum.file("a.ndjson", format!("{library}\n{}", patients(60)));
    let report = import(&medplum, &store, &["a.ndjson", "-o", "json"])
        .fails(5)
        .json();
    assert_eq!(
        (&report["created"], &report["refused"]),
        (&json!(60), &json!(1))
    );
}

#[test]
fn a_server_that_takes_no_client_ids_is_told_after_a_413_too() {
    let rules = Rules {
        refuses_ids: true,
        ..Rules::default()
    };
    let (store, medplum) = (Store::with(rules), Medplum::new());
    fault(&store, &[0], || Answer::empty(413));
    medplum.file("a.ndjson", patients(200));
    import(&medplum, &store, &["a.ndjson"])
        .fails(1)
        .says("--method conditional");
    assert!(store.bundles().len() <= 2, "{:?}", store.server.lines());
}

/// 200 with a web page is what proxies and login pages say.
#[test]
fn an_answer_to_one_resource_that_is_no_fhir_or_an_error_is_no_success() {
    let page = || Answer::new(200, "text/html", "<title>Sign in</title>");
    let error = || Answer::outcome(200, "processing", "not today");
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", patients(3));
    store.server.guard(move |_| Some(page()));
    let args = ["a.ndjson", "--bundle", "none", "-o", "json"];
    let run = import(&medplum, &store, &args).fails(1).says("Sign in");
    let report = run.json();
    assert_eq!(
        (&report["created"], &report["updated"]),
        (&json!(0), &json!(0))
    );

    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", patients(3));
    store.server.guard(move |_| Some(error()));
    let report = import(&medplum, &store, &args).fails(5).json();
    assert_eq!(report["refused"], 3);
}

/// What was said of one resource must not pass for what was said of another.
#[test]
fn answers_in_another_order_end_the_run_and_claim_nothing() {
    let rules = Rules {
        refused: ["Patient/p1".to_owned()].into(),
        ..Rules::default()
    };
    let (store, medplum) = (Store::with(rules), Medplum::new());
    let does = store.does();
    store.server.guard(move |request| {
        let answer = does(request)?;
        let mut bundle: Value = serde_json::from_slice(answer.text()).unwrap();
        bundle["entry"].as_array_mut().unwrap().reverse();
        Some(Answer::json(200, bundle.to_string()))
    });
    medplum.file("a.ndjson", patients(2));
    let run = import(&medplum, &store, &["a.ndjson", "-o", "json"]).fails(1);
    let report = run.says("in its place is about Patient/p").json();
    assert_eq!(
        (&report["created"], &report["refused"]),
        (&json!(0), &json!(0))
    );
}

#[test]
fn one_resource_at_which_the_server_breaks_down_does_not_take_the_others_along() {
    let (store, medplum) = (Store::open(), Medplum::new());
    store
        .server
        .guard(|request| request.text().contains("\"p7\"").then(Answer::reset));
    medplum.file("a.ndjson", patients(100));
    let args = ["a.ndjson", "-o", "json", "--retries", "1"];
    let report = import(&medplum, &store, &args).fails(5).json();
    assert_eq!(
        (&report["created"], &report["unknown"]),
        (&json!(99), &json!(1))
    );
    assert!(medplum.read("rejects.ndjson").contains("\"p7\""));
}

/// Many requests are under way when a server begins to say "not now"; that is said once, not so often.
#[test]
fn a_burst_of_not_now_is_one() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let (seen, all) = (AtomicUsize::new(0), Barrier::new(20));
    store.server.guard(move |request| {
        let number = seen.fetch_add(1, Ordering::SeqCst);
        if request.method != "PUT" || !(1..=20).contains(&number) {
            return None;
        }
        let _ = all.wait();
        Some(Answer::empty(429).header("Retry-After", "0.1"))
    });
    medplum.file("a.ndjson", patients(100));
    let args = [
        "a.ndjson",
        "--bundle",
        "none",
        "--parallel",
        "32",
        "-o",
        "json",
    ];
    let report = import(&medplum, &store, &args).ok().json();
    assert_eq!(report["created"], 100);
}

#[test]
fn a_server_that_is_busy_while_it_is_read_is_waited_for() {
    let (store, medplum) = (Store::open(), Medplum::new());
    fault(&store, &[0, 3], || {
        Answer::empty(429).header("Retry-After", "0.1")
    });
    medplum.file("a.ndjson", patients(60));
    let args = ["a.ndjson", "--skip-unchanged", "-o", "json"];
    let report = import(&medplum, &store, &args).ok().json();
    assert_eq!(report["created"], 60);
}
