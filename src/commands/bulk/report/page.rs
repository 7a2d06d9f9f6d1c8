//! A report as one HTML page: the style and the charts are in it, and it loads nothing and runs nothing.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::charts::{self, Bar, Column};
use super::words::{self, number, seconds};
use crate::bulk::export::report::{Report, Row, Standing};
use crate::commands::bulk::bars::size;
use crate::{foreign, secret};

const STYLE: &str = include_str!("style.css");
/// Nothing may be loaded or run, whatever a server's words hold.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// The page of a report.
pub(super) fn render(report: &Report) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                link rel="icon" href="data:,";
                title { "Bulk export of " (report.fhir_base) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (head(report))
                    (tiles(report))
                    (types_and_speed(report))
                    @if !report.types.is_empty() { (table(report)) }
                    (missing(report))
                    (outcomes(report))
                    (runs(report))
                    (foot(report))
                }
            }
        }
    };
    // What steers a text steers a page, too.
    foreign::harmless(&secret::mask(&page.into_string()))
}

fn head(report: &Report) -> Markup {
    let class = match report.result {
        Standing::Complete if report.outcomes.errors == 0 => "good",
        Standing::Complete | Standing::Waiting | Standing::Running => "so-so",
        Standing::Partial | Standing::Interrupted | Standing::Unknown => "bad",
    };
    html! {
        header {
            p.kind { "Bulk export" }
            h1 { (report.fhir_base) }
            p.result.(class) { (sentence(&words::standing(report))) }
            dl {
                @for (name, value) in words::facts(report).into_iter().skip(2) {
                    @if name != "Parameters" { div { dt { (name) } dd { (value) } } }
                }
                @for parameter in &report.parameters {
                    div {
                        dt { (parameter.name) }
                        dd { @for part in parameter.value.split_inclusive(',') { (part) wbr; } }
                    }
                }
            }
        }
    }
}

fn tiles(report: &Report) -> Markup {
    let total = &report.total;
    let fetching = total.seconds.filter(|seconds| *seconds > 0.0);
    let speed = fetching.map(|seconds| rate(total.bytes as f64, seconds));
    let tried = report
        .errors
        .as_ref()
        .map(|errors| errors.iter().map(|error| error.count).sum());
    html! {
        section.tiles aria-label="In short" {
            (tile("Resources", &number(total.resources)))
            (tile("Files", &number(total.files)))
            (tile("Size", &size(total.bytes)))
            (tile("Fetching", &seconds(total.seconds)))
            (tile("Speed", speed.as_deref().unwrap_or("-")))
            (tile("Failed tries", &tried.map_or_else(|| "-".to_owned(), number)))
        }
    }
}

fn tile(name: &str, value: &str) -> Markup {
    html! { div.tile { p.value { (value) } p.name { (name) } } }
}

fn types_and_speed(report: &Report) -> Markup {
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

fn table(report: &Report) -> Markup {
    let is_known = report.errors.is_some();
    let row = |row: &Row| {
        html! {
            th scope="row" { (row.name) }
            td { (number(row.files)) }
            td .bad[row.missing > 0] { (number(row.missing)) }
            td { (words::resources(row)) }
            td { (size(row.bytes)) }
            td { (seconds(row.seconds)) }
            td { (number(row.deleted)) }
            td.codes { (words::errors(&row.errors, is_known)) }
        }
    };
    html! {
        section {
            h2 { "By type" }
            div.wide tabindex="0" role="region" aria-label="Table by type" {
                table.by-type {
                    thead { tr {
                        @for name in ["Type", "Files", "Missing", "Resources", "Bytes", "Time", "Deleted", "Failed tries"] {
                            th scope="col" { (name) }
                        }
                    } }
                    tbody { @for one in &report.types { tr { (row(one)) } } }
                    tfoot { tr { (row(&report.total)) } }
                }
            }
            @if report.types.iter().any(|row| row.list != Some("output")) {
                p.small {
                    "Deletions are files that say what is gone since the last export; reports are files of the server's own remarks. \
                     Their lines do not count as resources."
                }
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

fn missing(report: &Report) -> Markup {
    html! {
        @if !report.missing.is_empty() {
            section {
                h2 { "Missing files" }
                ul { @for file in &report.missing {
                    li { b { (file.path) } " " (file.reason.as_deref().unwrap_or("not fetched yet")) }
                } }
                p.small { "The same command, or " code { "medplum bulk resume " (report.folder) } ", fetches only these." }
            }
        }
    }
}

fn outcomes(report: &Report) -> Markup {
    let outcomes = &report.outcomes;
    let all = outcomes.errors + outcomes.warnings + outcomes.others;
    html! {
        @if all > 0 {
            section {
                h2 { "The server's own reports" }
                p {
                    (number(outcomes.errors)) " errors, " (number(outcomes.warnings)) " warnings, "
                    (number(outcomes.others)) " remarks."
                }
                ul { @for words in &outcomes.samples { li { (words) } } }
            }
        }
    }
}

fn runs(report: &Report) -> Markup {
    html! {
        @if !report.runs.is_empty() {
            section {
                h2 { "Exports of the series" }
                div.wide tabindex="0" role="region" aria-label="Exports of the series" {
                    table {
                        thead { tr {
                            @for name in ["Folder", "Since", "Files", "Resources", "Bytes", "Result"] { th scope="col" { (name) } }
                        } }
                        tbody { @for run in &report.runs { tr {
                            th scope="row" { (run.folder) }
                            td { (run.since.as_deref().unwrap_or("the beginning")) }
                            td { (number(run.files)) }
                            td { (number(run.resources)) }
                            td { (size(run.bytes)) }
                            td .bad[!run.is_good] { (if run.is_good { "good" } else { "with errors" }) }
                        } } }
                    }
                }
            }
        }
    }
}

fn foot(report: &Report) -> Markup {
    html! {
        footer {
            @for words in &report.unknown { p { (words) } }
            p {
                "Made by medplum " (env!("CARGO_PKG_VERSION"))
                @if let Some(id) = &report.export_id { ", export " code { (id) } }
                "."
            }
        }
    }
}

/// Bytes a second.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a speed for people"
)]
fn rate(bytes: f64, seconds: f64) -> String {
    format!("{}/s", size((bytes / seconds.max(0.001)) as u64))
}

/// The words with a capital and a full stop.
fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), chars.as_str())
}
