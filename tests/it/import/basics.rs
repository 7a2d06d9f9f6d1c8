//! `bulk import` as a user runs it: what is sent, in which order, and what is said of it.

use serde_json::{Value, json};

use crate::support::store::Rules;
use crate::support::{Medplum, Run, Store};

/// Numbers that a client which reads them would change, and members that nobody knows.
pub(crate) const ODD: &str = r#"{"resourceType":"Observation","zz":{"b":1,"a":2},"id":"odd","valueQuantity":{"value":1.00},"x":1e2,"y":12345678901234567890,"t":"\u00e9"}"#;

/// Small bundles, so that a test sees several.
pub(crate) const SMALL: [&str; 2] = ["--bundle-size", "25"];

/// Runs `bulk import` with these arguments against a store; 25 resources in a bundle unless they say otherwise.
#[track_caller]
pub(crate) fn import(medplum: &Medplum, store: &Store, args: &[&str]) -> Run {
    let flags = store.flags();
    let mut words = vec!["bulk", "import"];
    words.extend(args);
    let says_size = ["--bundle-size", "--num-resources-per-request"];
    if !args.iter().any(|arg| says_size.contains(arg)) {
        words.extend(SMALL);
    }
    words.extend(flags.iter().map(String::as_str));
    medplum.run(words)
}

pub(crate) fn patients(count: usize) -> String {
    let line = |number| format!("{{\"resourceType\":\"Patient\",\"id\":\"p{number}\"}}");
    let lines: Vec<String> = (1..=count).map(line).collect();
    lines.join("\n") + "\n"
}

#[test]
fn a_bundle_holds_fifty_resources_and_a_transaction_twenty_five() {
    for (args, bundles) in [(&[][..], 2), (&["--bundle", "transaction"][..], 4)] {
        let (store, medplum) = (Store::open(), Medplum::new());
        medplum.file("a.ndjson", patients(100));
        let flags = store.flags();
        let words = [&["bulk", "import", "a.ndjson"], args].concat();
        let words = words.into_iter().map(str::to_owned).chain(flags);
        medplum.run(words).ok();
        assert_eq!(store.bundles().len(), bundles, "{args:?}");
    }
}

#[test]
fn lines_arrive_byte_for_byte_under_their_own_ids() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file(
        "a.ndjson",
        format!("\n{ODD}\r\n\n{}", r#"{"resourceType":"Patient","id":"p"}"#),
    );
    let run = import(&medplum, &store, &["a.ndjson", "-o", "json"]).ok();
    assert_eq!(store.text("Observation/odd"), ODD);
    assert_eq!(store.names(), ["Observation/odd", "Patient/p"]);
    let report = run.json();
    let expected = json!({"files": 1, "resources": 2, "created": 2, "updated": 0, "unchanged": 0, "refused": 0,
        "notSent": 0, "unknown": 0, "deleted": 0, "requests": 2, "rejects": null});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&report[name], value, "{name} in {report}");
    }
    assert_eq!(report["types"][0]["type"], "Patient");
    assert!(report["latencyMs"]["p95"].as_f64().unwrap() > 0.0);
    let again = import(&medplum, &store, &["a.ndjson", "-o", "json"])
        .ok()
        .json();
    assert_eq!(
        (&again["created"], &again["updated"]),
        (&json!(0), &json!(2))
    );
}

#[test]
fn a_refused_resource_is_kept_with_the_reason_and_can_be_tried_again() {
    let medplum = Medplum::new();
    let rules = Rules {
        refused: ["Patient/p7".to_owned()].into(),
        ..Rules::default()
    };
    let store = Store::with(rules);
    medplum.file("a.ndjson", patients(60));
    let run = import(&medplum, &store, &["a.ndjson", "-o", "json"])
        .fails(5)
        .says("p7 is not wanted");
    let report = run.json();
    assert_eq!(
        (&report["created"], &report["refused"]),
        (&json!(59), &json!(1))
    );
    assert_eq!(report["rejects"], "rejects.ndjson");
    assert_eq!(
        medplum.read("rejects.ndjson"),
        "{\"resourceType\":\"Patient\",\"id\":\"p7\"}\n"
    );
    let outcome: Value = serde_json::from_str(&medplum.read("rejects.outcomes.ndjson")).unwrap();
    assert_eq!(
        (&outcome["file"], &outcome["line"], &outcome["status"]),
        (&json!("a.ndjson"), &json!(7), &json!(422))
    );
    assert_eq!(
        outcome["outcome"]["issue"][0]["diagnostics"],
        "Patient/p7 is not wanted"
    );
    // Another import does not write over it.
    import(&medplum, &store, &["a.ndjson"])
        .fails(2)
        .says("rejects.ndjson");
    assert_eq!(store.writes()["Patient/p1"], 1);
    // Refused again, it is still there; taken, it is gone.
    import(&medplum, &store, &["rejects.ndjson"]).fails(5);
    assert_eq!(medplum.read("rejects.ndjson").lines().count(), 1);
    let kind = Store::open();
    import(&medplum, &kind, &["rejects.ndjson"]).ok();
    assert_eq!(kind.names(), ["Patient/p7"]);
    assert!(
        !medplum.path("rejects.ndjson").exists()
            && !medplum.path("rejects.outcomes.ndjson").exists()
    );
}

