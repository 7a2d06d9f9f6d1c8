//! `medplum bulk export`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::bars::{Bars, size, time};
use crate::bulk::download::FileToken;
use crate::bulk::export::{self, Options};
use crate::bulk::job::Again;
use crate::bulk::kickoff::{self, Kickoff, ListStyle};
use crate::bulk::manifest::Group;
use crate::bulk::names::NameStyle;
use crate::bulk::{BulkError, Observer, Summary};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::fhir::asynchronous::{AsyncError, Patience};
use crate::output::Format;

/// Export NDJSON files in bulk, each complete and checked
///
/// Exit code 0 means that every file the server listed is on disk, complete, and holds what the server promised.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct ExportArgs {
    /// Patient, Group/ID, or nothing for the whole system
    #[arg(short, long, value_name = "LEVEL", default_value = "")]
    export_level: String,
    /// Resource types, such as Patient,Observation
    #[arg(short, long, value_name = "TYPES", value_delimiter = ',')]
    types: Vec<String>,
    /// Only what changed since this instant, date, or time ago such as 2d
    #[arg(short, long, value_name = "TIME", value_parser = instant)]
    since: Option<String>,
    /// Only what changed up to this instant, date, or time ago
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<String>,
    /// Only resources that a search finds, such as 'Observation?category=laboratory'
    #[arg(long = "type-filter", value_name = "TYPE?QUERY")]
    type_filters: Vec<String>,
    /// Only these elements, such as Patient.name,id
    #[arg(long, value_name = "ELEMENTS", value_delimiter = ',')]
    elements: Vec<String>,
    /// Only this patient; makes the kick-off a POST
    #[arg(long = "patient", value_name = "ID")]
    patients: Vec<String>,
    /// Related data to include, such as LatestProvenanceResources
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    include_associated_data: Vec<String>,
    /// Format to ask for [default: the server's, NDJSON]
    #[arg(long, value_name = "MIME")]
    output_format: Option<String>,
    /// Resource type to organize the files by
    #[arg(long, value_name = "TYPE")]
    organize_output_by: Option<String>,
    /// Let the server list files before all are ready
    #[arg(long)]
    allow_partial_manifests: bool,
    /// Let the server pass over parameters that it does not know
    #[arg(long)]
    lenient: bool,
    /// Parameter of the server's own
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    params: Vec<(String, String)>,
    /// How lists are written in the kick-off's query
    #[arg(long, value_enum, default_value = "comma")]
    list_style: ListStyleArg,
    /// Folder for the files [default: the working folder]
    #[arg(short = 'd', long, value_name = "DIR")]
    target_directory: Option<PathBuf>,
    /// HTTP method of the kick-off
    #[arg(long, value_enum, default_value = "get")]
    method: MethodArg,
    /// Files to fetch at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = parallel)]
    parallel: usize,
    /// Check no lines and no counts
    #[arg(long)]
    no_verify: bool,
    /// How files are named
    #[arg(long, value_enum, default_value = "medplum")]
    file_names: NamesArg,
    /// Longest time to wait for the server, such as 2h
    #[arg(long, value_name = "TIME", value_parser = crate::commands::duration)]
    max_wait: Option<Duration>,
    /// Longest wait between two looks that a server may ask for
    #[arg(long, value_name = "TIME", value_parser = crate::commands::duration, default_value = "5m")]
    max_retry_after: Duration,
    /// Severity of the server's own reports that makes the export fail
    #[arg(long, value_enum, value_name = "SEVERITY", default_value = "error")]
    fail_on: FailOn,
    /// Whether files get the token: as the manifest says, or as you know better
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    file_token: FileTokenArg,
    /// Fetch the result of a job that was started before, by its status URL
    #[arg(long, value_name = "URL", conflicts_with_all = ["types", "since", "until", "type_filters", "patients"])]
    status_url: Option<url::Url>,
    /// Forget an unfinished export in the folder and start a new one
    #[arg(long, conflicts_with = "overwrite")]
    restart: bool,
    /// Replace a finished export in the folder, once the new one is complete
    #[arg(long)]
    overwrite: bool,
    /// Leave the job and its files on the server
    #[arg(long)]
    keep: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MethodArg {
    Get,
    Post,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum NamesArg {
    /// Type and URL path, as the Medplum CLI names them
    Medplum,
    /// 1.Patient.ndjson, 2.Patient.ndjson
    Numbered,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FileTokenArg {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Error,
    Warning,
    Never,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ListStyleArg {
    /// One parameter with commas
    Comma,
    /// The parameter again for each value
    Repeat,
}

fn instant(text: &str) -> Result<String, String> {
    kickoff::parse_instant(text, jiff::Timestamp::now())
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".into()),
    }
}

fn parallel(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=64) => Ok(number),
        _ => Err("write a number from 1 to 64".into()),
    }
}

