//! A body as JSON, NDJSON or a table, on stdout or in a file.

use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::output_file;
use crate::context::Context;
use crate::exit::Failure;
use crate::fhir::raw::Bundle;
use crate::output::{Format, json, table};
use crate::words;

/// Prints a body in the format asked for; what is not JSON goes out as it came.
pub(super) fn body(context: &Context, file: Option<&Path>, body: &[u8]) -> anyhow::Result<()> {
    if body.is_empty() {
        return Ok(());
    }
    let text = std::str::from_utf8(body)
        .ok()
        .map(|text| text.trim_start_matches('\u{feff}'));
    let json = text.filter(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
    let shown = match json {
        Some(text) => rendered(context.output.format, text)?.into_bytes(),
        None => body.to_vec(),
    };
    if let Some(path) = file {
        return output_file::write(path, &shown);
    }
    if text.is_none() && context.output.stdout_is_terminal {
        return Err(
            Failure::usage("the answer is binary and stdout is a terminal")
                .hint("write it to a file with --output FILE")
                .into(),
        );
    }
    context.output.data(&shown)
}

pub(super) fn rendered(format: Option<Format>, text: &str) -> anyhow::Result<String> {
    Ok(match format {
        None | Some(Format::Json) => json::indent(text) + "\n",
        Some(Format::Ndjson) => lines(text),
        Some(Format::Table) => rows(&resources(text))? + "\n",
    })
}

/// One resource a line; a Bundle's resources one by one.
fn lines(text: &str) -> String {
    resources(text)
        .iter()
        .map(|resource| json::compact(resource) + "\n")
        .collect()
}

/// A Bundle's resources, or the one resource there is.
fn resources(text: &str) -> Vec<&str> {
    match Bundle::parse(text) {
        Ok(bundle) => bundle
            .resources()
            .map(serde_json::value::RawValue::get)
            .collect(),
        Err(_) => vec![text],
    }
}

/// A table of what resources of any type have in common, and their status and subject.
fn rows(resources: &[&str]) -> anyhow::Result<String> {
    let mut rows = Vec::new();
    for text in resources {
        let resource: Value = serde_json::from_str(text)
            .map_err(words::json_error)
            .context("the answer has no table form")?;
        let cell = |pointers: &[&str]| {
            pointers
                .iter()
                .find_map(|pointer| resource.pointer(pointer)?.as_str())
                .unwrap_or("-")
                .to_owned()
        };
        rows.push(vec![
            cell(&["/resourceType"]),
            cell(&["/id"]),
            cell(&["/meta/lastUpdated"]),
            cell(&["/status", "/clinicalStatus/coding/0/code"]),
            cell(&[
                "/name/0/text",
                "/name/0/family",
                "/name",
                "/code/text",
                "/code/coding/0/display",
                "/type/0/text",
            ]),
            cell(&["/subject/reference", "/patient/reference"]),
        ]);
    }
    Ok(table::render(
        &["type", "id", "updated", "status", "name", "subject"],
        &rows,
    ))
}

/// A table with columns that the user names: `birthDate`, `name.family`, `name.1.given`. Of a list all are shown, unless a
/// number chooses one.
pub(super) fn columns(
    context: &Context,
    fields: &[String],
    resources: &[&str],
) -> anyhow::Result<String> {
    let fields: Vec<&str> = fields.iter().map(|field| field.trim()).collect();
    let mut rows: Vec<Vec<String>> = Vec::new();
    for text in resources {
        let resource: Value = serde_json::from_str(text)
            .map_err(words::json_error)
            .context("the answer has no table form")?;
        rows.push(fields.iter().map(|field| cell(&resource, field)).collect());
    }
    for (at, field) in fields.iter().enumerate() {
        if !rows.is_empty() && rows.iter().all(|row| row[at] == NOTHING) {
            let field = words::shortened(field);
            context.output.warn(&format!(
                "None of these resources has {field}: names are as in the JSON, such as name.family"
            ));
        }
    }
    Ok(table::render(&fields, &rows) + "\n")
}

/// What stands in a table where there is nothing.
const NOTHING: &str = "-";

fn cell(resource: &Value, field: &str) -> String {
    let mut found = Vec::new();
    let names: Vec<&str> = field.split('.').collect();
    collect(resource, &names, &mut found);
    if found.is_empty() {
        return NOTHING.to_owned();
    }
    found.join(", ")
}

fn collect(value: &Value, names: &[&str], found: &mut Vec<String>) {
    match (value, names) {
        (Value::Array(items), [first, rest @ ..]) if first.parse::<usize>().is_ok() => {
            let chosen = first.parse().ok().and_then(|at: usize| items.get(at));
            if let Some(item) = chosen {
                collect(item, rest, found);
            }
        }
        (Value::Array(items), names) => items.iter().for_each(|item| collect(item, names, found)),
        (value, [first, rest @ ..]) => {
            if let Some(below) = value.get(first) {
                collect(below, rest, found);
            }
        }
        (Value::Null, []) => {}
        (Value::String(text), []) => found.push(text.clone()),
        (value, []) => found.push(value.to_string()),
    }
}
