//! How an export runs, whether it is a new one or gone on with: arguments, events, end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::bars::{Bars, without_user};
use super::interrupt;
use super::summary::{self, FailOn};
use crate::bulk::export::kickoff::Kickoff;
use crate::bulk::export::options::{Again, FileToken, Mode, Style, Wanted};
use crate::bulk::export::{self, Options};
use crate::bulk::export::{BulkError, Observer};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::fhir::Client;
use crate::fhir::asynchronous::{AsyncError, Patience};

/// How to wait and fetch.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Waiting and fetching")]
pub(super) struct FetchArgs {
    /// Files to fetch at a time; fewer once the server says it is too much
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = parallel)]
    parallel: usize,
    /// Check no lines, counts, checksums and lengths
    #[arg(long)]
    no_verify: bool,
    /// Longest time to wait for the server, such as 2h
    #[arg(long, value_name = "TIME", value_parser = crate::commands::duration)]
    max_wait: Option<Duration>,
    /// Longest wait between two looks that a server may ask for
    #[arg(long, value_name = "TIME", value_parser = crate::commands::duration, default_value = "5m", hide_short_help = true)]
    max_retry_after: Duration,
    /// Severity of the server's own reports that makes the export fail
    #[arg(long, value_enum, value_name = "SEVERITY", default_value = "error")]
    fail_on: FailOn,
    /// Whether files get the token: as the manifest says, or as you know better [default: auto]
    #[arg(long, value_enum, value_name = "WHEN")]
    file_token: Option<FileTokenArg>,
    /// Leave the job and its files on the server
    #[arg(long)]
    keep: bool,
    /// What DocumentReference and DiagnosticReport point to: files of its own, or in the resources [default: off]
    #[arg(long, value_enum, value_name = "HOW")]
    attachments: Option<AttachmentsArg>,
    /// Only attachments of these types, such as application/pdf,text/*
    #[arg(
        long,
        value_name = "MIME",
        value_delimiter = ',',
        requires = "attachments"
    )]
    attachment_types: Vec<String>,
    /// Only attachments up to this size, such as 20MB [default: any; 5MB in the resources]
    #[arg(long, value_name = "SIZE", value_parser = bytes, requires = "attachments")]
    attachment_max_size: Option<u64>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AttachmentsArg {
    /// Files in attachments/, listed in attachments.ndjson; the resources stay as they are
    Download,
    /// Base64 in the resources, where the URL stands
    Inline,
    Off,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FileTokenArg {
    Auto,
    Always,
    Never,
}

pub(super) fn parallel(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=64) => Ok(number),
        _ => Err("write a number from 1 to 64".into()),
    }
}

/// A number of bytes: `500kB`, `20MB`, `1GB`, or plain.
fn bytes(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let number = lower.trim_end_matches('b');
    let (number, unit) = match number.char_indices().next_back() {
        Some((at, 'k')) => (&number[..at], 1_000),
        Some((at, 'm')) => (&number[..at], 1_000_000),
        Some((at, 'g')) => (&number[..at], 1_000_000_000),
        _ => (number, 1),
    };
    let number: Option<u64> = number.trim().parse().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| "write a size such as 500kB, 20MB or 1GB".to_owned())
}

impl FetchArgs {
    /// The options of an export into this folder; what was said when it was begun holds unless something else is
    /// said now.
    pub(super) fn options(&self, folder: PathBuf, style: Style) -> Options {
        Options {
            folder,
            parallel: self.parallel,
            verify: !self.no_verify,
            patience: Patience {
                max_wait: self.max_wait,
                max_retry_after: self.max_retry_after,
            },
            again: Again::Continue,
            status_url: None,
            series: false,
            accepts: self.fail_on.accepts(),
            style: Style {
                file_token: match self.file_token {
                    Some(FileTokenArg::Auto) => FileToken::Auto,
                    Some(FileTokenArg::Always) => FileToken::Always,
                    Some(FileTokenArg::Never) => FileToken::Never,
                    None => style.file_token,
                },
                keep: self.keep || style.keep,
                attachments: self.wanted_attachments(style.attachments),
                ..style
            },
        }
    }

    fn wanted_attachments(&self, before: Option<Wanted>) -> Option<Wanted> {
        let mode = match self.attachments {
            None => return before,
            Some(AttachmentsArg::Off) => return None,
            Some(AttachmentsArg::Download) => Mode::Download,
            Some(AttachmentsArg::Inline) => Mode::Inline,
        };
        Some(Wanted {
            mode,
            types: self.attachment_types.clone(),
            largest: self.attachment_max_size,
        })
    }

    /// Says of an export that ended what came of it, as it did then.
    pub(super) fn judge(&self, context: &Context, folder: &Path) -> anyhow::Result<()> {
        let summary = export::standing(folder)?;
        if summary.failed.is_empty() {
            let folder = folder.display();
            context
                .output
                .line(&format!("The export in {folder} is complete"))?;
        }
        for file in &summary.failed {
            let name = file.path.display();
            context.output.warn(&format!("{name}: {}", file.reason));
        }
        if summary.failed.is_empty() {
            return summary::verdict(&summary, self.fail_on);
        }
        // The job is over: what is gone now comes only with another one.
        let all = summary.failed.len() + summary.files.len();
        let words = format!("{} of {all} files are missing", summary.failed.len());
        let failure = Failure::new(exit::PARTIAL, words);
        Err(failure
            .hint("the job is over at the server; export everything anew with `medplum bulk export` and --overwrite")
            .into())
    }

    /// Runs an export to its end and says what came of it.
    pub(super) async fn run(
        &self,
        context: &Context,
        client: &Client,
        kickoff: &Kickoff,
        options: &Options,
    ) -> anyhow::Result<()> {
        interrupt::report_file_size_limit_as_an_error();
        let interrupted = interrupt::interrupts()?;
        if let Some(since) = &kickoff.since {
            context.output.note(&format!("Since: {since}"));
        }
        let bars = Arc::new(Bars::new(context.output.clone()));
        let observer: Arc<dyn Observer> = bars.clone();
        let result = tokio::select! {
            result = Box::pin(export::run(client, kickoff, options, &observer)) => result,
            () = interrupted => Err(BulkError::Interrupted { status_url: bars.status_url() }),
        };
        context.output.progress.clear();
        let summary = match result {
            Ok(summary) => summary,
            Err(error) => return Err(stopped(context, error, &bars)),
        };
        summary::show(context, &summary)?;
        summary::verdict(&summary, self.fail_on)
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
            "The export is not complete. Run the same command again to go on.\n  Status URL: {}",
            without_user(&url)
        )),
        None if matches!(error, BulkError::Interrupted { .. }) => context.output.warn(
            "The kick-off may have reached the server; whether a job was started is not known.",
        ),
        None => {}
    }
    error.into()
}
