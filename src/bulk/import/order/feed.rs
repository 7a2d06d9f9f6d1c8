//! The reading side: files become batches, rank after rank, a little ahead of what is sent.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use memchr::memmem::Finder;
use tokio::sync::mpsc::Sender;

use crate::bulk::import::batch::Batch;
use crate::bulk::import::intervals::Intervals;
use crate::bulk::import::order::deferred::{Deferred, Stage};
use crate::bulk::import::order::extensions;
use crate::bulk::import::order::links::{Links, Scan};
use crate::bulk::import::order::matching;
use crate::bulk::import::order::names::{Naming, Scope, is_urn};
use crate::bulk::import::order::own::Own;
use crate::bulk::import::order::rank;
use crate::bulk::import::order::references::{Index, Target, Way};
use crate::bulk::import::order::survey;
use crate::bulk::import::piece::Piece;
use crate::bulk::import::piece::{Action, Item, Unsent};
use crate::bulk::import::read::input::Input;
use crate::bulk::import::read::line::{self, Head};
use crate::bulk::import::{BundleKind, ImportError, Method, Options};
use crate::fhir::id::Id;

/// No request holds more bytes of resources, unless one resource alone does.
const MOST_BYTES: usize = 2 << 20;

/// What the reading side says.
#[derive(Debug)]
pub enum Event {
    Batch(Batch),
    /// All before this must be settled before what follows is sent; then the sender gets a word.
    Barrier(SyncSender<()>),
    Failed(ImportError),
}

/// Why reading ends early: nobody listens any more.
struct Gone;

/// All that the reading side works with.
#[derive(Debug)]
pub struct Feed {
    pub inputs: Arc<Vec<Input>>,
    /// The ranks in each file; `None` when all goes as it comes.
    pub ranks: Option<Vec<u64>>,
    pub options: Arc<Options>,
    /// What earlier runs settled.
    pub done: Intervals,
    /// What earlier runs sent without learning what became of it.
    pub lost: Intervals,
    /// What has to be read again, where that can be.
    pub deferred: Option<Arc<Deferred>>,
    /// Where `urn:uuid` lead, when that is known before anything is sent.
    pub index: Option<Arc<Mutex<Index>>>,
    /// Whether there was no first pass, so that the index grows while all is read.
    pub index_grows: bool,
    pub naming: Naming,
    pub scan: Scan,
    pub tally: Tally,
}

/// What is counted while all is read.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub dangling: Arc<AtomicU64>,
    pub absolute: Arc<AtomicU64>,
    pub bytes: Arc<AtomicU64>,
    /// The references of what was read without a first pass.
    pub links: Arc<Mutex<Links>>,
}

impl Feed {
    /// Reads everything and sends it on; ends quietly when nobody listens any more.
    pub fn run(self, events: &Sender<Event>) {
        let mut packer = Packer::new(&self, events);
        let result = self
            .pass(&mut packer)
            .and_then(|()| packer.flush().map_err(|Gone| ImportError::Interrupted))
            .and_then(|()| self.what_waited(&mut packer));
        match result {
            Ok(()) | Err(ImportError::Interrupted) => {}
            Err(error) => {
                let _ = events.blocking_send(Event::Failed(error));
            }
        }
    }

    fn pass(&self, packer: &mut Packer) -> Result<(), ImportError> {
        match &self.ranks {
            Some(ranks) => self.in_order(ranks, packer),
            None => self.in_files(packer),
        }
    }

    fn in_files(&self, packer: &mut Packer) -> Result<(), ImportError> {
        (0..self.inputs.len()).try_for_each(|file| self.file(file, None, packer))
    }