#[test]
fn what_is_pointed_at_goes_first_whatever_the_files_and_their_order() {
    let store = Store::with(Rules {
        checks_references: true,
        ..Rules::default()
    });
    let medplum = Medplum::new();
    let lines = |number| {
        [
            format!(
                r#"{{"resourceType":"Observation","id":"o{number}","subject":{{"reference":"Patient/p{number}"}},"encounter":{{"reference":"Encounter/e{number}"}}}}"#
            ),
            format!(
                r#"{{"resourceType":"Encounter","id":"e{number}","subject":{{"reference":"Patient/p{number}"}}}}"#
            ),
            format!(
                r#"{{"resourceType":"Patient","id":"p{number}","managingOrganization":{{"reference":"Organization/o"}}}}"#
            ),
        ]
    };
    let lines: Vec<String> = (0..40).flat_map(lines).collect();
    medplum.file("data/a.ndjson", lines.join("\n"));
    medplum.file(
        "data/z.ndjson",
        r#"{"resourceType":"Organization","id":"o"}"#,
    );
    let report = import(
        &medplum,
        &store,
        &["data", "-o", "json", "--bundle-size", "3"],
    )
    .ok()
    .json();
    assert_eq!(report["created"], 121);
    let types: Vec<&str> = report["types"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| kind["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        types,
        ["Organization", "Patient", "Encounter", "Observation"]
    );
    let given = Store::with(Rules {
        checks_references: true,
        ..Rules::default()
    });
    import(&medplum, &given, &["data", "--order", "given"]).fails(5);
}

#[test]
fn a_server_that_refuses_client_ids_stops_the_run_before_the_rest() {
    let rules = Rules {
        refuses_ids: true,
        ..Rules::default()
    };
    let (store, medplum) = (Store::with(rules), Medplum::new());
    medplum.file("a.ndjson", patients(100));
    for (bundle, refused, requests) in [("batch", 25, 2), ("none", 1, 2), ("transaction", 0, 1)] {
        store.server.forget();
        let run = import(
            &medplum,
            &store,
            &["a.ndjson", "-o", "json", "--bundle", bundle],
        );
        let report = run.fails(1).says("--method conditional").json();
        // One write, and the question whether it is only the type that the server does not know.
        assert_eq!(store.server.requests().len(), requests, "{bundle}");
        assert_eq!(
            (&report["refused"], &report["notSent"]),
            (&json!(refused), &json!(100 - refused)),
            "{bundle}"
        );
        assert!(!medplum.path("rejects.ndjson").exists());
    }
    // Nothing stands in the way of the other method.
    let lines =
        r#"{"resourceType":"Patient","id":"p","identifier":[{"system":"http://a","value":"1"}]}"#;
    medplum.file("a.ndjson", lines);
    import(&medplum, &store, &["a.ndjson", "--method", "conditional"]).ok();
    assert_eq!(store.names(), ["Patient/new-1"]);
}

/// Nothing of it was settled, so nothing of it may go.
#[test]
fn rejects_stay_when_the_server_takes_no_client_ids() {
    let rules = Rules {
        refuses_ids: true,
        ..Rules::default()
    };
    let (store, medplum) = (Store::with(rules), Medplum::new());
    medplum.file("rejects.ndjson", patients(3));
    medplum.file("rejects.outcomes.ndjson", "{}\n");
    import(&medplum, &store, &["rejects.ndjson"])
        .fails(1)
        .says("--method conditional");
    assert_eq!(medplum.read("rejects.ndjson"), patients(3));
    assert_eq!(medplum.read("rejects.outcomes.ndjson"), "{}\n");
}
