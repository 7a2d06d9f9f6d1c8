//! Pieces put together to batches.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, PoisonError};

use tokio::sync::mpsc::Sender;

use crate::bulk::import::batch::Batch;
use crate::bulk::import::intervals::Intervals;
use crate::bulk::import::long::{LONG, Leave};
use crate::bulk::import::order::feed::{Event, Feed};
use crate::bulk::import::order::making::{Maker, hash};
use crate::bulk::import::order::names::{Scope, folded};
use crate::bulk::import::piece::{Action, Item, Piece, Unsent};
use crate::bulk::import::{BundleKind, ImportError};

/// No request holds more bytes of resources, unless one resource alone does.
const MOST_BYTES: usize = 2 << 20;

/// Why reading ends early: nobody listens any more.
pub(super) struct Gone;

/// Puts pieces together to batches.
pub(super) struct Packer<'a> {
    feed: &'a Feed,
    events: &'a Sender<Event>,
    next: u64,
    /// What alone counts, when it is not the first time.
    only: Option<Intervals>,
    items: Vec<Item>,
    text: Vec<u8>,
    keys: HashSet<u64>,
    urls: HashSet<String>,
    /// The leave to hold a long resource.
    long: Option<Arc<Leave>>,
    maker: Maker<'a>,
}

impl<'a> Packer<'a> {
    /// A packer that has taken nothing.
    pub(super) fn new(feed: &'a Feed, events: &'a Sender<Event>) -> Self {
        Self {
            feed,
            events,
            next: 0,
            only: None,
            items: Vec::new(),
            text: Vec::new(),
            keys: HashSet::new(),
            urls: HashSet::new(),
            long: None,
            maker: Maker::new(feed),
        }
    }

    /// All is read once more, and these are taken.
    pub(super) fn again(&mut self, only: Intervals) {
        (self.next, self.only) = (0, Some(only));
    }

    /// Takes a piece, and gives away what is full.
    ///
    /// # Errors
    /// The disk; nobody listens any more.
    pub(super) fn take(&mut self, file: usize, line: u64, piece: Piece) -> Result<(), ImportError> {
        let ordinal = self.next;
        self.next += 1;
        if self.is_settled(ordinal) {
            return Ok(());
        }
        let (mut item, text) = match piece {
            Piece::Deletion { url } => (self.maker.deletion(url), Cow::Borrowed(&[][..])),
            Piece::Bad {
                text,
                problem,
                is_entry,
            } => {
                let mut item = self.maker.item("", Action::Post);
                item.is_entry = is_entry;
                item.unsent = Some(Unsent::Bad(problem));
                (item, Cow::Borrowed(text))
            }
            Piece::Resource {
                text,
                full_url,
                bundle,
                loses_condition,
            } => {
                self.count_lost(loses_condition);
                let scope = Scope { file, bundle };
                self.maker.resource(scope, text, full_url)?
            }
        };
        (item.ordinal, item.file, item.line) = (ordinal, file, line);
        if item.action == Action::Post || item.unsent.is_some() {
            // Nothing says that it is about the same resource as another.
            item.key = hash(&(ordinal, "alone"));
        }
        if self.feed.index_grows {
            self.count(&item);
        }
        if self.feed.lost.contains(ordinal) {
            item.unsent = Some(Unsent::Lost);
        }
        if self.is_full_for(&item, text.len()) {
            self.flush().map_err(|Gone| ImportError::Interrupted)?;
        }
        if text.len() > LONG {
            // Before it is copied: the one before it is gone then.
            self.long = Some(self.feed.long.take());
        }
        item.place = self.text.len()..self.text.len() + text.len();
        if self.only.is_none() {
            let bytes = &self.feed.tally.bytes;
            bytes.fetch_add(text.len() as u64, Ordering::Relaxed);
        }
        self.text.extend_from_slice(&text);
        self.keys.insert(item.key);
        let url = item.full_url.as_deref();
        self.urls.extend(url.map(|url| folded(url).into_owned()));
        self.items.push(item);
        Ok(())
    }

    /// Whether nothing is to be done about a piece: it was done before, or others are taken now.
    fn is_settled(&self, ordinal: u64) -> bool {
        match &self.only {
            Some(only) => !only.contains(ordinal),
            None => self.feed.done.contains(ordinal),
        }
    }

    /// Counts a condition that is not sent, where there was no first pass.
    fn count_lost(&self, is_lost: bool) {
        if is_lost && self.feed.index_grows {
            let links = &self.feed.tally.links;
            let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
            links.lost_conditions += 1;
        }
    }

    /// Counts what was read once: when the run is interrupted, not all of it has come to a request.
    fn count(&self, item: &Item) {
        let mut read = self
            .feed
            .tally
            .read
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match read.get_mut(&*item.resource_type) {
            Some(number) => *number += 1,
            None => {
                read.insert(item.resource_type.to_string(), 1);
            }
        }
    }

    /// Whether an item has to wait for the next batch.
    fn is_full_for(&self, item: &Item, length: usize) -> bool {
        let options = &self.feed.options;
        let size = match options.bundle {
            BundleKind::None => 1,
            _ => options.bundle_size,
        };
        // No two entries of a transaction have one full URL (FHIR R4, bdl-7).
        let has_url = || {
            let url = item.full_url.as_ref();
            options.bundle == BundleKind::Transaction
                && url.is_some_and(|url| self.urls.contains(&*folded(url)))
        };
        self.items.len() >= size
            || !self.items.is_empty() && self.text.len() + length > MOST_BYTES
            || self.keys.contains(&item.key)
            || has_url()
    }

    /// Gives away what there is.
    ///
    /// # Errors
    /// Nobody listens any more.
    pub(super) fn flush(&mut self) -> Result<(), Gone> {
        if self.items.is_empty() {
            return Ok(());
        }
        self.keys.clear();
        self.urls.clear();
        let mut batch = Batch::new(
            std::mem::take(&mut self.items),
            std::mem::take(&mut self.text),
        );
        batch.long = self.long.take();
        self.events
            .blocking_send(Event::Batch(batch))
            .map_err(|_| Gone)
    }

    /// Gives away what there is, and waits until all of it is settled.
    ///
    /// # Errors
    /// Nobody listens any more.
    pub(super) fn barrier(&mut self) -> Result<(), Gone> {
        self.flush()?;
        let (sender, receiver) = sync_channel(1);
        self.events
            .blocking_send(Event::Barrier(sender))
            .map_err(|_| Gone)?;
        receiver.recv().map_err(|_| Gone)
    }
}
