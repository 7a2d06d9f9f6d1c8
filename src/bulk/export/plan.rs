//! What the manifest lists, and where each file goes. A reading is taken into the plan here, the first one and each later
//! one: `same` says what of the plan before it stays.

use std::sync::Arc;

use url::Url;

use super::ask::start_job;
use super::error::BulkError;
use super::event::Observer;
use super::instant;
use super::listing::Listing;
use super::manifest::{Listed, Manifest};
use super::names::Names;
use super::open::Work;
use super::options::Options;
use super::same::{self, Compared, Known, Place, Readings};
use super::state::{About, Job, Phase, Planned};
use super::wait::read_manifest;
use crate::fhir::Client;
use crate::fhir::asynchronous::AsyncError;
use crate::secret;
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
    let is_complete = job.is_complete()?;
    if is_complete && !needs_another_reading(client, job, options)? {
        return Ok(status_url);
    }
    let patience = options.patience;
    let log = Some(&*work.log);
    let into = job.new_listing()?;
    let read = read_manifest(
        client,
        &status_url,
        first_wait,
        patience,
        observer,
        log,
        into,
    );
    let (manifest, listing) = match read.await {
        Ok(read) => read,
        // The links that are known may still be good although the status page is gone.
        Err(BulkError::Async(AsyncError::Gone(_))) if job.state.phase == Phase::Fetching => {
            return Ok(status_url);
        }
        Err(_) if is_complete => return Ok(status_url),
        Err(error) => return Err(error),
    };
    take(job, manifest, &listing, observer)?;
    Ok(status_url)
}

/// Whether attachments are wanted that may lie where the files did, at a host that gets the token only when the server says
/// so in this run.
fn needs_another_reading(client: &Client, job: &Job, options: &Options) -> Result<bool, BulkError> {
    if options.style.attachments.is_none() {
        return Ok(false);
    }
    let wanted = options.style.file_token;
    for planned in job.each() {
        let link = planned?.file.link;
        if link.token_rule(client, wanted, true) != link.token_rule(client, wanted, false) {
            return Ok(true);
        }
    }
    Ok(false)
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
    listing: &Listing,
    observer: &Arc<dyn Observer>,
) -> Result<Taken, BulkError> {
    let is_first = job.state.phase != Phase::Fetching;
    let before = job.state.reading_time.as_ref();
    let before = before.or(job.state.transaction_time.as_ref());
    let same_time = before == manifest.transaction_time.as_ref();
    let compared = compare(job, listing, same_time)?;
    job.state.transaction_time = instant::earlier(
        job.state.transaction_time.take(),
        manifest.transaction_time.clone(),
    );
    job.state
        .reading_time
        .clone_from(&manifest.transaction_time);
    let taken = if compared.is_same && !is_first {
        relink(job, listing, &compared)?
    } else {
        replan(job, manifest, listing, &compared, is_first, observer)?;
        Taken::Another
    };
    job.was_read();
    Ok(taken)
}

/// The plan, and what is listed now.
struct Both<'a> {
    job: &'a Job,
    listing: &'a Listing,
}

impl Readings for Both<'_> {
    type Error = BulkError;

    fn listed(&self) -> impl Iterator<Item = Result<Listed, BulkError>> {
        let files = self.listing.each_listed();
        files.map(|file| file.map_err(|error| lost(self.job, error)))
    }

    fn known(&self) -> impl Iterator<Item = Result<Known, BulkError>> {
        let known = self.job.each_listed();
        known.map(|known| known.map(|(file, vanished)| Known { file, vanished }))
    }

    fn sha256(&self, known: u32) -> Result<Option<String>, BulkError> {
        let planned = self.job.planned(known as usize)?;
        // The file may have to be read.
        Ok(tokio::task::block_in_place(|| self.job.sha256(&planned)))
    }
}

fn compare(job: &Job, listing: &Listing, same_time: bool) -> Result<Compared, BulkError> {
    if job.listed() == 0 {
        return Ok(Compared {
            places: vec![Place::New; listing.len()],
            is_same: same_time,
        });
    }
    same::compare(&Both { job, listing }, same_time)
}

/// What was listed a moment ago cannot be read.
fn lost(job: &Job, error: std::io::Error) -> BulkError {
    BulkError::disk(job.place().folder(), error)
}

