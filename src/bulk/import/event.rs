//! What an import tells while it runs.

use std::time::Duration;

use crate::bulk::import::settle::report::Counts;

/// What happens while an import runs.
pub trait Observer: Send + Sync {
    /// More lines are settled.
    fn progressed(&self, progress: &Progress);
    /// A resource was refused or is unknown.
    fn rejected(&self, name: &str, reason: &str);
    /// The server wants fewer requests, or smaller ones.
    fn slowed(&self, reason: &str);
    /// Something a person should know although all goes on.
    fn notice(&self, text: &str);
}

/// How far an import is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    pub counts: Counts,
    /// How many lines there are, when that is known.
    pub total: Option<u64>,
    pub elapsed: Duration,
    pub in_flight: usize,
}
