//! The pictures of the page: resources by type, throughput, failed tries.

use maud::{Markup, html};

use super::charts::{self, Bar, Column};
use super::rate;
use crate::bulk::export::report::Report;
use crate::commands::bulk::report::words::{number, seconds};
use crate::words::size;

pub(super) fn types_and_speed(report: &Report) -> Markup {
    let output = report.types.iter().filter(|row| row.list == Some("output"));
    // What came without checks was not counted.
    let is_counted = report.total.resources > 0;
    let title = if is_counted {
        "Resources by type"
    } else {
        "Size by type"
    };
    let bars: Vec<_> = output
        .filter(|row| row.files > 0)
        .map(|row| Bar {
            name: row.name.clone(),
            value: if is_counted { row.resources } else { row.bytes } as f64,
            shown: if is_counted {
                number(row.resources)
            } else {
                size(row.bytes)
            },
        })
        .collect();
    let label = format!("{title}; the table below has the numbers");
    html! {
        div.charts {
            @if !bars.is_empty() {
                section {
                    h2 { (title) }
                    (charts::bars(&label, "types", bars))
                }
            }
            div.column {
                @if !report.throughput.is_empty() { (throughput(report)) }
                (errors(report))
            }
        }
    }
}

fn throughput(report: &Report) -> Markup {
    let columns: Vec<_> = report
        .throughput
        .iter()
        .map(|interval| Column {
            value: interval.bytes / interval.seconds,
            title: format!(
                "{} in: {}",
                seconds(Some(interval.from)),
                rate(interval.bytes, interval.seconds)
            ),
        })
        .collect();
    let highest = columns
        .iter()
        .map(|column| column.value)
        .fold(0.0, f64::max);
    let highest = rate(highest, 1.0);
    let whole: f64 = report
        .throughput
        .iter()
        .map(|interval| interval.seconds)
        .sum();
    let bytes: f64 = report
        .throughput
        .iter()
        .map(|interval| interval.bytes)
        .sum();
    let label = format!(
        "Bytes a second over {}, at most {highest}",
        seconds(Some(whole))
    );
    let (middle, end) = (seconds(Some(whole / 2.0)), seconds(Some(whole)));
    html! {
        section {
            h2 { "Throughput" }
            (charts::columns(&label, &columns, &highest, ["0 s", &middle, &end]))
            p.small {
                "On disk, from the first request for a file on. At most " (highest) ", " (rate(bytes, whole)) " on average."
            }
        }
    }
}

fn errors(report: &Report) -> Markup {
    let Some(errors) = &report.errors else {
        return html! {};
    };
    let bars = errors.iter().map(|error| {
        let code = match error.code.parse::<u16>() {
            Ok(code) => format!("HTTP {code}"),
            Err(_) => error.code.clone(),
        };
        Bar {
            name: format!("{code}, {}", error.stage),
            value: error.count as f64,
            shown: number(error.count),
        }
    });
    html! {
        section {
            h2 { "Failed tries by code" }
            @if errors.is_empty() {
                p { "No request failed." }
            } @else {
                (charts::bars("Failed tries by code", "errors", bars.collect()))
                details {
                    summary { "The last words of each" }
                    ul { @for error in errors { li { b { (error.stage) " " (error.code) } " " (error.message) } } }
                }
            }
        }
    }
}
