//! What came of an import, for people and for programs.

use std::time::Duration;

use serde_json::{Value, json};

use super::watcher::Watcher;
use crate::bulk::import::settle::report::{Counts, Report};
use crate::commands::bulk::bars::{size, time};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::output::{Format, table};
use crate::words::number_of;

/// Something was refused, or it is not known what became of it.
pub(super) fn partial(report: &Report, is_validation: bool, watcher: &Watcher) -> Failure {
    let total = report.total();
    let mut parts = Vec::new();
    if total.refused > 0 {
        let word = if is_validation {
            "not valid"
        } else {
            "refused"
        };
        parts.push(format!(
            "{} of {} resources were {word}",
            total.refused,
            total.all()
        ));
    }
    if total.unknown > 0 {
        parts.push(format!(
            "of {} it is not known whether they are there",
            total.unknown
        ));
    }
    let failure = Failure::new(exit::PARTIAL, parts.join(", and "));
    let (Some(rejects), Some(outcomes)) = (&report.rejects, &report.outcomes) else {
        return failure;
    };
    let (name, reasons) = (rejects.display(), outcomes.display());
    if is_validation {
        return failure.hint(format!("the reasons are in {reasons}, the lines in {name}"));
    }
    let first = if total.unknown > 0 {
        "look the unknown ones up first, then "
    } else {
        ""
    };
    let how = if watcher.saw_numeric_ids() {
        // HAPI keeps ids of digits alone for itself.
        "with `--method conditional`: this server gives ids that are numbers itself"
    } else {
        "and the same flags"
    };
    failure.hint(format!(
        "the reasons are in {reasons}; {first}try again with `medplum bulk import {name}` {how}"
    ))
}

pub(super) fn show(context: &Context, report: &Report) -> anyhow::Result<()> {
    let output = &context.output;
    let total = report.total();
    match output.format_for_lists() {
        Format::Table => output.line(&as_table(report))?,
        Format::Json | Format::Ndjson => output.json(&as_json(report).to_string())?,
    }
    if report.dangling > 0 {
        output.warn(&format!(
            "{} lead to nothing that is imported (urn:uuid, or an id that the server gives anew); they were sent as they \
             are, and may point at other resources or at none.",
            number_of(report.dangling, "reference")
        ));
    }
    if report.absolute > 0 {
        output.warn(&format!(
            "{} name a resource of another server by its whole URL; they were sent as they are and still point there.",
            number_of(report.absolute, "reference")
        ));
    }
    if report.conditional > 0 {
        output.warn(&format!(
            "{} name a search; servers follow those within --bundle transaction only.",
            number_of(report.conditional, "reference")
        ));
    }
    let latency = &report.latency;
    output.note(&format!(
        "{} ({}) of {} in {}, {:.0} a second; {}, mean {} ms, p50 {} ms, p95 {} ms, p99 {} ms, longest {} ms",
        number_of(total.all(), "resource"),
        size(report.bytes),
        number_of(report.files, "file"),
        time(report.elapsed),
        speed(report),
        number_of(report.requests, "request"),
        latency.mean().as_millis(),
        latency.percentile(50).as_millis(),
        latency.percentile(95).as_millis(),
        latency.percentile(99).as_millis(),
        latency.max().as_millis(),
    ));
    Ok(())
}

const COLUMNS: [&str; 8] = [
    "type",
    "created",
    "updated",
    "unchanged",
    "deleted",
    "refused",
    "unknown",
    "not sent",
];

fn as_table(report: &Report) -> String {
    let cells = |name: &str, counts: &Counts| {
        let numbers = [
            counts.created,
            counts.updated,
            counts.unchanged,
            counts.deleted,
            counts.refused,
            counts.unknown,
            counts.not_sent,
        ];
        let name = if name.is_empty() { "(no type)" } else { name };
        std::iter::once(name.to_owned())
            .chain(numbers.map(|number| number.to_string()))
            .collect::<Vec<_>>()
    };
    let mut rows: Vec<Vec<String>> = report
        .in_order()
        .into_iter()
        .map(|(name, counts)| cells(name, counts))
        .collect();
    rows.push(cells("all", &report.total()));
    // Columns that hold nothing but zeros say nothing, but for the first two.
    let shown: Vec<usize> = (0..COLUMNS.len())
        .filter(|at| *at < 3 || rows.iter().any(|row| row[*at] != "0"))
        .collect();
    let header: Vec<&str> = shown.iter().map(|at| COLUMNS[*at]).collect();
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| shown.iter().map(|at| row[*at].clone()).collect())
        .collect();
    table::render(&header, &rows)
}

fn as_json(report: &Report) -> Value {
    let total = report.total();
    let millis = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
    let latency = &report.latency;
    json!({
        "files": report.files,
        "resources": total.all(),
        "bytes": report.bytes,
        "seconds": report.elapsed.as_secs_f64(),
        "resourcesPerSecond": speed(report),
        "danglingReferences": report.dangling,
        "absoluteReferences": report.absolute,
        "conditionalReferences": report.conditional,
        "requests": report.requests,
        "created": total.created,
        "updated": total.updated,
        "unchanged": total.unchanged,
        "refused": total.refused,
        "notSent": total.not_sent,
        "unknown": total.unknown,
        "deleted": total.deleted,
        "types": report.in_order().into_iter().map(|(name, counts)| json!({
            "type": name,
            "created": counts.created,
            "updated": counts.updated,
            "unchanged": counts.unchanged,
            "refused": counts.refused,
            "notSent": counts.not_sent,
            "unknown": counts.unknown,
            "deleted": counts.deleted,
        })).collect::<Vec<_>>(),
        "latencyMs": {
            "mean": millis(latency.mean()),
            "p50": millis(latency.percentile(50)),
            "p95": millis(latency.percentile(95)),
            "p99": millis(latency.percentile(99)),
            "max": millis(latency.max()),
        },
        "rejects": report.rejects.as_ref().map(|path| path.display().to_string()),
        "outcomes": report.outcomes.as_ref().map(|path| path.display().to_string()),
    })
}

/// Resources settled in a second.
fn speed(report: &Report) -> f64 {
    let total = report.total();
    let settled = (total.all() - total.not_sent) as f64;
    (settled / report.elapsed.as_secs_f64().max(0.001) * 10.0).round() / 10.0
}
