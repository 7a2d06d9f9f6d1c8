//! One line on a terminal that says how far a long command is; nothing where nobody is looking.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::foreign::harmless;
use crate::secret;

/// A status line at the foot of the terminal.
#[derive(Clone, Debug)]
pub struct Progress {
    bar: ProgressBar,
    /// Whether the line is there. The bar itself would draw an empty one whenever it is touched.
    shown: Arc<AtomicBool>,
}

impl Progress {
    /// Visible only when a person is at the terminal.
    pub fn new(visible: bool) -> Self {
        let bar = if visible {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10))
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        Self {
            bar,
            shown: Arc::default(),
        }
    }

    /// Whether anything is drawn at all.
    pub fn is_visible(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// Replaces the status line.
    pub fn say(&self, text: &str) {
        if self.is_visible() {
            if !self.shown.swap(true, Ordering::SeqCst) {
                self.bar.reset();
            }
            self.bar.enable_steady_tick(Duration::from_millis(120));
            self.bar
                .set_message(harmless(&secret::mask(text)).replace(['\n', '\t'], " "));
        }
    }

    /// Takes the status line away.
    pub fn clear(&self) {
        if self.shown.swap(false, Ordering::SeqCst) {
            self.bar.disable_steady_tick();
            self.bar.finish_and_clear();
        }
    }

    /// Prints something else without tearing the line.
    pub fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        if self.shown.load(Ordering::SeqCst) {
            self.bar.suspend(print)
        } else {
            print()
        }
    }
}
