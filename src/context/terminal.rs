//! What is said to a person and asked of one, for the layers below that do not print.

use std::io::{self, IsTerminal};
use std::path::Path;

use crate::auth::keys::Prompt;
use crate::http::Trace;
use crate::output::Output;

/// The person at the terminal, if there is one.
#[derive(Debug)]
pub(super) struct Terminal(pub(super) Output);

impl Prompt for Terminal {
    fn passphrase(&self, key: &Path) -> Option<io::Result<String>> {
        if !io::stdin().is_terminal() || !self.0.stderr_is_terminal {
            return None;
        }
        let question = format!("Passphrase of {}: ", key.display());
        Some(
            self.0
                .progress
                .suspend(|| rpassword::prompt_password(question)),
        )
    }
}

/// The request trace on stderr.
#[derive(Debug)]
pub(super) struct OutputTrace(pub(super) Output);

impl Trace for OutputTrace {
    fn line(&self, level: u8, text: &str) {
        self.0.trace(level, text);
    }

    fn notice(&self, text: &str) {
        self.0.note(text);
    }
}
