//! `medplum bulk import`

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::bars::{size, time};
use super::interrupt::{interrupts, report_file_size_limit_as_an_error};
use crate::bulk::import::order::matching::Template;
use crate::bulk::import::server_side::{self, ServerSide};
use crate::bulk::import::settle::report::{Counts, Report};
use crate::bulk::import::{self, BundleKind, ImportError, Method, Observer, Options, Progress};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::fhir::asynchronous::Patience;
use crate::output::{Format, Output, table};
use crate::words::number_of;

/// What a conditional write looks for when nothing else is said.
const USUAL_MATCH: &str = "identifier={identifier.system}|{identifier.value}";
/// Refusals that are shown one by one; all of them are in the rejects file.
const MOST_SHOWN: usize = 10;
/// Without a terminal, progress is said this often.
const QUIET_TIME: Duration = Duration::from_secs(30);

/// Import NDJSON files and Bundles in bulk, with the ids they have
///
/// Exit code 0 means that every resource is on the server. Those that it refused are in rejects.ndjson with the reason
/// in rejects.outcomes.ndjson, and `medplum bulk import rejects.ndjson` tries them again.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum bulk import -p example export\n\
        \x20 medplum bulk import -p example rejects.ndjson")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct ImportArgs {
    /// Files (.ndjson, .jsonl, .json, also .gz), folders, patterns, the folder of an export, or - for stdin (NDJSON, also .gz)
    #[arg(value_name = "SOURCES", required_unless_present = "target_directory")]
    sources: Vec<String>,
    /// How resources are written
    #[arg(long, value_enum, value_name = "METHOD", default_value = "put")]
    method: MethodArg,
    /// What resources travel in
    #[arg(long, value_enum, value_name = "KIND", default_value = "batch")]
    bundle: BundleArg,
    /// Resources in one bundle [default: 50; 25 in transactions]
    #[arg(long, visible_alias = "num-resources-per-request", value_name = "N", value_parser = bundle_size)]
    bundle_size: Option<usize>,
    /// Search that tells which resource is the same; `Type?` before it makes it one for that type [default with
    /// --method conditional: identifier={identifier.system}|{identifier.value}]
    #[arg(long = "match", value_name = "TEMPLATE", value_parser = Template::parse)]
    templates: Vec<Template>,
    /// Read first, and leave resources alone that the server has with the same content
    #[arg(long)]
    skip_unchanged: bool,
    /// What goes first: what is pointed at, or as it comes [default: auto; given for stdin and for post transactions]
    #[arg(long, value_enum, value_name = "ORDER")]
    order: Option<OrderArg>,
    /// Requests at a time, at most [default: 4; 1 for post transactions]
    #[arg(long, value_name = "N", value_parser = parallel)]
    parallel: Option<usize>,
    /// File for what was refused or is unknown [default: rejects.ndjson; invalid.ndjson with --validate]
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Go on with an import that was ended early
    #[arg(long, conflicts_with = "restart")]
    resume: bool,
    /// Forget an import that was ended early, and begin anew
    #[arg(long)]
    restart: bool,
    /// Read and count only; nothing is sent
    #[arg(long)]
    dry_run: bool,
    /// Send each resource to $validate; nothing is written
    #[arg(long, conflicts_with_all = ["dry_run", "skip_unchanged", "server_side"])]
    validate: bool,
    /// Let the server fetch the files itself: SOURCES are URLs, or TYPE=URL
    #[arg(long, conflicts_with_all = ["dry_run", "skip_unchanged", "resume", "target_directory"])]
    server_side: bool,
    /// Mode of a server-side import, for Azure: InitialLoad, IncrementalLoad
    #[arg(long, value_name = "MODE", requires = "server_side")]
    import_mode: Option<String>,
    /// Longest time to wait for a server-side import, such as 2h
    #[arg(long, value_name = "TIME", value_parser = crate::commands::duration, requires = "server_side")]
    max_wait: Option<Duration>,
    /// Add data-absent-reason to ExplanationOfBenefit where provider or productOrService are missing
    #[arg(long)]
    add_extensions_for_missing_values: bool,
    /// Folder that SOURCES are relative to
    #[arg(short = 'd', long, value_name = "DIR")]
    target_directory: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MethodArg {
    /// PUT Type/id: ids and references hold
    Put,
    /// POST Type: the server gives new ids; with --match only where it finds none
    Post,
    /// PUT Type?search: the server finds the resource, or makes one with a new id
    Conditional,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum BundleArg {
    /// Each entry stands for itself
    Batch,
    /// All or nothing
    Transaction,
    /// One request for each resource
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OrderArg {
    Auto,
    Given,
}

fn bundle_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=10_000) => Ok(number),
        _ => Err("write a number from 1 to 10000".into()),
    }
}

