//! The one table of exit codes, and the verdict that an error has: its code, and what to try next.
//!
//! Verdicts stand beside the errors they judge (`impl Verdict for …`); `verdicts.rs` lists the types that have one.

use std::error::Error;

/// The server refused or failed, or anything not named below.
pub const FAILED: u8 = 1;
/// Wrong usage or bad input.
pub const USAGE: u8 = 2;
/// Not authenticated or not allowed.
pub const NOT_ALLOWED: u8 = 3;
/// Not found.
pub const NOT_FOUND: u8 = 4;
/// Some files or resources are missing or were refused.
pub const PARTIAL: u8 = 5;
/// Network failure or a time limit reached.
pub const NETWORK: u8 = 6;
/// Interrupted.
pub const INTERRUPTED: u8 = 130;

/// What an error means to whoever ran the command.
pub trait Verdict {
    /// The exit code, and what to try next.
    fn verdict(&self) -> (u8, Option<String>);
}

/// Judges an error of one type, and says nothing of others.
pub type Judge = fn(&(dyn Error + 'static)) -> Option<(u8, Option<String>)>;

/// The judge of errors of the type `E`.
pub fn judge_of<E: Error + Verdict + 'static>(
    error: &(dyn Error + 'static),
) -> Option<(u8, Option<String>)> {
    error.downcast_ref::<E>().map(E::verdict)
}

/// The verdict of the first error in a chain that one of the judges knows.
pub fn walk<'a>(
    chain: impl IntoIterator<Item = &'a (dyn Error + 'static)>,
    judges: &[Judge],
) -> (u8, Option<String>) {
    chain
        .into_iter()
        .find_map(|error| judges.iter().find_map(|judge| judge(error)))
        .unwrap_or((FAILED, None))
}

/// A command's own verdict: what failed, with which code and what to try next.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub code: u8,
    pub message: String,
    pub hint: Option<String>,
}

impl Failure {
    /// Wrong usage or bad input.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, message)
    }

    /// A failure with any code.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Verdict for Failure {
    fn verdict(&self) -> (u8, Option<String>) {
        (self.code, self.hint.clone())
    }
}
