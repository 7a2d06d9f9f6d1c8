//! An import's events as a user sees them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::bulk::import::{Observer, Progress};
use crate::output::Output;
use crate::words::number_of;

/// Refusals that are shown one by one; all of them are in the rejects file.
const MOST_SHOWN: usize = 10;
/// Without a terminal, progress is said this often.
const QUIET_TIME: Duration = Duration::from_secs(30);

/// Renders an import's events.
pub(super) struct Watcher {
    output: Output,
    shown: AtomicUsize,
    last: Mutex<Instant>,
    slowed: Mutex<String>,
    numeric_ids: AtomicBool,
}

impl Watcher {
    pub(super) fn new(output: Output) -> Self {
        Self {
            output,
            shown: AtomicUsize::new(0),
            last: Mutex::new(Instant::now()),
            slowed: Mutex::default(),
            numeric_ids: AtomicBool::default(),
        }
    }

    /// Whether the server refused ids because they are numbers.
    pub(super) fn saw_numeric_ids(&self) -> bool {
        self.numeric_ids.load(Ordering::Relaxed)
    }

    /// Says how many refusals were not shown.
    pub(super) fn count_the_rest(&self) {
        let shown = self.shown.load(Ordering::Relaxed);
        if shown > MOST_SHOWN {
            self.output.warn(&format!(
                "{} more were refused or are unknown.",
                shown - MOST_SHOWN
            ));
        }
    }
}

impl Observer for Watcher {
    fn progressed(&self, progress: &Progress) {
        let Ok(mut last) = self.last.lock() else {
            return;
        };
        let pause = if self.output.progress.is_visible() {
            Duration::from_millis(100)
        } else {
            QUIET_TIME
        };
        if last.elapsed() < pause {
            return;
        }
        *last = Instant::now();
        let counts = &progress.counts;
        let done = counts.all();
        let of = progress
            .total
            .map(|total| format!(" of {total}"))
            .unwrap_or_default();
        let refused = match counts.refused + counts.unknown {
            0 => String::new(),
            refused => format!(", {refused} refused"),
        };
        let speed = done as f64 / progress.elapsed.as_secs_f64().max(0.001);
        let words = format!(
            "{done}{of} resources, {speed:.0} a second{refused}, {} under way",
            number_of(progress.in_flight, "request")
        );
        if self.output.progress.is_visible() {
            self.output.progress.say(&words);
        } else {
            self.output.note(&words);
        }
    }

    fn rejected(&self, name: &str, reason: &str) {
        if reason.contains("at least one non-numeric character") {
            self.numeric_ids.store(true, Ordering::Relaxed);
        }
        if self.shown.fetch_add(1, Ordering::Relaxed) < MOST_SHOWN {
            self.output.warn(&format!("{name}: {reason}"));
        }
    }

    fn slowed(&self, reason: &str) {
        let Ok(mut last) = self.slowed.lock() else {
            return;
        };
        if *last != reason {
            self.output
                .note(&format!("The server wants it slower: {reason}."));
            reason.clone_into(&mut last);
        }
    }

    fn notice(&self, text: &str) {
        self.output.note(text);
    }
}