fn parallel(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=64) => Ok(number),
        _ => Err("write a number from 1 to 64".into()),
    }
}

impl ImportArgs {
    fn into_options(self) -> Result<Options, Failure> {
        let reads_stdin = self.sources.iter().any(|name| name == "-");
        // The Medplum CLI sends one transaction after the other, in the order of the file.
        let like_medplum = self.method == MethodArg::Post && self.bundle == BundleArg::Transaction;
        let ordered = match self.order {
            Some(OrderArg::Auto) if reads_stdin => {
                return Err(Failure::usage(
                    "stdin is read once, so it needs --order given",
                ));
            }
            Some(order) => order == OrderArg::Auto,
            None => !reads_stdin && !like_medplum,
        };
        let method = match self.method {
            _ if self.validate => Method::Validate,
            MethodArg::Put => Method::Put,
            MethodArg::Post => Method::Post,
            MethodArg::Conditional => Method::Conditional,
        };
        let mut templates = self.templates;
        match method {
            Method::Conditional if templates.is_empty() => {
                templates.push(Template::parse(USUAL_MATCH).map_err(Failure::usage)?);
            }
            Method::Put if !templates.is_empty() => {
                return Err(Failure::usage(
                    "--match goes with --method conditional or post",
                ));
            }
            _ => {}
        }
        if self.skip_unchanged && method != Method::Put {
            return Err(Failure::usage("--skip-unchanged goes with --method put"));
        }
        let (sources, folder) = match (self.sources.is_empty(), self.target_directory) {
            (true, Some(folder)) => (vec![folder.display().to_string()], None),
            (_, folder) => (self.sources, folder),
        };
        // What is only not valid is no reason to hold up an import.
        let usual = if method == Method::Validate {
            "invalid.ndjson"
        } else {
            "rejects.ndjson"
        };
        Ok(Options {
            sources,
            folder,
            method,
            bundle: match self.bundle {
                // Few servers take operations inside of Bundles.
                _ if method == Method::Validate => BundleKind::None,
                BundleArg::Batch => BundleKind::Batch,
                BundleArg::Transaction => BundleKind::Transaction,
                BundleArg::None => BundleKind::None,
            },
            bundle_size: self.bundle_size.unwrap_or(match self.bundle {
                // As the Medplum CLI does; a transaction that fails takes all of it along.
                BundleArg::Transaction => 25,
                _ => 50,
            }),
            templates,
            skip_unchanged: self.skip_unchanged,
            ordered,
            parallel: self.parallel.unwrap_or(if like_medplum { 1 } else { 4 }),
            rejects: self.rejects.unwrap_or_else(|| usual.into()),
            resume: self.resume,
            restart: self.restart,
            add_extensions: self.add_extensions_for_missing_values,
        })
    }
}

pub(super) async fn run(context: &Context, args: ImportArgs) -> anyhow::Result<()> {
    if args.server_side {
        return run_server_side(context, args).await;
    }
    let dry_run = args.dry_run;
    let options = args.into_options()?;
    let watcher = Watcher::new(context.output.clone());
    if dry_run {
        let report = import::dry_run(options, &watcher).await?;
        context.output.progress.clear();
        show(context, &report)?;
        let refused = report.total().refused;
        if refused > 0 {
            return Err(Failure::new(
                exit::PARTIAL,
                format!("{} cannot be sent", number_of(refused, "line")),
            )
            .into());
        }
        return Ok(());
    }
    let client = context.fhir()?;
    report_file_size_limit_as_an_error();
    let interrupted = interrupts()?;
    let is_validation = options.method == Method::Validate;
    let result = import::run(&client, options, &watcher, interrupted).await;
    context.output.progress.clear();
    let ended = result?;
    if ended.was_finished {
        context
            .output
            .note("This import was finished before; nothing was left to do.");
    }
    watcher.count_the_rest();
    show(context, &ended.report)?;
    let is_partial = ended.is_partial();
    if let Some(stopped) = ended.stopped {
        if ended.is_resumable {
            context
                .output
                .warn("The import is not complete. Run the same command with --resume to go on.");
        }
        return Err(anyhow::Error::new(stopped));
    }
    if is_partial {
        return Err(partial(&ended.report, is_validation).into());
    }
    Ok(())
}

