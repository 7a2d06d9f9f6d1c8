//! The memory of an import: a long resource costs few copies, and there is one at a time.

use serde_json::json;

use super::basics::import;
use super::identity::{counting, expected, links, pointing, resource};
use crate::support::{Answer, Medplum, Server, Store};

/// More than goes into a bundle.
const LENGTH: usize = 30 << 20;

#[test]
fn long_resources_cost_two_copies_however_many_there_are() {
    for method in ["put", "post"] {
        let (server, medplum) = (Server::start(), Medplum::new());
        server.handler(move |request| {
            assert!(request.body.len() > LENGTH, "{} bytes", request.body.len());
            let begins = String::from_utf8_lossy(&request.body[..300]).into_owned();
            let id = begins.split(r#""id":""#).nth(1).unwrap();
            let id = &id[..2];
            let place = format!("Binary/{id}/_history/1");
            let is_bundle = request.path() == "/fhir/R4";
            let entry = json!({"response": {"status": "201", "location": place}});
            Some(if is_bundle {
                let bundle =
                    json!({"resourceType": "Bundle", "type": "batch-response", "entry": [entry]});
                Answer::json(200, bundle.to_string())
            } else {
                Answer::empty(201).header("Location", &place)
            })
        });
        let line = |number: usize| {
            format!(
                r#"{{"resourceType":"Binary","id":"b{number}","contentType":"text/plain","data":"{}"}}"#,
                "eHh4".repeat(LENGTH / 4)
            )
        };
        medplum.file("a.ndjson", (0..3).map(line).collect::<Vec<_>>().join("\n"));
        let base = server.url("/");
        let args = [
            "bulk",
            "import",
            "a.ndjson",
            "-o",
            "json",
            "--method",
            method,
            "--base-url",
            &base,
        ];
        let (run, peak) = medplum.measured(&args);
        assert_eq!(run.ok().json()["created"], 3);
        let most = 2 * LENGTH as u64 + (48 << 20);
        assert!(peak < most, "{method}: {} MB", peak >> 20);
    }
}

/// What is read first, to leave alone what is the same, is read no further than the same could be long.
#[test]
fn an_endless_answer_to_what_is_read_first_is_not_kept() {
    for bundle in ["none", "batch"] {
        let (store, medplum) = (Store::open(), Medplum::new());
        let long = format!(
            r#"{{"resourceType":"Patient","x":"{}"}}"#,
            "x".repeat(100 << 20)
        );
        store.server.guard(move |request| {
            let reads = request.method == "GET" || request.text().contains(r#""method":"GET""#);
            reads.then(|| Answer::json(200, long.clone()))
        });
        medplum.file("a.ndjson", r#"{"resourceType":"Patient","id":"p1"}"#);
        let base = store.server.url("/");
        let words = [
            "bulk",
            "import",
            "a.ndjson",
            "-o",
            "json",
            "--skip-unchanged",
        ];
        let args = [&words[..], &["--bundle", bundle, "--base-url", &base]].concat();
        let (run, peak) = medplum.measured(&args);
        assert_eq!(run.ok().json()["created"], 1);
        assert!(peak < 48 << 20, "{bundle}: {} MB", peak >> 20);
    }
}

/// Each of two long resources waits for a target that comes after both, and one alone may be held.
#[test]
fn long_resources_that_wait_for_what_comes_later_do_not_hold_each_other_up() {
    let matched = "identifier={identifier.system}|{identifier.value}";
    let line = |id: &str| {
        let note = format!(r#","note":"{}""#, "x".repeat(17 << 20));
        let observation = pointing("Observation", id, "subject", "Patient/p");
        format!("{}{note}}}", &observation[..observation.len() - 1])
    };
    let lines = [line("1"), line("2"), resource("Patient", "p", "")].join("\n");
    for flags in [
        &["--method", "post"][..],
        &["--method", "conditional", "--match", matched],
        &[
            "--method",
            "post",
            "--bundle",
            "transaction",
            "--match",
            matched,
        ],
    ] {
        let (store, medplum) = (Store::with(counting()), Medplum::new());
        medplum.file("a.ndjson", &lines);
        let args = [&["a.ndjson", "-o", "json", "--order", "given"], flags].concat();
        let report = import(&medplum, &store, &args).ok().json();
        assert_eq!(report["created"], 3, "{flags:?}");
        let wanted = expected(&[
            ("Observation-1", &["Patient-p"]),
            ("Observation-2", &["Patient-p"]),
            ("Patient-p", &[]),
        ]);
        assert_eq!(links(&store), wanted, "{flags:?}");
    }
}
