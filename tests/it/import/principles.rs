//! Whatever a server does, and however often an import has to go on: no POST is done twice, references lead to what they led
//! to, each line is accounted for, and nothing of the user's is touched.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::Value;

use super::basics::import;
use super::identity::{counting, pointing, resource};
use crate::support::store::{Rules, references};
use crate::support::{Answer, Medplum, Store};

const PAIRS: usize = 12;
/// Files of the user's under names like those of an import, each beside what is written.
const CANARIES: [&str; 4] = [
    "rejects.ndjson.old",
    ".medplum-import/notes.txt",
    "rejects.outcomes.ndjson~",
    "journal.ndjson",
];

/// Lines in a random order: patients, and observations that point at them.
fn lines(rng: &mut fastrand::Rng) -> Vec<String> {
    let mut lines: Vec<String> = (1..=PAIRS)
        .flat_map(|number| {
            let (id, target) = (number.to_string(), format!("Patient/{number}"));
            [
                resource("Patient", &id, ""),
                pointing("Observation", &id, "subject", &target),
            ]
        })
        .collect();
    rng.shuffle(&mut lines);
    lines
}

/// Fails one request in three: before the work is done, or after it.
fn make_unreliable(store: &Store, seed: u64) {
    let (rng, does) = (Mutex::new(fastrand::Rng::with_seed(seed)), store.does());
    store.server.guard(move |request| {
        let fault = rng.lock().unwrap().u8(0..15);
        match fault {
            0 => Some(Answer::reset()),
            1 => Some(Answer::empty(429).header("Retry-After", "0")),
            2 => Some(Answer::empty(503).header("Retry-After", "0")),
            3 => does(request).map(|_| Answer::reset()),
            4 => does(request).map(|_| Answer::empty(503)),
            _ => None,
        }
    });
}

/// How often each identifier is on the server, and that what points leads to whom it led to.
fn assert_held(store: &Store, words: &str) -> BTreeMap<String, usize> {
    let names = store.names();
    let value = |name: &str| -> Value { serde_json::from_str(&store.text(name)).unwrap() };
    let identifier = |value: &Value| value["identifier"][0]["value"].as_str().unwrap().to_owned();
    let mut found = BTreeMap::new();
    for name in &names {
        let value = value(name);
        let own = identifier(&value);
        for target in references(&value) {
            assert!(
                names.contains(&target),
                "{own} points at {target}, which is nothing\n{words}"
            );
            let wanted = own.replace("Observation", "Patient");
            let there = identifier(&serde_json::from_str(&store.text(&target)).unwrap());
            assert_eq!(there, wanted, "{own} is led to somebody else\n{words}");
        }
        *found.entry(own).or_default() += 1;
    }
    found
}

fn survives(seed: u64, flags: &[&str], rules: Rules) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let (store, medplum) = (Store::with(rules), Medplum::new());
    medplum.file("a.ndjson", lines(&mut rng).join("\n"));
    for canary in CANARIES {
        medplum.file(canary, "mine\n");
    }
    make_unreliable(&store, seed);
    let size = rng.usize(1..6).to_string();
    let args = [
        "a.ndjson",
        "-o",
        "json",
        "--retries",
        "1",
        "--bundle-size",
        &size,
    ];
    let args = [&args[..], flags].concat();
    let mut run = import(&medplum, &store, &args);
    for _ in 0..20 {
        if !run.stderr.contains("with --resume to go on") {
            break;
        }
        run = import(&medplum, &store, &[&args[..], &["--resume"]].concat());
    }
    let words = format!("seed {seed}, {args:?}\n{run}");
    assert!([0, 5].contains(&run.code), "{words}");
    let found = assert_held(&store, &words);
    assert!(
        found.values().all(|times| *times == 1),
        "doubled: {found:?}\n{words}"
    );
    let report = run.json();
    assert_eq!(report["resources"], 2 * PAIRS, "{words}");
    let told = ["refused", "unknown"].map(|name| report[name].as_u64().unwrap());
    let is_missing = 2 * PAIRS as u64 - found.len() as u64;
    assert!(is_missing <= told[0] + told[1], "lost in silence\n{words}");
    for canary in CANARIES {
        assert_eq!(medplum.read(canary), "mine\n", "{canary}\n{words}");
    }
}

#[test]
fn random_failures_double_no_post_and_lead_no_reference_elsewhere() {
    let transaction = [
        "--method",
        "post",
        "--bundle",
        "transaction",
        "--order",
        "auto",
    ];
    for seed in 0..6 {
        for flags in [
            &["--method", "post"][..],
            &["--method", "post", "--bundle", "none"],
            &transaction,
            &["--method", "conditional"],
        ] {
            survives(seed, flags, counting());
        }
        survives(seed, &["--method", "put"], Rules::default());
    }
}
