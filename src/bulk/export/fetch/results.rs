//! What came of the files so far: those that are here are counted, those that are missing have a short record each.

use std::collections::HashSet;
use std::sync::Arc;

use crate::bulk::export::event::{ExportedFile, FailedFile, Missing, Tally};

/// Reasons that are kept once, however many files share them.
const MOST_REASONS: usize = 1_000;

/// What came of the files.
#[derive(Debug, Default)]
pub struct Results {
    pub here: Tally,
    /// In manifest order.
    pub failed: Vec<Missing>,
}

/// The files of which it is known what came.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// A bit for each entry of the plan.
    bits: Vec<u64>,
    entries: usize,
    results: Results,
    reasons: HashSet<Arc<str>>,
}

impl Settled {
    /// Of so many entries none is.
    pub(super) fn of(entries: usize) -> Self {
        let mut settled = Self::default();
        settled.grow(entries);
        settled
    }

    /// The plan has so many entries by now.
    pub(super) fn grow(&mut self, entries: usize) {
        self.entries = entries;
        self.bits.resize(entries.div_ceil(64), 0);
    }

    /// The first one from this on of which nothing is known.
    pub(super) fn next_open(&self, from: usize) -> Option<usize> {
        (from..self.entries).find(|at| self.bits[at / 64] & 1 << (at % 64) == 0)
    }

    /// A file is here.
    pub(super) fn here(&mut self, at: usize, file: &ExportedFile) {
        self.bits[at / 64] |= 1 << (at % 64);
        self.results.here.add(file);
    }

    /// A file is missing.
    pub(super) fn failed(&mut self, at: usize, failure: &FailedFile) {
        self.bits[at / 64] |= 1 << (at % 64);
        let reason = self.reason(&failure.reason);
        self.results.failed.push(Missing {
            at,
            code: failure.code,
            is_content: failure.is_content,
            reason,
        });
    }

    fn reason(&mut self, words: &str) -> Arc<str> {
        if let Some(reason) = self.reasons.get(words) {
            return Arc::clone(reason);
        }
        let reason: Arc<str> = words.into();
        if self.reasons.len() < MOST_REASONS {
            self.reasons.insert(Arc::clone(&reason));
        }
        reason
    }

    /// What came of all.
    pub(super) fn results(self) -> Results {
        let mut results = self.results;
        results.failed.sort_by_key(|missing| missing.at);
        results
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::export::manifest::Group;

    #[test]
    fn what_is_settled_is_not_tried_and_like_reasons_are_kept_once() {
        let failure = FailedFile {
            url: String::new(),
            path: "a".into(),
            code: Some(404),
            is_content: false,
            group: Group::Output,
            resource_type: None,
            reason: "gone".into(),
        };
        let mut settled = Settled::of(70);
        for at in (1..70).rev() {
            settled.failed(at, &failure);
        }
        assert_eq!(
            (settled.next_open(0), settled.next_open(1)),
            (Some(0), None)
        );
        settled.grow(71);
        assert_eq!(settled.next_open(1), Some(70));
        let results = settled.results();
        let order: Vec<_> = results.failed.iter().map(|missing| missing.at).collect();
        assert_eq!(order, (1..70).collect::<Vec<_>>());
        assert!(Arc::ptr_eq(
            &results.failed[0].reason,
            &results.failed[68].reason
        ));
    }
}
