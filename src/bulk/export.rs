//! The whole export: kick-off, poll, manifest pages, all files, summary.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::CONTENT_LOCATION;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use url::Url;

use super::fetch::{self, How, Links};
use super::job::{About, Again, Job, Phase, Planned, Style};
use super::kickoff::Kickoff;
use super::log::{self, Log, Logged};
use super::manifest::{self, Manifest, ManifestError};
use super::matched::matched;
use super::names::Names;
use super::replacement::Replacement;
use super::series::Series;
use super::{
    BulkError, FailedFile, Observer, Outcomes, Summary, attachment, download, kept, landing,
};
use crate::fhir::asynchronous::{self, AsyncError, Patience};
use crate::fhir::{Answer, Client, FhirError, Refusal, TokenRule};
use crate::http::retry;
use crate::secret;
use crate::words::number_of;

/// How to export.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the files go.
    pub folder: PathBuf,
    pub style: Style,
    /// Files at a time.
    pub parallel: usize,
    /// Whether lines, counts, checksums and lengths are checked.
    pub verify: bool,
    pub patience: Patience,
    pub again: Again,
    /// A job that runs already: it is waited for and fetched instead of starting one.
    pub status_url: Option<Url>,
    /// A series: each export in a folder of its own, with what changed since the one before.
    pub series: bool,
    /// What of the server's own reports is acceptable; the next export of a series begins behind this one only then.
    pub accepts: fn(&Outcomes) -> bool,
}

/// The job with what surrounds it.
struct Work {
    job: Job,
    kickoff: Kickoff,
    replacement: Option<Replacement>,
    series: Option<Series>,
    log: Arc<Log>,
}

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
    let work = open(client, kickoff, options, observer)?;
    let log = Arc::clone(&work.log);
    let logged: Arc<dyn Observer> = Arc::new(Logged::new(Arc::clone(&log), Arc::clone(observer)));
    let result = run_logged(client, options, &logged, work).await;
    if let Err(error) = &result {
        log.stopped(error);
    }
    // Whatever is wrong with the log is said by now, or here.
    logged.batch_landed();
    let mut summary = result?;
    summary.elapsed = started.elapsed();
    Ok(summary)
}

