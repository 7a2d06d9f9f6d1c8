//! The tables and lists of the page.

use maud::{Markup, html};

use crate::bulk::export::report::{Report, Row};
use crate::commands::bulk::report::columns::COLUMNS;
use crate::commands::bulk::report::words::number;
use crate::words::size;

/// The table by type with its sum.
pub(super) fn by_type(report: &Report) -> Markup {
    let [first, others @ ..] = &COLUMNS;
    let row = |row: &Row| {
        html! {
            th scope="row" { ((first.cell)(row, report)) }
            @for column in others {
                @let cell = (column.cell)(row, report);
                td .bad[column.is_bad && cell != "0"] { (cell) }
            }
        }
    };
    html! {
        section {
            h2 { "By type" }
            div.wide tabindex="0" role="region" aria-label="Table by type" {
                table.by-type {
                    thead { tr {
                        @for column in &COLUMNS { th scope="col" { (column.name) } }
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

pub(super) fn missing(report: &Report) -> Markup {
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

pub(super) fn outcomes(report: &Report) -> Markup {
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

pub(super) fn runs(report: &Report) -> Markup {
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
