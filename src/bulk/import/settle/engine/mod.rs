//! The sending side: what goes out when, how many requests at a time, and the end of it.

mod answers;
mod fate;
mod lead;
mod setbacks;

use std::collections::{HashSet, VecDeque};
use std::pin::Pin;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};

use crate::bulk::import::batch::Batch;
use crate::bulk::import::long::LONG;
use crate::bulk::import::order::deferred::Deferred;
use crate::bulk::import::order::feed::Event;
use crate::bulk::import::order::links::Links;
use crate::bulk::import::order::names::Naming;
use crate::bulk::import::order::references::Index;
use crate::bulk::import::piece::Unsent;
use crate::bulk::import::read::input::Input;
use crate::bulk::import::send::outcome::outcome_of_words;
use crate::bulk::import::send::request::{self, How, Sent};
use crate::bulk::import::send::verdict::Verdict;
use crate::bulk::import::settle::ledger::Ledger;
use crate::bulk::import::settle::rejects::Rejects;
use crate::bulk::import::settle::report::{ByType, Report};
use crate::bulk::import::settle::state::State;
use crate::bulk::import::{BundleKind, ImportError, Method, Observer, Options};
use crate::fhir::Client;

/// How long answers are waited for after Ctrl-C.
const PARTING: Duration = Duration::from_secs(2);
/// The longest that a server's Retry-After is followed.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

type InFlight<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = Sent> + Send + 'a>>>;

/// Sends batches and settles what comes back.
pub struct Engine<'a> {
    client: &'a Client,
    options: &'a Options,
    observer: &'a dyn Observer,
    ledger: Ledger<'a>,
    index: Arc<Mutex<Index>>,
    inputs: &'a [Input],
    naming: Naming,
    /// Whether any reference may have to be led.
    has_links: bool,
    /// The FHIR base, with a slash at its end.
    base: String,
    in_flight: InFlight<'a>,
    abandon: watch::Sender<bool>,
    /// Keys of what is on its way or waits to be sent again.
    held: HashSet<u64>,
    /// What cannot be sent yet and is read once more; `None` where nothing can be read twice.
    pub deferred: Option<Arc<Deferred>>,
    /// Keys of what was deferred since the last barrier: what is about the same resource comes after it.
    deferred_keys: HashSet<u64>,
    again: VecDeque<Batch>,
    next: Option<Batch>,
    barrier: Option<SyncSender<()>>,
    /// Requests at a time, at present.
    limit: usize,
    /// Items in a bundle, at present.
    most: usize,
    /// Nothing is sent before.
    gate: Instant,
    /// Whether any answer has come.
    is_answered: bool,
    /// Whether the server has taken, or refused for a reason of its own, a resource under its id.
    takes_ids: bool,
    good_in_row: usize,
    failures_in_row: u32,
    slow_in_row: u32,
    /// Since when the server says nothing but "not now".
    slow_since: Option<Instant>,
    stop: Option<ImportError>,
    parting: Option<Instant>,
}

impl<'a> Engine<'a> {
    /// An engine that has sent nothing.
    #[expect(clippy::too_many_arguments, reason = "each is a part of its own")]
    pub fn new(
        client: &'a Client,
        options: &'a Options,
        inputs: &'a [Input],
        observer: &'a dyn Observer,
        state: State,
        rejects: Rejects,
        index: Arc<Mutex<Index>>,
        naming: Naming,
    ) -> Self {
        Self {
            client,
            options,
            observer,
            ledger: Ledger::new(inputs, observer, state, rejects, naming, base_of(client)),
            inputs,
            naming,
            has_links: true,
            base: base_of(client),
            index,
            in_flight: FuturesUnordered::new(),
            abandon: watch::channel(false).0,
            held: HashSet::new(),
            deferred: None,
            deferred_keys: HashSet::new(),
            again: VecDeque::new(),
            next: None,
            barrier: None,
            limit: options.parallel,
            most: options.bundle_size,
            gate: Instant::now(),
            is_answered: false,
            takes_ids: options.method != Method::Put,
            good_in_row: 0,
            failures_in_row: 0,
            slow_in_row: 0,
            slow_since: None,
            stop: None,
            parting: None,
        }
    }

