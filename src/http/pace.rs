//! How many requests may begin in a second: a token bucket that holds one token.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The pace of all requests of this process.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    /// When the next request may begin.
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// At most so many requests per second; fewer than one is a wait of more than a second between two.
    pub fn new(per_second: f64) -> Self {
        Self {
            interval: Duration::try_from_secs_f64(1.0 / per_second).unwrap_or_default(),
            next: Mutex::new(None),
        }
    }

    /// Waits until it is this request's turn.
    pub async fn turn(&self) {
        let wait = self.reserve(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
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
        let pace = Pace::new(10.0);
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let waits: Vec<_> = [0, 0, 0, 250, 900, 900]
            .map(|now| pace.reserve(at(now)).as_millis())
            .into();
        assert_eq!(waits, [0, 100, 200, 50, 0, 100]);
    }
}
