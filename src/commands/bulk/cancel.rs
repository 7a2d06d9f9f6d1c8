//! `medplum bulk cancel`

use std::path::PathBuf;

use clap::Args;

use super::resume::client_for;
use crate::bulk::export::{BulkError, begun, end};
use crate::context::Context;
use crate::exit::Failure;

/// Stop an export: the server ends its job, the folder forgets it, files that are here stay
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum bulk cancel export")]
pub struct CancelArgs {
    /// Folder of the export
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

pub(super) async fn run(context: &Context, args: CancelArgs) -> anyhow::Result<()> {
    let begun = begun::look(&args.folder)?;
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
    let client = match begun.snapshot.state.job_at_the_server() {
        Some(_) => Some(client_for(context, &begun)?),
        None => None,
    };
    let given_up = held.give_up()?;
    match client {
        Some(client) => {
            if let Err(error) = end::of_given_up(&client, &given_up).await {
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