    /// Reads again what pointed at what came later, as long as less and less is left, and then in spite of it.
    fn what_waited(&self, packer: &mut Packer) -> Result<(), ImportError> {
        let Some(deferred) = &self.deferred else {
            return Ok(());
        };
        let (mut stage, mut before) = (Stage::Wait, u64::MAX);
        loop {
            packer.barrier().map_err(|Gone| ImportError::Interrupted)?;
            let waited = deferred.next(|waited| {
                stage = match stage {
                    Stage::Wait if waited.count() < before => Stage::Wait,
                    Stage::Wait if self.options.method == Method::Conditional => Stage::Provisional,
                    _ => Stage::Last,
                };
                stage
            });
            if waited.is_empty() {
                return Ok(());
            }
            before = waited.count();
            packer.again(waited);
            let (method, bundle) = (self.options.method, self.options.bundle);
            if (method, bundle) == (Method::Post, BundleKind::Transaction) {
                // What points at each other can go in one of them, whatever its rank.
                self.in_files(packer)?;
            } else {
                self.pass(packer)?;
            }
        }
    }

    fn in_order(&self, ranks: &[u64], packer: &mut Packer) -> Result<(), ImportError> {
        let all = ranks.iter().fold(0, |all, ranks| all | ranks);
        for rank in (0..=rank::LAST).filter(|rank| all >> rank & 1 == 1) {
            for file in (0..self.inputs.len()).filter(|file| ranks[*file] >> rank & 1 == 1) {
                self.file(file, Some(rank), packer)?;
            }
            packer.barrier().map_err(|Gone| ImportError::Interrupted)?;
        }
        Ok(())
    }

    fn file(&self, file: usize, rank: Option<u8>, packer: &mut Packer) -> Result<(), ImportError> {
        self.inputs[file].visit(&mut |number, piece| {
            if rank.is_some_and(|rank| rank != rank_of(&piece)) {
                return Ok(());
            }
            packer.take(file, number, piece)
        })
    }
}

fn rank_of(piece: &Piece) -> u8 {
    match piece {
        Piece::Resource { text, .. } => rank::rank(&line::type_name(text)),
        Piece::Bad { .. } => 0,
        Piece::Deletion { url } => rank::rank_of_deletion(line::type_of_url(url)),
    }
}

/// Puts pieces together to batches.
struct Packer<'a> {
    feed: &'a Feed,
    events: &'a Sender<Event>,
    next: u64,
    /// What alone counts, when it is not the first time.
    only: Option<Intervals>,
    items: Vec<Item>,
    text: Vec<u8>,
    keys: HashSet<u64>,
    urls: HashSet<String>,
    last_type: Arc<str>,
    urn: Finder<'static>,
}

impl<'a> Packer<'a> {
    fn new(feed: &'a Feed, events: &'a Sender<Event>) -> Self {
        Self {
            feed,
            events,
            next: 0,
            only: None,
            items: Vec::new(),
            text: Vec::new(),
            keys: HashSet::new(),
            urls: HashSet::new(),
            last_type: "".into(),
            urn: Finder::new("urn:uuid:"),
        }
    }

    /// All is read once more, and these are taken.
    fn again(&mut self, only: Intervals) {
        (self.next, self.only) = (0, Some(only));
    }

