//! The OperationOutcomes of an export's error files, counted as they stream past.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fhir::error::outcome_words;
use crate::fhir::severity::Severity;

/// A line longer than this is not read; it still counts as an error, since nobody can say it is not.
const LONGEST_LINE: usize = 1 << 20;
const MOST_SAMPLES: usize = 5;

/// How many issues of which severity the server's outcome files hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    pub errors: u64,
    pub warnings: u64,
    pub others: u64,
    /// A few of them in words, the worst first.
    pub samples: Vec<String>,
}

/// Collects lines and counts what they say.
#[derive(Debug, Default)]
pub struct Counter {
    line: Vec<u8>,
    too_long: bool,
    outcomes: Outcomes,
}

impl Counter {
    /// Takes the next bytes of the file.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.push(&bytes[..end]);
            self.end_line();
            bytes = &bytes[end + 1..];
        }
        self.push(bytes);
    }

    /// Ends the file.
    pub fn finish(mut self) -> Outcomes {
        self.end_line();
        self.outcomes
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.line.len() + bytes.len() > LONGEST_LINE {
            self.too_long = true;
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self) {
        if std::mem::take(&mut self.too_long) {
            self.outcomes.errors += 1;
        } else if let Ok(outcome) = serde_json::from_slice::<Value>(&self.line) {
            self.count(&outcome);
        }
        self.line.clear();
    }

    fn count(&mut self, outcome: &Value) {
        let issues = outcome.get("issue").and_then(Value::as_array);
        for issue in issues.into_iter().flatten() {
            match Severity::of(issue.get("severity").and_then(Value::as_str)) {
                Severity::Warning => self.outcomes.warnings += 1,
                Severity::Information => self.outcomes.others += 1,
                Severity::Error => self.outcomes.errors += 1,
            }
        }
        self.outcomes.show(outcome_words(outcome));
    }
}

impl Outcomes {
    /// Adds what another file says.
    pub fn add(&mut self, other: &Self) {
        self.errors += other.errors;
        self.warnings += other.warnings;
        self.others += other.others;
        self.show(other.samples.clone());
    }

    /// Keeps a few lines: the worst, and of those the first.
    fn show(&mut self, lines: Vec<String>) {
        self.samples.extend(lines);
        self.samples.sort_by_key(|line| Severity::of_line(line));
        self.samples.truncate(MOST_SAMPLES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_are_counted_whatever_the_chunks() {
        let text = b"{\"issue\":[{\"severity\":\"error\",\"code\":\"a\"},{\"severity\":\"warning\"}]}\n\n{\"issue\":[{\"severity\":\"information\"}]}";
        for size in [1, 10, 1000] {
            let mut counter = Counter::default();
            text.chunks(size).for_each(|chunk| counter.feed(chunk));
            let outcomes = counter.finish();
            assert_eq!(
                (outcomes.errors, outcomes.warnings, outcomes.others),
                (1, 1, 1)
            );
            let shown = ["error (a)", "warning (unknown)", "information (unknown)"];
            assert_eq!(outcomes.samples, shown);
        }
    }
}
