//! Rejects that are tried again: what was in a Bundle keeps its name, so that others find it, or it is said why not.

use std::collections::BTreeMap;

use super::basics::import;
use super::identity::{expected, links, resource};
use crate::support::store::Rules;
use crate::support::{Medplum, Store};

fn urn(number: u32) -> String {
    format!("urn:uuid:0c3151bd-1cbf-4d64-b04d-{number:012}")
}

fn bundle(kind: &str, entries: &[(&str, String)]) -> String {
    let entry =
        |(url, text): &(&str, String)| format!(r#"{{"fullUrl":"{url}","resource":{text}}}"#);
    let entries: Vec<String> = entries.iter().map(entry).collect();
    format!(
        r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{}]}}"#,
        entries.join(",")
    )
}

/// Both Patients and the Practitioner, however they are written.
fn picky() -> Store {
    let names = ["Patient/a", "Patient/b", "Patient/", "Practitioner/"];
    Store::with(Rules {
        refused: names.map(str::to_owned).into(),
        ..Rules::default()
    })
}

/// Two Bundles with the same full URLs, and a resource that has a name over HTTP and no id.
fn of_two_bundles(
    medplum: &Medplum,
    as_lines: bool,
) -> (Vec<&'static str>, BTreeMap<String, Vec<String>>) {
    let mut bundles = Vec::new();
    for name in ["a", "b"] {
        let practitioner =
            resource("Practitioner", name, "").replace(&format!(r#""id":"{name}","#), "");
        let also = format!(
            r#","subject":{{"reference":"{}"}},"performer":[{{"reference":"http://old/fhir/Practitioner/9"}}]"#,
            urn(1)
        );
        bundles.push(bundle(
            "batch",
            &[
                (&urn(2), resource("Observation", name, &also)),
                (&urn(1), resource("Patient", name, "")),
                ("http://old/fhir/Practitioner/9", practitioner),
            ],
        ));
    }
    let wanted = expected(&[
        ("Observation-a", &["Patient-a", "Practitioner-a"]),
        ("Observation-b", &["Patient-b", "Practitioner-b"]),
        ("Patient-a", &[]),
        ("Patient-b", &[]),
        ("Practitioner-a", &[]),
        ("Practitioner-b", &[]),
    ]);
    if as_lines {
        medplum.file("a.ndjson", bundles.join("\n"));
        return (vec!["a.ndjson"], wanted);
    }
    medplum.file("a.json", &bundles[0]);
    medplum.file("b.json", &bundles[1]);
    (vec!["a.json", "b.json"], wanted)
}

#[test]
fn rejects_of_bundles_find_each_other_when_they_are_tried_again() {
    for flags in [
        &["--method", "conditional"][..],
        &["--method", "post"],
        &["--method", "post", "--bundle", "transaction"],
        &[
            "--method",
            "post",
            "--bundle",
            "transaction",
            "--order",
            "auto",
        ],
        &["--method", "post", "--bundle", "none"],
    ] {
        for as_lines in [false, true] {
            let medplum = Medplum::new();
            let (files, wanted) = of_two_bundles(&medplum, as_lines);
            let store = picky();
            let run = import(&medplum, &store, &[&files[..], flags].concat()).fails(5);
            assert!(store.names().is_empty(), "{run}");
            // Still refused, they are kept as they are.
            import(&medplum, &store, &[&["rejects.ndjson"], flags].concat()).fails(5);
            assert!(store.names().is_empty());
            let other = Store::open();
            let run = import(&medplum, &other, &[&["rejects.ndjson"], flags].concat()).ok();
            assert_eq!(links(&other), wanted, "{flags:?} {as_lines}\n{run}");
        }
    }
}

#[test]
fn an_entry_that_cannot_be_sent_is_kept_whole_and_says_the_same_when_it_is_tried_again() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let patient = resource("Patient", "a", "");
    medplum.file(
        "a.json",
        format!(
            "{{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[\n{{\"fullUrl\":\"{}\",\n\"resource\":{patient},\n\
             \"request\":{{\"method\":\"POST\",\"url\":\"Patient\",\"ifNoneExist\":\"a=b\"}}}}]}}",
            urn(1)
        ),
    );
    let post = ["--method", "post"];
    for name in ["a.json", "rejects.ndjson"] {
        import(&medplum, &store, &[&[name], &post[..]].concat())
            .fails(5)
            .says("its request has ifNoneExist");
    }
    assert!(store.names().is_empty());
    let matching = [
        "--match",
        "identifier={identifier.system}|{identifier.value}",
    ];
    import(
        &medplum,
        &store,
        &[&["rejects.ndjson"], &post[..], &matching].concat(),
    )
    .ok();
    assert_eq!(store.names(), ["Patient/new-1"]);
}

#[test]
fn a_line_that_is_no_bundle_in_the_end_stops_nothing() {
    for bad in [
        r#"{"resourceType":"Bundle","type":"batch"}}"#,
        r#"{"resourceType":"Bundle","type":"batch","entry":["#,
        r#"{"resourceType":"Bundle","type":"history","entry":[}"#,
        r#"{"resourceType":"Bundle","type":"batch","entry":{"resource":{"resourceType":"Patient"}}}"#,
    ] {
        let (store, medplum) = (Store::open(), Medplum::new());
        let lines = [bad, &resource("Patient", "b", "")];
        medplum.file("a.ndjson", lines.join("\n"));
        import(&medplum, &store, &["a.ndjson"]).fails(5);
        assert_eq!(store.names(), ["Patient/b"]);
        assert_eq!(medplum.read("rejects.ndjson"), format!("{bad}\n"));
    }
}
