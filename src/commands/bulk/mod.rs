//! `medplum bulk …`

mod bars;
mod export;

use clap::Subcommand;

use crate::context::Context;

#[derive(Debug, Subcommand)]
pub enum BulkCommand {
    Export(export::ExportArgs),
}

pub async fn run(context: &Context, command: BulkCommand) -> anyhow::Result<()> {
    match command {
        BulkCommand::Export(args) => export::run(context, args).await,
    }
}
