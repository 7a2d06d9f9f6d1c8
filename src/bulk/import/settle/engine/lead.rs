//! References of a batch led to where their targets lie now, and what has to wait for that.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use super::{Engine, temporary};
use crate::bulk::import::batch::Batch;
use crate::bulk::import::order::deferred::Stage;
use crate::bulk::import::order::extensions;
use crate::bulk::import::order::names::is_urn;
use crate::bulk::import::order::own::Own;
use crate::bulk::import::order::references::{Index, Target};
use crate::bulk::import::order::way::Way;
use crate::bulk::import::piece::{Action, Item};
use crate::bulk::import::send::outcome::outcome_of_words;
use crate::bulk::import::send::verdict::{Answered, Verdict};
use crate::bulk::import::{BundleKind, ImportError, Method};

/// What becomes of an item now.
enum Fate {
    /// It can be sent with this text and at this URL.
    Ready {
        text: Vec<u8>,
        url: Option<String>,
        /// References that lead to nothing that is imported, and those to the server that it came from.
        lost: (u64, u64),
        is_provisional: bool,
        /// Full URLs made up for this transaction that it points at.
        within: Vec<String>,
    },
    /// What it points at is still to come.
    Waits,
    /// What it points at will not come.
    Lost(String),
}

impl Engine<'_> {
    /// A batch whose references lead where their targets lie now. Items whose targets are still to come wait in a batch
    /// of their own; `None` when these are all.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn led(&mut self, mut batch: Batch) -> Result<Option<Batch>, ImportError> {
        if !self.options.method.gives_ids() || batch.is_resolved {
            return Ok(Some(batch));
        }
        let is_plain = self.options.method == Method::Post
            && self.deferred_keys.is_empty()
            && !self.has_links
            && batch.items.iter().all(|item| item.action != Action::Delete);
        if is_plain {
            batch.is_resolved = true;
            return Ok(Some(batch));
        }
        let fates = self.fates(&batch)?;
        let mut waits = fates.iter().map(|fate| matches!(fate, Fate::Waits));
        let mut waiting = batch.split_off(|_| waits.next().unwrap_or(false));
        let mut fates: Vec<Fate> = fates
            .into_iter()
            .filter(|fate| !matches!(fate, Fate::Waits))
            .collect();
        let mut losses = fates.iter().map(|fate| matches!(fate, Fate::Lost(_)));
        let lost = batch.split_off(|_| losses.next().unwrap_or(false));
        let words = fates.extract_if(.., |fate| matches!(fate, Fate::Lost(_)));
        let verdicts = words
            .map(|fate| {
                let words = match fate {
                    Fate::Lost(words) => words,
                    _ => String::new(),
                };
                let outcome = outcome_of_words(&words);
                (
                    Verdict::Refused {
                        status: None,
                        outcome,
                    },
                    None,
                )
            })
            .collect();
        if !lost.items.is_empty() {
            self.settle(&lost, verdicts)?;
        }
        if !waiting.items.is_empty() {
            waiting.is_resolved = false;
            self.again.push_back(waiting);
        }
        if batch.items.is_empty() {
            return Ok(None);
        }
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
        Ok(Some(batch))
    }

    /// What becomes of each item. In a transaction the server leads full URLs of what really goes along.
    fn fates(&self, batch: &Batch) -> Result<Vec<Fate>, ImportError> {
        let index = Arc::clone(&self.index);
        let index = index.lock().unwrap_or_else(PoisonError::into_inner);
        let by_id = self.options.method == Method::Post && self.naming.by_id;
        let own_of = |fates: Option<&[Fate]>| {
            let goes =
                |at: usize| fates.is_none_or(|fates| matches!(fates[at], Fate::Ready { .. }));
            let items = batch.items.iter().enumerate().filter(|(at, _)| goes(*at));
            Own::of(items.map(|(_, item)| item), by_id)
        };
        let mut own = match self.options.bundle {
            BundleKind::Transaction => own_of(None),
            _ => Own::default(),
        };
        loop {
            let fates = batch
                .items
                .iter()
                .map(|item| self.fate(batch, item, &own, &index));
            let fates = fates.collect::<Result<Vec<_>, _>>()?;
            if own == Own::default() {
                return Ok(fates);
            }
            let left = own_of(Some(&fates));
            if left == own {
                return Ok(fates);
            }
            own = left;
        }
    }

    fn fate(
        &self,
        batch: &Batch,
        item: &Item,
        own: &Own,
        index: &Index,
    ) -> Result<Fate, ImportError> {
        if self.deferred_keys.contains(&item.key) {
            return Ok(Fate::Waits);
        }
        let stage = self
            .deferred
            .as_ref()
            .map_or(Stage::Wait, |deferred| deferred.stage());
        if item.action == Action::Delete {
            return fate_of_deletion(item, stage, index);
        }
        let original = batch.original_of(item);
        let ready = |text: Vec<u8>, lost, is_provisional| Fate::Ready {
            text: if self.options.method == Method::Conditional {
                extensions::without_id(&text)
            } else {
                text
            },
            url: None,
            lost,
            is_provisional,
            within: Vec::new(),
        };
        let Ok(text) = std::str::from_utf8(original) else {
            return Ok(ready(original.to_owned(), (0, 0), false));
        };
        let way = Way {
            scope: item.scope(),
            base: &self.base,
            source: self.inputs[item.file].source.as_deref(),
            full_url: item.full_url.as_deref(),
            own,
            relative: self.naming.by_id,
            ids_change: true,
            absolute: false,
        };
        let led = index.lead(text, &way).map_err(temporary)?;
        if let Some(target) = led.failed {
            return Ok(Fate::Lost(format!(
                "it points at {target}, which was not taken"
            )));
        }
        if let Some(target) = led.misled {
            return Ok(Fate::Lost(format!(
                "it points at {target}, which is the fullUrl of several resources in other Bundles"
            )));
        }
        Ok(match (led.coming, stage) {
            (None, _) => {
                let mut fate = ready(led.text.into_bytes(), (led.dangling, led.absolute), false);
                if let Fate::Ready { within, .. } = &mut fate {
                    *within = led.within;
                }
                fate
            }
            (Some(_), Stage::Wait) => Fate::Waits,
            (Some(_), Stage::Provisional) => ready(led.text.into_bytes(), (0, 0), true),
            (Some(target), Stage::Last) => Fate::Lost(match self.options.method {
                Method::Post if is_urn(&target) => format!(
                    "it points at {target}, and that at it in turn; within one --bundle transaction the server links them"
                ),
                Method::Post => format!(
                    "it points at {target}, and that at it in turn; --method conditional writes such circles, and so does \
                     --bundle transaction where one of --bundle-size holds them all"
                ),
                _ => format!(
                    "it points at {target}, and the server did not say under which id that lies now"
                ),
            }),
        })
    }

    /// Nothing under way brings what these point at: they are read once more, or refused where they cannot be.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn defer_all(&mut self) -> Result<(), ImportError> {
        for batch in std::mem::take(&mut self.again) {
            self.defer(&batch)?;
        }
        Ok(())
    }

    fn defer(&mut self, batch: &Batch) -> Result<(), ImportError> {
        let Some(deferred) = &self.deferred else {
            let outcome = outcome_of_words(
                "what it points at comes after it, and stdin is read once: import files",
            );
            let verdict = Verdict::Refused {
                status: None,
                outcome,
            };
            return self.settle_all(batch, &verdict);
        };
        for item in &batch.items {
            deferred.add(item.ordinal);
            self.deferred_keys.insert(item.key);
            self.held.remove(&item.key);
        }
        Ok(())
    }

    /// Notes where provisional resources of a batch lie, and lets them wait to be written as they are meant; the others
    /// are left to be settled.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn learn_provisional(
        &mut self,
        batch: &mut Batch,
        answered: &mut Vec<Answered>,
    ) -> Result<(), ImportError> {
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
            return Ok(());
        }
        let mut taken = flags.iter().copied();
        let part = batch.split_off(|_| taken.next().unwrap_or(false));
        let mut taken = flags.iter().copied();
        let learned: Vec<_> = answered
            .extract_if(.., |_| taken.next().unwrap_or(false))
            .collect();
        let index = Arc::clone(&self.index);
        let mut index = index.lock().unwrap_or_else(PoisonError::into_inner);
        self.ledger.learn_only(&part, &learned, &mut index)?;
        drop(index);
        self.defer(&part)
    }
}

/// Ids of the input are others here, where they may be those of somebody else.
fn fate_of_deletion(item: &Item, stage: Stage, index: &Index) -> Result<Fate, ImportError> {
    let ready = |url| Fate::Ready {
        text: Vec::new(),
        url,
        lost: (0, 0),
        is_provisional: false,
        within: Vec::new(),
    };
    if item.url.contains('?') {
        return Ok(ready(None));
    }
    Ok(
        match index.find(item.scope(), &item.url).map_err(temporary)? {
            Target::At(target) => ready(Some(target)),
            Target::Coming if stage == Stage::Wait => Fate::Waits,
            _ => Fate::Lost(
                "the server gives its own ids, and which of them this resource has is not known"
                    .into(),
            ),
        },
    )
}
