//! What came of a request: settled, or one of the setbacks.

use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use crate::bulk::import::batch::Batch;
use crate::bulk::import::piece::{Action, Item};
use crate::bulk::import::send::answer::{self, Outcome};
use crate::bulk::import::send::outcome::{outcome_of_words, words_in};
use crate::bulk::import::send::request::Sent;
use crate::bulk::import::send::verdict::{Answered, Verdict};
use crate::bulk::import::{ImportError, Method};

impl Engine<'_> {
    /// Takes what came of a request.
    pub(super) fn answered(&mut self, sent: Sent) {
        let Sent {
            batch,
            skipped,
            outcome,
            latencies,
            is_unknown_type,
        } = sent;
        for latency in latencies {
            self.ledger.count_request(latency);
        }
        if let Some(skipped) = skipped.filter(|skipped| !skipped.items.is_empty()) {
            let same = skipped
                .items
                .iter()
                .map(|_| (Verdict::Unchanged, None))
                .collect();
            self.settle(&skipped, same);
        }
        match outcome {
            Outcome::Answered(..)
                if !self.takes_ids && answer::refuses_all(&outcome) && !is_unknown_type =>
            {
                self.no_client_ids(&batch, outcome);
            }
            Outcome::Answered(answered, wait) => self.verdicts(batch, answered, wait),
            Outcome::TooLarge(refusal) => self.too_large(batch, &refusal),
            Outcome::Later { wait, refusal } => self.later(batch, wait, refusal),
            Outcome::Timeout(error) => self.timed_out(batch, error),
            Outcome::Broken(error) => self.broke(batch, error),
            Outcome::NotSent(error) => self.not_sent(batch, error),
            Outcome::Refused(refusal) => self.refused(batch, refusal),
            Outcome::Fatal(error @ ImportError::Strange(_)) => {
                self.stop_with(error);
                self.leave(&batch, "its answer could not be understood");
            }
            Outcome::Unclear(error) => {
                let words = error.to_string();
                self.stop_with(error);
                self.leave(&batch, &words);
            }
            Outcome::Fatal(error) => {
                // No token, 401: nothing was done.
                self.stop_with(error);
                self.ledger.not_sent(&batch);
                self.again.push_front(batch);
            }
            Outcome::Unbegun => {
                self.ledger.not_sent(&batch);
                self.again.push_front(batch);
            }
            Outcome::Abandoned => {
                self.leave(&batch, "the run was interrupted before the answer came");
            }
        }
    }

    /// What the server was too busy for waits, or is refused when there is no patience left.
    fn put_off(
        &mut self,
        batch: &mut Batch,
        answered: &mut Vec<Answered>,
        status: u16,
        wait: Option<Duration>,
    ) {
        let later = |verdict: &Verdict| matches!(verdict, Verdict::Later { .. });
        if self.is_out_of_patience() {
            for (verdict, _) in answered.iter_mut().filter(|(verdict, _)| later(verdict)) {
                let outcome = outcome_of_words("the server was too busy each time");
                *verdict = Verdict::Refused {
                    status: Some(status),
                    outcome,
                };
            }
            return;
        }
        let mut flags = answered.iter().map(|(verdict, _)| later(verdict));
        let mut waiting = batch.split_off(|_| flags.next().unwrap_or(false));
        answered.retain(|(verdict, _)| !later(verdict));
        waiting.attempts += 1;
        self.ledger.not_sent(&waiting);
        self.slow_down(
            wait,
            &format!("{status} for {} of a bundle's entries", waiting.items.len()),
        );
        self.again.push_back(waiting);
    }

    fn verdicts(&mut self, mut batch: Batch, mut answered: Vec<Answered>, wait: Option<Duration>) {
        if let Some((
            Verdict::Refused {
                status: Some(404 | 405 | 501),
                outcome,
            },
            _,
        )) = answered.first()
            && !self.is_answered
            && self.options.method == Method::Validate
        {
            self.stop_with(ImportError::NoValidation(words_in(outcome)));
            self.again.push_front(batch);
            return;
        }
        let later = answered.iter().find_map(|(verdict, _)| match verdict {
            Verdict::Later { status } => Some(*status),
            _ => None,
        });
        match later {
            Some(status) => self.put_off(&mut batch, &mut answered, status, wait),
            None => self.went_well(),
        }
        self.is_answered = true;
        self.failures_in_row = 0;
        self.learn_the_limit(&batch);
        let has_put = batch
            .items
            .iter()
            .zip(&answered)
            .any(|(item, (verdict, _))| {
                item.action == Action::Put
                    && !matches!(
                        verdict,
                        Verdict::Refused {
                            status: Some(404 | 405),
                            ..
                        }
                    )
            });
        let is_put = |item: &Item| item.action == Action::Put;
        let has_none = !batch.items.is_empty() && !batch.items.iter().any(is_put);
        self.takes_ids |= has_put || has_none;
        self.learn_provisional(&mut batch, &mut answered);
        self.settle(&batch, answered);
    }

    /// The first that was sent shows that no resource can be written under its id.
    fn no_client_ids(&mut self, batch: &Batch, outcome: Outcome) {
        let Outcome::Answered(answered, _) = outcome else {
            return;
        };
        let words = answered.first().map(|(verdict, _)| match verdict {
            Verdict::Refused { outcome, .. } => words_in(outcome),
            _ => String::new(),
        });
        self.stop_with(ImportError::NoClientIds(words.unwrap_or_default()));
        self.settle(batch, answered);
    }

    /// What got no answer when the run ends: unknown if it must not be sent again, else left for a resume.
    pub(super) fn leave(&mut self, batch: &Batch, words: &str) {
        if batch.may_be_repeated() {
            self.ledger.leave_unknown(batch);
            return;
        }
        self.settle_all(
            batch,
            &Verdict::Unknown {
                status: None,
                outcome: outcome_of_words(words),
            },
        );
    }

    pub(super) fn settle_all(&mut self, batch: &Batch, verdict: &Verdict) {
        let answered = batch
            .items
            .iter()
            .map(|_| (verdict.clone(), None))
            .collect();
        self.settle(batch, answered);
    }

    pub(super) fn settle(&mut self, batch: &Batch, answered: Vec<Answered>) {
        for item in &batch.items {
            self.held.remove(&item.key);
        }
        // A server that takes no ids is no fault of the resources: nothing is to be tried again as it is.
        if matches!(self.stop, Some(ImportError::NoClientIds(_))) {
            self.ledger.count_only(batch, &answered);
            return;
        }
        let index = Arc::clone(&self.index);
        let mut index = index
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        self.ledger.settle(batch, answered, &mut index);
        self.ledger.show(self.in_flight.len());
    }

    /// The first reason counts.
    pub(super) fn stop_with(&mut self, error: ImportError) {
        if self.stop.is_none() {
            self.stop = Some(error);
        }
    }
}
