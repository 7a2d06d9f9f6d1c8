//! Resources so long that each costs a good part of the memory: there is one at a time.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A longer resource goes as a request of its own.
pub const LONG: usize = 16 << 20;

/// Gives leave to hold a long resource to one at a time.
#[derive(Debug, Default)]
pub struct Long {
    is_held: Mutex<bool>,
    freed: Condvar,
}

/// The leave to hold a long resource, until it is dropped.
#[derive(Debug)]
pub struct Leave(Arc<Long>);

impl Long {
    /// Waits until no other long resource is held.
    pub fn take(self: &Arc<Self>) -> Arc<Leave> {
        let is_held = self.is_held.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.freed.wait_while(is_held, |is_held| *is_held);
        *waited.unwrap_or_else(PoisonError::into_inner) = true;
        Arc::new(Leave(Arc::clone(self)))
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        *self
            .0
            .is_held
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = false;
        self.0.freed.notify_one();
    }
}
