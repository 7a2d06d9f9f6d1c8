//! What is sent again, smaller, slower, or not at all any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Engine, LONGEST_WAIT};
use crate::bulk::import::batch::{Batch, Split};
use crate::bulk::import::send::outcome::{self, outcome_of_refusal, outcome_of_words};
use crate::bulk::import::send::verdict::Verdict;
use crate::bulk::import::{BundleKind, ImportError, Method};
use crate::fhir::{FhirError, Refusal};
use crate::words::number_of;

/// Requests in a row without an answer, after which the server counts as gone.
const MOST_FAILURES: u32 = 3;
/// How often in a row a server may say "not now, but at once".
const MOST_AT_ONCE: u32 = 4;

impl Engine<'_> {
    /// A bundle that is too large goes in two halves, and later ones are no larger.
    pub(super) fn too_large(&mut self, mut batch: Batch, refusal: &Refusal) {
        self.is_answered = true;
        self.failures_in_row = 0;
        if batch.items.len() < 2 {
            return self.settle_all(
                &batch,
                &Verdict::Refused {
                    status: Some(refusal.status.as_u16()),
                    outcome: outcome_of_refusal(refusal),
                },
            );
        }
        let reason = match refusal.status.as_u16() {
            413 => "413: the request is too large".to_owned(),
            _ => refusal.to_string(),
        };
        self.halve(&mut batch, &reason);
        self.ledger.not_sent(&batch);
        self.again.push_front(batch);
    }

    /// When both halves are taken of a batch that was refused whole, it was not for what is in them: there are as many
    /// entries as the server takes.
    pub(super) fn learn_the_limit(&mut self, batch: &Batch) {
        let Some(split) = &batch.split else {
            return;
        };
        if split.is_taken() && split.half < self.most {
            self.most = split.half;
            self.observer.slowed(&format!(
                "it refused larger bundles; they hold at most {} resources now",
                split.half
            ));
        }
    }

    fn halve(&mut self, batch: &mut Batch, reason: &str) {
        let half = batch.items.len().div_ceil(2);
        if half < self.most {
            self.most = half;
            self.observer.slowed(&format!(
                "{reason}; bundles hold at most {half} resources now"
            ));
        }
        batch.attempts = 0;
        // What was in the same transaction is so no longer.
        batch.is_resolved &= self.options.bundle != BundleKind::Transaction;
    }

    pub(super) fn later(&mut self, batch: Batch, wait: Option<Duration>, refusal: Box<Refusal>) {
        self.ledger.not_sent(&batch);
        if self.is_out_of_patience() {
            self.stop_with(ImportError::Stopped(FhirError::Refused(refusal)));
        } else {
            self.slow_down(wait, &refusal.status.to_string());
        }
        self.again.push_front(batch);
    }

    /// Whether the server has said "not now", and nothing else, for as long as that is borne.
    pub(super) fn is_out_of_patience(&self) -> bool {
        let since = self.slow_since.map(|since| since.elapsed());
        since.is_some_and(|time| time >= self.options.max_wait)
    }

    pub(super) fn slow_down(&mut self, wait: Option<Duration>, reason: &str) {
        // Many requests were on their way when the server began to refuse: they count as one.
        let is_first = Instant::now() >= self.gate;
        self.slow_in_row += u32::from(is_first);
        self.good_in_row = 0;
        self.slow_since.get_or_insert_with(Instant::now);
        let backoff = Duration::from_millis(250) * 2_u32.saturating_pow(self.slow_in_row.min(7));
        // "At once" is believed a few times.
        let least = if self.slow_in_row > MOST_AT_ONCE {
            backoff / 4
        } else {
            Duration::ZERO
        };
        let left = self.options.max_wait.saturating_sub(
            self.slow_since
                .map_or(Duration::ZERO, |since| since.elapsed()),
        );
        let wait = wait.unwrap_or(backoff).max(least).min(left);
        let until = Instant::now() + wait.min(LONGEST_WAIT);
        if until > self.gate {
            if is_first {
                self.limit = (self.limit / 2).max(1);
            }
            self.gate = until;
        }
        let requests = self.limit;
        self.observer.slowed(&format!(
            "{reason}; {} at a time from now on",
            number_of(requests, "request")
        ));
    }

    pub(super) fn went_well(&mut self) {
        self.slow_in_row = 0;
        self.slow_since = None;
        self.good_in_row += 1;
        if self.limit < self.options.parallel && self.good_in_row >= self.limit * 8 {
            self.limit += 1;
            self.good_in_row = 0;
        }
    }

    pub(super) fn timed_out(&mut self, mut batch: Batch, error: FhirError) {
        if batch.may_be_repeated()
            && batch.items.len() > 1
            && self.options.bundle != BundleKind::None
        {
            self.failures_in_row += 1;
            if self.failures_in_row > MOST_FAILURES * 3 {
                self.stop_with(ImportError::Stopped(error));
                return self.leave(&batch, "no answer came in time");
            }
            self.halve(&mut batch, "no answer in time");
            self.again.push_front(batch);
            return;
        }
        self.broke(batch, error);
    }

    /// Sent, and no answer: again where that is safe, else unknown.
    pub(super) fn broke(&mut self, mut batch: Batch, error: FhirError) {
        let retries = self.client.http.network.retries;
        let may_be_repeated = batch.may_be_repeated();
        if may_be_repeated && batch.attempts < retries {
            batch.attempts += 1;
            self.again.push_back(batch);
            return;
        }
        self.failures_in_row += 1;
        let words = error.to_string();
        if self.failures_in_row >= MOST_FAILURES {
            self.stop_with(ImportError::Stopped(error));
            return self.leave(&batch, &words);
        }
        if may_be_repeated && batch.items.len() > 1 && self.options.bundle != BundleKind::None {
            // Perhaps the server breaks down at one of them. If both halves fail as well, it is gone.
            let mut rest = batch.split_at(batch.items.len().div_ceil(2));
            (batch.is_suspect, rest.is_suspect) = (true, true);
            self.again.extend([batch, rest]);
            return;
        }
        if may_be_repeated && !batch.is_suspect && batch.attempts < retries + MOST_FAILURES {
            // Is it this batch, or is the server gone? The others tell.
            batch.attempts += 1;
            self.again.push_back(batch);
            return;
        }
        self.settle_all(
            &batch,
            &Verdict::Unknown {
                status: None,
                outcome: outcome_of_words(&words),
            },
        );
    }

    pub(super) fn not_sent(&mut self, mut batch: Batch, error: FhirError) {
        self.ledger.not_sent(&batch);
        if batch.attempts >= self.client.http.network.retries {
            self.stop_with(ImportError::Stopped(error));
        }
        batch.attempts += 1;
        self.again.push_back(batch);
    }

    /// Both halves are sent by themselves.
    fn halved(&mut self, mut batch: Batch, is_about_content: bool) {
        self.ledger.not_sent(&batch);
        let half = batch.items.len().div_ceil(2);
        let mut rest = batch.split_at(half);
        let split = is_about_content.then(|| Arc::new(Split::new(half)));
        (batch.split, rest.split) = (split.clone(), split);
        self.again.push_front(rest);
        self.again.push_front(batch);
    }

    // Long because the order of the cases is the rule.
    pub(super) fn refused(&mut self, batch: Batch, refusal: Box<Refusal>) {
        let status = refusal.status.as_u16();
        let was_answered = std::mem::replace(&mut self.is_answered, true);
        self.failures_in_row = 0;
        if (!was_answered || !self.takes_ids) && matches!(status, 404 | 405 | 501) {
            let is_about_ids = self.options.method == Method::Put
                && self.options.bundle == BundleKind::Transaction;
            self.stop_with(if is_about_ids && refusal.is_outcome {
                ImportError::NoClientIds(refusal.to_string())
            } else {
                ImportError::NoBundles {
                    kind: self.options.bundle.name(),
                    refusal,
                }
            });
            self.ledger.not_sent(&batch);
            self.again.push_front(batch);
            return;
        }
        if status == 403 {
            self.stop_with(ImportError::Stopped(FhirError::Refused(refusal)));
            self.ledger.not_sent(&batch);
            self.again.push_front(batch);
            return;
        }
        if outcome::is_about_size(&refusal)
            && matches!(status, 400 | 403 | 413 | 422)
            && batch.items.len() > 1
            && self.options.bundle != BundleKind::None
        {
            return self.too_large(batch, &refusal);
        }
        // Some of the batch may have been done before it was refused; a transaction is done whole or not at all.
        let is_undone = batch.may_be_repeated() || outcome::nothing_was_done(&refusal);
        let is_batch = self.options.bundle == BundleKind::Batch;
        let is_about_content = matches!(status, 400 | 422);
        // One resource that a server cannot even read makes it refuse a whole batch: the others go without it.
        let may_split = batch.items.len() > 1
            && is_batch
            && (is_about_content && is_undone || status >= 500 && batch.may_be_repeated());
        if may_split {
            return self.halved(batch, is_about_content);
        }
        let outcome = outcome_of_refusal(&refusal);
        // A redirect that leads nowhere does not say that nothing was done either.
        let is_open = status >= 500 || (300..400).contains(&status);
        let is_unknown =
            is_open && !batch.may_be_repeated() || is_batch && is_about_content && !is_undone;
        let verdict = if is_unknown {
            Verdict::Unknown {
                status: Some(status),
                outcome,
            }
        } else {
            Verdict::Refused {
                status: Some(status),
                outcome,
            }
        };
        self.settle_all(&batch, &verdict);
    }
}
