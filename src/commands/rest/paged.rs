//! The pages of a search one after the other: printed line by line as they come, or as one Bundle.

use std::path::Path;

use serde_json::value::RawValue;
use url::Url;

use super::output_file::OutputFile;
use super::{searched, shown};
use crate::context::Context;
use crate::exit::{Failure, PARTIAL};
use crate::fhir::error::outcome_words;
use crate::fhir::page::Pages;
use crate::fhir::raw::{Bundle, Entry};
use crate::fhir::severity::Severity;
use crate::fhir::{Client, FhirError, transaction};
use crate::http::Request;
use crate::output::{Format, json};
use crate::words;

/// What is made of the pages.
#[derive(Debug, Default)]
pub(super) struct Wanted<'a> {
    /// All pages, not the first alone.
    pub all: bool,
    /// No more matches than this.
    pub limit: Option<u64>,
    /// A transaction that creates the resources elsewhere.
    pub as_transaction: bool,
    /// `Type/id` of each, on a line of its own.
    pub ids: bool,
    /// The columns of a table.
    pub fields: Option<&'a [String]>,
    pub file: Option<&'a Path>,
}

/// What came.
#[derive(Debug, Default)]
pub(super) struct Came {
    /// Resources that match, without those that came beside them.
    pub matches: u64,
    /// How many there are, as the first page has it.
    pub total: Option<u64>,
    /// Whether the server has more pages.
    pub more: bool,
}

/// Reads and prints; `asked` has what is searched for in its query, however it is sent. Resources of one page are in memory at a time where they go out by lines; a Bundle, a table or a
/// transaction needs them all.
pub(super) async fn print(
    context: &Context,
    client: &Client,
    first: Request,
    asked: &Url,
    wanted: &Wanted<'_>,
) -> anyhow::Result<Came> {
    let (mut came, mut is_first) = (Came::default(), true);
    let mut pages = Pages::beginning(client, first);
    let mut out = Out::of(context, wanted)?;
    loop {
        let page = match pages.next().await {
            Ok(Some(page)) => page,
            Ok(None) => break,
            Err(error) if came.matches > 0 && out.is_on_stdout() => {
                return Err(broken_off(&came, &error).into());
            }
            Err(error) => return Err(error.into()),
        };
        let bundle = Bundle::parse(&page.text).map_err(words::json_error)?;
        if std::mem::take(&mut is_first) {
            came.total = searched::total(&page.text);
            searched::say_ignored(&context.output, asked, &bundle);
        }
        say_outcomes(context, &bundle)?;
        came.more = bundle.next_link().is_some();
        for entry in &bundle.entry {
            let Some(resource) = resource_of(entry) else {
                continue;
            };
            if wanted.limit.is_some_and(|limit| came.matches >= limit) {
                came.more = true;
                break;
            }
            came.matches += u64::from(mode_of(entry) != Some("include"));
            out.take(entry, resource)?;
        }
        out.page(context)?;
        if !wanted.all || wanted.limit.is_some_and(|limit| came.matches >= limit) {
            break;
        }
    }
    out.finish(context)?;
    Ok(came)
}

/// What was printed is not all of it.
fn broken_off(came: &Came, error: &FhirError) -> Failure {
    let of = came
        .total
        .map_or_else(String::new, |total| format!(" of {total}"));
    let printed = came.matches;
    let words =
        format!("{printed}{of} resources were printed; the next page cannot be read: {error}");
    Failure::new(PARTIAL, words).hint("run the same command again: nothing was changed")
}

fn mode_of<'a>(entry: &'a Entry<'_>) -> Option<&'a str> {
    entry.search.as_ref()?.mode.as_deref()
}

/// What an entry brings, unless it is about the search itself.
fn resource_of<'a>(entry: &Entry<'a>) -> Option<&'a RawValue> {
    entry.resource.filter(|_| mode_of(entry) != Some("outcome"))
}

