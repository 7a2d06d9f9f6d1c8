//! `bulk import` by the Medplum CLI and by this program, side by side.

use serde_json::{Value, json};

use super::sides::Sides;
use crate::import::basics::ODD;
use crate::support::store::{Rules, references};
use crate::support::{Answer, Medplum, Peer, Request, Run, Store, synthea};

const LIKE_THE_CLI: [&str; 4] = ["--method", "post", "--bundle", "transaction"];

/// Runs an import with each, the same but for the flags that make ours like theirs.
fn import(theirs: &Medplum, ours: &Medplum, args: &[&str]) -> [Run; 2] {
    let args = [&["bulk", "import"], args].concat();
    let run = theirs.medplum_cli(&args).spawn();
    let ours = ours.run([&args[..], &LIKE_THE_CLI].concat());
    [run.finish(), ours]
}

/// What a request asks for, with numbers as a program reads them: the Medplum CLI writes 1.00 as 1.
fn asked(request: &Request) -> Value {
    let body = as_read(request.json());
    json!([
        request.method,
        request.target,
        request.header("Content-Type"),
        body
    ])
}

fn as_read(value: Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64().unwrap()),
        Value::Array(values) => values.into_iter().map(as_read).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name, as_read(value)))
            .collect(),
        other => other,
    }
}

/// Two users whose profile leads to one store.
fn users_of(store: &Store) -> [Medplum; 2] {
    [(); 2].map(|()| Medplum::new().env("MEDPLUM_BASE_URL", store.server.url("/")))
}

/// Real resources of several types, and odd ones, in one file.
fn mixed() -> Option<String> {
    let folder = synthea::folder()?;
    let files = synthea::files(&folder);
    let mut lines: Vec<String> = files
        .iter()
        .flat_map(|path| synthea::lines(path).take(7))
        .collect();
    lines.push(ODD.to_owned());
    let benefit = json!({"resourceType": "ExplanationOfBenefit", "id": "bare", "item": [{"sequence": 1}, {"productOrService": {"text": "x"}}]});
    lines.push(benefit.to_string());
    Some(lines.join("\n"))
}

#[test]
fn with_its_method_and_bundles_our_requests_are_the_medplum_clis() {
    let Some(text) = mixed() else {
        return;
    };
    let in_folder: &[&str] = &["mixed.ndjson", "-d", "data"];
    for args in [
        in_folder,
        &["data/mixed.ndjson"],
        &[
            "mixed.ndjson",
            "--target-directory",
            "data",
            "--num-resources-per-request",
            "10",
        ],
        &["data/mixed.ndjson", "--num-resources-per-request", "1000"],
        &["data/mixed.ndjson", "--add-extensions-for-missing-values"],
    ] {
        let sides = Sides::new();
        sides.server.handler(|request| {
            let written = |(at, entry): (usize, &Value)| {
                let url = entry["request"]["url"].as_str().unwrap();
                let place = format!("{url}/{at}/_history/1");
                json!({"response": {"status": "201", "location": place}})
            };
            let entries = request.json()["entry"]
                .as_array()?
                .iter()
                .enumerate()
                .map(written)
                .collect::<Vec<_>>();
            let bundle =
                json!({"resourceType": "Bundle", "type": "transaction-response", "entry": entries});
            Some(Answer::json(200, bundle.to_string()))
        });
        let base = sides.server.url("/");
        for medplum in [&sides.theirs, &sides.ours] {
            medplum.file("data/mixed.ndjson", &text);
        }
        let with_base = [args, &["--base-url", &base]].concat();
        let [theirs, ours] = import(&sides.theirs, &sides.ours, &with_base);
        let _ = (theirs.ok(), ours.ok());
        let [theirs, ours] = sides
            .requests()
            .map(|requests| -> Vec<Value> { requests.iter().map(asked).collect() });
        assert!(!theirs.is_empty(), "{args:?}");
        assert_eq!(ours.len(), theirs.len(), "{args:?}");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "{args:?}");
        }
    }
}