    /// Takes over what earlier runs settled, and how much there is in all.
    pub fn settled_before(&mut self, links: Links, types: ByType, total: Option<u64>) {
        self.has_links = links.has_urns || links.has_relative || links.has_source;
        self.ledger.learns = match self.options.method {
            Method::Conditional => true,
            Method::Post if !self.naming.by_id => links.has_urns,
            Method::Post => self.has_links,
            Method::Put | Method::Validate => false,
        };
        self.ledger.begin(types, total);
    }

    /// The report so far, and what it was made with.
    pub fn into_parts(self) -> (Report, State, Rejects) {
        self.ledger.into_parts()
    }

    /// Sends all that comes, to its end.
    ///
    /// # Errors
    /// What stopped it.
    pub async fn run(
        &mut self,
        mut events: mpsc::Receiver<Event>,
        mut interrupted: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(), ImportError> {
        let mut is_read = false;
        loop {
            while let Some(batch) = self.ready() {
                self.dispatch(batch);
            }
            // What is under way was sent: its answers are waited for, and counted.
            if let Some(problem) = self.ledger.problem() {
                self.stop_with(problem);
            }
            let is_idle = self.in_flight.is_empty()
                && (self.stop.is_some() || self.again.is_empty() && self.next.is_none());
            if is_idle && let Some(barrier) = self.barrier.take() {
                self.deferred_keys.clear();
                // The reading side may be gone.
                let _ = barrier.send(());
            }
            if is_idle && (is_read || self.stop.is_some()) {
                break;
            }
            let takes =
                !is_read && self.stop.is_none() && self.next.is_none() && self.barrier.is_none();
            let waits = self.stop.is_none() && Instant::now() < self.gate;
            let parting = self.parting;
            tokio::select! {
                Some(sent) = self.in_flight.next(), if !self.in_flight.is_empty() => self.answered(sent),
                event = events.recv(), if takes => match event {
                    Some(Event::Batch(batch)) => self.take(batch),
                    Some(Event::Barrier(sender)) => self.barrier = Some(sender),
                    Some(Event::Failed(error)) => self.stop_with(error),
                    None => is_read = true,
                },
                () = tokio::time::sleep_until(self.gate.into()), if waits => {}
                () = &mut interrupted, if self.parting.is_none() => {
                    self.stop = Some(ImportError::Interrupted);
                    self.parting = Some(Instant::now() + PARTING);
                }
                () = sleep_until(parting), if parting.is_some() && !*self.abandon.borrow() => {
                    self.abandon.send_replace(true);
                }
            }
        }
        let Some(stop) = self.stop.take() else {
            return Ok(());
        };
        self.count_unsent(&mut events, &stop).await;
        Err(stop)
    }

    /// Settles what of a new batch is not sent, and keeps the rest for its turn.
    fn take(&mut self, mut batch: Batch) {
        let unsent = batch.split_off(|item| item.unsent.is_some());
        let answered = unsent.items.iter().map(|item| match &item.unsent {
            Some(Unsent::Lost) => (
                Verdict::Unknown {
                    status: None,
                    outcome: outcome_of_words(LOST),
                },
                None,
            ),
            Some(Unsent::Bad(problem)) => (
                Verdict::Refused {
                    status: None,
                    outcome: outcome_of_words(problem),
                },
                None,
            ),
            None => (Verdict::Unchanged, None),
        });
        let answered = answered.collect();
        let index = Arc::clone(&self.index);
        let mut index = index
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        self.ledger.settle(&unsent, answered, &mut index);
        if self.ledger.learns && self.deferred.is_none() {
            // Of stdin nobody knew before what will come.
            self.ledger.coming(&batch, &mut index);
        }
        if !batch.items.is_empty() {
            self.next = Some(batch);
        }
    }

    /// The next batch that may be sent now.
    fn ready(&mut self) -> Option<Batch> {
        let limit = if self.is_answered && self.takes_ids {
            self.limit
        } else {
            1
        };
        if self.in_flight.len() >= limit || Instant::now() < self.gate {
            return None;
        }
        while !self.is_stopped() {
            // Some of these may wait for what others bring.
            let mut waiting = 0;
            while waiting < self.again.len()
                && let Some(batch) = self.again.pop_front()
            {
                let batch = self.cut(batch);
                match self.led(batch) {
                    Some(batch) => return Some(batch),
                    None if self.is_stopped() => return None,
                    None => waiting += 1,
                }
            }
            if self.in_flight.is_empty() {
                self.defer_all();
            } else if self.again.len() >= self.options.parallel.max(2) {
                return None;
            }
            let batch = self.take_next()?;
            let batch = self.cut(batch);
            if let Some(batch) = self.led(batch) {
                return Some(batch);
            }
        }
        None
    }

    /// Whether nothing more is sent.
    fn is_stopped(&self) -> bool {
        self.stop.is_some() || self.ledger.is_broken()
    }

    /// What was read, unless it is about a resource that is on its way.
    fn take_next(&mut self) -> Option<Batch> {
        let next = self.next.as_ref()?;
        if next.items.iter().any(|item| self.held.contains(&item.key)) {
            return None;
        }
        self.held.extend(next.items.iter().map(|item| item.key));
        self.next.take()
    }

    /// As much of a batch as goes into one request; the rest is next.
    fn cut(&mut self, mut batch: Batch) -> Batch {
        if batch.items.len() > self.most {
            self.again.push_front(batch.split_at(self.most));
        }
        batch
    }

    fn dispatch(&mut self, batch: Batch) {
        if !batch.may_be_repeated() {
            self.ledger.sending(&batch);
        }
        if self.ledger.is_broken() {
            self.again.push_front(batch);
            return;
        }
        let delay = match batch.attempts {
            0 => Duration::ZERO,
            attempts => Duration::from_millis(250) * 2_u32.saturating_pow(attempts.min(7)),
        };
        let is_long = batch.items.len() == 1 && batch.text.len() > LONG;
        let kind = match self.options.bundle {
            // It needs no second copy to be put into a Bundle.
            BundleKind::Batch if is_long => BundleKind::None,
            kind => kind,
        };
        self.in_flight.push(Box::pin(request::send(
            self.client,
            batch,
            How {
                kind,
                skip_unchanged: self.options.skip_unchanged,
                asks_for_type: !self.takes_ids,
                wants_ids: self.ledger.learns,
                delay: delay.min(LONGEST_WAIT),
            },
            self.abandon.subscribe(),
        )));
    }

    /// What was read and not sent; of stdin also what was not read yet, but not after Ctrl-C.
    async fn count_unsent(&mut self, events: &mut mpsc::Receiver<Event>, stop: &ImportError) {
        if self.ledger.knows_total() {
            return;
        }
        for batch in self.again.drain(..).chain(self.next.take()) {
            self.ledger.count_unsent(&batch);
        }
        if matches!(stop, ImportError::Interrupted) {
            return;
        }
        while let Some(event) = events.recv().await {
            if let Event::Batch(batch) = event {
                self.ledger.count_unsent(&batch);
            }
        }
    }
}

const LOST: &str = "it was sent by a run that ended before the answer came; whether it is there has to be looked up";

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}

/// The FHIR base as references begin with it.
pub fn base_of(client: &Client) -> String {
    let base = client.profile.fhir_base.as_str();
    format!("{}/", base.trim_end_matches('/'))
}
