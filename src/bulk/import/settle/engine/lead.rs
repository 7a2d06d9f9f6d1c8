//! References of a batch led to where their targets lie now, and what has to wait for that.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use super::Engine;
use super::fate::Fate;
use crate::bulk::import::Method;
use crate::bulk::import::batch::Batch;
use crate::bulk::import::order::own::Own;
use crate::bulk::import::piece::Action;
use crate::bulk::import::send::outcome::outcome_of_words;
use crate::bulk::import::send::verdict::{Answered, Verdict};

/// The items of these fates in a batch of their own, and the fates.
fn split_off(
    batch: &mut Batch,
    fates: &mut Vec<Fate>,
    is_of_them: impl Fn(&Fate) -> bool,
) -> (Batch, Vec<Fate>) {
    let mut flags = fates.iter().map(&is_of_them);
    let part = batch.split_off(|_| flags.next().unwrap_or(false));
    let part_fates = fates.extract_if(.., |fate| is_of_them(fate)).collect();
    (part, part_fates)
}

/// What is said of an item that is lost.
fn refused(fate: Fate) -> Answered {
    let words = match fate {
        Fate::Lost(words) => words,
        _ => String::new(),
    };
    let verdict = Verdict::Refused {
        status: None,
        outcome: outcome_of_words(&words),
    };
    (verdict, None)
}

impl Engine<'_> {
    /// A batch whose references lead where their targets lie now. Items whose targets are still to come wait in a batch
    /// of their own; `None` when these are all.
    pub(super) fn led(&mut self, mut batch: Batch) -> Option<Batch> {
        if !self.options.method.gives_ids() || batch.is_resolved {
            return Some(batch);
        }
        let is_plain = self.options.method == Method::Post
            && self.deferred_keys.is_empty()
            && !self.has_links
            && batch.items.iter().all(|item| item.action != Action::Delete);
        if is_plain {
            batch.is_resolved = true;
            return Some(batch);
        }
        let mut fates = match self.fates(&batch) {
            Ok(fates) => fates,
            Err(error) => {
                self.stop_with(error);
                self.again.push_front(batch);
                return None;
            }
        };
        let waiting = split_off(&mut batch, &mut fates, |fate| matches!(fate, Fate::Waits)).0;
        let is_lost = |fate: &Fate| matches!(fate, Fate::Lost(_));
        let (lost, words) = split_off(&mut batch, &mut fates, is_lost);
        if !lost.items.is_empty() {
            self.settle(&lost, words.into_iter().map(refused).collect());
        }
        if !waiting.items.is_empty() {
            self.again.push_back(waiting);
        }
        if batch.items.is_empty() {
            return None;
        }
        self.put_fates(&mut batch, fates);
        Some(batch)
    }

    /// The items get the texts and URLs that they go out with.
    fn put_fates(&mut self, batch: &mut Batch, fates: Vec<Fate>) {
        let mut texts = Vec::with_capacity(fates.len());
        let mut within = HashSet::new();
        for (item, fate) in batch.items.iter_mut().zip(fates) {
            if let Fate::Ready {
                text,
                url,
                lost,
                is_provisional,
                within: urls,
            } = fate
            {
                within.extend(urls);
                texts.push(text);
                item.url = url.unwrap_or_else(|| std::mem::take(&mut item.url));
                item.is_provisional = is_provisional;
                if !batch.is_counted {
                    self.ledger.report.dangling += lost.0;
                    self.ledger.report.absolute += lost.1;
                }
            }
        }
        batch.is_counted = true;
        Own::put_on(&mut batch.items, &within);
        batch.put_texts(texts);
        batch.is_resolved = true;
    }

    /// Nothing under way brings what these point at: they are read once more, or refused where they cannot be.
    pub(super) fn defer_all(&mut self) {
        for batch in std::mem::take(&mut self.again) {
            self.defer(&batch);
        }
    }

    fn defer(&mut self, batch: &Batch) {
        let Some(deferred) = &self.deferred else {
            let outcome = outcome_of_words(
                "what it points at comes after it, and stdin is read once: import files",
            );
            let verdict = Verdict::Refused {
                status: None,
                outcome,
            };
            self.settle_all(batch, &verdict);
            return;
        };
        for item in &batch.items {
            deferred.add(item.ordinal);
            self.deferred_keys.insert(item.key);
            self.held.remove(&item.key);
        }
    }

    /// Notes where provisional resources of a batch lie, and lets them wait to be written as they are meant; the others
    /// are left to be settled.
    pub(super) fn learn_provisional(&mut self, batch: &mut Batch, answered: &mut Vec<Answered>) {
        let is_written = |verdict: &Verdict| {
            matches!(
                verdict,
                Verdict::Created | Verdict::Updated | Verdict::Unchanged
            )
        };
        let flags: Vec<bool> = batch
            .items
            .iter()
            .zip(answered.iter())
            .map(|(item, (verdict, _))| item.is_provisional && is_written(verdict))
            .collect();
        if !flags.contains(&true) {
            return;
        }
        let mut taken = flags.iter().copied();
        let part = batch.split_off(|_| taken.next().unwrap_or(false));
        let mut taken = flags.iter().copied();
        let learned: Vec<_> = answered
            .extract_if(.., |_| taken.next().unwrap_or(false))
            .collect();
        let index = Arc::clone(&self.index);
        let mut index = index.lock().unwrap_or_else(PoisonError::into_inner);
        self.ledger.learn_only(&part, &learned, &mut index);
        drop(index);
        self.defer(&part);
    }
}
