//! References that would lead elsewhere: led, or counted and warned of; never left in silence.

use serde_json::{Value, json};

use super::basics::import;
use crate::support::store::{Rules, references};
use crate::support::{Medplum, Store};

fn counting() -> Store {
    Store::with(Rules {
        counts: true,
        ..Rules::default()
    })
}

const PATIENT: &str = r#"{"resourceType":"Patient","id":"1"}"#;
const OBSERVATION: &str =
    r#"{"resourceType":"Observation","id":"1","subject":{"reference":"Patient/1"}}"#;

/// Somebody else is Patient/1 there already.
fn with_somebody_else() -> (Store, Medplum) {
    let (store, medplum) = (counting(), Medplum::new());
    medplum.file(
        "other.ndjson",
        r#"{"resourceType":"Patient","active":true}"#,
    );
    import(&medplum, &store, &["other.ndjson", "--method", "post"]).ok();
    assert_eq!(store.names(), ["Patient/1"]);
    medplum.file("a.ndjson", format!("{OBSERVATION}\n{PATIENT}\n"));
    (store, medplum)
}

fn subject(store: &Store) -> String {
    let names = store.names();
    let name = names
        .iter()
        .find(|name| name.starts_with("Observation"))
        .unwrap();
    let observation: Value = serde_json::from_str(&store.text(name)).unwrap();
    references(&observation)[0].clone()
}

#[test]
fn a_post_leads_references_by_id_to_the_new_ids() {
    for bundle in ["batch", "none"] {
        let (store, medplum) = with_somebody_else();
        let args = [
            "a.ndjson", "--method", "post", "--bundle", bundle, "-o", "json",
        ];
        let run = import(&medplum, &store, &args).ok();
        assert_eq!(run.json()["danglingReferences"], 0);
        let patient = subject(&store);
        assert_ne!(patient, "Patient/1", "{bundle}: somebody else");
        // A resource that is posted keeps its id in the body, for servers that honour it.
        assert!(store.text(&patient).contains(r#""id":"1""#));
    }
}

#[test]
fn a_transaction_of_posts_counts_references_that_it_cannot_lead_and_warns() {
    let (store, medplum) = with_somebody_else();
    let args = [
        "a.ndjson",
        "--method",
        "post",
        "--bundle",
        "transaction",
        "-o",
        "json",
    ];
    let run = import(&medplum, &store, &args)
        .ok()
        .says("Warning: 1 reference");
    assert_eq!(run.json()["danglingReferences"], 1);
}

#[test]
fn a_transaction_of_posts_keeps_full_urls_so_that_the_server_can_lead() {
    let (store, medplum) = (counting(), Medplum::new());
    let entry = |kind: &str, text: &str| json!({"fullUrl": format!("http://old/fhir/{kind}/1"), "resource": serde_json::from_str::<Value>(text).unwrap()});
    let bundle = json!({"resourceType": "Bundle", "type": "collection", "entry": [entry("Patient", PATIENT), entry("Observation", OBSERVATION)]});
    medplum.file("b.json", bundle.to_string());
    let args = [
        "b.json",
        "--method",
        "post",
        "--bundle",
        "transaction",
        "-o",
        "json",
    ];
    let run = import(&medplum, &store, &args).ok();
    assert_eq!(run.json()["danglingReferences"], 0);
    let sent = store.server.request_to("/fhir/R4").json();
    assert_eq!(sent["entry"][0]["fullUrl"], "http://old/fhir/Patient/1");
    assert_eq!(sent["entry"][1]["fullUrl"], "http://old/fhir/Observation/1");
}

#[test]
fn references_to_another_server_are_counted_and_warned_of() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let absolute = OBSERVATION.replace("Patient/1", "https://source.example/fhir/Patient/1");
    medplum.file("a.ndjson", format!("{PATIENT}\n{absolute}\n"));
    for args in [
        &["a.ndjson", "-o", "json"][..],
        &["a.ndjson", "-o", "json", "--dry-run"],
    ] {
        let run = import(&medplum, &store, args)
            .ok()
            .says("Warning: 1 reference");
        assert_eq!(run.json()["absoluteReferences"], 1);
        // Of a dry run nothing was sent.
        let is_dry = args.contains(&"--dry-run");
        assert_eq!(run.stderr.contains("would be sent as they are"), is_dry);
        assert_eq!(run.stderr.contains("were sent as they are"), !is_dry);
    }
    assert_eq!(store.text("Observation/1"), absolute);
}

#[test]
fn references_to_the_exports_own_server_are_led() {
    for method in ["put", "post"] {
        let (store, medplum) = (Store::open(), Medplum::new());
        let base = "https://source.example/fhir/";
        let text = OBSERVATION.replace("Patient/1", &format!("{base}Patient/1"))
            + "\n"
            + &OBSERVATION
                .replace("\"1\"", "\"2\"")
                .replace("Patient/1", &format!("{base}Patient/9"));
        medplum.file("out/a.ndjson", format!("{PATIENT}\n{text}\n"));
        let manifest = json!({"request": format!("{base}Group/g/$export?_type=Patient"), "output": [{"type": "Patient", "url": "http://x/1", "path": "a.ndjson"}]});
        medplum.file("out/manifest.json", manifest.to_string());
        let args = ["out", "--method", method, "-o", "json"];
        let run = import(&medplum, &store, &args).ok();
        // The second one is not in the export.
        assert_eq!(run.json()["absoluteReferences"], 1, "{run}");
        let patient = store
            .names()
            .iter()
            .find(|name| name.starts_with("Patient"))
            .unwrap()
            .clone();
        assert_eq!(subject(&store), patient, "{method}");
    }
}

#[test]
fn references_by_a_search_are_warned_of_outside_of_transactions() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file(
        "a.ndjson",
        OBSERVATION.replace("Patient/1", "Patient?identifier=a%7Cb"),
    );
    for (bundle, count) in [("batch", 1), ("none", 1), ("transaction", 0)] {
        let args = ["a.ndjson", "--bundle", bundle, "-o", "json"];
        let run = import(&medplum, &store, &args).ok();
        assert_eq!(run.json()["conditionalReferences"], count, "{bundle}");
        assert_eq!(run.stderr.contains("name a search"), count > 0, "{bundle}");
    }
}
