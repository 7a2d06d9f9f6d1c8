//! What the reading side works with and says.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};

use crate::bulk::import::batch::Batch;
use crate::bulk::import::intervals::Intervals;
use crate::bulk::import::long::Long;
use crate::bulk::import::order::deferred::Deferred;
use crate::bulk::import::order::links::{Links, Scan};
use crate::bulk::import::order::names::Naming;
use crate::bulk::import::order::references::Index;
use crate::bulk::import::read::input::Input;
use crate::bulk::import::{ImportError, Options};

/// What the reading side says.
#[derive(Debug)]
pub enum Event {
    Batch(Batch),
    /// All before this must be settled before what follows is sent; then the sender gets a word.
    Barrier(SyncSender<()>),
    Failed(ImportError),
}

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
    /// One long resource at a time.
    pub long: Arc<Long>,
}

/// What is counted while all is read.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub dangling: Arc<AtomicU64>,
    pub absolute: Arc<AtomicU64>,
    pub bytes: Arc<AtomicU64>,
    /// What was read, by type, where there was no first pass.
    pub read: Arc<Mutex<BTreeMap<String, u64>>>,
    /// The references of what was read without a first pass.
    pub links: Arc<Mutex<Links>>,
}
