//! The books of an import: counts, journal, rejects, and what answers teach about references.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use crate::bulk::import::batch::Batch;
use crate::bulk::import::intervals::ranges;
use crate::bulk::import::order::names::{Names, Naming};
use crate::bulk::import::order::own::Own;
use crate::bulk::import::order::references::{Index, is_ambiguous};
use crate::bulk::import::order::way::{Goes, Way};
use crate::bulk::import::piece::{Action, Item};
use crate::bulk::import::read::input::Input;
use crate::bulk::import::send::outcome::words_in;
use crate::bulk::import::send::verdict::{Answered, Verdict};
use crate::bulk::import::settle::rejects::{self, Rejects};
use crate::bulk::import::settle::report::{ByType, Counts, Report};
use crate::bulk::import::settle::state::State;
use crate::bulk::import::settle::state::journal::Entry;
use crate::bulk::import::{ImportError, Observer, Progress};

/// Where every line is settled, once.
pub struct Ledger<'a> {
    inputs: &'a [Input],
    observer: &'a dyn Observer,
    state: State,
    rejects: Rejects,
    naming: Naming,
    /// The FHIR base, with a slash at its end.
    base: String,
    /// Whether where resources lie is worth noting: references to them come.
    pub learns: bool,
    /// Whether all names of full URLs were read before anything was sent.
    knows_all: bool,
    pub report: Report,
    counts: Counts,
    total: Option<u64>,
    started: Instant,
    /// Whether something could not be written.
    is_broken: bool,
    /// Why, until it is told.
    problem: Option<ImportError>,
}

impl<'a> Ledger<'a> {
    /// Empty books.
    pub fn new(
        inputs: &'a [Input],
        observer: &'a dyn Observer,
        state: State,
        rejects: Rejects,
        naming: Naming,
        base: String,
    ) -> Self {
        Self {
            inputs,
            observer,
            state,
            rejects,
            naming,
            base,
            learns: false,
            knows_all: !inputs.iter().any(|input| input.is_read_once),
            report: Report::default(),
            counts: Counts::default(),
            total: None,
            started: Instant::now(),
            is_broken: false,
            problem: None,
        }
    }

    /// Takes over what earlier runs settled.
    pub fn begin(&mut self, types: ByType, total: Option<u64>) {
        self.report.types = types;
        self.counts = self.report.total();
        self.total = total;
    }

    /// Whether it is known how much there is.
    pub fn knows_total(&self) -> bool {
        self.total.is_some()
    }

    /// Closes the books.
    pub fn into_parts(self) -> (Report, State, Rejects) {
        (self.report, self.state, self.rejects)
    }

    /// Counts a request.
    pub fn count_request(&mut self, latency: Duration) {
        self.report.requests += 1;
        self.report.latency.add(latency);
    }

    /// Notes, before it goes out, what must not be sent twice. Where that cannot be written, it must not go out.
    pub fn sending(&mut self, batch: &Batch) {
        let sent = ranges(batch.items.iter().map(|item| item.ordinal));
        self.write(|ledger| {
            ledger.state.record(&Entry {
                sent,
                ..Entry::default()
            })?;
            // What goes out now must be known as sent after a power cut too, and what the journal counts must be there.
            let synced = ledger.rejects.sync().and_then(|()| ledger.state.sync());
            synced.inspect_err(|_| ledger.state.take_back())
        });
    }

    /// Notes that it did not go out, or that the server said it did nothing.
    pub fn not_sent(&mut self, batch: &Batch) {
        if batch.may_be_repeated() {
            return;
        }
        let back = ranges(batch.items.iter().map(|item| item.ordinal));
        let entry = Entry {
            back,
            ..Entry::default()
        };
        self.write(|ledger| ledger.state.record(&entry));
    }

