//! `medplum bulk export`

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::bars::Bars;
use super::fetching::FetchArgs;
use super::fetching::run::stopped;
use super::request::RequestArgs;
use crate::bulk::export::kickoff::Kickoff;
use crate::bulk::export::options::{Again, Checksum, NameStyle, Style};
use crate::bulk::export::state::Phase;
use crate::bulk::export::{self, Options};
use crate::bulk::export::{Observer, begun};
use crate::context::Context;
use crate::fhir::Client;
use crate::output::Format;

const FOLDER: &str = "Job and folder";

/// Export NDJSON files in bulk, each complete and checked
///
/// Exit code 0 means that every file the server listed is on disk, complete, and holds what the server promised.
/// After a crash, Ctrl-C or missing files, the same command goes on, and so does `medplum bulk resume`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum bulk export -p example -e Group/all -t Patient,Observation -d export\n\
        \x20 medplum bulk export -p example -d nightly --since auto")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct ExportArgs {
    #[command(flatten)]
    request: RequestArgs,
    /// Folder for the files [default: the working folder]
    #[arg(short = 'd', long, help_heading = FOLDER, value_name = "DIR")]
    target_directory: Option<PathBuf>,
    #[command(flatten)]
    fetch: FetchArgs,
    /// Write the files as gzip, named .ndjson.gz
    #[arg(long, help_heading = FOLDER)]
    compress: bool,
    /// Digest of each file's lines in manifest.json, unless the server promises a SHA-256
    ///
    /// BLAKE3 costs little on every processor. Without a digest, a file that changed later may not be told, nor a server
    /// that sends the same bytes for two files. An export that is gone on with keeps its own.
    #[arg(long, help_heading = FOLDER, value_enum, value_name = "ALGORITHM", default_value = "blake3", conflicts_with = "no_verify")]
    checksum: ChecksumArg,
    /// How files are named
    #[arg(long, help_heading = FOLDER, value_enum, default_value = "typed")]
    file_names: NamesArg,
    /// Only start the job; `medplum bulk resume` fetches its files later
    #[arg(long, help_heading = FOLDER)]
    detach: bool,
    /// Fetch the result of a job that was started before, by its status URL
    #[arg(long, help_heading = FOLDER, value_name = "URL", conflicts_with_all = ["types", "since", "until", "type_filters", "patients", "detach"])]
    status_url: Option<url::Url>,
    /// Forget an unfinished export in the folder and start a new one
    #[arg(long, help_heading = FOLDER)]
    restart: bool,
    /// Replace a finished export in the folder, once the new one is complete
    #[arg(long, help_heading = FOLDER)]
    overwrite: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum NamesArg {
    /// Patient.00001.ndjson, Patient.00002.ndjson
    Typed,
    /// Type and URL path, as the Medplum CLI names them
    Medplum,
    /// 1.Patient.ndjson, 2.Patient.ndjson
    Numbered,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ChecksumArg {
    /// BLAKE3, as b3sum makes it
    Blake3,
    /// SHA-256, as sha256sum makes it
    Sha256,
    None,
}

pub(super) async fn run(context: &Context, args: ExportArgs) -> anyhow::Result<()> {
    let client = context.fhir()?;
    let mut kickoff = args.request.kickoff();
    let style = Style {
        profile: Some(context.profile_name()?),
        names: match args.file_names {
            NamesArg::Typed => NameStyle::Typed,
            NamesArg::Medplum => NameStyle::Medplum,
            NamesArg::Numbered => NameStyle::Numbered,
        },
        compress: args.compress,
        checksum: match args.checksum {
            ChecksumArg::Blake3 => Checksum::Blake3,
            ChecksumArg::Sha256 => Checksum::Sha256,
            ChecksumArg::None => Checksum::None,
        },
        ..Style::default()
    };
    let folder = args.target_directory.unwrap_or_else(|| PathBuf::from("."));
    let options = Options {
        again: match (args.restart, args.overwrite) {
            (true, true) => Again::OverwriteAnew,
            (true, false) => Again::Restart,
            (false, true) => Again::Overwrite,
            (false, false) => Again::Continue,
        },
        status_url: args.status_url,
        series: args.request.is_series(),
        ..args.fetch.options(folder, style)
    };
    if !args.restart
        && let Ok(begun) = begun::look(&options.folder)
        && !matches!(begun.snapshot.state.phase, Phase::Done | Phase::Cancelled)
    {
        kickoff.take_over(&begun.kickoff);
    }
    if args.detach {
        if let Some(since) = &kickoff.since {
            context.output.note(&format!("Since: {since}"));
        }
        return detach(context, &client, &kickoff, &options).await;
    }
    args.fetch.run(context, &client, &kickoff, &options).await
}

/// Starts the job and leaves it to the server.
async fn detach(
    context: &Context,
    client: &Client,
    kickoff: &Kickoff,
    options: &Options,
) -> anyhow::Result<()> {
    let bars = Arc::new(Bars::new(context.output.clone()));
    let observer: Arc<dyn Observer> = bars.clone();
    let started = export::start(client, kickoff, options, &observer).await;
    let status_url = started.map_err(|error| stopped(context, error, &bars))?;
    let folder = options.folder.display();
    if context.output.format == Some(Format::Json) {
        let started = json!({"folder": folder.to_string(), "statusUrl": status_url.as_str()});
        return context.output.json(&started.to_string());
    }
    context.output.note(&format!(
        "The server works on it. See how far it is: medplum bulk status {folder}\n\
         Fetch the files: medplum bulk resume {folder}"
    ));
    Ok(())
}
