//! How many requests run at a time: as many as allowed, fewer for all once the server says it is too much.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Files that come through without complaint before one more is tried at a time.
const CALM: usize = 8;

/// What the downloads of one export agree on.
#[derive(Debug)]
pub struct Gate {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    calm: usize,
    closed_until: Option<Instant>,
    has_said: bool,
}

impl Gate {
    /// `most` requests at a time to begin with, and never more.
    pub fn new(most: usize) -> Self {
        let most = most.max(1);
        Self {
            most,
            state: Mutex::new(State {
                limit: most,
                calm: 0,
                closed_until: None,
                has_said: false,
            }),
        }
    }

    /// How many may run now.
    pub fn limit(&self) -> usize {
        self.with(|state| state.limit)
    }

    /// The server said that it is too much: half as many from now on, and nobody asks before `wait` is over.
    pub fn slow_down(&self, wait: Duration) {
        let now = Instant::now();
        self.with(|state| {
            // The complaints of requests that ran together are one complaint.
            if state.closed_until.is_none_or(|until| until <= now) {
                state.limit = (state.limit / 2).max(1);
            }
            state.calm = 0;
            let until = now + wait;
            state.closed_until = Some(state.closed_until.map_or(until, |other| other.max(until)));
        });
    }

    /// Says what holds for many files once.
    pub fn say_once(&self, say: impl FnOnce()) {
        if !self.with(|state| std::mem::replace(&mut state.has_said, true)) {
            say();
        }
    }

    /// A file came through.
    pub fn went_well(&self) {
        self.with(|state| {
            state.calm += 1;
            if state.calm >= CALM && state.limit < self.most {
                state.limit += 1;
                state.calm = 0;
            }
        });
    }

    /// Waits until asking is allowed.
    pub async fn open(&self) {
        while let Some(until) = self.with(|state| state.closed_until)
            && let Some(left) = until.checked_duration_since(Instant::now())
            && !left.is_zero()
        {
            tokio::time::sleep(left).await;
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        work(&mut state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_halves_the_number_once_and_calm_brings_it_back() {
        let gate = Gate::new(8);
        gate.slow_down(Duration::from_secs(60));
        gate.slow_down(Duration::from_secs(1));
        assert_eq!(gate.limit(), 4);
        (0..CALM * 9).for_each(|_| gate.went_well());
        assert_eq!(gate.limit(), 8);
        for _ in 0..5 {
            gate.with(|state| state.closed_until = None);
            gate.slow_down(Duration::ZERO);
        }
        assert_eq!(gate.limit(), 1);
    }
}
