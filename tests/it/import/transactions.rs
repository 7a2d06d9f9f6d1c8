//! References of POSTs in transactions: led within one by full URLs and to earlier ones by the ids they gave, or refused.

use serde_json::{Value, json};

use super::basics::import;
use super::identity::{counting, expected, links, pointing, resource};
use crate::support::{Answer, Medplum, Store};

const LED: [&str; 6] = [
    "--method",
    "post",
    "--bundle",
    "transaction",
    "--order",
    "auto",
];

/// A server where somebody else is Patient/1 and Patient/2 already.
fn with_others() -> (Store, Medplum) {
    let (store, medplum) = (Store::with(counting()), Medplum::new());
    medplum.file(
        "others.ndjson",
        [resource("Patient", "x", ""), resource("Patient", "y", "")].join("\n"),
    );
    import(&medplum, &store, &["others.ndjson", "--method", "post"]).ok();
    assert_eq!(store.names(), ["Patient/1", "Patient/2"]);
    store.server.forget();
    (store, medplum)
}

const OTHERS: [(&str, &[&str]); 2] = [("Patient-x", &[]), ("Patient-y", &[])];

#[test]
fn a_transaction_of_posts_leads_references_by_id_within_it_and_to_earlier_ones() {
    for (size, flags) in [
        ("1", &LED[..]),
        ("2", &LED),
        ("25", &LED),
        (
            "2",
            &[
                "--method",
                "post",
                "--bundle",
                "transaction",
                "--match",
                "identifier={identifier.system}|{identifier.value}",
            ],
        ),
        (
            "25",
            &[
                "--method",
                "post",
                "--bundle",
                "transaction",
                "--order",
                "given",
            ],
        ),
    ] {
        let (store, medplum) = with_others();
        let lines = [
            pointing("Observation", "1", "subject", "Patient/1"),
            pointing("Observation", "2", "subject", "Patient/2/_history/3"),
            resource("Patient", "1", ""),
            resource("Patient", "2", ""),
            pointing("Provenance", "1", "target", "Observation/1"),
        ];
        medplum.file("a.ndjson", lines.join("\n"));
        let args = [&["a.ndjson", "-o", "json", "--bundle-size", size], flags].concat();
        let report = import(&medplum, &store, &args).ok().json();
        assert_eq!(report["danglingReferences"], 0, "{args:?}");
        let mut wanted = expected(&[
            ("Observation-1", &["Patient-1"]),
            ("Observation-2", &["Patient-2"]),
            ("Patient-1", &[]),
            ("Patient-2", &[]),
            ("Provenance-1", &["Observation-1"]),
        ]);
        wanted.extend(expected(&OTHERS));
        assert_eq!(links(&store), wanted, "{args:?}");
    }
}

#[test]
fn a_circle_by_id_goes_in_one_transaction_or_is_refused() {
    let lines = [
        pointing("Patient", "1", "link", "Observation/1"),
        pointing("Observation", "1", "subject", "Patient/1"),
    ];
    let (store, medplum) = with_others();
    medplum.file("a.ndjson", lines.join("\n"));
    import(&medplum, &store, &[&["a.ndjson"], &LED[..]].concat()).ok();
    let mut wanted = expected(&[
        ("Patient-1", &["Observation-1"]),
        ("Observation-1", &["Patient-1"]),
    ]);
    wanted.extend(expected(&OTHERS));
    assert_eq!(links(&store), wanted);
    // One in each transaction: neither can be first.
    let (store, medplum) = with_others();
    medplum.file("a.ndjson", lines.join("\n"));
    import(
        &medplum,
        &store,
        &[&["a.ndjson", "--bundle-size", "1"], &LED[..]].concat(),
    )
    .fails(5)
    .says("--method conditional writes such circles");
    assert_eq!(links(&store), expected(&OTHERS));
}

/// What is pointed at was refused: nothing goes to the one who has its id.
#[test]
fn what_points_at_a_refused_resource_is_not_sent_in_a_transaction() {
    let (store, medplum) = with_others();
    let person = resource("Patient", "1", "");
    let refused = person.clone();
    store.server.guard(move |request| {
        let is_it = request.text().contains(&refused);
        is_it.then(|| Answer::outcome(422, "invalid", "no such person"))
    });
    let lines = [
        pointing("Observation", "1", "subject", "Patient/1"),
        person,
        resource("Patient", "2", ""),
    ];
    medplum.file("a.ndjson", lines.join("\n"));
    let args = [&["a.ndjson", "--bundle-size", "1"], &LED[..]].concat();
    import(&medplum, &store, &args)
        .fails(5)
        .says("it points at Patient/1, which was not taken");
    let mut wanted = expected(&[("Patient-2", &[])]);
    wanted.extend(expected(&OTHERS));
    assert_eq!(links(&store), wanted);
}

#[test]
fn as_the_medplum_cli_sends_them_references_stay_and_the_warning_names_the_cure() {
    let (store, medplum) = with_others();
    let lines = [
        pointing("Observation", "1", "subject", "Patient/1"),
        resource("Patient", "1", ""),
    ];
    medplum.file("a.ndjson", lines.join("\n"));
    let args = ["a.ndjson", "--method", "post", "--bundle", "transaction"];
    import(&medplum, &store, &args)
        .ok()
        .says("Warning: 1 reference")
        .says("--order auto");
    let sent = store.server.request_to("/fhir/R4").json();
    let entry = |line: &String| -> Value {
        let resource: Value = serde_json::from_str(line).unwrap();
        json!({"request": {"method": "POST", "url": resource["resourceType"]}, "resource": resource})
    };
    assert_eq!(sent["entry"], json!(lines.each_ref().map(entry)));
}

/// Two Bundles in lines use the same full URL, each for its own patient.
#[test]
fn two_bundles_with_the_same_full_url_do_not_meet_in_one_transaction() {
    for flags in [&LED[..], &LED[..4]] {
        let (store, medplum) = with_others();
        let bundle = |id: &str| {
            let entries = [
                (
                    "urn:uuid:00000000-0000-4000-8000-000000000001",
                    resource("Patient", id, ""),
                ),
                (
                    "urn:uuid:00000000-0000-4000-8000-000000000002",
                    pointing(
                        "Observation",
                        id,
                        "subject",
                        "urn:uuid:00000000-0000-4000-8000-000000000001",
                    ),
                ),
            ];
            let entries = entries.map(|(url, text)| {
                let resource: Value = serde_json::from_str(&text).unwrap();
                json!({"fullUrl": url, "resource": resource})
            });
            json!({"resourceType": "Bundle", "type": "transaction", "entry": entries}).to_string()
        };
        medplum.file("a.ndjson", [bundle("1"), bundle("2")].join("\n"));
        import(&medplum, &store, &[&["a.ndjson"], flags].concat()).ok();
        for request in store.server.requests_to("/fhir/R4") {
            let bundle = request.json();
            let entries = bundle["entry"].as_array().unwrap();
            let mut urls: Vec<_> = entries
                .iter()
                .map(|entry| entry["fullUrl"].to_string())
                .collect();
            urls.sort();
            urls.dedup();
            assert_eq!(urls.len(), entries.len(), "one full URL twice: {bundle}");
        }
        let mut wanted = expected(&[
            ("Observation-1", &["Patient-1"]),
            ("Observation-2", &["Patient-2"]),
            ("Patient-1", &[]),
            ("Patient-2", &[]),
        ]);
        wanted.extend(expected(&OTHERS));
        assert_eq!(links(&store), wanted, "{flags:?}");
    }
}
