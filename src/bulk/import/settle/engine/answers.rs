//! What an answer, or the lack of one, means: settled, sent again, smaller, slower, or the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Engine, LONGEST_WAIT};
use crate::bulk::import::batch::Batch;
use crate::bulk::import::piece::{Action, Item};
use crate::bulk::import::send::answer::{
    self, Outcome, Verdict, outcome_of_refusal, outcome_of_words,
};
use crate::bulk::import::send::request::Sent;
use crate::bulk::import::{BundleKind, ImportError, Method};
use crate::fhir::{FhirError, Refusal};
use crate::words::number_of;

/// Requests in a row without an answer, after which the server counts as gone.
const MOST_FAILURES: u32 = 3;

impl Engine<'_> {
    /// Takes what came of a request.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn answered(&mut self, sent: Sent) -> Result<(), ImportError> {
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
            self.settle(&skipped, same)?;
        }
        match outcome {
            Outcome::Answered(_)
                if !self.takes_ids && answer::refuses_all(&outcome) && !is_unknown_type =>
            {
                self.no_client_ids(&batch, outcome)
            }
            Outcome::Answered(answered) => self.verdicts(batch, answered),
            Outcome::TooLarge(refusal) => self.too_large(batch, &refusal),
            Outcome::Later { wait, refusal } => self.later(batch, wait, refusal),
            Outcome::Timeout(error) => self.timed_out(batch, error),
            Outcome::Broken(error) => self.broke(batch, error),
            Outcome::NotSent(error) => self.not_sent(batch, error),
            Outcome::Refused(refusal) => self.refused(batch, refusal),
            Outcome::Fatal(error @ ImportError::Strange(_)) => {
                self.stop_with(error);
                self.leave(&batch, "its answer could not be understood")
            }
            Outcome::Fatal(error) => {
                // No token, 401, a redirect: nothing was done.
                self.stop_with(error);
                self.ledger.not_sent(&batch)?;
                self.again.push_front(batch);
                Ok(())
            }
            Outcome::Unbegun => {
                self.ledger.not_sent(&batch)?;
                self.again.push_front(batch);
                Ok(())
            }
            Outcome::Abandoned => {
                self.leave(&batch, "the run was interrupted before the answer came")
            }
        }
    }

    fn verdicts(
        &mut self,
        mut batch: Batch,
        mut answered: Vec<answer::Answered>,
    ) -> Result<(), ImportError> {
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
            self.stop_with(ImportError::NoValidation(words_of(outcome)));
            self.again.push_front(batch);
            return Ok(());
        }
        let later = |verdict: &Verdict| matches!(verdict, Verdict::Later { .. });
        if let Some(status) = answered.iter().find_map(|(verdict, _)| match verdict {
            Verdict::Later { status } => Some(*status),
            _ => None,
        }) {
            let is_over = self.slow_in_row >= self.patience();
            let flags: Vec<bool> = answered.iter().map(|(verdict, _)| later(verdict)).collect();
            if is_over {
                for (verdict, _) in answered.iter_mut().filter(|(verdict, _)| later(verdict)) {
                    let outcome = outcome_of_words("the server was too busy each time");
                    *verdict = Verdict::Refused {
                        status: Some(status),
                        outcome,
                    };
                }
            } else {
                let mut flags = flags.into_iter();
                let mut waiting = batch.split_off(|_| flags.next().unwrap_or(false));
                answered.retain(|(verdict, _)| !later(verdict));
                waiting.attempts += 1;
                self.ledger.not_sent(&waiting)?;
                self.slow_down(
                    None,
                    &format!("{status} for {} of a bundle's entries", waiting.items.len()),
                );
                self.again.push_back(waiting);
            }
        } else {
            self.went_well();
        }
        self.is_answered = true;
        self.failures_in_row = 0;
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
        self.learn_provisional(&mut batch, &mut answered)?;
        self.settle(&batch, answered)
    }

    /// The first that was sent shows that no resource can be written under its id.
    fn no_client_ids(&mut self, batch: &Batch, outcome: Outcome) -> Result<(), ImportError> {
        let Outcome::Answered(answered) = outcome else {
            return Ok(());
        };
        let words = answered.first().map(|(verdict, _)| match verdict {
            Verdict::Refused { outcome, .. } => words_of(outcome),
            _ => String::new(),
        });
        self.stop_with(ImportError::NoClientIds(words.unwrap_or_default()));
        self.settle(batch, answered)
    }

    /// A bundle that is too large goes in two halves, and later ones are no larger.
    fn too_large(&mut self, mut batch: Batch, refusal: &Refusal) -> Result<(), ImportError> {
        self.is_answered = true;
        self.failures_in_row = 0;
        if batch.items.len() < 2 {
            return self.settle_all(
                &batch,
                &Verdict::Refused {
                    status: Some(413),
                    outcome: outcome_of_refusal(refusal),
                },
            );
        }
        self.halve(&mut batch, "413: the request is too large");
        self.ledger.not_sent(&batch)?;
        self.again.push_front(batch);
        Ok(())
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

    fn later(
        &mut self,
        batch: Batch,
        wait: Option<Duration>,
        refusal: Box<Refusal>,
    ) -> Result<(), ImportError> {
        self.ledger.not_sent(&batch)?;
        if self.slow_in_row >= self.patience() {
            self.stop_with(ImportError::Stopped(FhirError::Refused(refusal)));
        } else {
            self.slow_down(wait, &refusal.status.to_string());
        }
        self.again.push_front(batch);
        Ok(())
    }

    /// How often in a row a server may say "not now".
    fn patience(&self) -> u32 {
        4 + 4 * self.client.http.network.retries
    }

    fn slow_down(&mut self, wait: Option<Duration>, reason: &str) {
        // Many requests were on their way when the server began to refuse: they count as one.
        let is_first = Instant::now() >= self.gate;
        self.slow_in_row += u32::from(is_first);
        self.good_in_row = 0;
        let wait = wait.unwrap_or_else(|| {
            Duration::from_millis(250) * 2_u32.saturating_pow(self.slow_in_row.min(7))
        });
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

    fn went_well(&mut self) {
        self.slow_in_row = 0;
        self.good_in_row += 1;
        if self.limit < self.options.parallel && self.good_in_row >= self.limit * 8 {
            self.limit += 1;
            self.good_in_row = 0;
        }
    }

    fn timed_out(&mut self, mut batch: Batch, error: FhirError) -> Result<(), ImportError> {
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
            return Ok(());
        }
        self.broke(batch, error)
    }

    /// Sent, and no answer: again where that is safe, else unknown.
    fn broke(&mut self, mut batch: Batch, error: FhirError) -> Result<(), ImportError> {
        let retries = self.client.http.network.retries;
        let may_be_repeated = batch.may_be_repeated();
        if may_be_repeated && batch.attempts < retries {
            batch.attempts += 1;
            self.again.push_back(batch);
            return Ok(());
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
            return Ok(());
        }
        if may_be_repeated && !batch.is_suspect && batch.attempts < retries + MOST_FAILURES {
            // Is it this batch, or is the server gone? The others tell.
            batch.attempts += 1;
            self.again.push_back(batch);
            return Ok(());
        }
        self.settle_all(
            &batch,
            &Verdict::Unknown {
                status: None,
                outcome: outcome_of_words(&words),
            },
        )
    }

    fn not_sent(&mut self, mut batch: Batch, error: FhirError) -> Result<(), ImportError> {
        self.ledger.not_sent(&batch)?;
        if batch.attempts >= self.client.http.network.retries {
            self.stop_with(ImportError::Stopped(error));
        }
        batch.attempts += 1;
        self.again.push_back(batch);
        Ok(())
    }

    fn refused(&mut self, mut batch: Batch, refusal: Box<Refusal>) -> Result<(), ImportError> {
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
            self.ledger.not_sent(&batch)?;
            self.again.push_front(batch);
            return Ok(());
        }
        if status == 403 {
            self.stop_with(ImportError::Stopped(FhirError::Refused(refusal)));
            self.ledger.not_sent(&batch)?;
            self.again.push_front(batch);
            return Ok(());
        }
        // One resource that a server cannot even read makes it refuse a whole batch: the others go without it.
        let may_split = batch.items.len() > 1
            && self.options.bundle == BundleKind::Batch
            && (matches!(status, 400 | 422) || status >= 500 && batch.may_be_repeated());
        if may_split {
            self.ledger.not_sent(&batch)?;
            let rest = batch.split_at(batch.items.len().div_ceil(2));
            self.again.push_front(rest);
            self.again.push_front(batch);
            return Ok(());
        }
        let outcome = outcome_of_refusal(&refusal);
        let verdict = if status >= 500 && !batch.may_be_repeated() {
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
        self.settle_all(&batch, &verdict)
    }

    /// What got no answer when the run ends: unknown if it must not be sent again, else left for a resume.
    fn leave(&mut self, batch: &Batch, words: &str) -> Result<(), ImportError> {
        if batch.may_be_repeated() {
            self.ledger.leave_unknown(batch);
            return Ok(());
        }
        self.settle_all(
            batch,
            &Verdict::Unknown {
                status: None,
                outcome: outcome_of_words(words),
            },
        )
    }

    pub(super) fn settle_all(
        &mut self,
        batch: &Batch,
        verdict: &Verdict,
    ) -> Result<(), ImportError> {
        let answered = batch
            .items
            .iter()
            .map(|_| (verdict.clone(), None))
            .collect();
        self.settle(batch, answered)
    }

    pub(super) fn settle(
        &mut self,
        batch: &Batch,
        answered: Vec<answer::Answered>,
    ) -> Result<(), ImportError> {
        for item in &batch.items {
            self.held.remove(&item.key);
        }
        // A server that takes no ids is no fault of the resources: nothing is to be tried again as it is.
        if matches!(self.stop, Some(ImportError::NoClientIds(_))) {
            self.ledger.count_only(batch, &answered);
            return Ok(());
        }
        let index = Arc::clone(&self.index);
        let mut index = index
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        self.ledger.settle(batch, answered, &mut index)?;
        self.ledger.show(self.in_flight.len());
        Ok(())
    }

    /// The first reason counts.
    fn stop_with(&mut self, error: ImportError) {
        if self.stop.is_none() {
            self.stop = Some(error);
        }
    }
}

/// The words of an OperationOutcome in one line.
fn words_of(outcome: &str) -> String {
    serde_json::from_str(outcome)
        .map(|outcome| crate::fhir::error::outcome_words(&outcome).join("; "))
        .unwrap_or_default()
}
