//! `medplum get URL`

use clap::Args;
use reqwest::Method;
use serde_json::value::RawValue;

use super::output_file::OutputFile;
use super::{AnswerArgs, searched, shown};
use crate::context::Context;
use crate::exit::Failure;
use crate::fhir::error::outcome_words;
use crate::fhir::page::Pages;
use crate::fhir::raw::Bundle;
use crate::fhir::severity::Severity;
use crate::fhir::{Client, TokenRule, transaction};
use crate::http::Request;
use crate::output::{Format, json};
use crate::words;

/// Read a resource or search, and print what the server answers
///
/// URL is relative to the FHIR base (Patient/123, 'Patient?name=x'). With a slash in front, or admin/ or auth/, it is
/// relative to the base URL.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum get -p example 'Patient?name=smith'\n\
        \x20 medplum get -p example 'Observation?date=ge2026-01-01' --all \\\n\
        \x20     -o ndjson > observations.ndjson")]
pub struct GetArgs {
    /// What to read: `Patient/123`, `Patient?name=smith`, or a whole URL
    url: String,
    /// Follow the `next` links and print all resources: a Bundle, or one a line with -o ndjson
    #[arg(long)]
    all: bool,
    /// Turn the Bundle into a transaction that creates its resources elsewhere
    #[arg(long)]
    as_transaction: bool,
    #[command(flatten)]
    answer: AnswerArgs,
}

pub async fn run(context: &Context, args: GetArgs) -> anyhow::Result<()> {
    let client = context.fhir()?;
    if args.all || args.as_transaction {
        if args.answer.include {
            return Err(Failure::usage(
                "--include shows one answer, not the many of --all or --as-transaction",
            )
            .into());
        }
        return all(context, &client, &args).await;
    }
    let request = Request::new(Method::GET, client.url(&args.url)?);
    let asked = request.url.clone();
    let answer = client.read(request, TokenRule::OwnOrigins).await?;
    if answer.status.is_success() {
        searched::say(&context.output, &asked, &answer.body);
    }
    super::show(context, &args.answer, answer)
}

/// What the server says beside the resources of a page.
fn say_outcomes(context: &Context, bundle: &Bundle) -> anyhow::Result<()> {
    for outcome in bundle.outcomes() {
        for words in outcome_words(&serde_json::from_str(outcome.get())?) {
            let text = format!("The server says: {}", words::shortened(&words));
            match Severity::of_line(&words) {
                Severity::Information => context.output.note(&text),
                Severity::Error | Severity::Warning => context.output.warn(&text),
            }
        }
    }
    Ok(())
}

/// All pages. Resources of one page are in memory at a time, but for a Bundle or transaction that needs them all.
async fn all(context: &Context, client: &Client, args: &GetArgs) -> anyhow::Result<()> {
    let asked = client.url(&args.url)?;
    let mut is_first = true;
    let mut pages = Pages::new(client, asked.clone(), reqwest::header::HeaderMap::new());
    let stream = context.output.format == Some(Format::Ndjson) && !args.as_transaction;
    let mut file = args
        .answer
        .output
        .as_deref()
        .map(OutputFile::create)
        .transpose()?;
    let mut resources: Vec<String> = Vec::new();
    while let Some(page) = pages.next().await? {
        let bundle = Bundle::parse(&page.text)?;
        if std::mem::take(&mut is_first) {
            searched::say_ignored(&context.output, &asked, &bundle);
        }
        say_outcomes(context, &bundle)?;
        if stream {
            let lines: String = bundle
                .resources()
                .map(|resource| json::compact(resource.get()) + "\n")
                .collect();
            match &mut file {
                Some(file) => file.write(lines.as_bytes())?,
                None => context.output.data(lines.as_bytes())?,
            }
        } else if args.as_transaction {
            resources.extend(bundle.resources().map(|resource| resource.get().to_owned()));
        } else {
            resources.extend(bundle.entry.iter().filter_map(entry_text));
        }
        if !args.all {
            break;
        }
    }
    if !stream {
        let text = if args.as_transaction {
            let resources: Vec<&str> = resources.iter().map(String::as_str).collect();
            transaction::of_resources(&resources)?
        } else {
            format!(
                r#"{{"resourceType":"Bundle","type":"searchset","entry":[{}]}}"#,
                resources.join(",")
            )
        };
        let text = shown::rendered(context.output.format, &text)?;
        match &mut file {
            Some(file) => file.write(text.as_bytes())?,
            None => context.output.data(text.as_bytes())?,
        }
    }
    file.map_or(Ok(()), OutputFile::finish)
}

/// An entry as text again: full URL, resource and search mode.
fn entry_text(entry: &crate::fhir::raw::Entry) -> Option<String> {
    let resource = entry.resource.map(RawValue::get)?;
    let full_url = entry
        .full_url
        .as_ref()
        .map(|url| format!("\"fullUrl\":{},", serde_json::Value::from(url.as_ref())));
    let mode = entry
        .search
        .as_ref()
        .and_then(|search| search.mode.as_deref());
    let search =
        mode.map(|mode| format!(",\"search\":{{\"mode\":{}}}", serde_json::Value::from(mode)));
    Some(format!(
        "{{{}\"resource\":{resource}{}}}",
        full_url.unwrap_or_default(),
        search.unwrap_or_default()
    ))
}
