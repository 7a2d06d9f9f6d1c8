//! An export on its way: events for people, what stops it, and what is said at its end.

use std::path::Path;
use std::sync::Arc;

use super::FetchArgs;
use crate::bulk::export::kickoff::Kickoff;
use crate::bulk::export::{self, BulkError, Observer, Options};
use crate::commands::bulk::bars::{Bars, without_user};
use crate::commands::bulk::verdict::verdict;
use crate::commands::bulk::{interrupt, summary};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::fhir::Client;
use crate::fhir::asynchronous::AsyncError;
use crate::words::number_of;

impl FetchArgs {
    /// Says of an export that ended what came of it, as it did then.
    pub(in crate::commands::bulk) fn judge(
        &self,
        context: &Context,
        folder: &Path,
    ) -> anyhow::Result<()> {
        let missing = |path: &Path, reason: &str| {
            let path = path.display();
            context.output.warn(&format!("{path}: {reason}"));
        };
        let (summary, glance) = export::standing(folder, missing)?;
        for different in &glance.first {
            missing(Path::new(&different.path), &different.problem);
        }
        if summary.failed.is_empty() && glance.number == 0 {
            let folder = folder.display();
            context.output.line(&format!(
                "The export in {folder} is complete; its files were not read again, which `medplum bulk verify {folder}` does"
            ))?;
            return verdict(&summary, self.fail_on);
        }
        if summary.failed.is_empty() {
            let others = number_of(glance.number, "attachment or document");
            let words =
                format!("all files are here, but beside them {others} went or changed since");
            return Err(Failure::new(exit::PARTIAL, words)
                .hint("take them from a copy, or export everything anew with `medplum bulk export` and --overwrite")
                .into());
        }
        // The job is over: what is gone now comes only with another one.
        let all = summary.failed.len() + summary.here.files;
        let words = format!("{} of {all} files are missing", summary.failed.len());
        let failure = Failure::new(exit::PARTIAL, words);
        Err(failure
            .hint("the job is over at the server; export everything anew with `medplum bulk export` and --overwrite")
            .into())
    }

    /// Runs an export to its end and says what came of it.
    pub(in crate::commands::bulk) async fn run(
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
        verdict(&summary, self.fail_on)
    }
}

/// An export that was stopped goes on where it is; its job runs on at the server meanwhile.
pub(in crate::commands::bulk) fn stopped(
    context: &Context,
    error: BulkError,
    bars: &Bars,
) -> anyhow::Error {
    if let BulkError::Unkept {
        status_url,
        problem,
        ..
    } = &error
    {
        if problem.is_some() {
            let url = without_user(status_url);
            context.output.warn(&format!(
                "The server works on a job that no folder knows.\n  Status URL: {url}\n  \
                 Go on with it by --restart --status-url {url}, or end it: medplum bulk cancel --status-url {url}"
            ));
        }
        return error.into();
    }
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
