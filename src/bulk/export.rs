//! The whole export: kick-off, poll, manifest pages, all files, summary.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::task::JoinSet;
use url::Url;

use super::download::{self, Download, Fetched, FileToken};
use super::job::{Again, Job, Phase, Planned};
use super::kickoff::Kickoff;
use super::manifest::{self, Manifest, ManifestError};
use super::names::{NameStyle, Names};
use super::{BulkError, Observer, Summary, landing};
use crate::fhir::asynchronous::{self, AsyncError, Patience};
use crate::fhir::{Client, FhirError, TokenRule};
use crate::http::retry;
use crate::secret;

/// How to export.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the files go.
    pub folder: PathBuf,
    pub names: NameStyle,
    /// Files at a time.
    pub parallel: usize,
    /// Whether lines and counts are checked.
    pub verify: bool,
    pub file_token: FileToken,
    pub patience: Patience,
    pub again: Again,
    /// A job that runs already: it is waited for and fetched instead of starting one.
    pub status_url: Option<Url>,
    /// Leave the job and its files on the server.
    pub keep: bool,
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
    let folder_error = |source| BulkError::Folder {
        folder: options.folder.clone(),
        source,
    };
    landing::probe(&options.folder).map_err(folder_error)?;
    let request = json!({
        "fhirBase": client.profile.fhir_base.as_str(),
        "kickoff": kickoff,
        "statusUrl": options.status_url,
    });
    let mut job = Job::open(&options.folder, request, options.again)?;
    job.sweep();
    let status_url = wait_for_manifest(client, kickoff, options, observer, &mut job).await?;
    observer.listed(job.planned.len(), job.state.transaction_time.as_deref());

    let mut summary = Summary {
        transaction_time: job.state.transaction_time.clone(),
        ..Summary::default()
    };
    for fetched in fetch_all(client, &mut job, options, observer).await? {
        match fetched {
            Ok(file) => summary.files.push(file),
            Err(failure) => summary.failed.push(failure),
        }
    }
    summary.outcomes = download::outcomes_of(&summary.files);
    if summary.failed.is_empty() {
        if !options.keep
            && let Err(error) = asynchronous::delete(client, &status_url).await
        {
            observer.notice(&format!(
                "All files are here, but the job could not be deleted at the server: {error}"
            ));
        }
        let replaces_another = job.replaces_another();
        job.finish(&mut summary.files)?;
        if replaces_another {
            summary
                .files
                .iter()
                .for_each(|file| observer.file_done(file));
        }
    }
    summary.elapsed = started.elapsed();
    Ok(summary)
}

/// Brings the job to where its manifest is known, from wherever it is.
async fn wait_for_manifest(
    client: &Client,
    kickoff: &Kickoff,
    options: &Options,
    observer: &Arc<dyn Observer>,
    job: &mut Job,
) -> Result<Url, BulkError> {
    let mut first_wait = None;
    let status_url = match (job.state.status_url.clone(), &options.status_url) {
        (Some(status_url), _) => {
            observer.notice("Going on with the export that was begun here");
            status_url
        }
        (None, Some(status_url)) => {
            job.accepted(status_url)?;
            status_url.clone()
        }
        (None, None) => {
            job.kicking_off()?;
            match kick_off(client, kickoff).await {
                Ok((status_url, wait)) => {
                    first_wait = wait;
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
    observer.started(&status_url);
    let manifest = read_manifest(client, &status_url, first_wait, options.patience, observer).await;
    let manifest = match manifest {
        Ok(manifest) => manifest,
        // The links that are known may still be good although the status page is gone.
        Err(BulkError::Async(AsyncError::Gone(_))) if job.state.phase == Phase::Fetching => {
            return Ok(status_url);
        }
        Err(error) => return Err(error),
    };
    let known = std::mem::take(&mut job.planned);
    let mut names = Names::new(options.names);
    let same_files = known.len() == manifest.files.len();
    let planned = manifest.files.into_iter().enumerate().map(|(index, file)| {
        let name = names.path(&file);
        // Fresh links may be other ones: the place in the manifest says which file it is.
        let path = if same_files {
            known[index].path.clone()
        } else {
            name
        };
        Planned { file, path }
    });
    job.plan(planned.collect(), manifest.transaction_time)?;
    Ok(status_url)
}

/// Whether a kick-off that failed cannot have started a job: it was not sent, or it was refused.
fn certainly_not_started(error: &BulkError) -> bool {
    match error {
        BulkError::Fhir(FhirError::Refused(refusal)) => refusal.status.is_client_error(),
        BulkError::Fhir(FhirError::Http(error)) => error.was_not_sent(),
        BulkError::BadRequest(_)
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
) -> Result<(Url, Option<std::time::Duration>), BulkError> {
    let request = kickoff.request(client)?;
    let answer = client
        .read_once(request, TokenRule::OwnOrigins)
        .await?
        .checked()?;
    let first_wait = retry::retry_after(&answer.headers, SystemTime::now());
    Ok((asynchronous::accepted(answer)?, first_wait))
}

/// Polls the job and reads all pages of its manifest.
async fn read_manifest(
    client: &Client,
    status_url: &Url,
    first_wait: Option<std::time::Duration>,
    patience: Patience,
    observer: &Arc<dyn Observer>,
) -> Result<Manifest, BulkError> {
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
        let finished = asynchronous::wait(client, &url, wait.take(), patience, |progress| {
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
        whole.transaction_time = whole.transaction_time.or(page.transaction_time);
        whole.files.extend(page.files);
        next = page.next;
    }
    Ok(whole)
}

/// Fetches all files that are missing, some at a time; results come in manifest order.
async fn fetch_all(
    client: &Client,
    job: &mut Job,
    options: &Options,
    observer: &Arc<dyn Observer>,
) -> Result<Vec<Fetched>, BulkError> {
    let mut results: Vec<Option<Fetched>> = Vec::new();
    results.resize_with(job.planned.len(), || None);
    for (result, planned) in results.iter_mut().zip(&job.planned) {
        *result = job.exported(planned).map(Ok);
    }
    let missing: Vec<usize> = (0..results.len())
        .filter(|index| results[*index].is_none())
        .collect();
    let mut waiting = missing.into_iter();
    // Only what runs has a task: thousands of files must not cost thousands of tasks' memory.
    let mut tasks = JoinSet::new();
    loop {
        while tasks.len() < options.parallel.max(1)
            && let Some(index) = waiting.next()
        {
            let planned = &job.planned[index];
            let download = Download {
                path: job.target(planned),
                file: planned.file.clone(),
                verify: options.verify,
                file_token: options.file_token,
            };
            let (client, observer) = (client.clone(), Arc::clone(observer));
            tasks.spawn(async move {
                Ok::<_, BulkError>((index, download.run(&client, &*observer).await?))
            });
        }
        match tasks.join_next().await {
            None => return Ok(results.into_iter().flatten().collect()),
            Some(Ok(Ok((index, fetched)))) => {
                match &fetched {
                    Ok(file) => {
                        let planned = job.planned[index].clone();
                        job.record(&planned, file)?;
                        if !job.replaces_another() {
                            observer.file_done(file);
                        }
                    }
                    Err(failure) => observer.file_failed(failure),
                }
                results[index] = Some(fetched);
            }
            // Dropping the set stops the others, and their temporary files go with them.
            Some(Ok(Err(error))) => return Err(error),
            Some(Err(error)) => {
                return Err(BulkError::disk(
                    &options.folder,
                    std::io::Error::other(error),
                ));
            }
        }
    }
}
