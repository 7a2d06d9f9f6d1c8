//! How many requests may begin in a second: a token bucket that holds one token.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::trace::Trace;
use crate::words::time;

/// A pause between two requests that nobody takes for a slow server. One that is longer is said.
const UNNOTICED: Duration = Duration::from_secs(2);

/// The pace of all requests of this process.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    /// What set it, for people.
    set_by: String,
    is_said: AtomicBool,
    /// When the next request may begin.
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// At most so many requests per second; fewer than one is a wait of more than a second between two. `set_by` is what
    /// says so, for people.
    pub fn new(per_second: f64, set_by: String) -> Self {
        Self {
            interval: Duration::try_from_secs_f64(1.0 / per_second).unwrap_or_default(),
            set_by,
            is_said: AtomicBool::new(false),
            next: Mutex::new(None),
        }
    }

    /// Waits until it is this request's turn. That requests are far apart is said before the first such wait.
    pub async fn turn(&self, trace: &dyn Trace) {
        let wait = self.reserve(Instant::now());
        if wait.is_zero() {
            return;
        }
        if self.interval > UNNOTICED && !self.is_said.swap(true, Ordering::Relaxed) {
            trace.notice(&format!(
                "One request in {} ({}): the next one goes out in {}",
                time(self.interval),
                self.set_by,
                time(wait)
            ));
        }
        super::clock::sleep(wait).await;
    }

    /// Takes the next free moment, and says how far it lies ahead. Time that was not used is not made up for.
    fn reserve(&self, now: Instant) -> Duration {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let at = next.map_or(now, |next| next.max(now));
        *next = Some(at + self.interval);
        at.duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_spread_and_idle_time_brings_no_burst() {
        let pace = Pace::new(10.0, String::new());
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let waits: Vec<_> = [0, 0, 0, 250, 900, 900]
            .map(|now| pace.reserve(at(now)).as_millis())
            .into();
        assert_eq!(waits, [0, 100, 200, 50, 0, 100]);
    }
}