/// The names of a job's files, with those that are taken.
fn names_of(job: &Job) -> Result<Names, BulkError> {
    let style = &job.state.style;
    let mut names = Names::new(style.names, style.compress);
    // No other file takes the name that one had before, whether it is listed again or not.
    for planned in job.each() {
        names.keep(&planned?.path);
    }
    for done in job.done.each() {
        names.keep(&done.path);
    }
    Ok(names)
}

/// The same files with the links of the new reading.
fn relink(job: &mut Job, listing: &Listing, compared: &Compared) -> Result<Taken, BulkError> {
    let mut successors = vec![None; job.listed()];
    for (number, place) in (0_u32..).zip(&compared.places) {
        if let Place::Proved(at) | Place::NameOf(at) = place {
            successors[*at as usize] = Some(number);
        }
    }
    let get = |number: usize| listing.get(number).map_err(|error| lost(job, error));
    let mut draft = job.draft_plan()?;
    let (mut fresh_links, mut changed) = (false, false);
    for (planned, successor) in job.each().zip(successors) {
        let mut planned = planned?;
        if let Some(number) = successor {
            let link = get(number as usize)?.link;
            fresh_links |= planned.file.link != link;
            changed |= std::mem::take(&mut planned.vanished);
            planned.file.link = link;
        }
        draft.push(&planned).map_err(|error| lost(job, error))?;
    }
    if compared.places.contains(&Place::New) {
        fresh_links = true;
        let mut names = names_of(job)?;
        let places = compared.places.iter().enumerate();
        for (number, _) in places.filter(|(_, place)| **place == Place::New) {
            let file = get(number)?;
            let planned = Planned {
                path: names.path(&file),
                file,
                reading: job.state.reading,
                vanished: false,
            };
            draft.push(&planned).map_err(|error| lost(job, error))?;
        }
    }
    if fresh_links || changed {
        job.take_over(draft)?;
    }
    Ok(Taken::Same { fresh_links })
}

/// Another list of files: what is proved stays, all else is fetched, and what is listed no more is missing.
// Long because a plan is drawn up in one pass, and swapped at its end.
fn replan(
    job: &mut Job,
    manifest: Manifest,
    listing: &Listing,
    compared: &Compared,
    is_first: bool,
    observer: &Arc<dyn Observer>,
) -> Result<(), BulkError> {
    let mut names = names_of(job)?;
    let reading = job.state.reading + u32::from(!is_first);
    let mut taken = vec![false; job.listed()];
    let mut kept = 0;
    let mut draft = job.draft_plan()?;
    for (file, place) in listing.each().zip(&compared.places) {
        let file = file.map_err(|error| lost(job, error))?;
        let before = match place {
            Place::Proved(at) | Place::NameOf(at) => {
                taken[*at as usize] = true;
                Some(job.planned(*at as usize)?)
            }
            Place::New => None,
        };
        let is_proved = matches!(place, Place::Proved(_));
        kept += usize::from(is_proved);
        let (path, before) = match before {
            Some(before) => (before.path, before.reading),
            None => (names.path(&file), reading),
        };
        let planned = Planned {
            path,
            file,
            reading: if is_proved { before } else { reading },
            vanished: false,
        };
        draft.push(&planned).map_err(|error| lost(job, error))?;
    }
    for (before, _) in job.each().zip(taken).filter(|(_, taken)| !taken) {
        let gone = Planned {
            // Should it be listed again, nothing says that what came of it is still it.
            reading,
            vanished: true,
            ..before?
        };
        draft.push(&gone).map_err(|error| lost(job, error))?;
    }
    if !is_first {
        observer.warning(&format!(
            "The server lists other files than before: {} proved to be the same, all others are fetched.",
            match kept {
                1 => "1 file is".to_owned(),
                kept => format!("{} are", number_of(kept, "file")),
            }
        ));
    }
    let about = About {
        // A server may name the token there that it was asked with.
        request: manifest.request.map(|request| secret::mask(&request)),
        requires_access_token: manifest.requires_access_token,
    };
    job.state.reading = reading;
    let time = job.state.transaction_time.take();
    job.plan(draft, time, about)
}
