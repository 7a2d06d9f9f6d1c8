//! What cannot be sent yet, because it points at what is still to come: it is read once more later.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::bulk::import::intervals::Intervals;

/// How far a reference to what has not come is put up with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// What points there waits.
    #[default]
    Wait,
    /// Resources point at each other in a circle: each is written as it is, and again when all have come.
    Provisional,
    /// What still points nowhere is refused.
    Last,
}

/// The ordinals that wait, shared by the side that reads and the side that sends.
#[derive(Debug, Default)]
pub struct Deferred(Mutex<(Intervals, Stage)>);

impl Deferred {
    /// Lets an ordinal wait.
    pub fn add(&self, ordinal: u64) {
        self.lock().0.add(ordinal, 1);
    }

    /// The stage at present.
    pub fn stage(&self) -> Stage {
        self.lock().1
    }

    /// Begins another stage; what waited so far.
    pub fn next(&self, stage: impl FnOnce(&Intervals) -> Stage) -> Intervals {
        let mut inner = self.lock();
        let waited = std::mem::take(&mut inner.0);
        inner.1 = stage(&waited);
        waited
    }

    fn lock(&self) -> MutexGuard<'_, (Intervals, Stage)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
