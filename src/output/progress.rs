//! One line on a terminal that says how far a long command is; nothing where nobody is looking.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A status line at the foot of the terminal.
#[derive(Clone, Debug)]
pub struct Progress {
    bar: ProgressBar,
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
        Self { bar }
    }

    /// Whether anything is drawn at all.
    pub fn is_visible(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// Replaces the status line.
    pub fn say(&self, text: &str) {
        if self.is_visible() {
            self.bar.enable_steady_tick(Duration::from_millis(120));
            self.bar.set_message(text.to_owned());
        }
    }

    /// Takes the status line away.
    pub fn clear(&self) {
        if self.is_visible() {
            self.bar.disable_steady_tick();
            self.bar.finish_and_clear();
            self.bar.reset();
        }
    }

    /// Prints something else without tearing the line.
    pub fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        if self.is_visible() {
            self.bar.suspend(print)
        } else {
            print()
        }
    }
}
