//! What the log tells of an export: when each file was asked for and came, what failed, and how fast it went.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::io::BufReader;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::bulk::export::layout;
use crate::bulk::export::log::read;
use crate::place;
use crate::words;

/// The parts that the time of the downloads is cut into.
const INTERVALS: u32 = 48;

/// The shortest interval in seconds: the log's times have milliseconds.
const SHORTEST: f64 = 0.001;

/// From when to when.
pub(super) type Span = (Timestamp, Timestamp);

/// Requests that failed in the same way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorCount {
    /// `status`, `download` or `client`.
    pub stage: String,
    /// The HTTP status, or `connection`, `content` or `other`.
    pub code: String,
    pub count: u64,
    /// The words of the last one.
    pub message: String,
}

/// What came in a part of the time.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Interval {
    /// Seconds from the first request for a file.
    pub from: f64,
    pub seconds: f64,
    pub bytes: f64,
}

/// What happened to one file.
#[derive(Debug, Default)]
pub(super) struct Fetch {
    first_request: Option<Timestamp>,
    last_request: Option<Timestamp>,
    pub complete: Option<(Timestamp, u64)>,
    /// Failed tries by code.
    pub errors: BTreeMap<String, u64>,
    /// Why the last try failed.
    pub reason: Option<String>,
    is_given_up: bool,
}

impl Fetch {
    /// Whether it failed and no further try was to come.
    pub(super) fn is_given_up(&self) -> bool {
        self.is_given_up
    }

    /// From the first request to its end.
    pub(super) fn span(&self) -> Option<Span> {
        Some((self.first_request?, self.complete?.0))
    }
}

/// The paths that an export has files for, as hashes whose key is made by chance.
#[derive(Debug, Default)]
pub(super) struct Paths {
    of: HashSet<u64>,
    hashes: RandomState,
}

impl Paths {
    /// Adds one.
    pub(super) fn insert(&mut self, path: &Path) {
        self.of.insert(self.hash(&slashed(path)));
    }

    fn hash(&self, path: &str) -> u64 {
        self.hashes.hash_one(path)
    }
}

/// What the log tells.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// Whether there is a log of this export.
    pub is_known: bool,
    pub began: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    /// Lines that are no events.
    pub other_lines: u64,
    /// What the log says of a path that is none of the export's is counted, and no more.
    planned: Paths,
    files: HashMap<u64, Fetch>,
    /// By stage and code: how many, and the words of the last.
    errors: BTreeMap<(String, String), (u64, String)>,
}

impl Story {
    /// Reads the log of a folder. Of one that cannot be read nothing is known.
    pub(super) fn read(folder: &Path, export_id: Option<&str>, planned: Paths) -> Self {
        let mut story = Self {
            planned,
            ..Self::default()
        };
        let (Some(id), Ok(file)) = (export_id, place::open_plain(&folder.join(layout::LOG))) else {
            return story;
        };
        let others = read::events(BufReader::new(file), |event, _| {
            if event.export_id == id {
                story.take(&event);
            }
        });
        match others {
            Ok(others) => story.other_lines = others,
            Err(_) => story = Self::default(),
        }
        story.planned.of = HashSet::new();
        story
    }

    /// What happened to the file with this path below the folder.
    pub(super) fn file(&self, path: &Path) -> Option<&Fetch> {
        self.files.get(&self.planned.hash(&slashed(path)))
    }

    fn take(&mut self, event: &read::Event) {
        self.is_known = true;
        if let Some(at) = event.timestamp {
            self.began = Some(self.began.map_or(at, |began| began.min(at)));
            self.ended = Some(self.ended.map_or(at, |ended| ended.max(at)));
        }
        let detail = &event.detail;
        let text = |name: &str| detail.get(name).and_then(Value::as_str);
        let error = || {
            let code = match (detail.get("code").and_then(Value::as_u64), text("_cause")) {
                (Some(code), _) => code.to_string(),
                (None, Some(cause)) => cause.to_owned(),
                (None, None) => "other".to_owned(),
            };
            let message = text("message").unwrap_or_default();
            (words::shortened(&code), words::shortened(message))
        };
        let path = text("_path").unwrap_or_default();
        match event.id.as_str() {
            "download_request" => {
                let Some(file) = self.file_mut(path) else {
                    return;
                };
                file.first_request = file.first_request.or(event.timestamp);
                file.last_request = event.timestamp;
                file.is_given_up = false;
            }
            "download_complete" => {
                let bytes = detail.get("fileSize").and_then(Value::as_u64);
                let Some(file) = self.file_mut(path) else {
                    return;
                };
                file.complete = event.timestamp.zip(bytes);
            }
            "download_error" => {
                let (code, message) = error();
                if let Some(file) = self.file_mut(path) {
                    *file.errors.entry(code.clone()).or_default() += 1;
                    file.reason = Some(message.clone());
                    file.is_given_up = detail.get("_retryIn").is_none_or(Value::is_null);
                }
                self.failed("download", code, message);
            }
            "status_error" | "client_error" => {
                let (code, message) = error();
                let stage = event.id.split('_').next().unwrap_or_default();
                self.failed(stage, code, message);
            }
            _ => {}
        }
    }

