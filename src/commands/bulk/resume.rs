//! `medplum bulk resume`

use std::path::PathBuf;

use clap::Args;

use super::fetching::FetchArgs;
use crate::bulk::export::BulkError;
use crate::bulk::export::Options;
use crate::bulk::export::begun::{self, Begun};
use crate::bulk::export::options::Again;
use crate::bulk::export::state::Phase;
use crate::bulk::requester;
use crate::context::Context;
use crate::exit::Failure;
use crate::fhir::Client;

/// Go on with an export: wait for the server, fetch what is missing
///
/// The folder knows what was asked for and with which profile.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum bulk resume export")]
pub struct ResumeArgs {
    /// Folder of the export
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    fetch: FetchArgs,
}

pub(super) async fn run(context: &Context, args: ResumeArgs) -> anyhow::Result<()> {
    let begun = begun::look(&args.folder)?;
    if begun.is_done() {
        return args.fetch.judge(context, &begun.folder);
    }
    if begun.snapshot.state.phase == Phase::Cancelled {
        return Err(BulkError::Cancelled {
            folder: begun.folder,
        }
        .into());
    }
    let client = client_for(context, &begun)?;
    let options = Options {
        again: if begun.replaces_another {
            Again::Overwrite
        } else {
            Again::Continue
        },
        status_url: begun.adopted.clone(),
        series: begun.is_series,
        ..args
            .fetch
            .options(args.folder.clone(), begun.snapshot.state.style.clone())
    };
    args.fetch
        .run(context, &client, &begun.kickoff, &options)
        .await
}

/// The client for the server that the export is of: its own profile, or the one that is named now.
pub(super) fn client_for(context: &Context, begun: &Begun) -> anyhow::Result<Client> {
    let client = context.fhir_as_begun(begun.snapshot.state.style.profile.as_deref())?;
    if client.profile.fhir_base.as_str() == begun.fhir_base {
        if requester::is_same(&client, &begun.snapshot.state.request) {
            return Ok(client);
        }
        let folder = begun.folder.clone();
        return Err(BulkError::OtherRequester { folder }.into());
    }
    let failure = Failure::usage(format!(
        "the export is of {}, and the profile `{}` is for {}",
        begun.fhir_base, client.profile.name, client.profile.fhir_base
    ));
    Err(failure
        .hint("name the profile of that server with -p")
        .into())
}