/// What the server says beside the resources of a page.
fn say_outcomes(context: &Context, bundle: &Bundle) -> anyhow::Result<()> {
    for outcome in bundle.outcomes() {
        for words in outcome_words(&serde_json::from_str(outcome.get()).map_err(words::json_error)?)
        {
            let text = format!("The server says: {}", words::shortened(&words));
            match Severity::of_line(&words) {
                Severity::Information => context.output.note(&text),
                Severity::Error | Severity::Warning => context.output.warn(&text),
            }
        }
    }
    Ok(())
}

/// Where resources go, and in which form.
struct Out<'a> {
    wanted: &'a Wanted<'a>,
    by_lines: bool,
    file: Option<OutputFile>,
    /// Lines of a page.
    lines: String,
    /// What is printed at the end.
    kept: Vec<String>,
}

impl<'a> Out<'a> {
    fn of(context: &Context, wanted: &'a Wanted<'a>) -> anyhow::Result<Self> {
        let by_lines = wanted.ids || context.output.format == Some(Format::Ndjson);
        Ok(Self {
            by_lines: by_lines && !wanted.as_transaction,
            file: wanted.file.map(OutputFile::create).transpose()?,
            lines: String::new(),
            kept: Vec::new(),
            wanted,
        })
    }

    /// Whether what has been taken is out already.
    fn is_on_stdout(&self) -> bool {
        self.by_lines && self.file.is_none()
    }

    fn take(&mut self, entry: &Entry<'_>, resource: &RawValue) -> anyhow::Result<()> {
        if self.wanted.ids {
            self.lines += &searched::reference(resource)?;
            self.lines.push('\n');
        } else if self.by_lines {
            self.lines += &json::compact(resource.get());
            self.lines.push('\n');
        } else if self.wanted.as_transaction || self.wanted.fields.is_some() {
            self.kept.push(resource.get().to_owned());
        } else {
            self.kept.extend(entry_text(entry));
        }
        Ok(())
    }

    /// A page has ended.
    fn page(&mut self, context: &Context) -> anyhow::Result<()> {
        let lines = std::mem::take(&mut self.lines);
        self.write(context, lines.as_bytes())
    }

    fn write(&mut self, context: &Context, bytes: &[u8]) -> anyhow::Result<()> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None if bytes.is_empty() => Ok(()),
            None => context.output.data(bytes),
        }
    }

    fn finish(mut self, context: &Context) -> anyhow::Result<()> {
        if !self.by_lines {
            let kept: Vec<&str> = self.kept.iter().map(String::as_str).collect();
            let text = match self.wanted.fields {
                Some(fields) => shown::columns(context, fields, &kept)?,
                None if self.wanted.as_transaction => {
                    let text = transaction::of_resources(&kept).map_err(words::json_error)?;
                    shown::rendered(context.output.format, &text)?
                }
                None => {
                    let entries = kept.join(",");
                    let text = format!(
                        r#"{{"resourceType":"Bundle","type":"searchset","entry":[{entries}]}}"#
                    );
                    shown::rendered(context.output.format, &text)?
                }
            };
            self.write(context, text.as_bytes())?;
        }
        self.file.map_or(Ok(()), OutputFile::finish)
    }
}

/// An entry as text again: full URL, resource and search mode.
fn entry_text(entry: &Entry) -> Option<String> {
    let resource = entry.resource.map(RawValue::get)?;
    let full_url = entry
        .full_url
        .as_ref()
        .map(|url| format!("\"fullUrl\":{},", serde_json::Value::from(url.as_ref())));
    let search = mode_of(entry)
        .map(|mode| format!(",\"search\":{{\"mode\":{}}}", serde_json::Value::from(mode)));
    Some(format!(
        "{{{}\"resource\":{resource}{}}}",
        full_url.unwrap_or_default(),
        search.unwrap_or_default()
    ))
}