pub(super) async fn run(context: &Context, args: ExportArgs) -> anyhow::Result<()> {
    let client = context.fhir()?;
    let kickoff = Kickoff {
        level: args.export_level.clone(),
        types: args
            .types
            .iter()
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect(),
        since: args.since.clone(),
        until: args.until.clone(),
        type_filters: args.type_filters.clone(),
        elements: args.elements.clone(),
        patients: args.patients.clone(),
        include_associated_data: args.include_associated_data.clone(),
        output_format: args.output_format.clone(),
        organize_output_by: args.organize_output_by.clone(),
        allow_partial_manifests: args.allow_partial_manifests,
        lenient: args.lenient,
        others: args.params.clone(),
        list_style: match args.list_style {
            ListStyleArg::Comma => ListStyle::Comma,
            ListStyleArg::Repeat => ListStyle::Repeat,
        },
        post: args.method == MethodArg::Post,
    };
    let options = Options {
        folder: args
            .target_directory
            .clone()
            .unwrap_or_else(|| PathBuf::from(".")),
        names: match args.file_names {
            NamesArg::Medplum => NameStyle::Medplum,
            NamesArg::Numbered => NameStyle::Numbered,
        },
        parallel: args.parallel,
        verify: !args.no_verify,
        file_token: match args.file_token {
            FileTokenArg::Auto => FileToken::Auto,
            FileTokenArg::Always => FileToken::Always,
            FileTokenArg::Never => FileToken::Never,
        },
        patience: Patience {
            max_wait: args.max_wait,
            max_retry_after: args.max_retry_after,
        },
        again: match (args.restart, args.overwrite) {
            (true, _) => Again::Restart,
            (_, true) => Again::Overwrite,
            _ => Again::Continue,
        },
        status_url: args.status_url.clone(),
        keep: args.keep,
    };
    report_file_size_limit_as_an_error();
    let interrupted = interrupts()?;
    if let Some(since) = &kickoff.since {
        context.output.note(&format!("Since: {since}"));
    }
    let bars = Arc::new(Bars::new(context.output.clone()));
    let observer: Arc<dyn Observer> = bars.clone();
    let result = tokio::select! {
        result = export::run(&client, &kickoff, &options, &observer) => result,
        () = interrupted => Err(BulkError::Interrupted { status_url: bars.status_url() }),
    };
    context.output.progress.clear();
    let summary = match result {
        Ok(summary) => summary,
        Err(error) => return Err(stopped(context, error, &bars)),
    };
    show(context, &options, &summary)?;
    verdict(&summary, args.fail_on)
}

/// Listens, from this call on, for Ctrl-C and for what a CI system sends to end a job.
#[cfg(unix)]
fn interrupts() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn interrupts() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// A write beyond the limit of `ulimit -f` kills a process that does not handle SIGXFSZ; handled, it is an error
/// like a full disk.
fn report_file_size_limit_as_an_error() {
    #[cfg(unix)]
    {
        const SIGXFSZ: i32 = 25;
        let _ = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(SIGXFSZ));
    }
}

/// An export that was stopped goes on where it is; its job runs on at the server meanwhile.
fn stopped(context: &Context, error: BulkError, bars: &Bars) -> anyhow::Error {
    let dead = matches!(
        error,
        BulkError::Async(AsyncError::Failed(_) | AsyncError::Gone(_))
    );
    match bars.status_url() {
        Some(_) if dead => {}
        Some(url) => context.output.warn(&format!(
            "The export is not complete. Run the same command again to go on.\n  Status URL: {url}"
        )),
        None if matches!(error, BulkError::Interrupted { .. }) => context.output.warn(
            "The kick-off may have reached the server; whether a job was started is not known.",
        ),
        None => {}
    }
    error.into()
}

fn show(context: &Context, options: &Options, summary: &Summary) -> anyhow::Result<()> {
    let output = &context.output;
    for words in &summary.outcomes.samples {
        output.warn(&format!("The server reports: {words}"));
    }
    if output.format == Some(Format::Json) {
        output.json(&as_json(summary).to_string())?;
    }
    let missing = match summary.failed.len() {
        0 => String::new(),
        missing => format!(", {missing} missing"),
    };
    output.note(&format!(
        "{} resources in {} files ({}) in {}, in {}{missing}",
        summary.resources(),
        summary.files.len(),
        size(summary.bytes()),
        time(summary.elapsed),
        options.folder.display()
    ));
    Ok(())
}

fn as_json(summary: &Summary) -> Value {
    let group = |group: Group| match group {
        Group::Output => "output",
        Group::Deleted => "deleted",
        Group::Error => "error",
    };
    json!({
        "transactionTime": summary.transaction_time,
        "files": summary.files.iter().map(|file| json!({
            "path": file.path.display().to_string(),
            "group": group(file.group),
            "type": file.resource_type,
            "resources": file.resources,
            "bytes": file.bytes,
        })).collect::<Vec<_>>(),
        "missing": summary.failed.iter().map(|file| json!({
            "url": file.url,
            "group": group(file.group),
            "type": file.resource_type,
            "reason": file.reason,
        })).collect::<Vec<_>>(),
        "outcomes": {"errors": summary.outcomes.errors, "warnings": summary.outcomes.warnings, "others": summary.outcomes.others},
        "seconds": summary.elapsed.as_secs_f64(),
    })
}

/// Anything missing, and anything the server itself calls an error, makes the export partial.
fn verdict(summary: &Summary, fail_on: FailOn) -> anyhow::Result<()> {
    if !summary.failed.is_empty() {
        let all = summary.failed.len() + summary.files.len();
        let failure = Failure::new(
            exit::PARTIAL,
            format!("{} of {all} files are missing", summary.failed.len()),
        );
        return Err(failure
            .hint("run the same command again: it fetches only what is missing")
            .into());
    }
    let outcomes = &summary.outcomes;
    let count = match fail_on {
        FailOn::Error => outcomes.errors,
        FailOn::Warning => outcomes.errors + outcomes.warnings,
        FailOn::Never => 0,
    };
    if count > 0 {
        let failure = Failure::new(
            exit::PARTIAL,
            format!("all files are here, but the server reports {count} problems in them"),
        );
        return Err(failure
            .hint("they stand in the files under errors/; --fail-on never accepts them")
            .into());
    }
    Ok(())
}