/// The router gives new ids to what is POSTed, so references lead nowhere. Here they hold.
#[test]
fn c1_ids_and_references() {
    let text = r#"{"resourceType":"Patient","id":"p1"}
{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"}}"#;
    let router = Peer::router(&[]);
    let medplum = Medplum::new().env("MEDPLUM_BASE_URL", router.url("/"));
    medplum.file("a.ndjson", text);
    let found = || {
        let observation = medplum.run(["get", "Observation"]).ok().json();
        let target = references(&observation["entry"][0]["resource"]).remove(0);
        medplum.run(["get", &target]).code
    };
    medplum
        .medplum_cli(["bulk", "import", "a.ndjson"])
        .run()
        .ok();
    assert_eq!(found(), 4);
    let gone = medplum.run(["get", "Observation"]).ok().json();
    let id = gone["entry"][0]["resource"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    medplum.run(["delete", &format!("Observation/{id}")]).ok();
    medplum.run(["bulk", "import", "a.ndjson"]).ok();
    assert_eq!(found(), 0);
}

/// One refused resource: theirs ends with 1 at its bundle, and the rest stays out. Ours sends the rest and ends with 5.
#[test]
fn c2_a_resource_that_is_refused() {
    let store = Store::with(Rules {
        refused: ["Patient/p2".to_owned()].into(),
        ..Rules::default()
    });
    let [theirs, ours] = users_of(&store);
    for medplum in [&theirs, &ours] {
        medplum.file("a.ndjson", crate::import::basics::patients(100));
    }
    theirs
        .medplum_cli(["bulk", "import", "a.ndjson"])
        .run()
        .fails(1);
    assert_eq!(store.names().len(), 0);
    ours.run(["bulk", "import", "a.ndjson"]).fails(5);
    assert_eq!(store.names().len(), 99);
    assert_eq!(ours.read("rejects.ndjson").lines().count(), 1);
}

/// A blank line ends theirs; a size that is no number is taken for one bundle.
#[test]
fn c3_blank_lines_and_sizes() {
    let store = Store::open();
    let [theirs, ours] = users_of(&store);
    for medplum in [&theirs, &ours] {
        medplum.file(
            "blank.ndjson",
            crate::import::basics::patients(2).replace('\n', "\n\n"),
        );
        medplum.file("a.ndjson", crate::import::basics::patients(60));
    }
    let run = theirs.medplum_cli(["bulk", "import", "blank.ndjson"]).run();
    run.fails(1).says("Unexpected end of JSON input");
    ours.run(["bulk", "import", "blank.ndjson"]).ok();
    let args = [
        "bulk",
        "import",
        "a.ndjson",
        "--num-resources-per-request",
        "abc",
    ];
    store.server.forget();
    theirs.medplum_cli(args).run().ok();
    assert_eq!(store.bundles()[0].len(), 60);
    ours.run(args).fails(2).says("--bundle-size");
}

/// Digits: theirs change, ours do not.
#[test]
fn c4_digits_of_numbers() {
    let store = Store::open();
    let [theirs, ours] = users_of(&store);
    for medplum in [&theirs, &ours] {
        medplum.file("a.ndjson", ODD);
    }
    theirs
        .medplum_cli(["bulk", "import", "a.ndjson"])
        .run()
        .ok();
    let sent = store.server.requests_to("/fhir/R4")[0].text();
    assert!(
        sent.contains(r#""value":1}"#) && sent.contains(r#""x":100,"#),
        "{sent}"
    );
    assert!(sent.contains("12345678901234567000"), "{sent}");
    store.server.forget();
    ours.run([&["bulk", "import", "a.ndjson"], &LIKE_THE_CLI[..]].concat())
        .ok();
    assert!(store.server.requests_to("/fhir/R4")[0].text().contains(ODD));
}