    /// Settles a batch: rejects first, then the journal. What came of it counts, whether it can be written or not.
    pub fn settle(&mut self, batch: &Batch, answered: Vec<Answered>, index: &mut Index) {
        if batch.items.is_empty() {
            return;
        }
        let mut types = ByType::new();
        for (item, (verdict, _)) in batch.items.iter().zip(&answered) {
            count(&mut types, item, verdict);
            self.tell(item, verdict);
        }
        self.add(&types);
        let mut entry = Entry {
            done: ranges(batch.items.iter().map(|item| item.ordinal)),
            types,
            ..Entry::default()
        };
        self.write(|ledger| {
            let lengths = ledger.rejects.lengths();
            for (item, (verdict, location)) in batch.items.iter().zip(answered) {
                match &verdict {
                    Verdict::Refused { status, outcome } => {
                        ledger.reject(batch, item, *status, "refused", outcome, index)?;
                    }
                    Verdict::Unknown { status, outcome } => {
                        ledger.reject(batch, item, *status, "unknown", outcome, index)?;
                    }
                    _ => ledger.learn(item, location.as_deref(), &mut entry, index)?,
                }
            }
            entry.rejects = Some(ledger.rejects.lengths()).filter(|new| *new != lengths);
            ledger.state.record(&entry)
        });
        if self.is_broken {
            let answered = batch.items.iter().filter(|item| item.unsent.is_none());
            self.report.unrecorded += answered.count() as u64;
        }
    }

    /// Writes, unless that failed before: what is written then would stand behind half a line.
    fn write(&mut self, write: impl FnOnce(&mut Self) -> Result<(), ImportError>) {
        if self.is_broken {
            return;
        }
        if let Err(problem) = write(self) {
            self.is_broken = true;
            self.problem = Some(problem);
        }
    }

    /// Whether nothing can be written any more.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Why nothing can be written any more; it is told once.
    pub fn problem(&mut self) -> Option<ImportError> {
        self.problem.take()
    }

    fn tell(&self, item: &Item, verdict: &Verdict) {
        let (result, status, outcome) = match verdict {
            Verdict::Refused {
                status: None,
                outcome,
            } => ("never sent", &None, outcome),
            Verdict::Refused { status, outcome } => ("refused", status, outcome),
            Verdict::Unknown { status, outcome } => ("unknown", status, outcome),
            _ => return,
        };
        let words = words_in(outcome);
        let status = status.map_or_else(String::new, |status| format!("{status} "));
        self.observer.rejected(
            &self.inputs[item.file].place_of(item),
            &format!("{result}: {status}{words}"),
        );
    }

    fn reject(
        &mut self,
        batch: &Batch,
        item: &Item,
        status: Option<u16>,
        result: &str,
        outcome: &str,
        index: &mut Index,
    ) -> Result<(), ImportError> {
        let text = self.to_try_again(batch, item, index)?;
        let full_url = self.name_to_try_again(item, index)?;
        if self.learns {
            let names = self.names(item);
            index.note_failed(&names).map_err(ImportError::temporary)?;
        }
        let line = rejects::line_of(item, &text, full_url.as_deref());
        let input = &self.inputs[item.file];
        self.rejects.add(item, line, input, status, result, outcome)
    }

    /// The full URL that a rejected resource is written with: others that are tried again with it point there. Lines of
    /// several Bundles lie in one file then, so what is the name of several becomes one of its own.
    fn name_to_try_again(&self, item: &Item, index: &Index) -> Result<Option<String>, ImportError> {
        let Some(url) = &item.full_url else {
            return Ok(None);
        };
        let is_of_several =
            self.knows_all && is_ambiguous(index, url).map_err(ImportError::temporary)?;
        Ok(Some(if is_of_several {
            item.scope().own_url(url)
        } else {
            url.clone()
        }))
    }