/// Something was refused, or it is not known what became of it.
fn partial(report: &Report, is_validation: bool) -> Failure {
    let total = report.total();
    let mut parts = Vec::new();
    if total.refused > 0 {
        let word = if is_validation {
            "not valid"
        } else {
            "refused"
        };
        parts.push(format!(
            "{} of {} resources were {word}",
            total.refused,
            total.all()
        ));
    }
    if total.unknown > 0 {
        parts.push(format!(
            "of {} it is not known whether they are there",
            total.unknown
        ));
    }
    let failure = Failure::new(exit::PARTIAL, parts.join(", and "));
    match &report.rejects {
        Some(path) => {
            let name = path.display();
            let reasons = format!("the reasons are in {}", outcomes_name(path));
            if is_validation {
                return failure.hint(format!("{reasons}, the lines in {name}"));
            }
            let first = if total.unknown > 0 {
                "look the unknown ones up first, then "
            } else {
                ""
            };
            failure.hint(format!(
                "{reasons}; {first}try again with `medplum bulk import {name}` and the same flags"
            ))
        }
        None => failure,
    }
}

fn outcomes_name(path: &std::path::Path) -> String {
    import::outcomes_path(path).display().to_string()
}

fn show(context: &Context, report: &Report) -> anyhow::Result<()> {
    let output = &context.output;
    let total = report.total();
    match output.format_for_lists() {
        Format::Table => output.line(&as_table(report))?,
        Format::Json | Format::Ndjson => output.json(&as_json(report).to_string())?,
    }
    if report.dangling > 0 {
        output.warn(&format!(
            "{} references are urn:uuid that nothing here goes by; they were sent as they are.",
            report.dangling
        ));
    }
    let latency = &report.latency;
    output.note(&format!(
        "{} ({}) of {} in {}, {:.0} a second; {}, mean {} ms, p50 {} ms, p95 {} ms, p99 {} ms, longest {} ms",
        number_of(total.all(), "resource"),
        size(report.bytes),
        number_of(report.files, "file"),
        time(report.elapsed),
        speed(report),
        number_of(report.requests, "request"),
        latency.mean().as_millis(),
        latency.percentile(50).as_millis(),
        latency.percentile(95).as_millis(),
        latency.percentile(99).as_millis(),
        latency.max().as_millis(),
    ));
    Ok(())
}

const COLUMNS: [&str; 8] = [
    "type",
    "created",
    "updated",
    "unchanged",
    "deleted",
    "refused",
    "unknown",
    "not sent",
];

fn as_table(report: &Report) -> String {
    let cells = |name: &str, counts: &Counts| {
        let numbers = [
            counts.created,
            counts.updated,
            counts.unchanged,
            counts.deleted,
            counts.refused,
            counts.unknown,
            counts.not_sent,
        ];
        let name = if name.is_empty() { "(no type)" } else { name };
        std::iter::once(name.to_owned())
            .chain(numbers.map(|number| number.to_string()))
            .collect::<Vec<_>>()
    };
    let mut rows: Vec<Vec<String>> = report
        .in_order()
        .into_iter()
        .map(|(name, counts)| cells(name, counts))
        .collect();
    rows.push(cells("all", &report.total()));
    // Columns that hold nothing but zeros say nothing, but for the first two.
    let shown: Vec<usize> = (0..COLUMNS.len())
        .filter(|at| *at < 3 || rows.iter().any(|row| row[*at] != "0"))
        .collect();
    let header: Vec<&str> = shown.iter().map(|at| COLUMNS[*at]).collect();
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| shown.iter().map(|at| row[*at].clone()).collect())
        .collect();
    table::render(&header, &rows)
}

fn as_json(report: &Report) -> Value {
    let total = report.total();
    let millis = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
    let latency = &report.latency;
    json!({
        "files": report.files,
        "resources": total.all(),
        "bytes": report.bytes,
        "seconds": report.elapsed.as_secs_f64(),
        "resourcesPerSecond": speed(report),
        "danglingReferences": report.dangling,
        "requests": report.requests,
        "created": total.created,
        "updated": total.updated,
        "unchanged": total.unchanged,
        "refused": total.refused,
        "notSent": total.not_sent,
        "unknown": total.unknown,
        "deleted": total.deleted,
        "types": report.in_order().into_iter().map(|(name, counts)| json!({
            "type": name,
            "created": counts.created,
            "updated": counts.updated,
            "unchanged": counts.unchanged,
            "refused": counts.refused,
            "notSent": counts.not_sent,
            "unknown": counts.unknown,
            "deleted": counts.deleted,
        })).collect::<Vec<_>>(),
        "latencyMs": {
            "mean": millis(latency.mean()),
            "p50": millis(latency.percentile(50)),
            "p95": millis(latency.percentile(95)),
            "p99": millis(latency.percentile(99)),
            "max": millis(latency.max()),
        },
        "rejects": report.rejects.as_ref().map(|path| path.display().to_string()),
    })
}

