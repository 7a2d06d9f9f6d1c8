//! How an export waits and fetches, whether it is a new one or gone on with: arguments, and the options that they make.

pub(super) mod run;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::verdict::FailOn;
use crate::bulk::export::Options;
use crate::bulk::export::options::{Again, FileToken, Mode, Style, Wanted};
use crate::fhir::asynchronous::Patience;

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
}