    fn take(&mut self, file: usize, line: u64, piece: Piece) -> Result<(), ImportError> {
        let ordinal = self.next;
        self.next += 1;
        let is_settled = match &self.only {
            Some(only) => !only.contains(ordinal),
            None => self.feed.done.contains(ordinal),
        };
        if is_settled {
            return Ok(());
        }
        let (mut item, text) = match piece {
            Piece::Deletion { url } => (self.deletion(url), Vec::new()),
            Piece::Bad { text, problem } => {
                let mut item = self.item("", Action::Post);
                item.unsent = Some(Unsent::Bad(problem));
                (item, text.to_owned())
            }
            Piece::Resource {
                text,
                full_url,
                bundle,
            } => self.resource(Scope { file, bundle }, text, full_url)?,
        };
        (item.ordinal, item.file, item.line) = (ordinal, file, line);
        if item.action == Action::Post || item.unsent.is_some() {
            // Nothing says that it is about the same resource as another.
            item.key = hash(&(ordinal, "alone"));
        }
        if self.feed.lost.contains(ordinal) {
            item.unsent = Some(Unsent::Lost);
        }
        let size = match self.feed.options.bundle {
            BundleKind::None => 1,
            _ => self.feed.options.bundle_size,
        };
        let is_full = self.items.len() >= size
            || !self.items.is_empty() && self.text.len() + text.len() > MOST_BYTES
            || self.keys.contains(&item.key)
            // No two entries of a transaction have one full URL (FHIR R4, bdl-7).
            || self.feed.options.bundle == BundleKind::Transaction
                && item.full_url.as_ref().is_some_and(|url| self.urls.contains(url));
        if is_full {
            self.flush().map_err(|Gone| ImportError::Interrupted)?;
        }
        item.place = self.text.len()..self.text.len() + text.len();
        if self.only.is_none() {
            let bytes = &self.feed.tally.bytes;
            bytes.fetch_add(text.len() as u64, Ordering::Relaxed);
        }
        self.text.extend_from_slice(&text);
        self.keys.insert(item.key);
        self.urls.extend(item.full_url.clone());
        self.items.push(item);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Gone> {
        if self.items.is_empty() {
            return Ok(());
        }
        self.keys.clear();
        self.urls.clear();
        let batch = Batch::new(
            std::mem::take(&mut self.items),
            std::mem::take(&mut self.text),
        );
        self.events
            .blocking_send(Event::Batch(batch))
            .map_err(|_| Gone)
    }

    fn barrier(&mut self) -> Result<(), Gone> {
        self.flush()?;
        let (sender, receiver) = sync_channel(1);
        self.events
            .blocking_send(Event::Barrier(sender))
            .map_err(|_| Gone)?;
        receiver.recv().map_err(|_| Gone)
    }

    fn item(&mut self, resource_type: &str, action: Action) -> Item {
        if *self.last_type != *resource_type {
            self.last_type = resource_type.into();
        }
        Item {
            ordinal: 0,
            file: 0,
            line: 0,
            resource_type: Arc::clone(&self.last_type),
            id: None,
            action,
            url: String::new(),
            full_url: None,
            made_up_url: None,
            bundle: 0,
            place: 0..0,
            origin: 0..0,
            is_provisional: false,
            key: 0,
            unsent: None,
        }
    }

    fn deletion(&mut self, url: String) -> Item {
        let mut item = self.item(line::type_of_url(&url), Action::Delete);
        if let Err(problem) = line::deletable(&url, self.feed.options.deletes_by_search) {
            item.unsent = Some(Unsent::Bad(problem));
        } else if self.feed.options.method == Method::Validate {
            item.unsent = Some(Unsent::Bad("a deletion cannot be validated".into()));
        }
        item.key = hash(&url);
        item.url = url;
        item
    }

    fn resource(
        &mut self,
        scope: Scope,
        text: &[u8],
        full_url: Option<String>,
    ) -> Result<(Item, Vec<u8>), ImportError> {
        let head = match Head::read(text) {
            Ok(head) => head,
            Err(problem) => {
                let mut item = self.item(&line::type_name(text), Action::Post);
                item.unsent = Some(Unsent::Bad(problem));
                return Ok((item, text.to_owned()));
            }
        };
        let mut item = self.item(&head.resource_type, Action::Put);
        item.id = head.id.as_deref().map(Into::into);
        item.full_url = full_url.filter(|url| !self.feed.naming.keeps_ids || is_urn(url));
        item.bundle = scope.bundle;
        if self.feed.index_grows {
            self.note(scope, &head, item.full_url.as_deref())?;
            self.count_links(text);
        }
        let mut text = self.resolved(scope, text)?;
        if self.feed.options.add_extensions && *item.resource_type == *"ExplanationOfBenefit" {
            text = extensions::added(text);
        }
        if let Err(problem) = self.address(&mut item, &mut text)? {
            item.unsent = Some(Unsent::Bad(problem));
        }
        Ok((item, text))
    }

    /// Sets where and how an item is sent, or says why it cannot be.
    fn address(
        &self,
        item: &mut Item,
        text: &mut Vec<u8>,
    ) -> Result<Result<(), String>, ImportError> {
        if self.feed.options.method == Method::Put
            && item.id.is_none()
            && self.is_ambiguous(item)?
        {
            return Ok(Err(
                "it has no id, and other files have other resources under its fullUrl".into(),
            ));
        }
        Ok(self.url(item, text))
    }

    /// Whether other files have resources under the same full URL.
    fn is_ambiguous(&self, item: &Item) -> Result<bool, ImportError> {
        let (Some(index), Some(urn)) = (&self.feed.index, &item.full_url) else {
            return Ok(false);
        };
        let index = index
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // As if from no file of its own.
        let found = index.find(Scope::NONE, urn);
        found
            .map(|found| found == Target::Ambiguous)
            .map_err(temporary)
    }

    /// Sets where and how an item is sent.
    fn url(&self, item: &mut Item, text: &mut Vec<u8>) -> Result<(), String> {
        let options = &self.feed.options;
        let kind = &item.resource_type;
        match options.method {
            Method::Put => {
                if item.id.is_none() {
                    let uuid = item.full_url.as_deref().and_then(survey::uuid_of);
                    let uuid = uuid.ok_or(
                        "it has no id to be written under; --method post lets the server give one",
                    )?;
                    *text = line::with_id(text, uuid);
                    item.id = Some(uuid.into());
                }
                item.full_url = None;
                let id = Id::parse(item.id.as_deref().unwrap_or_default());
                let id = id.map_err(|problem| problem.to_string())?;
                item.url = format!("{kind}/{}", id.segment());
                item.key = hash(&item.url);
            }
            Method::Conditional => {
                let query = matching::query(&options.templates, kind, text)?;
                item.url = format!("{kind}?{query}");
                item.key = hash(&item.url);
                item.action = Action::ConditionalPut;
            }
            Method::Post => {
                item.url = kind.to_string();
                item.action = Action::Post;
                if !options.templates.is_empty() {
                    let query = matching::query(&options.templates, kind, text)?;
                    item.key = hash(&(&item.url, &query));
                    item.action = Action::ConditionalPost(query);
                }
            }
            Method::Validate => {
                item.url = format!("{kind}/$validate");
                item.action = Action::Validate;
                item.key = hash(&(&item.url, &item.id));
            }
        }
        Ok(())
    }

    fn count_links(&self, text: &[u8]) {
        let links = self.feed.scan.links(text, None);
        let mut all = self
            .feed
            .tally
            .links
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        all.add(links);
    }

    /// Notes where `urn:uuid` in later resources lead.
    fn note(&self, scope: Scope, head: &Head, full_url: Option<&str>) -> Result<(), ImportError> {
        let Some(index) = &self.feed.index else {
            return Ok(());
        };
        let mut index = index
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        survey::note(&mut index, scope, head, full_url, self.feed.naming).map_err(temporary)
    }

    /// The text with its `urn:uuid` led to resources, where that is known already.
    fn resolved(&self, scope: Scope, text: &[u8]) -> Result<Vec<u8>, ImportError> {
        let Some(index) = &self.feed.index else {
            return Ok(text.to_owned());
        };
        let source = self.feed.inputs[scope.file].source.as_deref();
        let is_of_source = |source: &str| memchr::memmem::find(text, source.as_bytes()).is_some();
        let needs_leading = self.urn.find(text).is_some() || source.is_some_and(is_of_source);
        let (true, Ok(words)) = (needs_leading, std::str::from_utf8(text)) else {
            return Ok(text.to_owned());
        };
        let index = index
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let way = Way {
            scope,
            base: NO_BASE,
            source,
            full_url: None,
            own: &Own::default(),
            relative: false,
            ids_change: false,
            absolute: false,
        };
        let led = index.lead(words, &way).map_err(temporary)?;
        self.feed
            .tally
            .dangling
            .fetch_add(led.dangling, Ordering::Relaxed);
        self.feed
            .tally
            .absolute
            .fetch_add(led.absolute, Ordering::Relaxed);
        Ok(led.text.into_bytes())
    }
}

/// What no reference begins with.
const NO_BASE: &str = "\n";

fn temporary(source: std::io::Error) -> ImportError {
    ImportError::Disk {
        path: std::env::temp_dir(),
        source,
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