    /// The text of a rejected resource as it can be tried again by itself: with references to what this run wrote led there.
    fn to_try_again<'b>(
        &self,
        batch: &'b Batch,
        item: &Item,
        index: &Index,
    ) -> Result<Cow<'b, [u8]>, ImportError> {
        let text = batch.original_of(item);
        let (true, None, Ok(words)) = (self.learns, &item.unsent, std::str::from_utf8(text)) else {
            return Ok(Cow::Borrowed(text));
        };
        if item.action == Action::Delete {
            return Ok(Cow::Borrowed(text));
        }
        let way = Way {
            scope: item.scope(),
            base: &self.base,
            source: self.inputs[item.file].source.as_deref(),
            full_url: None,
            own: &Own::default(),
            relative: self.naming.by_id,
            ids_change: false,
            goes: Goes::IntoAFile {
                apart: self.knows_all,
            },
        };
        let text = index
            .lead(words, &way)
            .map_err(ImportError::temporary)?
            .text;
        Ok(Cow::Owned(text.into_bytes()))
    }

    /// What references call a resource.
    pub fn names(&self, item: &Item) -> Names {
        let (id, full_url) = (item.id.as_deref(), item.full_url.as_deref());
        Names::new(item.scope(), &item.resource_type, id, full_url, self.naming)
    }

    /// Notes where a resource lies now, for references to it. A server that does not say leaves it unknown.
    fn learn(
        &mut self,
        item: &Item,
        location: Option<&str>,
        entry: &mut Entry,
        index: &mut Index,
    ) -> Result<(), ImportError> {
        let (true, Some(location)) = (self.learns && item.action != Action::Delete, location)
        else {
            return Ok(());
        };
        let names = self.names(item);
        index
            .note(&names, location, false)
            .map_err(ImportError::temporary)?;
        for name in names.learned(index).map_err(ImportError::temporary)? {
            entry.learned.push((name, location.to_owned()));
        }
        Ok(())
    }

    /// Notes where resources lie that were written only so that others can point at them.
    pub fn learn_only(&mut self, batch: &Batch, answered: &[Answered], index: &mut Index) {
        self.write(|ledger| {
            let mut entry = Entry::default();
            for (item, (_, location)) in batch.items.iter().zip(answered) {
                ledger.learn(item, location.as_deref(), &mut entry, index)?;
            }
            ledger.state.record(&entry)
        });
    }

    /// Notes that these come, for what points at them.
    pub fn coming(&mut self, batch: &Batch, index: &mut Index) {
        self.write(|ledger| {
            let names = batch.items.iter().map(|item| ledger.names(item));
            let mut noted = names.map(|names| index.note_coming(&names));
            noted
                .try_for_each(|noted| noted)
                .map_err(ImportError::temporary)
        });
    }

    /// Counts without settling: what ends with the run and is not to be gone on with.
    pub fn count_only(&mut self, batch: &Batch, answered: &[Answered]) {
        let mut types = ByType::new();
        for (item, (verdict, _)) in batch.items.iter().zip(answered) {
            count(&mut types, item, verdict);
        }
        self.add(&types);
    }

    /// Counts what was sent without an answer and can be sent again: it stays open for a resume.
    pub fn leave_unknown(&mut self, batch: &Batch) {
        for item in &batch.items {
            self.report
                .types
                .entry(item.resource_type.to_string())
                .or_default()
                .unknown += 1;
        }
    }

    /// Counts what was read and not sent.
    pub fn count_unsent(&mut self, batch: &Batch) {
        for item in &batch.items {
            self.report
                .types
                .entry(item.resource_type.to_string())
                .or_default()
                .not_sent += 1;
        }
    }

    /// Tells the observer how far it is.
    pub fn show(&self, in_flight: usize) {
        self.observer.progressed(&Progress {
            counts: self.counts,
            total: self.total,
            elapsed: self.started.elapsed(),
            in_flight,
        });
    }

    fn add(&mut self, types: &ByType) {
        for (name, counts) in types {
            if let Some(sum) = self.report.types.get_mut(name) {
                sum.add(counts);
            } else {
                self.report.types.insert(name.clone(), *counts);
            }
            self.counts.add(counts);
        }
    }
}

fn count(types: &mut ByType, item: &Item, verdict: &Verdict) {
    let counts = match types.get_mut(&*item.resource_type) {
        Some(counts) => counts,
        None => types.entry(item.resource_type.to_string()).or_default(),
    };
    match verdict {
        Verdict::Created => counts.created += 1,
        Verdict::Updated => counts.updated += 1,
        Verdict::Unchanged => counts.unchanged += 1,
        Verdict::Deleted => counts.deleted += 1,
        Verdict::Refused { status, .. } => {
            counts.refused += 1;
            // What the server refused has its status.
            counts.held_back += u64::from(status.is_none());
        }
        Verdict::Unknown { .. } => counts.unknown += 1,
        Verdict::Later { .. } => counts.not_sent += 1,
    }
}
