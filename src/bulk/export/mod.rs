//! The whole export: kick-off, poll, manifest pages, all files, summary.

pub mod attachment;
pub mod begun;
pub mod error;
pub mod event;
pub mod fetch;
pub mod instant;
pub mod keep;
pub mod kickoff;
pub mod layout;
pub mod link;
pub mod listing;
pub mod log;
pub mod manifest;
pub mod names;
pub mod options;
pub mod page;
pub mod report;
pub mod series;
pub mod settle;
pub mod sink;
pub mod state;
pub mod verify;

mod ask;
pub mod end;
mod finish;
mod meter;
mod open;
mod plan;
pub mod replace;
mod rerun;
mod same;
mod since;
mod wait;

use std::sync::Arc;
use std::time::Instant;

use url::Url;

use crate::fhir::Client;
pub use error::BulkError;
pub use event::{ExportedFile, FailedFile, Missing, Observer, Summary, Tally};
pub use finish::standing;
use kickoff::Kickoff;
use log::Logged;
use open::Work;
use options::How;
pub use options::Options;
use rerun::Tried;
pub use sink::outcomes::Outcomes;

/// Runs an export to its end, or goes on with one. Whatever could be had is on disk when it returns; the summary
/// says what is missing.
///
/// # Errors
/// What stopped the run before all files were tried.
pub async fn run(
    client: &Client,
    kickoff: &Kickoff,
    options: &Options,
    observer: &Arc<dyn Observer>,
) -> Result<Summary, BulkError> {
    let started = Instant::now();
    let mut tried = Box::pin(attempt(client, kickoff, options, observer)).await;
    // A series never stops by itself: where nothing more can come of a job, another one is asked for, once.
    if options.series
        && let Some(why) = rerun::reason(&tried)
    {
        let anew = rerun::give_up(client, kickoff, options, observer, &why)?;
        tried = Box::pin(attempt(client, kickoff, &anew, observer)).await;
    }
    let mut summary = tried.result?;
    summary.elapsed = started.elapsed();
    Ok(summary)
}

async fn attempt(
    client: &Client,
    kickoff: &Kickoff,
    options: &Options,
    observer: &Arc<dyn Observer>,
) -> Tried {
    let work = match open::open(client, kickoff, options, observer) {
        Ok(work) => work,
        Err(error) => {
            return Tried {
                result: Err(error),
                was_resumed: true,
            };
        }
    };
    let was_resumed = work.job.state.status_url.is_some();
    let log = Arc::clone(&work.log);
    let logged: Arc<dyn Observer> = Arc::new(Logged::new(Arc::clone(&log), Arc::clone(observer)));
    let result = Box::pin(run_logged(client, options, &logged, work)).await;
    if let Err(error) = &result {
        log.stopped(error);
    }
    // Whatever is wrong with the log is said by now, or here.
    logged.batch_landed();
    Tried {
        result,
        was_resumed,
    }
}

// Long because it is the phases in their order.
async fn run_logged(
    client: &Client,
    options: &Options,
    observer: &Arc<dyn Observer>,
    mut work: Work,
) -> Result<Summary, BulkError> {
    let status_url = plan::list_files(client, options, observer, &mut work).await?;
    if let Some(replacement) = &work.replacement {
        let new = work.job.each();
        replacement.check(
            new.map(|planned| planned.map(|planned| planned.path)),
            options.style.has_attachment_files(),
        )?;
    }
    if let Some(series) = &mut work.series {
        work.log.close();
        work.job = series.name(work.job)?;
        work.log.moved(work.job.folder());
    }
    let job = &mut work.job;
    observer.listed(job.listed(), job.state.transaction_time.as_deref());

    let how = How {
        parallel: options.parallel,
        verify: options.verify,
        checksum: job.state.style.checksum,
        compress: job.state.style.compress,
        file_token: options.style.file_token,
    };
    let links = wait::Reread {
        client,
        status_url: &status_url,
        observer,
    };
    let announce = work.replacement.is_none();
    let fetch::Results { here, failed } =
        fetch::all(client, job, how, &links, observer, announce).await?;
    if let Some(words) = finish::empty_files(job)? {
        observer.warning(&words);
    }
    let mut summary = Summary {
        folder: job.folder().to_owned(),
        transaction_time: job.state.transaction_time.clone(),
        here,
        failed,
        ..Summary::default()
    };
    if let Some(wanted) = &options.style.attachments
        && summary.failed.is_empty()
    {
        job.wants_attachments(wanted)?;
        let fetched = attachment::all(client, job, wanted, how, observer).await?;
        summary.attachments = Some(fetched);
        summary.here = finish::tally(job, |_| ())?;
    }
    job.still_there()?;
    keep::write(job, summary.is_whole())?;
    // What attachments of a series are missing stands in their index; the next run asks for what changed.
    if summary.is_whole() || work.series.is_some() && summary.failed.is_empty() {
        finish::complete(client, options, observer, work, &mut summary).await?;
    }
    Ok(summary)
}

/// Only starts the job, for a later run to go on with.
///
/// # Errors
/// The kick-off was refused or could not be sent.
pub async fn start(
    client: &Client,
    kickoff: &Kickoff,
    options: &Options,
    observer: &Arc<dyn Observer>,
) -> Result<Url, BulkError> {
    let mut work = open::open(client, kickoff, options, observer)?;
    let (status_url, _) = ask::start_job(client, options, observer, &mut work).await?;
    if let Some(error) = work.log.trouble() {
        observer.warning(&log::cannot_be_written(&error));
    }
    Ok(status_url)
}
