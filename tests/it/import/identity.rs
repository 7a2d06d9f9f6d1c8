//! References hold, whoever gives the ids and in whatever order resources come: they lead to what they led to, or the
//! resource is refused, but never to somebody else.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::basics::import;
use crate::support::run::Run;
use crate::support::store::{Rules, references};
use crate::support::{Medplum, Store};

/// A server whose ids are numbers, as those of the input are: what is led wrongly leads to somebody else.
pub fn counting() -> Rules {
    Rules {
        refuses_ids: true,
        counts: true,
        ..Rules::default()
    }
}

/// A resource that is found by its identifier, which says what it was in the input.
pub fn resource(kind: &str, id: &str, rest: &str) -> String {
    format!(
        r#"{{"resourceType":"{kind}","id":"{id}","identifier":[{{"system":"http://a","value":"{kind}-{id}"}}]{rest}}}"#
    )
}

pub fn pointing(kind: &str, id: &str, member: &str, target: &str) -> String {
    resource(
        kind,
        id,
        &format!(r#","{member}":{{"reference":"{target}"}}"#),
    )
}

/// What each resource on the server points at, both by what they were in the input.
pub fn links(store: &Store) -> BTreeMap<String, Vec<String>> {
    let was = |name: &str| -> String {
        if !store.names().contains(&name.to_owned()) {
            return format!("nothing at {name}");
        }
        let json: Value = serde_json::from_str(&store.text(name)).unwrap();
        json["identifier"][0]["value"].as_str().unwrap().to_owned()
    };
    let all = store.names().into_iter().map(|name| {
        let json: Value = serde_json::from_str(&store.text(&name)).unwrap();
        let targets = references(&json).iter().map(|target| was(target)).collect();
        (was(&name), targets)
    });
    all.collect()
}

pub fn expected(links: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    let owned = |targets: &[&str]| targets.iter().map(|target| (*target).to_owned()).collect();
    links
        .iter()
        .map(|(name, targets)| ((*name).to_owned(), owned(targets)))
        .collect()
}

/// Patients among what points at them, a chain that comes from its end, and a circle.
fn knot() -> (String, BTreeMap<String, Vec<String>>) {
    let lines = [
        pointing("Observation", "1", "subject", "Patient/2"),
        resource("Patient", "2", ""),
        pointing("Observation", "3", "subject", "Patient/2/_history/1"),
        pointing("Organization", "4", "partOf", "Organization/5"),
        pointing("Organization", "5", "partOf", "Organization/6"),
        resource("Organization", "6", ""),
        pointing("Condition", "7", "encounter", "Encounter/8"),
        pointing("Encounter", "8", "diagnosis", "Condition/7"),
        resource("Patient", "1", ""),
    ];
    let wanted = expected(&[
        ("Observation-1", &["Patient-2"]),
        ("Patient-2", &[]),
        ("Observation-3", &["Patient-2"]),
        ("Organization-4", &["Organization-5"]),
        ("Organization-5", &["Organization-6"]),
        ("Organization-6", &[]),
        ("Condition-7", &["Encounter-8"]),
        ("Encounter-8", &["Condition-7"]),
        ("Patient-1", &[]),
    ]);
    (lines.join("\n"), wanted)
}

#[test]
fn a_conditional_import_leads_every_reference_whatever_the_order_the_bundle_and_the_answer() {
    let (lines, links_wanted) = knot();
    for bundle in ["batch", "transaction", "none"] {
        for order in ["auto", "given"] {
            for echoes in [false, true] {
                let rules = Rules {
                    echoes,
                    ..counting()
                };
                let (store, medplum) = (Store::with(rules), Medplum::new());
                medplum.file("a.ndjson", &lines);
                let args = ["a.ndjson", "--method", "conditional", "-o", "json"];
                let more = ["--bundle", bundle, "--order", order];
                let at = format!("{bundle} {order} {echoes}");
                // The second time everything is there already.
                for created in [9, 0] {
                    let run = import(&medplum, &store, &[&args[..], &more].concat()).ok();
                    let report = run.json();
                    assert_eq!(report["resources"], 9, "{at}\n{run}");
                    assert_eq!(links(&store), links_wanted, "{at} {created}\n{run}");
                }
                assert_eq!(store.names().len(), 9, "{at}");
            }
        }
    }
}

/// What points at a refused resource is refused too, and both can be tried again by themselves.
#[test]
fn what_points_at_a_refused_resource_is_not_led_elsewhere_and_rejects_find_each_other_again() {
    let mut rules = counting();
    rules.unknown_types.insert("Encounter".into());
    let medplum = Medplum::new();
    let lines = [
        resource("Patient", "1", ""),
        pointing("Encounter", "2", "subject", "Patient/1"),
        resource(
            "Observation",
            "3",
            r#","subject":{"reference":"Patient/1"},"encounter":{"reference":"Encounter/2"}"#,
        ),
    ];
    medplum.file("a.ndjson", lines.join("\n"));
    let store = Store::with(rules);
    let run = import(&medplum, &store, &["a.ndjson", "--method", "conditional"])
        .fails(5)
        .says("it points at Encounter/2, which was not taken");
    assert_eq!(store.names(), ["Patient/1"], "{run}");
    // The server has learnt of encounters; Patient/1 is somebody else's number in the input of this retry.
    store.allow("Encounter");
    let args = ["rejects.ndjson", "--method", "conditional"];
    let run = import(&medplum, &store, &args).ok();
    let wanted = expected(&[
        ("Patient-1", &[]),
        ("Encounter-2", &["Patient-1"]),
        ("Observation-3", &["Patient-1", "Encounter-2"]),
    ]);
    assert_eq!(links(&store), wanted, "{run}");
}

/// The ids of the input are those of other resources there.
#[test]
fn deletions_of_an_export_do_not_hit_what_the_server_gave_the_same_id() {
    for method in ["conditional", "post"] {
        let (store, medplum) = (Store::with(counting()), Medplum::new());
        let lines: Vec<String> = (11..16)
            .map(|id| resource("Patient", &id.to_string(), ""))
            .collect();
        let deletion = r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/3"}}]}"#;
        medplum.file("a.ndjson", format!("{}\n{deletion}", lines.join("\n")));
        let run = import(&medplum, &store, &["a.ndjson", "--method", method])
            .fails(5)
            .says("the server gives its own ids");
        assert_eq!(store.names().len(), 5, "{method}\n{run}");
    }
    // What this import wrote is known.
    let (store, medplum) = (Store::with(counting()), Medplum::new());
    let deletion = r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/12"}}]}"#;
    let lines = [
        resource("Patient", "11", ""),
        resource("Patient", "12", ""),
        deletion.to_owned(),
    ];
    medplum.file("a.ndjson", lines.join("\n"));
    let run = import(&medplum, &store, &["a.ndjson", "--method", "conditional"]).ok();
    assert_eq!(store.names(), ["Patient/1"], "{run}");
}

fn collection(entries: &[(&str, String)]) -> String {
    let entries: Vec<String> = entries
        .iter()
        .map(|(urn, resource)| format!(r#"{{"fullUrl":"{urn}","resource":{resource}}}"#))
        .collect();
    format!(
        r#"{{"resourceType":"Bundle","type":"collection","entry":[{}]}}"#,
        entries.join(",")
    )
}

fn urn(number: u32) -> String {
    format!("urn:uuid:0c3151bd-1cbf-4d64-b04d-{number:012}")
}

/// Made-up UUIDs are copied from template to template.
#[test]
fn a_full_url_leads_within_its_own_file_only() {
    let (store, medplum) = (Store::open(), Medplum::new());
    for name in ["a", "b"] {
        let patient = resource("Patient", name, "");
        let observation = pointing("Observation", name, "subject", &urn(1));
        medplum.file(
            &format!("{name}.json"),
            collection(&[(&urn(1), patient), (&urn(2), observation)]),
        );
    }
    medplum.file("c.ndjson", pointing("Observation", "c", "subject", &urn(1)));
    let args = ["a.json", "b.json", "c.ndjson", "-o", "json"];
    let run = import(&medplum, &store, &args).ok().says("urn:uuid");
    let there = links(&store);
    assert_eq!(there["Observation-a"], ["Patient-a"], "{run}");
    assert_eq!(there["Observation-b"], ["Patient-b"], "{run}");
    assert_eq!(run.json()["danglingReferences"], 1, "{run}");
}

#[test]
fn two_resources_without_ids_under_one_full_url_are_not_written_over_each_other() {
    let (store, medplum) = (Store::open(), Medplum::new());
    for name in ["a", "b"] {
        let patient = resource("Patient", name, "").replace(&format!(r#""id":"{name}","#), "");
        medplum.file(&format!("{name}.json"), collection(&[(&urn(1), patient)]));
    }
    import(&medplum, &store, &["a.json", "b.json"])
        .fails(5)
        .says("other files have other resources under its fullUrl");
    assert!(store.names().is_empty());
}

/// A chain by `urn:uuid` whose end comes last, and more of it than goes into one request.
fn chain() -> (String, BTreeMap<String, Vec<String>>) {
    let (mut entries, mut links) = (Vec::new(), BTreeMap::new());
    for number in 0..20 {
        let next = (number < 19).then(|| urn(number + 1));
        let id = number.to_string();
        let text = match &next {
            Some(next) => pointing("Organization", &id, "partOf", next),
            None => resource("Organization", &id, ""),
        };
        entries.push((urn(number), text));
        let targets = (number < 19).then(|| format!("Organization-{}", number + 1));
        links.insert(
            format!("Organization-{number}"),
            targets.into_iter().collect(),
        );
    }
    let entries: Vec<(&str, String)> = entries
        .iter()
        .map(|(urn, text)| (urn.as_str(), text.clone()))
        .collect();
    (collection(&entries), links)
}

fn post(medplum: &Medplum, store: &Store, flags: &[&str]) -> Run {
    let args = ["a.json", "--method", "post", "-o", "json"];
    import(medplum, store, &[&args[..], flags].concat())
}

#[test]
fn a_post_leads_full_urls_in_every_bundle_and_order_and_also_when_a_transaction_is_too_large() {
    let (text, wanted) = chain();
    for bundle in ["batch", "transaction", "none"] {
        for order in ["auto", "given"] {
            for largest in [usize::MAX, 5] {
                let (store, medplum) = (Store::with(counting()), Medplum::new());
                store.server.guard(move |request| {
                    let entries = request.text().matches("\"request\":").count();
                    (entries > largest).then(|| crate::support::Answer::empty(413))
                });
                medplum.file("a.json", &text);
                let run = post(&medplum, &store, &["--bundle", bundle, "--order", order]).ok();
                let at = format!("{bundle} {order} {largest}\n{run}");
                assert_eq!(links(&store), wanted, "{at}");
                assert_eq!(run.json()["created"], 20, "{at}");
            }
        }
    }
}

#[test]
fn a_post_of_a_circle_is_refused_except_within_a_transaction() {
    let text = collection(&[
        (&urn(1), pointing("Condition", "1", "encounter", &urn(2))),
        (&urn(2), pointing("Encounter", "2", "diagnosis", &urn(1))),
    ]);
    let (store, medplum) = (Store::with(counting()), Medplum::new());
    medplum.file("a.json", &text);
    post(&medplum, &store, &[])
        .fails(5)
        .says("--bundle transaction");
    assert!(store.names().is_empty());
    let again = ["--bundle", "transaction", "--rejects", "r.ndjson"];
    let run = post(&medplum, &store, &again).ok();
    let wanted = expected(&[
        ("Condition-1", &["Encounter-2"]),
        ("Encounter-2", &["Condition-1"]),
    ]);
    assert_eq!(links(&store), wanted, "{run}");
}

#[test]
fn stdin_leads_what_came_before() {
    let (store, medplum) = (Store::with(counting()), Medplum::new());
    let lines: Vec<String> = (0..60)
        .flat_map(|number| {
            let patient = format!("Patient/{number}");
            [
                resource("Patient", &number.to_string(), ""),
                pointing("Observation", &number.to_string(), "subject", &patient),
            ]
        })
        .collect();
    let args = ["bulk", "import", "-", "--method", "conditional"];
    let flags = store.flags();
    let matching = [
        "--match",
        "identifier={identifier.system}|{identifier.value}",
    ];
    let words = args
        .into_iter()
        .chain(matching)
        .map(str::to_owned)
        .chain(flags);
    let run = medplum.command(words).stdin(lines.join("\n")).run().ok();
    let there = links(&store);
    for number in 0..60 {
        let wanted = [format!("Patient-{number}")];
        assert_eq!(there[&format!("Observation-{number}")], wanted, "{run}");
    }
}

#[test]
fn a_link_of_another_kind_to_an_entry_is_led_too() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let document = resource(
        "DocumentReference",
        "d",
        &format!(
            r#","masterIdentifier":{{"system":"urn:ietf:rfc:3986","value":"{0}"}},"content":[{{"attachment":{{"url":"{0}"}}}}]"#,
            urn(1)
        ),
    );
    let binary = r#"{"resourceType":"Binary","id":"b","data":"eA=="}"#.to_owned();
    medplum.file(
        "a.json",
        collection(&[(&urn(1), binary), (&urn(2), document)]),
    );
    import(&medplum, &store, &["a.json"]).ok();
    let stored: Value = serde_json::from_str(&store.text("DocumentReference/d")).unwrap();
    assert_eq!(stored["content"][0]["attachment"]["url"], json!("Binary/b"));
    assert_eq!(stored["masterIdentifier"]["value"], json!(urn(1)));
}
