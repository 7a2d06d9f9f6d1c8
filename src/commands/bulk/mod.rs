//! `medplum bulk …`

mod bars;
mod cancel;
mod export;
mod fetching;
mod import;
mod interrupt;
mod report;
mod request;
mod resume;
mod status;
mod summary;
mod verdict;
mod verify;

use clap::Subcommand;

use crate::context::Context;

#[derive(Debug, Subcommand)]
pub enum BulkCommand {
    Export(Box<export::ExportArgs>),
    Status(status::StatusArgs),
    Report(report::ReportArgs),
    Resume(resume::ResumeArgs),
    Verify(verify::VerifyArgs),
    Cancel(cancel::CancelArgs),
    Import(Box<import::ImportArgs>),
}

impl BulkCommand {
    /// Whether it changes what is on the server.
    pub fn writes(&self) -> bool {
        matches!(self, Self::Import(_))
    }

    /// Whether it ends a job at the server.
    pub fn ends_job(&self) -> bool {
        matches!(self, Self::Cancel(_))
    }
}

pub async fn run(context: &Context, command: BulkCommand) -> anyhow::Result<()> {
    match command {
        BulkCommand::Export(args) => export::run(context, *args).await,
        BulkCommand::Status(args) => status::run(context, args).await,
        BulkCommand::Report(args) => report::run(context, &args),
        BulkCommand::Verify(args) => verify::run(context, &args),
        BulkCommand::Resume(args) => resume::run(context, args).await,
        BulkCommand::Cancel(args) => cancel::run(context, args).await,
        BulkCommand::Import(args) => import::run(context, *args).await,
    }
}
