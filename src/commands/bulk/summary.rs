//! What an export says at its end, and its exit code.

use clap::ValueEnum;
use serde_json::{Value, json};

use super::bars::{size, time};
use super::report::words;
use crate::bulk::export::manifest::Group;
use crate::bulk::export::{Outcomes, Summary, report};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::output::Format;
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

pub(super) fn show(context: &Context, summary: &Summary) -> anyhow::Result<()> {
    let output = &context.output;
    for words in &summary.outcomes.samples {
        output.warn(&format!("The server reports: {words}"));
    }
    if output.format == Some(Format::Json) {
        output.json(&as_json(summary).to_string())?;
    }
    if output.stderr_is_terminal
        && output.format != Some(Format::Json)
        && let Ok(report) = report::of(&summary.folder)
    {
        output.note(&format!("\n{}\n", words::types(&report)));
    }
    let missing = match summary.failed.len() {
        0 => String::new(),
        missing => format!(", {missing} missing"),
    };
    let files = number_of(summary.files.len(), "file");
    let what = match summary.resources() {
        Some(resources) => format!("{} in {files}", number_of(resources, "resource")),
        None => format!("{files}, not checked"),
    };
    output.note(&format!(
        "{what} ({}) in {}, in {}{missing}",
        size(summary.bytes()),
        time(summary.elapsed),
        summary.folder.display()
    ));
    if summary.files.is_empty() && summary.failed.is_empty() {
        output.note(
            "The server listed no files: nothing matches what was asked for, or the client may see none of it",
        );
    }
    if let Some(attachments) = &summary.attachments {
        let left_out = match attachments.left_out {
            0 => String::new(),
            number => format!(", {number} left out"),
        };
        let missing = match attachments.missing {
            0 => String::new(),
            number => format!(", {number} missing"),
        };
        output.note(&format!(
            "{}, {} of them fetched now{left_out}{missing}",
            number_of(attachments.here, "attachment"),
            size(attachments.bytes)
        ));
    }
    Ok(())
}

fn as_json(summary: &Summary) -> Value {
    let group = |group: Group| match group {
        Group::Output => "output",
        Group::Deleted => "deleted",
        Group::Error => "error",
    };
    json!({
        "folder": summary.folder.display().to_string(),
        "transactionTime": summary.transaction_time,
        "files": summary.files.iter().map(|file| json!({
            "path": file.path.display().to_string(),
            "group": group(file.group),
            "type": file.resource_type,
            "resources": file.counted(),
            "bytes": file.bytes,
            "sha256": file.sha256,
        })).collect::<Vec<_>>(),
        "missing": summary.failed.iter().map(|file| json!({
            "url": file.url,
            "group": group(file.group),
            "type": file.resource_type,
            "reason": file.reason,
        })).collect::<Vec<_>>(),
        "outcomes": {"errors": summary.outcomes.errors, "warnings": summary.outcomes.warnings, "others": summary.outcomes.others},
        "attachments": summary.attachments,
        "seconds": summary.elapsed.as_secs_f64(),
    })
}

/// Anything missing, and anything the server itself calls an error, makes the export partial.
pub(super) fn verdict(summary: &Summary, fail_on: FailOn) -> anyhow::Result<()> {
    if !summary.failed.is_empty() {
        let all = summary.failed.len() + summary.files.len();
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
    let count = fail_on.objections(&summary.outcomes);
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