async fn run_logged(
    client: &Client,
    options: &Options,
    observer: &Arc<dyn Observer>,
    mut work: Work,
) -> Result<Summary, BulkError> {
    let status_url = list_files(client, options, observer, &mut work).await?;
    if let Some(replacement) = &work.replacement {
        replacement.check(attachment::are_files(options.style.attachments.as_ref()))?;
    }
    if let Some(series) = &mut work.series {
        work.log.close();
        work.job = series.name(work.job)?;
        work.log.moved(work.job.folder());
    }
    let job = &mut work.job;
    observer.listed(job.planned.len(), job.state.transaction_time.as_deref());

    let how = How {
        parallel: options.parallel,
        verify: options.verify,
        compress: job.state.style.compress,
        file_token: options.style.file_token,
    };
    let links = Reread {
        client,
        status_url: &status_url,
        observer,
    };
    let announce = work.replacement.is_none();
    let results = fetch::all(client, job, how, &links, observer, announce).await?;
    let mut summary = Summary {
        folder: job.folder().to_owned(),
        transaction_time: job.state.transaction_time.clone(),
        ..Summary::default()
    };
    for result in results {
        match result {
            Ok(file) => summary.files.push(file),
            Err(failure) => summary.failed.push(failure),
        }
    }
    summary.outcomes = download::outcomes_of(&summary.files);
    if let Some(wanted) = &options.style.attachments
        && summary.failed.is_empty()
    {
        job.wants_attachments(wanted)?;
        let fetched = attachment::all(client, job, wanted, how, observer).await?;
        summary.attachments = Some(fetched);
        let files = job.planned.iter();
        summary.files = files.filter_map(|planned| job.exported(planned)).collect();
    }
    job.still_there()?;
    kept::write(job).map_err(|source| BulkError::disk(&job.folder().join(kept::NAME), source))?;
    if summary.is_whole() {
        complete(client, options, observer, work, &status_url, &mut summary).await?;
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
    let mut work = open(client, kickoff, options, observer)?;
    let (status_url, _) = start_job(client, options, observer, &mut work).await?;
    if let Some(error) = work.log.trouble() {
        observer.notice(&log::cannot_be_written(&error));
    }
    Ok(status_url)
}

/// What came of an export that ended, as the folder has it now. Files that went since are missing.
///
/// # Errors
/// There is none; another process has it; the disk.
pub fn standing(folder: &Path) -> Result<Summary, BulkError> {
    let job = Job::existing(folder)?;
    let mut summary = Summary {
        folder: folder.to_owned(),
        transaction_time: job.state.transaction_time.clone(),
        ..Summary::default()
    };
    for planned in &job.planned {
        match job.exported(planned) {
            Some(file) => summary.files.push(file),
            None => summary.failed.push(FailedFile {
                url: crate::secret::url_for_people(&planned.file.url),
                path: planned.path.clone(),
                code: None,
                is_content: false,
                group: planned.file.group,
                resource_type: planned.file.resource_type.clone(),
                reason: "it was here when the export ended, and is not, or not whole, now".into(),
            }),
        }
    }
    summary.outcomes = download::outcomes_of(&summary.files);
    Ok(summary)
}

/// All files are here: they get their places, the server's job goes, and the folder says so.
async fn complete(
    client: &Client,
    options: &Options,
    observer: &Arc<dyn Observer>,
    work: Work,
    status_url: &Url,
    summary: &mut Summary,
) -> Result<(), BulkError> {
    let mut job = work.job;
    if let Some(replacement) = work.replacement {
        work.log.close();
        drop(job);
        replacement.take_place()?;
        job = Job::existing(&options.folder)?;
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
    job.seal()?;
    if !options.style.keep
        && let Err(error) = asynchronous::delete(client, status_url).await
    {
        observer.notice(&format!(
            "All files are here, but the job could not be deleted at the server: {error}"
        ));
    }
    work.log.complete(summary, job.state.started.as_deref());
    job.finish()?;
    if let Some(mut series) = work.series {
        let time = job.state.transaction_time.clone().unwrap_or_default();
        series.finished(&time, (options.accepts)(&summary.outcomes))?;
    }
    Ok(())
}

/// Opens the job of the folder, or the place of a new one.
fn open(
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
    landing::probe(folder).map_err(unusable)?;
    let mut kickoff = kickoff.clone();
    let mut series = None;
    let mut replacement = None;
    let mut place = folder.clone();
    if options.series {
        let opened = series.insert(Series::open(folder, request(client, &kickoff, None))?);
        place = opened.current()?;
        if let Some(time) = ended_in(&place, opened, options.accepts)? {
            observer.notice(&format!("The export of {time} was complete already."));
            place = opened.current()?;
        }
        kickoff.since = opened.since().map(str::to_owned);
        observer.in_series(kickoff.since.as_deref(), &place);
    } else if matches!(options.again, Again::Overwrite | Again::OverwriteAnew) {
        replacement = Replacement::of(folder)?;
        if let Some(replacement) = &replacement {
            place = replacement.work_folder();
        }
    }
    let request = request(client, &kickoff, options.status_url.as_ref());
    let again = match options.again {
        Again::OverwriteAnew => Again::Restart,
        again => again,
    };
    let opened = Job::open(&place, request.clone(), options.style.clone(), again);
    let job = match opened {
        // What was to replace the old export was of another request: this one is.
        Err(BulkError::OtherRequest { .. }) if replacement.is_some() => {
            Job::open(&place, request, options.style.clone(), Again::Restart)?
        }
        opened => opened?,
    };
    if job.state.phase == Phase::KickingOff && replacement.is_none() {
        let own = [kept::NAME, log::NAME].into_iter();
        let fetched = [attachment::FOLDER, attachment::INDEX].into_iter();
        let fetched = fetched.filter(|_| attachment::are_files(options.style.attachments.as_ref()));
        for name in own.chain(fetched) {
            let path = place.join(name);
            // What an earlier try wrote into the log is ours.
            if path.exists() && !(name == log::NAME && log::is_ours(&place)) {
                return Err(BulkError::InTheWay { path });
            }
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
        .values()
        .for_each(|done| outcomes.add(&done.outcomes));
    let time = job.state.transaction_time.clone().unwrap_or_default();
    series.finished(&time, accepts(&outcomes))?;
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

/// Brings the job to where the server works on it.
async fn start_job(
    client: &Client,
    options: &Options,
    observer: &Arc<dyn Observer>,
    work: &mut Work,
) -> Result<(Url, Option<Duration>), BulkError> {
    let job = &mut work.job;
    let mut first_wait = None;
    let status_url = match (job.state.status_url.clone(), &options.status_url) {
        (Some(status_url), _) => {
            observer.notice("Going on with the export that was begun here");
            observer.started(&status_url);
            status_url
        }
        (None, Some(status_url)) => {
            observer.started(status_url);
            job.accepted(status_url)?;
            status_url.clone()
        }
        (None, None) => {
            job.kicking_off()?;
            match kick_off(client, &work.kickoff, &work.log).await {
                Ok((status_url, wait)) => {
                    first_wait = wait;
                    // Said before anything else can fail: without it nobody finds the job again.
                    observer.started(&status_url);
                    job.accepted(&status_url)?;
                    status_url
                }
                Err(error) => {
                    if certainly_not_started(&error) {
                        job.forget()?;
                    }
                    return Err(error);
                }
            }
        }
    };
    Ok((status_url, first_wait))
}

/// Brings the job to where its manifest is known, from wherever it is.
async fn list_files(
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
    let known = std::mem::take(&mut job.planned);
    let style = &job.state.style;
    let mut names = Names::new(style.names, style.compress);
    // No other file takes the name that one had before, whether it is listed again or not.
    let before = known.iter().map(|known| &known.path);
    for path in before.chain(job.done.keys()) {
        names.keep(path);
    }
    let places = matched(&known, &manifest.files);
    let planned = manifest.files.into_iter().zip(places).map(|(file, place)| {
        let path = match place {
            Some(place) => known[place].path.clone(),
            None => names.path(&file),
        };
        Planned { file, path }
    });
    let about = About {
        request: manifest.request,
        requires_access_token: manifest.requires_access_token,
    };
    job.plan(planned.collect(), manifest.transaction_time, about)?;
    Ok(status_url)
}

/// Whether a kick-off that failed cannot have started a job: it was not sent, or it was refused.
fn certainly_not_started(error: &BulkError) -> bool {
    match error {
        BulkError::Fhir(FhirError::Refused(refusal)) => refusal.status.is_client_error(),
        BulkError::Fhir(FhirError::Http(error)) => error.was_not_sent(),
        BulkError::BadRequest(_)
        | BulkError::JobsRunning { .. }
        | BulkError::Async(AsyncError::NoJob { .. })
        | BulkError::Fhir(
            FhirError::Auth(_) | FhirError::BadUrl { .. } | FhirError::Redirect { .. },
        ) => true,
        _ => false,
    }
}

/// Sends the kick-off once. It is repeated only when it cannot have reached the server or was refused with 401:
/// a second one may start a second job.
async fn kick_off(
    client: &Client,
    kickoff: &Kickoff,
    log: &Log,
) -> Result<(Url, Option<Duration>), BulkError> {
    let request = kickoff.request(client)?;
    let answer = client.read_once(request, TokenRule::OwnOrigins).await?;
    log.kicked_off(client, kickoff, &answer);
    let jobs = running_jobs(client, &answer);
    if !jobs.is_empty() {
        let refusal = Box::new(Refusal::of_answer(answer));
        return Err(BulkError::JobsRunning { refusal, jobs });
    }
    let answer = answer.checked()?;
    let first_wait = retry::retry_after(&answer.headers, SystemTime::now());
    Ok((asynchronous::accepted(answer)?, first_wait))
}

/// The jobs that a refused kick-off names as running (AB2D: 429 with their URLs, joined by commas).
fn running_jobs(client: &Client, answer: &Answer) -> Vec<Url> {
    if answer.status != StatusCode::TOO_MANY_REQUESTS {
        return Vec::new();
    }
    let named = answer.header(CONTENT_LOCATION).unwrap_or_default();
    named
        .split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .filter_map(|text| answer.url.join(text).ok())
        .filter(|url| client.is_own(url))
        .collect()
}

/// Reads the manifest of a finished job again.
struct Reread<'a> {
    client: &'a Client,
    status_url: &'a Url,
    observer: &'a Arc<dyn Observer>,
}

impl Links for Reread<'_> {
    async fn read(&self) -> Option<Manifest> {
        let patience = Patience {
            max_wait: Some(Duration::from_secs(120)),
            ..Patience::default()
        };
        let (client, observer) = (self.client, self.observer);
        let manifest = read_manifest(client, self.status_url, None, patience, observer, None);
        manifest.await.ok()
    }
}

/// Polls the job and reads all pages of its manifest.
async fn read_manifest(
    client: &Client,
    status_url: &Url,
    first_wait: Option<Duration>,
    patience: Patience,
    observer: &Arc<dyn Observer>,
    log: Option<&Log>,
) -> Result<Manifest, BulkError> {
    let mut pages = 0;
    let started = Instant::now();
    let mut whole = Manifest::default();
    let mut seen = HashSet::new();
    let mut next = Some(status_url.clone());
    let mut wait = first_wait;
    while let Some(url) = next {
        if !seen.insert(url.clone()) {
            return Err(ManifestError::Loop {
                url: secret::url_for_people(&url),
            }
            .into());
        }
        let left = Patience {
            max_wait: patience
                .max_wait
                .map(|longest| longest.saturating_sub(started.elapsed())),
            ..patience
        };
        let finished = asynchronous::wait(client, &url, wait.take(), left, |progress| {
            observer.polled(progress);
        })
        .await?;
        if finished.status == StatusCode::NO_CONTENT {
            return Err(AsyncError::NoJob {
                method: Method::GET,
                url: secret::url_for_people(&url),
                status: finished.status,
                words: " and no manifest".into(),
            }
            .into());
        }
        let mut page = manifest::parse(&finished.url, finished.content_type(), &finished.body)?;
        if !client.is_own(&finished.url) {
            // A page that another server made up names nobody who gets the token.
            for file in &mut page.files {
                file.requires_access_token &= client.is_own(&file.url);
            }
        }
        pages += 1;
        if let Some(log) = log {
            log.page(pages, &page);
        }
        whole.transaction_time = whole.transaction_time.or(page.transaction_time);
        whole.request = whole.request.or(page.request);
        whole.requires_access_token |= page.requires_access_token;
        whole.files.extend(page.files);
        next = page.next;
    }
    without_repetitions(&mut whole, observer);
    if let Some(log) = log {
        log.manifest(pages, &whole);
    }
    Ok(whole)
}

/// A file listed twice is one file: its lines must not be on disk twice.
fn without_repetitions(manifest: &mut Manifest, observer: &Arc<dyn Observer>) {
    let before = manifest.files.len();
    let mut seen = HashSet::new();
    manifest
        .files
        .retain(|file| seen.insert((file.group, file.resource_type.clone(), file.url.clone())));
    let repeated = before - manifest.files.len();
    if repeated > 0 {
        observer.notice(&format!(
            "The manifest lists {} a second time; each is fetched once.",
            number_of(repeated, "file")
        ));
    }
}
