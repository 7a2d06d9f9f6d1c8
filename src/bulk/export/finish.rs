//! The end: files get their places, the server's job goes, and the folder says so.

use std::path::Path;
use std::sync::Arc;

use super::end;
use super::error::BulkError;
use super::event::{ExportedFile, FailedFile, Observer, Summary};
use super::open::Work;
use super::options::Options;
use super::series;
use super::sink::outcomes::Outcomes;
use super::state::{Job, Standing};
use crate::fhir::Client;

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
        drop(job);
        job = Job::existing(&options.folder)?;
        whole = job.whole()?;
        work.log.moved(job.folder());
        summary.folder.clone_from(&options.folder);
        summary.files = job
            .planned
            .iter()
            .filter_map(|planned| job.exported(planned))
            .collect();
        summary
            .files
            .iter()
            .for_each(|file| observer.file_done(file));
    }
    // The server's copy goes only when this one is certainly here.
    if !options.style.keep
        && let Err(error) = end::of_whole(client, &whole).await
    {
        observer.notice(&format!(
            "All files are here, but the job could not be deleted at the server: {error}"
        ));
    }
    work.log.complete(summary, job.state.started.as_deref());
    job.finish(&whole)?;
    if let Some(mut series) = work.series {
        let time = job.state.transaction_time.clone().unwrap_or_default();
        let (next, warning) = series::next_since(&job.state, jiff::Timestamp::now());
        if let Some(warning) = warning {
            observer.notice(&warning);
        }
        series.finished(&time, next, (options.accepts)(&summary.outcomes))?;
    }
    Ok(())
}

/// What came of an export that ended, as the folder has it now. Files that went since are missing.
///
/// # Errors
/// There is none; the disk.
pub fn standing(folder: &Path) -> Result<Summary, BulkError> {
    let standing = Standing::of(folder)?;
    let mut summary = Summary {
        folder: folder.to_owned(),
        transaction_time: standing.state.transaction_time.clone(),
        ..Summary::default()
    };
    for planned in &standing.planned {
        match standing.exported(planned) {
            Some(file) => summary.files.push(file),
            None => summary.failed.push(FailedFile {
                url: crate::secret::url_without_query(&planned.file.link.url()),
                path: planned.path.clone(),
                code: None,
                is_content: false,
                group: planned.file.group,
                resource_type: planned.file.resource_type.as_deref().map(str::to_owned),
                reason: "it was here when the export ended, and is not, or not whole, now".into(),
            }),
        }
    }
    summary.outcomes = outcomes_of(&summary.files);
    Ok(summary)
}

/// What the outcome files of an export say together.
pub(super) fn outcomes_of(files: &[ExportedFile]) -> Outcomes {
    let mut all = Outcomes::default();
    for file in files {
        all.add(&file.outcomes);
    }
    all
}
