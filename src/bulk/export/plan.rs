//! What the manifest lists, and where each file goes. A reading is taken into the plan here, the first one and each later
//! one: `same` says what of the plan before it stays.

use std::sync::Arc;

use url::Url;

use super::ask::start_job;
use super::error::BulkError;
use super::event::Observer;
use super::instant;
use super::link::Link;
use super::manifest::Manifest;
use super::names::Names;
use super::open::Work;
use super::options::Options;
use super::same::{self, Compared, Known, Place};
use super::state::{About, Job, Phase, Planned};
use super::wait::read_manifest;
use crate::fhir::Client;
use crate::fhir::asynchronous::AsyncError;
use crate::words::number_of;

/// Brings the job to where its manifest is known, from wherever it is.
pub(super) async fn list_files(
    client: &Client,
    options: &Options,
    observer: &Arc<dyn Observer>,
    work: &mut Work,
) -> Result<Url, BulkError> {
    let (status_url, first_wait) = start_job(client, options, observer, work).await?;
    let job = &mut work.job;
    if job.is_complete() {
        return Ok(status_url);
    }
    let patience = options.patience;
    let log = Some(&*work.log);
    let manifest = read_manifest(client, &status_url, first_wait, patience, observer, log).await;
    let manifest = match manifest {
        Ok(manifest) => manifest,
        // The links that are known may still be good although the status page is gone.
        Err(BulkError::Async(AsyncError::Gone(_))) if job.state.phase == Phase::Fetching => {
            return Ok(status_url);
        }
        Err(error) => return Err(error),
    };
    take(job, manifest, observer)?;
    Ok(status_url)
}

/// What a reading changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The files are those of before, each in its place; links may be fresh, and files added behind.
    Same { fresh_links: bool },
    /// The list is another one.
    Another,
}

/// Takes a reading of the manifest into the plan.
///
/// # Errors
/// A file is in the way; the disk.
pub(super) fn take(
    job: &mut Job,
    manifest: Manifest,
    observer: &Arc<dyn Observer>,
) -> Result<Taken, BulkError> {
    let is_first = job.state.phase != Phase::Fetching;
    let before = job.state.reading_time.as_ref();
    let before = before.or(job.state.transaction_time.as_ref());
    let same_time = before == manifest.transaction_time.as_ref();
    let known: Vec<Known> = job
        .planned
        .iter()
        .map(|planned| Known {
            file: &planned.file,
            sha256: digest_of(job, planned),
            vanished: planned.vanished,
        })
        .collect();
    let compared = same::compare(&known, &manifest.files, same_time);
    drop(known);
    job.state.transaction_time = instant::earlier(
        job.state.transaction_time.take(),
        manifest.transaction_time.clone(),
    );
    job.state
        .reading_time
        .clone_from(&manifest.transaction_time);
    if compared.is_same && !is_first {
        return relink(job, manifest, compared);
    }
    replan(job, manifest, compared, is_first, observer)?;
    Ok(Taken::Another)
}

/// The digest of the bytes of a file that is here.
fn digest_of<'a>(job: &'a Job, planned: &Planned) -> Option<&'a str> {
    let done = job.done.get(&planned.path)?;
    let is_here = planned.accepts(done) && job.exported(planned).is_some();
    done.sha256.as_deref().filter(|_| is_here)
}

/// The names of a job's files, with those that are taken.
fn names_of(job: &Job) -> Names {
    let style = &job.state.style;
    let mut names = Names::new(style.names, style.compress);
    // No other file takes the name that one had before, whether it is listed again or not.
    let before = job.planned.iter().map(|known| &known.path);
    for path in before.chain(job.done.keys()) {
        names.keep(path);
    }
    names
}

/// The same files with the links of the new reading.
fn relink(job: &mut Job, manifest: Manifest, compared: Compared) -> Result<Taken, BulkError> {
    let mut names = names_of(job);
    let reading = job.state.reading;
    let mut links: Vec<(usize, Link)> = Vec::new();
    let mut more = Vec::new();
    let mut fresh_links = false;
    for (file, place) in manifest.files.into_iter().zip(compared.places) {
        match place {
            Place::Proved(at) | Place::NameOf(at) => {
                fresh_links |= job.planned[at].file.link != file.link;
                links.push((at, file.link));
            }
            Place::New => more.push(Planned {
                path: names.path(&file),
                file,
                reading,
                vanished: false,
            }),
        }
    }
    fresh_links |= !more.is_empty();
    job.relinked(links, more)?;
    Ok(Taken::Same { fresh_links })
}

/// Another list of files: what is proved stays, all else is fetched, and what is listed no more is missing.
fn replan(
    job: &mut Job,
    manifest: Manifest,
    compared: Compared,
    is_first: bool,
    observer: &Arc<dyn Observer>,
) -> Result<(), BulkError> {
    let mut names = names_of(job);
    let reading = job.state.reading + u32::from(!is_first);
    let mut known: Vec<Option<Planned>> = std::mem::take(&mut job.planned)
        .into_iter()
        .map(Some)
        .collect();
    let mut kept = 0;
    let mut planned: Vec<Planned> = Vec::with_capacity(manifest.files.len());
    for (file, place) in manifest.files.into_iter().zip(compared.places) {
        let before = match place {
            Place::Proved(at) | Place::NameOf(at) => known[at].take(),
            Place::New => None,
        };
        kept += usize::from(matches!(place, Place::Proved(_)));
        planned.push(match (before, place) {
            (Some(before), Place::Proved(_)) => Planned {
                file,
                vanished: false,
                ..before
            },
            (Some(before), _) => Planned {
                file,
                path: before.path,
                reading,
                vanished: false,
            },
            (None, _) => Planned {
                path: names.path(&file),
                file,
                reading,
                vanished: false,
            },
        });
    }
    let gone = known.into_iter().flatten().map(|before| Planned {
        // Should it be listed again, nothing says that what came of it is still it.
        reading,
        vanished: true,
        ..before
    });
    planned.extend(gone);
    if !is_first {
        observer.notice(&format!(
            "The server lists other files than before: {} proved to be the same, all others are fetched.",
            match kept {
                1 => "1 file is".to_owned(),
                kept => format!("{} are", number_of(kept, "file")),
            }
        ));
    }
    let about = About {
        request: manifest.request,
        requires_access_token: manifest.requires_access_token,
    };
    job.state.reading = reading;
    let time = job.state.transaction_time.take();
    job.plan(planned, time, about)
}
