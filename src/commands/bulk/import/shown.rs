//! What came of an import, for people.

use super::json::{self, speed};
use crate::bulk::import::settle::report::{Counts, Report};
use crate::context::Context;
use crate::output::{Format, table};
use crate::words::{number_of, size, time};

/// Whether what is reported was sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    Dry,
    Real,
}

pub(super) fn show(
    context: &Context,
    report: &Report,
    run: Run,
    is_like_medplum: bool,
) -> anyhow::Result<()> {
    let output = &context.output;
    match output.format_for_lists() {
        Format::Table => output.line(&as_table(report))?,
        Format::Json | Format::Ndjson => output.json(&json::of(report).to_string())?,
    }
    warn_of_references(context, report, run, is_like_medplum);
    if report.unrecorded > 0 {
        output.warn(&format!(
            "The server answered {} that could not be written down any more: they count here, but a --resume does not know \
             of it. By PUT it sends them again; those of a POST it reports as unknown.",
            number_of(report.unrecorded, "resource")
        ));
    }
    output.note(&speed_in_words(report));
    Ok(())
}

/// References that do not lead where they led before.
fn warn_of_references(context: &Context, report: &Report, run: Run, is_like_medplum: bool) {
    let output = &context.output;
    let (sent, may, points, written) = match run {
        Run::Real => (
            "they were sent as they are",
            "may",
            "still point",
            "were written",
        ),
        Run::Dry => (
            "they would be sent as they are",
            "might",
            "would still point",
            "would be written",
        ),
    };
    if report.dangling > 0 {
        // What is sent as the Medplum CLI sends it leads nothing by id.
        let cure = if is_like_medplum {
            " With --order auto as well, those by id are led to what is imported."
        } else {
            ""
        };
        output.warn(&format!(
            "{} lead to nothing that is imported (urn:uuid, or an id that the server gives anew); {sent}, \
             and {may} point at other resources or at none.{cure}",
            number_of(report.dangling, "reference")
        ));
    }
    if report.lost_conditions > 0 {
        output.warn(&format!(
            "{} only what is not there yet (ifNoneExist); by PUT they {written} under the ids they have, whatever a search finds. \
             --method conditional or --method post with --match looks first.",
            match report.lost_conditions {
                1 => "1 entry is to make".to_owned(),
                entries => format!("{entries} entries are to make"),
            }
        ));
    }
    if report.absolute > 0 {
        output.warn(&format!(
            "{} name a resource of another server by its whole URL; {sent} and {points} there.",
            number_of(report.absolute, "reference")
        ));
    }
    if report.conditional > 0 {
        output.warn(&format!(
            "{} name a search; servers follow those within --bundle transaction only.",
            number_of(report.conditional, "reference")
        ));
    }
}

/// How much there was and how long it took; of a dry run, and when all was done before, no figures of requests.
fn speed_in_words(report: &Report) -> String {
    let what = format!(
        "{} ({}) of {}",
        number_of(report.total().all(), "resource"),
        size(report.bytes),
        number_of(report.files, "file")
    );
    if report.requests == 0 {
        return format!(
            "{what} read in {}; no request was sent",
            time(report.elapsed)
        );
    }
    let latency = &report.latency;
    format!(
        "{what} in {}, {:.0} a second; {}, mean {} ms, p50 {} ms, p95 {} ms, p99 {} ms, longest {} ms",
        time(report.elapsed),
        speed(report),
        number_of(report.requests, "request"),
        latency.mean().as_millis(),
        latency.percentile(50).as_millis(),
        latency.percentile(95).as_millis(),
        latency.percentile(99).as_millis(),
        latency.max().as_millis(),
    )
}

const COLUMNS: [&str; 9] = [
    "type",
    "created",
    "updated",
    "unchanged",
    "deleted",
    "refused",
    "never sent",
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
            counts.refused_by_server(),
            counts.held_back,
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
