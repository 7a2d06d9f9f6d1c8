//! JSON says the same in many spellings: letters that are escaped, and `urn:uuid` in capitals, are read as what they mean.

use super::basics::import;
use super::identity::{expected, links, pointing, resource};
use crate::support::{Medplum, Store};

const UUID: &str = "0c3151bd-1cbf-4d64-b04d-00000000000a";

/// A Bundle of an Observation that points at a Patient, by spellings of the reference's key and value and of the full URL.
fn bundle(key: &str, value: &str, url: &str) -> String {
    let observation = pointing("Observation", "1", "subject", value).replace("\"reference\"", key);
    let patient = resource("Patient", "1", "");
    format!(
        r#"{{"resourceType":"Bundle","type":"batch","entry":[{{"resource":{observation}}},{{"fullUrl":"{url}","resource":{patient}}}]}}"#
    )
}

const WAYS: [&[&str]; 5] = [
    &[],
    &["--method", "conditional"],
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
];

#[test]
fn references_are_led_in_whatever_letters_they_are_written() {
    let plain = format!("urn:uuid:{UUID}");
    let capital = format!("URN:UUID:{}", UUID.to_uppercase());
    let escaped = plain.replace('u', r"\u0075").replace(':', r"\u003a");
    let spellings = [&plain, &capital, &escaped];
    let wanted = expected(&[("Observation-1", &["Patient-1"]), ("Patient-1", &[])]);
    for way in WAYS {
        for value in spellings {
            for url in spellings {
                for name in ["a.json", "a.ndjson"] {
                    let (store, medplum) = (Store::open(), Medplum::new());
                    medplum.file(name, bundle("\"reference\"", value, url));
                    let args = [&[name, "-o", "json"], way].concat();
                    let run = import(&medplum, &store, &args).ok();
                    assert_eq!(links(&store), wanted, "{way:?} {value} {url}\n{run}");
                    assert_eq!(run.json()["danglingReferences"], 0, "{run}");
                }
            }
        }
    }
}

#[test]
fn keys_are_read_in_whatever_letters_they_are_written() {
    let text = bundle(
        r#""\u0072eference""#,
        &format!("urn:uuid:{UUID}"),
        &format!("urn:uuid:{UUID}"),
    );
    let wanted = expected(&[("Observation-1", &["Patient-1"]), ("Patient-1", &[])]);
    for (plain, escaped) in [
        (r#""reference""#, r#""\u0072eference""#),
        (r#""fullUrl""#, r#""\u0066ullUrl""#),
        (r#""entry""#, r#""\u0065\u006e\u0074\u0072\u0079""#),
        (
            r#""resourceType":"Bundle""#,
            r#""\u0072esourceType":"\u0042undle""#,
        ),
        (
            r#""resourceType":"Patient""#,
            r#""\u0072\u0065\u0073\u006f\u0075\u0072\u0063\u0065\u0054\u0079\u0070\u0065":"P\u0061tient""#,
        ),
        (r#""type":"batch""#, r#""typ\u0065":"b\u0061tch""#),
        (r#""id":"1""#, r#""\u0069d":"\u0031""#),
    ] {
        let text = text.replace(plain, escaped);
        for way in &WAYS[..3] {
            for name in ["a.json", "a.ndjson"] {
                let (store, medplum) = (Store::open(), Medplum::new());
                medplum.file(name, &text);
                let run = import(&medplum, &store, &[&[name], *way].concat()).ok();
                assert_eq!(links(&store), wanted, "{way:?} {escaped}\n{run}");
                if way.is_empty() {
                    assert_eq!(store.names(), ["Observation/1", "Patient/1"], "{run}");
                }
            }
        }
    }
}

#[test]
fn references_that_are_not_led_are_counted_in_whatever_letters_they_are_written() {
    let line = |number: u32, key: &str, value: &str| {
        let id = number.to_string();
        pointing("Observation", &id, "subject", value).replace("\"reference\"", key)
    };
    let escaped = r#""\u0072eference""#;
    for (key, urn, absolute, conditional) in [
        (
            "\"reference\"",
            r"urn\u003auuid:0c3151bd-1cbf-4d64-b04d-00000000000b",
            r"https:\/\/other\/fhir\/Patient\/1",
            r"Patient\u003fidentifier=a",
        ),
        (
            escaped,
            "URN:uuid:0c3151bd-1cbf-4d64-b04d-00000000000b",
            "https://other/fhir/Patient/1",
            "Patient?identifier=a",
        ),
    ] {
        let (store, medplum) = (Store::open(), Medplum::new());
        let lines = [
            line(1, key, urn),
            line(2, key, absolute),
            line(3, key, conditional),
        ];
        medplum.file("a.ndjson", lines.join("\n"));
        let run = import(&medplum, &store, &["a.ndjson", "-o", "json"]).ok();
        let report = run.json();
        for count in [
            "danglingReferences",
            "absoluteReferences",
            "conditionalReferences",
        ] {
            assert_eq!(report[count], 1, "{count} {run}");
        }
        assert_eq!(store.names().len(), 3);
    }
}

#[test]
fn references_to_the_exports_own_server_are_led_in_whatever_letters() {
    for value in [
        r"https:\/\/source.example\/fhir\/Patient\/1",
        r"https\u003a//source.example/fhir/Patient/1",
    ] {
        let (store, medplum) = (Store::open(), Medplum::new());
        medplum.file(
            "out/a.ndjson",
            pointing("Observation", "1", "subject", value),
        );
        medplum.file("out/b.ndjson", resource("Patient", "1", ""));
        medplum.file(
            "out/manifest.json",
            r#"{"request":"https://source.example/fhir/$export","output":[{"path":"a.ndjson"},{"path":"b.ndjson"}]}"#,
        );
        let run = import(&medplum, &store, &["out", "-o", "json"]).ok();
        assert!(
            store
                .text("Observation/1")
                .contains(r#""reference":"Patient/1""#),
            "{run}"
        );
        assert_eq!(run.json()["absoluteReferences"], 0, "{run}");
    }
}
