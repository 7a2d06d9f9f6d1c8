//! A report as one HTML page: the style and the charts are in it, and it loads nothing and runs nothing.

mod charts;
mod pictures;
mod tables;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::words::{self, number, seconds};
use crate::bulk::export::report::{Report, Standing};
use crate::words::size;
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
                    (pictures::types_and_speed(report))
                    @if !report.types.is_empty() { (tables::by_type(report)) }
                    (tables::missing(report))
                    (tables::outcomes(report))
                    (tables::runs(report))
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
