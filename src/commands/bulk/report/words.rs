//! A report in words: the table and what stands around it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bulk::export::report::{Report, Row, Standing};
use crate::commands::bulk::bars::{size, time};
use crate::output::table;
use crate::words::number_of;

/// Missing files that are named on a terminal.
const MISSING_SHOWN: usize = 20;

/// What a column without a value shows.
const NONE: &str = "-";

/// The table of types with its sum.
pub(in crate::commands::bulk) fn types(report: &Report) -> String {
    let mut header = vec![
        "type",
        "files",
        "missing",
        "resources",
        "bytes",
        "time",
        "deleted",
        "errors",
    ];
    let has_missing = report.total.missing > 0;
    if !has_missing {
        header.remove(2);
    }
    let rows: Vec<_> = report.types.iter().chain([&report.total]).collect();
    let cells = rows.into_iter().map(|row| {
        let mut cells = vec![
            row.name.clone(),
            number(row.files),
            number(row.missing),
            resources(row),
            size(row.bytes),
            seconds(row.seconds),
            number(row.deleted),
            errors(&row.errors, report.errors.is_some()),
        ];
        if !has_missing {
            cells.remove(2);
        }
        cells
    });
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

/// What the report is about.
pub(super) fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Result", standing(report)),
        ("Server", report.fhir_base.clone()),
        ("Folder", report.folder.clone()),
        ("Level", report.level.clone()),
    ];
    let parameters = report.parameters.iter();
    let parameters: Vec<_> = parameters
        .map(|one| format!("{}={}", one.name, one.value))
        .collect();
    if !parameters.is_empty() {
        facts.push(("Parameters", parameters.join("  ")));
    }
    let mut add = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    add("Kick-off", report.started.clone());
    add("Last event", report.ended.clone());
    add("Time", report.seconds.map(|time| seconds(Some(time))));
    add("As of", report.transaction_time.clone());
    facts
}

/// How the export stands, in a sentence.
pub(super) fn standing(report: &Report) -> String {
    let missing = report.total.missing;
    let all = report.total.files + missing;
    let errors = report.outcomes.errors;
    match report.result {
        Standing::Complete if errors > 0 => {
            format!(
                "complete, but the server reports {} in it",
                number_of(errors, "error")
            )
        }
        Standing::Complete => "complete".to_owned(),
        Standing::Partial => format!("partial: {missing} of {all} files are missing"),
        Standing::Interrupted => format!("interrupted: {missing} of {all} files are missing"),
        Standing::Waiting => "the server has not listed its files yet".to_owned(),
        Standing::Running => "a process works on it now".to_owned(),
        Standing::Unknown => "whether the server started a job is not known".to_owned(),
    }
}

/// The resources of a row; the lines of deletions and reports are none.
pub(super) fn resources(row: &Row) -> String {
    match row.list {
        Some("deleted" | "error") => NONE.to_owned(),
        _ => number(row.resources),
    }
}

/// A time, when it is known.
pub(super) fn seconds(seconds: Option<f64>) -> String {
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.map_or_else(|| NONE.to_owned(), time)
}

/// Errors by code: `429 ×2, connection`.
pub(super) fn errors(errors: &BTreeMap<String, u64>, is_known: bool) -> String {
    let shown = errors.iter().map(|(code, count)| match count {
        1 => code.clone(),
        count => format!("{code} \u{d7}{count}"),
    });
    match errors.is_empty() {
        true if is_known => "0".to_owned(),
        true => NONE.to_owned(),
        false => shown.collect::<Vec<_>>().join(", "),
    }
}

/// A number with its thousands apart.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        for (value, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
