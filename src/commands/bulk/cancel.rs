//! `medplum bulk cancel`

use std::path::PathBuf;

use clap::Args;
use url::Url;

use super::resume::client_for;
use crate::bulk::export::begun::{self, Begun};
use crate::bulk::export::{BulkError, end};
use crate::context::Context;
use crate::exit::Failure;

/// Stop an export: the server ends its job, the folder forgets it, files that are here stay
///
/// What is at the status URL has to prove to be a job before it is deleted: a folder may come from anywhere.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum bulk cancel export\n\
        \x20 medplum bulk cancel -p example --status-url https://h.example/fhir/job/7")]
pub struct CancelArgs {
    /// Folder of the export
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// End the job with this status URL, which the folder may not know
    #[arg(long, value_name = "URL")]
    status_url: Option<Url>,
}

pub(super) async fn run(context: &Context, args: CancelArgs) -> anyhow::Result<()> {
    let named = args.status_url.as_ref();
    let begun = match (begun::look(&args.folder), named) {
        (Ok(begun), Some(url)) if !may_be_of(&begun, url) => return end_named(context, url).await,
        (Err(BulkError::NoJob { .. }), Some(url)) => return end_named(context, url).await,
        (begun, _) => begun?,
    };
    if begun.is_done() {
        let words = format!("the export in {} is complete", begun.folder.display());
        return Err(Failure::usage(words)
            .hint("there is nothing to stop")
            .into());
    }
    if begun.is_cancelled() {
        return Err(BulkError::Cancelled {
            folder: begun.folder,
        }
        .into());
    }
    // Nobody else may work on it meanwhile.
    let mut held = begun.hold()?;
    let known = begun.snapshot.state.job_at_the_server();
    let client = match known.or(named) {
        Some(_) => Some(client_for(context, &begun)?),
        None => None,
    };
    let given_up = held.give_up()?;
    match client {
        Some(client) => {
            let mut ended = end::of_given_up(&client, &given_up, named).await;
            if let (Ok(()), None, Some(url)) = (&ended, known, named) {
                ended = end::of_named(&client, url).await;
            }
            if let Err(error) = ended {
                held.take_back()?;
                return Err(error.into());
            }
            context.output.note("The server was told to stop.");
        }
        None => context.output.warn(
            "Whether the kick-off reached the server is not known, so no job could be stopped there.",
        ),
    }
    held.gave_up(&given_up)?;
    let files = match begun.snapshot.here {
        0 => "No file had come.".to_owned(),
        1 => "The file that had come stays.".to_owned(),
        here => format!("{here} files that had come stay."),
    };
    context.output.note(&files);
    Ok(())
}

/// Whether a job may be that of an export: it is, or the export knows none.
fn may_be_of(begun: &Begun, status_url: &Url) -> bool {
    let known = begun.snapshot.state.job_at_the_server();
    let is_over = begun.is_done() || begun.is_cancelled();
    !is_over && known.is_none_or(|known| known == status_url)
}

/// Ends a job that no folder knows.
async fn end_named(context: &Context, status_url: &Url) -> anyhow::Result<()> {
    end::of_named(&context.fhir()?, status_url).await?;
    context
        .output
        .note("The server was told to stop. No folder was changed.");
    Ok(())
}
