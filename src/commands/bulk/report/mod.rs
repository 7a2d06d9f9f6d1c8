//! `medplum bulk report`

mod columns;
mod page;
pub(super) mod text;
mod words;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::bulk::export::report;
use crate::context::Context;
use crate::output::Format;
use crate::place;

/// Show what came of an export: files, resources, bytes, time, deletions and errors by type
///
/// It is made from what the folder holds, without the server: of a finished export, an unfinished one, or the latest of a
/// series. A table on a terminal, JSON for programs.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum bulk report export\n\
        \x20 medplum bulk report export --html report.html")]
pub struct ReportArgs {
    /// Folder of the export
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Write the report as one HTML page with charts, which loads nothing
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(super) fn run(context: &Context, args: &ReportArgs) -> anyhow::Result<()> {
    let report = report::of(&args.folder)?;
    let output = &context.output;
    if let Some(path) = &args.html {
        let page = page::render(&report);
        place::output::write(path, page.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
        output.note(&format!("The report is in {}", path.display()));
        if output.format.is_none() {
            return Ok(());
        }
    }
    match output.format_for_lists() {
        Format::Json => output.json(&serde_json::to_string(&report)?),
        Format::Ndjson => report
            .types
            .iter()
            .try_for_each(|row| output.line(&serde_json::to_string(row)?)),
        Format::Table => output.report(&text::whole(&report)),
    }
}