/// Resources settled in a second.
fn speed(report: &Report) -> f64 {
    let total = report.total();
    let settled = (total.all() - total.not_sent) as f64;
    (settled / report.elapsed.as_secs_f64().max(0.001) * 10.0).round() / 10.0
}

async fn run_server_side(context: &Context, args: ImportArgs) -> anyhow::Result<()> {
    let client = context.fhir()?;
    let import = ServerSide {
        inputs: args.sources,
        mode: args.import_mode,
        patience: Patience {
            max_wait: args.max_wait,
            ..Patience::default()
        },
    };
    let output = &context.output;
    let mut words = None;
    let mut started = |url: &url::Url| output.note(&format!("Status URL: {url}"));
    let mut watch = |progress: &crate::fhir::asynchronous::Progress| {
        let said = progress
            .words
            .clone()
            .unwrap_or_else(|| "In progress".into());
        output.progress.say(&said);
        if !output.progress.is_visible() && words.as_ref() != Some(&said) {
            output.note(&said);
            words = Some(said);
        }
    };
    let interrupted = interrupts()?;
    let finished = tokio::select! {
        finished = server_side::run(&client, &import, &mut started, &mut watch) => finished,
        () = interrupted => Err(ImportError::Interrupted),
    };
    output.progress.clear();
    let finished = finished?;
    let text = String::from_utf8_lossy(&finished.body).into_owned();
    if !text.trim().is_empty() {
        output.json(&text)?;
    }
    let report: Value = serde_json::from_str(&text).unwrap_or_default();
    let errors = report
        .get("error")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    if errors > 0 {
        let failure = Failure::new(
            exit::PARTIAL,
            format!("the server reports errors in {}", number_of(errors, "file")),
        );
        return Err(failure
            .hint("the URLs under `error` hold the reasons")
            .into());
    }
    Ok(())
}

/// Renders an import's events.
struct Watcher {
    output: Output,
    shown: std::sync::atomic::AtomicUsize,
    last: std::sync::Mutex<Instant>,
    slowed: std::sync::Mutex<String>,
}

impl Watcher {
    fn new(output: Output) -> Self {
        Self {
            output,
            shown: std::sync::atomic::AtomicUsize::new(0),
            last: std::sync::Mutex::new(Instant::now()),
            slowed: std::sync::Mutex::default(),
        }
    }

    /// Says how many refusals were not shown.
    fn count_the_rest(&self) {
        let shown = self.shown.load(std::sync::atomic::Ordering::Relaxed);
        if shown > MOST_SHOWN {
            self.output.warn(&format!(
                "{} more were refused or are unknown.",
                shown - MOST_SHOWN
            ));
        }
    }
}

impl Observer for Watcher {
    fn progressed(&self, progress: &Progress) {
        let Ok(mut last) = self.last.lock() else {
            return;
        };
        let pause = if self.output.progress.is_visible() {
            Duration::from_millis(100)
        } else {
            QUIET_TIME
        };
        if last.elapsed() < pause {
            return;
        }
        *last = Instant::now();
        let counts = &progress.counts;
        let done = counts.all();
        let of = progress
            .total
            .map(|total| format!(" of {total}"))
            .unwrap_or_default();
        let refused = match counts.refused + counts.unknown {
            0 => String::new(),
            refused => format!(", {refused} refused"),
        };
        let speed = done as f64 / progress.elapsed.as_secs_f64().max(0.001);
        let words = format!(
            "{done}{of} resources, {speed:.0} a second{refused}, {} under way",
            number_of(progress.in_flight, "request")
        );
        if self.output.progress.is_visible() {
            self.output.progress.say(&words);
        } else {
            self.output.note(&words);
        }
    }

    fn rejected(&self, name: &str, reason: &str) {
        if self
            .shown
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
            < MOST_SHOWN
        {
            self.output.warn(&format!("{name}: {reason}"));
        }
    }

    fn slowed(&self, reason: &str) {
        let Ok(mut last) = self.slowed.lock() else {
            return;
        };
        if *last != reason {
            self.output
                .note(&format!("The server wants it slower: {reason}."));
            reason.clone_into(&mut last);
        }
    }

    fn notice(&self, text: &str) {
        self.output.note(text);
    }
}
