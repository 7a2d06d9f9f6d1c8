//! `medplum get|post|put|patch|delete`: what they share is how an answer is shown.

pub mod body;
mod condition;
pub mod delete;
pub mod get;
pub mod write;

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;

use crate::context::Context;
use crate::exit::Failure;
use crate::fhir::Answer;
use crate::fhir::raw::Bundle;
use crate::output::{Format, json, table};
use crate::place;
use crate::secret::{self, MASK};

/// How an answer is shown
#[derive(Args, Debug)]
pub struct AnswerArgs {
    /// Show the status line and headers before the body
    #[arg(short, long)]
    include: bool,
    /// Write the body to a file instead of stdout
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Shows an answer: success on stdout, a refusal as an error with the server's words.
fn show(context: &Context, args: &AnswerArgs, answer: Answer) -> anyhow::Result<()> {
    if args.include {
        context.output.data(head(&answer).as_bytes())?;
        if !answer.status.is_success() {
            show_body(context, None, &answer.body)?;
        }
    }
    let answer = answer.checked()?;
    if let Some(location) = answer.header("location") {
        context.output.note(&format!("Location: {location}"));
    }
    show_body(context, args.output.as_deref(), &answer.body)
}

/// Status line and headers, credentials masked.
fn head(answer: &Answer) -> String {
    let mut head = format!("HTTP {}\n", answer.status);
    for (name, value) in &answer.headers {
        let value = if secret::is_sensitive_header(name) {
            MASK.into()
        } else {
            String::from_utf8_lossy(value.as_bytes())
        };
        let _ = writeln!(head, "{name}: {value}");
    }
    head.push('\n');
    head
}

/// Prints a body in the format asked for; what is not JSON goes out as it came.
fn show_body(context: &Context, file: Option<&Path>, body: &[u8]) -> anyhow::Result<()> {
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
        return write_file(path, &shown);
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

fn rendered(format: Option<Format>, text: &str) -> anyhow::Result<String> {
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
        let resource: Value = serde_json::from_str(text).context("the answer has no table form")?;
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

/// Writes an output, whole and private where it is a plain file: an answer may hold health data.
fn write_file(path: &Path, contents: &[u8]) -> anyhow::Result<()> {
    let result = place::output::write(path, contents);
    result.with_context(|| format!("cannot write {}", path.display()))
}

/// Writes an output in pieces; a plain file gets its name when all is there.
struct FileSink {
    output: place::output::Output,
    path: PathBuf,
}

impl FileSink {
    fn create(path: &Path) -> anyhow::Result<Self> {
        let output = place::output::Output::open(path);
        Ok(Self {
            output: output.with_context(|| format!("cannot write {}", path.display()))?,
            path: path.to_owned(),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.output
            .write_all(bytes)
            .with_context(|| format!("cannot write {}", self.path.display()))
    }

    fn finish(self) -> anyhow::Result<()> {
        self.output
            .finish()
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}
