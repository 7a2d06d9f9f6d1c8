//! Whatever a server does with its links from one reading to the next, exit code 0 means that every byte is right.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::bulk::{STATUS, ndjson};
use crate::support::readings::lines;
use crate::support::{Answer, Bulk};

/// What a server may do between two readings, and how it fails.
#[derive(Clone, Debug)]
struct Habits {
    seed: u64,
    files: usize,
    /// In how many of ten readings.
    shuffles: u8,
    renames: u8,
    signs: u8,
    /// A job that runs again: another time, other content.
    reruns: u8,
    /// In how many of ten requests for a file.
    refuses: u8,
    cuts: u8,
    counts: bool,
    /// Failures in all, so that an export can end.
    failures: u32,
}

fn habits() -> impl Strategy<Value = Habits> {
    (
        any::<u64>(),
        2_usize..6,
        (0_u8..10, 0_u8..10, 0_u8..10, 0_u8..3),
        (1_u8..6, 0_u8..3),
        any::<bool>(),
        1_u32..7,
    )
        .prop_map(
            |(
                seed,
                files,
                (shuffles, renames, signs, reruns),
                (refuses, cuts),
                counts,
                failures,
            )| Habits {
                seed,
                files,
                shuffles,
                renames,
                signs,
                reruns,
                refuses,
                cuts,
                counts,
                failures,
            },
        )
}

struct Model {
    habits: Habits,
    random: u64,
    /// What each file is: its type and number.
    order: Vec<usize>,
    names: Vec<String>,
    signature: u64,
    snapshot: usize,
    failures: u32,
    readings: usize,
}

fn type_of(file: usize) -> &'static str {
    ["Patient", "Observation"][file % 2]
}

fn text_of(file: usize, snapshot: usize) -> String {
    let from = file * 1000 + snapshot * 100;
    lines(type_of(file), from..from + 5 + file)
}

impl Model {
    fn new(habits: Habits) -> Self {
        Self {
            random: habits.seed | 1,
            order: (0..habits.files).collect(),
            names: (0..habits.files).map(|file| format!("f{file}")).collect(),
            signature: 0,
            snapshot: 0,
            failures: habits.failures,
            readings: 0,
            habits,
        }
    }

    fn next(&mut self, below: u64) -> u64 {
        // xorshift64
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn happens(&mut self, in_ten: u8) -> bool {
        self.next(10) < u64::from(in_ten)
    }

    fn reading(&mut self, bulk_url: &str) -> Value {
        self.readings += 1;
        let habits = self.habits.clone();
        if self.happens(habits.shuffles) {
            for at in (1..self.order.len()).rev() {
                let other = usize::try_from(self.next(at as u64 + 1)).unwrap();
                self.order.swap(at, other);
            }
        }
        if self.happens(habits.renames) {
            for file in 0..self.names.len() {
                self.names[file] = format!("n{}", self.next(1 << 20));
            }
            let unique: std::collections::HashSet<_> = self.names.iter().collect();
            assert_eq!(unique.len(), self.names.len());
        }
        if self.happens(habits.signs) {
            self.signature += 1;
        }
        if self.readings > 1 && self.happens(habits.reruns) && self.failures > 0 {
            self.snapshot += 1;
        }
        let entries = self.order.iter().map(|file| {
            let url = format!(
                "{bulk_url}/{}?X-Amz-Signature={}",
                self.names[*file], self.signature
            );
            let mut entry = json!({"type": type_of(*file), "url": url});
            if habits.counts {
                entry["count"] = (5 + file).into();
            }
            entry
        });
        let entries: Vec<Value> = entries.collect();
        let time = format!("2026-01-31T10:00:{:02}.000Z", self.snapshot);
        json!({"transactionTime": time, "requiresAccessToken": true, "output": entries, "error": []})
    }

    fn file(&mut self, name: &str) -> Answer {
        let Some(file) = self.names.iter().position(|known| known == name) else {
            return Answer::outcome(410, "deleted", "the link is over");
        };
        let (refuses, cuts) = (self.habits.refuses, self.habits.cuts);
        if self.failures > 0 && self.happens(refuses) {
            self.failures -= 1;
            return Answer::outcome(403, "forbidden", "the link is over");
        }
        let text = text_of(file, self.snapshot);
        let answer = ndjson(&text).header("ETag", "\"one for all\"");
        if self.failures > 0 && self.happens(cuts) {
            self.failures -= 1;
            return answer.cut_body_at(text.len() / 2);
        }
        answer
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn exit_code_0_means_that_every_byte_is_right(habits in habits()) {
        let bulk = Bulk::open();
        let model = Arc::new(Mutex::new(Model::new(habits.clone())));
        let files = bulk.server.url("/files");
        let server = Arc::clone(&model);
        bulk.server.guard(move |request| {
            let mut model = server.lock().unwrap();
            if request.method == "GET" && request.path() == STATUS {
                return Some(Answer::new(200, "application/json", model.reading(&files).to_string()));
            }
            let name = request.path().strip_prefix("/files/")?;
            Some(model.file(name))
        });
        let mut run = bulk.export(&["--parallel", "2"]);
        for _ in 0..8 {
            if run.code == 0 {
                break;
            }
            prop_assert_eq!(run.code, 5, "{}", &run);
            prop_assert_eq!(bulk.deletes(), 0);
            run = bulk.export(&["--parallel", "2"]);
        }
        prop_assert_eq!(run.code, 0, "it never ends\n{}", &run);
        prop_assert_eq!(bulk.deletes(), 1);
        let manifest: Value = serde_json::from_str(&bulk.medplum.read("out/manifest.json")).unwrap();
        let mut came: Vec<String> = manifest["output"].as_array().unwrap().iter()
            .map(|entry| bulk.medplum.read(&format!("out/{}", entry["path"].as_str().unwrap())))
            .collect();
        came.sort();
        let snapshots = model.lock().unwrap().snapshot;
        let is_of = |snapshot: usize| {
            let mut wanted: Vec<String> = (0..habits.files).map(|file| text_of(file, snapshot)).collect();
            wanted.sort();
            came == wanted
        };
        prop_assert!((0..=snapshots).any(is_of), "{habits:?}\n{came:#?}\n{run}");
        // Nothing lies there that the manifest does not name.
        prop_assert_eq!(bulk.names().len(), habits.files, "{:?}", bulk.names());
    }
}
