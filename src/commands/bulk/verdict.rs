//! The verdict on an export that came to its end: what makes it partial.

use clap::ValueEnum;

use crate::bulk::export::{Outcomes, Summary};
use crate::exit::{self, Failure};
use crate::words::number_of;

/// Which of the server's own reports make an export fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    Error,
    Warning,
    Never,
}

impl FailOn {
    /// How many of the server's reports are too bad.
    fn objections(self, outcomes: &Outcomes) -> u64 {
        match self {
            Self::Error => outcomes.errors,
            Self::Warning => outcomes.errors + outcomes.warnings,
            Self::Never => 0,
        }
    }

    /// The same as a question.
    pub(super) fn accepts(self) -> fn(&Outcomes) -> bool {
        match self {
            Self::Error => |outcomes| Self::Error.objections(outcomes) == 0,
            Self::Warning => |outcomes| Self::Warning.objections(outcomes) == 0,
            Self::Never => |_| true,
        }
    }
}

/// Anything missing, and anything the server itself calls an error, makes the export partial.
pub(super) fn verdict(summary: &Summary, fail_on: FailOn) -> anyhow::Result<()> {
    if !summary.failed.is_empty() {
        let all = summary.failed.len() + summary.here.files;
        let failure = Failure::new(
            exit::PARTIAL,
            format!("{} of {all} files are missing", summary.failed.len()),
        );
        return Err(failure
            .hint("run the same command again: it fetches only what is missing")
            .into());
    }
    if let Some(attachments) = &summary.attachments
        && attachments.missing > 0
    {
        let failure = Failure::new(
            exit::PARTIAL,
            format!(
                "all files are here, but {} attachments are missing",
                attachments.missing
            ),
        );
        return Err(failure
            .hint("run the same command again to try them again; with --attachments off it ends without them")
            .into());
    }
    let count = fail_on.objections(&summary.here.outcomes);
    if count > 0 {
        let failure = Failure::new(
            exit::PARTIAL,
            format!(
                "all files are here, but the server reports {} in them",
                number_of(count, "problem")
            ),
        );
        return Err(failure
            .hint("they stand in the files under errors/; --fail-on never accepts them")
            .into());
    }
    Ok(())
}
