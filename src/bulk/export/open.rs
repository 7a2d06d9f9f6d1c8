//! The folder: what it holds already, who else works in it, and the job that is gone on with or begun.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use url::Url;

use super::error::BulkError;
use super::event::Observer;
use super::kickoff::Kickoff;
use super::layout;
use super::log::{self, Log};
use super::options::{Again, Options};
use super::replace::Replacement;
use super::series::Series;
use super::settle;
use super::since;
use super::sink::outcomes::Outcomes;
use super::state::{self, Job, Phase};
use crate::bulk::requester;
use crate::fhir::Client;
use crate::place::Place;

/// The job with what surrounds it.
pub(super) struct Work {
    pub(super) job: Job,
    pub(super) kickoff: Kickoff,
    pub(super) replacement: Option<Replacement>,
    pub(super) series: Option<Series>,
    pub(super) log: Arc<Log>,
}

/// Opens the job of the folder, or the place of a new one.
pub(super) fn open(
    client: &Client,
    kickoff: &Kickoff,
    options: &Options,
    observer: &Arc<dyn Observer>,
) -> Result<Work, BulkError> {
    let folder = &options.folder;
    let unusable = |source| BulkError::Folder {
        folder: folder.clone(),
        source,
    };
    settle::probe(folder).map_err(unusable)?;
    let mut kickoff = kickoff.clone();
    let mut series = None;
    let mut replacement = None;
    let mut place = folder.clone();
    if options.series {
        let opened = series.insert(self::series(client, &kickoff, folder)?);
        if options.again == Again::Restart {
            give_up(opened, "--restart begins anew", observer)?;
        }
        place = opened.current()?;
        if let Some(time) = ended_in(&place, opened, options.accepts)? {
            observer.notice(&format!("The export of {time} was complete already."));
            place = opened.current()?;
        }
        kickoff.since = opened.since().map(str::to_owned);
        observer.in_series(kickoff.since.as_deref(), &place);
    } else {
        replacement = Replacement::of(folder, options.again)?;
        if let Some(replacement) = &replacement {
            place = replacement.work_folder();
        }
    }
    let job = open_job(client, &kickoff, options, &place, replacement.is_some())?;
    if job.state.phase == Phase::KickingOff {
        match &replacement {
            Some(replacement) => {
                replacement.check(std::iter::empty(), options.style.has_attachment_files())?;
            }
            None => nothing_is_in_the_way(&job, options)?,
        }
    }
    let log = Log::open(
        job.folder(),
        job.state.export_id.as_deref().unwrap_or_default(),
    );
    log.catch_up(client, &kickoff, &job, options.status_url.is_some());
    Ok(Work {
        log: Arc::new(log),
        job,
        kickoff,
        replacement,
        series,
    })
}

/// The series of a folder, held by this process alone.
pub(super) fn series(
    client: &Client,
    kickoff: &Kickoff,
    folder: &Path,
) -> Result<Series, BulkError> {
    let mut request = request(client, kickoff, None);
    requester::put_into(&mut request, client, Series::kept_request(folder)?.as_ref());
    Series::open(folder, request)
}

/// Gives the current export of a series up, and says so.
pub(super) fn give_up(
    series: &mut Series,
    why: &str,
    observer: &Arc<dyn Observer>,
) -> Result<(), BulkError> {
    let aside = match series.give_up()? {
        Some(folder) => format!(" What came of it lies in {}.", folder.display()),
        None => String::new(),
    };
    observer.warning(&format!(
        "The unfinished export of the series is given up: {why}.{aside}"
    ));
    Ok(())
}

/// The job of this folder, gone on with or begun.
fn open_job(
    client: &Client,
    kickoff: &Kickoff,
    options: &Options,
    place: &Path,
    is_replacement: bool,
) -> Result<Job, BulkError> {
    let mut request = request(client, kickoff, options.status_url.as_ref());
    let kept = state::kept_request(place).filter(|_| options.again != Again::Restart);
    requester::put_into(&mut request, client, kept.as_ref());
    let again = match options.again {
        Again::OverwriteAnew => Again::Restart,
        again => again,
    };
    let overwrites = matches!(options.again, Again::Overwrite | Again::OverwriteAnew);
    match Job::open(place, request.clone(), options.style.clone(), again) {
        // What was to replace the old export was of another request: this one is.
        Err(BulkError::OtherRequest { .. } | BulkError::OtherRequester { .. })
            if is_replacement && overwrites =>
        {
            Job::open(place, request, options.style.clone(), Again::Restart)
        }
        opened => opened,
    }
}

/// Makes sure that nothing of the user's has the name of a document that this export writes.
fn nothing_is_in_the_way(job: &Job, options: &Options) -> Result<(), BulkError> {
    let own = [layout::MANIFEST, layout::LOG].into_iter();
    let fetched = [layout::ATTACHMENTS, layout::ATTACHMENT_INDEX].into_iter();
    let fetched = fetched.filter(|_| options.style.has_attachment_files());
    for name in own.chain(fetched) {
        // What an earlier try wrote into the log is ours.
        let is_ours =
            job.is_ours(Path::new(name)) || name == layout::LOG && log::is_ours(job.folder());
        let files = Place::new(job.folder());
        if files.has(name) && !is_ours {
            let path = files.path(name);
            return Err(BulkError::InTheWay { path });
        }
    }
    Ok(())
}

/// An export of a series whose end was not recorded any more: it is recorded now.
fn ended_in(
    place: &Path,
    series: &mut Series,
    accepts: fn(&Outcomes) -> bool,
) -> Result<Option<String>, BulkError> {
    let job = match Job::existing(place) {
        Ok(job) if job.state.phase == Phase::Done => job,
        Ok(_) | Err(BulkError::NoJob { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut outcomes = Outcomes::default();
    job.done
        .each()
        .for_each(|done| outcomes.add(&done.outcomes));
    let time = job.state.transaction_time.clone().unwrap_or_default();
    let (next, _) = since::next_since(&job.state, jiff::Timestamp::now());
    series.finished(&time, next, accepts(&outcomes))?;
    Ok(Some(time))
}

/// What makes one export another one than the next.
fn request(client: &Client, kickoff: &Kickoff, status_url: Option<&Url>) -> Value {
    json!({
        "fhirBase": client.profile.fhir_base.as_str(),
        "kickoff": kickoff,
        "statusUrl": status_url,
    })
}
