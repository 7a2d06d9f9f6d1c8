//! A report as text: the table of types, and what stands around it.

use super::columns::{COLUMNS, Column};
use super::words::{facts, number};
use crate::bulk::export::report::Report;
use crate::output::table;
use crate::words::{number_of, size};

/// Missing files that are named on a terminal.
const MISSING_SHOWN: usize = 20;

/// The table of types with its sum.
pub(in crate::commands::bulk) fn types(report: &Report) -> String {
    let is_bad = |column: &Column| column.is_bad && (column.cell)(&report.total, report) != "0";
    let columns = COLUMNS.iter();
    let columns: Vec<_> = columns.filter(|one| !one.is_bad || is_bad(one)).collect();
    let header: Vec<_> = columns.iter().map(|column| column.short).collect();
    let rows = report.types.iter().chain([&report.total]);
    let cells = rows.map(|row| columns.iter().map(|one| (one.cell)(row, report)).collect());
    table::render(&header, &cells.collect::<Vec<_>>())
}

/// The whole report as text.
pub(super) fn whole(report: &Report) -> String {
    let mut lines = Vec::new();
    for (name, value) in facts(report) {
        lines.push(format!("{:<14}{value}", format!("{name}:")));
    }
    if !report.types.is_empty() {
        lines.extend([String::new(), types(report)]);
    }
    if report.errors.iter().flatten().next().is_some() {
        lines.push("\nRequests that failed:".to_owned());
        for error in report.errors.iter().flatten() {
            let times = if error.count == 1 { "once" } else { "times" };
            let count = if error.count == 1 {
                String::new()
            } else {
                format!("{} ", error.count)
            };
            lines.push(format!(
                "  {} {}: {count}{times}, the last: {}",
                error.stage, error.code, error.message
            ));
        }
    }
    if !report.missing.is_empty() {
        lines.push("\nMissing files:".to_owned());
        for file in report.missing.iter().take(MISSING_SHOWN) {
            let reason = file.reason.as_deref().unwrap_or("not fetched yet");
            lines.push(format!("  {}: {reason}", file.path));
        }
        let more = report.missing.len().saturating_sub(MISSING_SHOWN);
        if more > 0 {
            lines.push(format!(
                "  and {} more (all with -o json)",
                number_of(more, "file")
            ));
        }
    }
    if !report.outcomes.samples.is_empty() {
        lines.push("\nThe server reports:".to_owned());
        lines.extend(
            report
                .outcomes
                .samples
                .iter()
                .map(|words| format!("  {words}")),
        );
    }
    if report.runs.len() > 1 {
        lines.extend(["\nExports of the series:".to_owned(), runs(report)]);
    }
    if !report.unknown.is_empty() {
        lines.push(String::new());
        lines.extend(report.unknown.iter().cloned());
    }
    lines.join("\n")
}

fn runs(report: &Report) -> String {
    let rows: Vec<_> = report
        .runs
        .iter()
        .map(|run| {
            vec![
                run.folder.clone(),
                run.since
                    .clone()
                    .unwrap_or_else(|| "the beginning".to_owned()),
                number(run.files),
                number(run.resources),
                size(run.bytes),
                if run.is_good { "good" } else { "with errors" }.to_owned(),
            ]
        })
        .collect();
    table::render(
        &["folder", "since", "files", "resources", "bytes", "result"],
        &rows,
    )
}
