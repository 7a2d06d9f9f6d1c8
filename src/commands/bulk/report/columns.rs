//! The columns of the table by type, as the terminal and the page show them. A new one is a row here.

use std::collections::BTreeMap;

use super::words::{NONE, number, seconds};
use crate::bulk::export::report::{Report, Row};
use crate::words::size;

/// A column: its names, and the cell that a row has in it.
pub(super) struct Column {
    /// The name on a terminal.
    pub short: &'static str,
    /// The name on the page.
    pub name: &'static str,
    pub cell: fn(&Row, &Report) -> String,
    /// Whether a value other than 0 is bad; a terminal leaves the column out then while all is well.
    pub is_bad: bool,
}

/// The columns, the first with the names of the rows.
pub(super) const COLUMNS: [Column; 8] = [
    column("type", "Type", |row, _| row.name.clone()),
    column("files", "Files", |row, _| number(row.files)),
    Column {
        is_bad: true,
        ..column("missing", "Missing", |row, _| number(row.missing))
    },
    column("resources", "Resources", |row, _| resources(row)),
    column("bytes", "Bytes", |row, _| size(row.bytes)),
    column("time", "Time", |row, _| seconds(row.seconds)),
    column("deleted", "Deleted", |row, _| number(row.deleted)),
    column("errors", "Failed tries", |row, report| {
        errors(&row.errors, report.errors.is_some())
    }),
];

const fn column(
    short: &'static str,
    name: &'static str,
    cell: fn(&Row, &Report) -> String,
) -> Column {
    Column {
        short,
        name,
        cell,
        is_bad: false,
    }
}

/// The resources of a row; the lines of deletions and reports are none.
fn resources(row: &Row) -> String {
    match row.list {
        Some("deleted" | "error") => NONE.to_owned(),
        _ => number(row.resources),
    }
}

/// Errors by code: `429 ×2, connection`.
fn errors(errors: &BTreeMap<String, u64>, is_known: bool) -> String {
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
