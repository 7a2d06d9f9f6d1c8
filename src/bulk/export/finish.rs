//! The end: files get their places, the server's job goes, and the folder says so.

use std::path::Path;
use std::sync::Arc;

use super::end;
use super::error::BulkError;
use super::event::{ExportedFile, Missing, Observer, Summary, Tally};
use super::manifest::Group;
use super::open::Work;
use super::options::Options;
use super::since;
use super::state::{Job, Standing};
use super::verify::Glance;
use crate::fhir::Client;
use crate::words::number_of;

/// All files are here: they get their places, the server's job goes, and the folder says so.
pub(super) async fn complete(
    client: &Client,
    options: &Options,
    observer: &Arc<dyn Observer>,
    work: Work,
    summary: &mut Summary,
) -> Result<(), BulkError> {
    let mut job = work.job;
    let mut whole = job.whole()?;
    if let Some(replacement) = work.replacement {
        work.log.close();
        // Nobody else gets hold of the new export meanwhile.
        replacement.take_place(&whole)?;
        let was_read = job.is_read();
        drop(job);
        job = Job::existing(&options.folder)?;
        if was_read {
            job.was_read();
        }
        whole = job.whole()?;
        work.log.moved(job.folder());
        summary.folder.clone_from(&options.folder);
        summary.here = tally(&job, |file| observer.file_done(file))?;
    }
    // The server's copy goes only when this one is certainly here.
    if !options.style.keep
        && let Err(error) = end::of_whole(client, &whole).await
    {
        observer.warning(&format!(
            "All files are here, but the job could not be deleted at the server: {error}"
        ));
    }
    work.log.complete(summary, job.state.started.as_deref());
    job.finish(&whole)?;
    if let Some(mut series) = work.series {
        let time = job.state.transaction_time.clone().unwrap_or_default();
        let (next, warning) = since::next_since(&job.state, jiff::Timestamp::now());
        if let Some(warning) = warning {
            observer.warning(&warning);
        }
        series.finished(&time, next, (options.accepts)(&summary.here.outcomes))?;
    }
    Ok(())
}

/// Counts the files of an export that are here, each of which is told.
pub(super) fn tally(job: &Job, mut told: impl FnMut(&ExportedFile)) -> Result<Tally, BulkError> {
    let mut here = Tally::default();
    for planned in job.each() {
        if let Some(file) = job.exported(&planned?) {
            told(&file);
            here.add(&file);
        }
    }
    Ok(here)
}

/// What to say of files that came empty although nothing promises that: a server that lost what it listed answers so too.
pub(super) fn empty_files(job: &Job) -> Result<Option<String>, BulkError> {
    let (mut number, mut first) = (0_u64, None);
    for planned in job.each() {
        let planned = planned?;
        let says_nothing = planned.file.count.is_none() && planned.file.group != Group::Error;
        let file = job.exported(&planned).filter(|_| says_nothing);
        if file.is_some_and(|file| file.bytes == 0 || file.resources == Some(0)) {
            number += 1;
            first.get_or_insert(planned.path);
        }
    }
    Ok(first.map(|first| {
        format!(
            "{} came empty, such as {}, and the manifest does not say how many resources they hold: whether the server has \
             none, or lost them, cannot be told.",
            number_of(number, "file"),
            first.display()
        )
    }))
}

/// What came of an export that ended, as the folder has it now, and what lies beside its files. Files that went since are
/// missing; `told` hears of each. Nothing is read again but lengths.
///
/// # Errors
/// There is none; the disk.
pub fn standing(
    folder: &Path,
    mut told: impl FnMut(&Path, &str),
) -> Result<(Summary, Glance), BulkError> {
    let standing = Standing::of(folder)?;
    let mut summary = Summary {
        folder: folder.to_owned(),
        transaction_time: standing.state.transaction_time.clone(),
        ..Summary::default()
    };
    let reason: Arc<str> =
        "it was here when the export ended, and is not, or not whole, now".into();
    for (at, planned) in standing.each().enumerate() {
        let planned = planned?;
        if let Some(file) = standing.exported(&planned) {
            summary.here.add(&file);
            continue;
        }
        told(&planned.path, &reason);
        summary.failed.push(Missing {
            at,
            code: None,
            is_content: false,
            reason: Arc::clone(&reason),
        });
    }
    let glance = Glance::at(folder, &standing.state);
    Ok((summary, glance))
}