    fn file_mut(&mut self, path: &str) -> Option<&mut Fetch> {
        let hash = self.planned.hash(path);
        let is_known = self.planned.of.contains(&hash);
        is_known.then(|| self.files.entry(hash).or_default())
    }

    fn failed(&mut self, stage: &str, code: String, message: String) {
        let found = self.errors.entry((stage.to_owned(), code)).or_default();
        *found = (found.0 + 1, message);
    }

    /// Requests that failed, the most frequent first.
    pub(super) fn errors(&self) -> Vec<ErrorCount> {
        let mut errors: Vec<_> = self
            .errors
            .iter()
            .map(|((stage, code), (count, message))| ErrorCount {
                stage: stage.clone(),
                code: code.clone(),
                count: *count,
                message: message.clone(),
            })
            .collect();
        errors.sort_by_key(|error| std::cmp::Reverse(error.count));
        errors
    }

    /// The bytes of complete files over the time they were fetched in, each file's evenly from its last request to
    /// its end.
    pub(super) fn throughput(&self) -> Vec<Interval> {
        let fetches = || {
            let files = self.files.values();
            files.filter_map(|file| Some((file.last_request?, file.complete?)))
        };
        let whole = fetches().fold(None, |mut whole, (from, (to, _))| {
            widen(&mut whole, Some((from, to)));
            whole
        });
        let Some((began, ended)) = whole else {
            return Vec::new();
        };
        let mut intervals = intervals_of(seconds(began, ended));
        for (from, (to, bytes)) in fetches() {
            let (from, to) = (seconds(began, from), seconds(began, to));
            let length = (to - from).max(0.001);
            for interval in &mut intervals {
                let end = interval.from + interval.seconds;
                let shared = end.min(from + length) - interval.from.max(from);
                interval.bytes += bytes as f64 * shared.max(0.0) / length;
            }
        }
        for interval in &mut intervals {
            interval.from = in_microseconds(interval.from);
            interval.seconds = in_microseconds(interval.seconds);
        }
        intervals
    }
}

/// The intervals of a time in seconds: as many as fit, none shorter than a millisecond, which is what the log's times tell.
fn intervals_of(whole: f64) -> Vec<Interval> {
    let number = (whole / SHORTEST).ceil().clamp(1.0, f64::from(INTERVALS));
    let width = whole.max(SHORTEST) / number;
    (0..INTERVALS)
        .map(f64::from)
        .take_while(|at| *at < number)
        .map(|at| Interval {
            from: at * width,
            seconds: width,
            bytes: 0.0,
        })
        .collect()
}

/// Seconds without the digits that only the arithmetic made.
fn in_microseconds(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

/// A path as the log has it.
fn slashed(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

/// The seconds from one instant to another, none when they are the other way around.
pub(super) fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

/// Makes a span as wide as it must be to hold another.
pub(super) fn widen(span: &mut Option<Span>, other: Option<Span>) {
    if let Some((from, to)) = other {
        let (began, ended) = span.unwrap_or((from, to));
        *span = Some((began.min(from), ended.max(to)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throughput_accounts_for_every_byte_over_the_time_it_took() {
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        let mut story = Story::default();
        for (path, from, to, bytes) in [("a", 0, 48, 4800), ("b", 24, 25, 1000), ("c", 47, 47, 7)] {
            let fetch = story.files.entry(story.planned.hash(path)).or_default();
            fetch.first_request = at(from);
            fetch.last_request = at(from);
            fetch.complete = at(to).zip(Some(bytes));
        }
        let intervals = story.throughput();
        assert_eq!(intervals.len(), 48);
        let sum: f64 = intervals.iter().map(|interval| interval.bytes).sum();
        assert!((sum - 5807.0).abs() < 0.01, "{sum}");
        assert!((intervals[0].bytes - 100.0).abs() < 0.01);
        assert!((intervals[24].bytes - 1100.0).abs() < 0.01);
    }

    #[test]
    fn an_export_of_few_milliseconds_has_few_intervals() {
        let at = |millisecond| Some(Timestamp::from_millisecond(millisecond).unwrap());
        let mut story = Story::default();
        let fetch = story.files.entry(story.planned.hash("a")).or_default();
        fetch.last_request = at(1000);
        fetch.complete = at(1003).zip(Some(300));
        let intervals = story.throughput();
        let times: Vec<_> = intervals
            .iter()
            .map(|one| (one.from, one.seconds))
            .collect();
        assert_eq!(times, [(0.0, 0.001), (0.001, 0.001), (0.002, 0.001)]);
        let sum: f64 = intervals.iter().map(|interval| interval.bytes).sum();
        assert!((sum - 300.0).abs() < 0.01, "{sum}");
    }

    proptest::proptest! {
        #[test]
        fn no_events_make_it_panic(
            id in "(download_request|download_complete|download_error|status_error|x)", time in "\\PC{0,30}", code in 0_u64..999,
        ) {
            let mut story = Story::default();
            story.planned.insert(Path::new(&time));
            for detail in [serde_json::json!({"code": code, "_path": time, "fileSize": code}), Value::Null, serde_json::json!([1])] {
                story.take(&read::Event { export_id: String::new(), timestamp: time.parse().ok(), id: id.clone(), detail });
            }
            let _ = (story.errors(), story.throughput());
        }
    }
}
