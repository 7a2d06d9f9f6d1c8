//! The whole export: kick-off, poll, manifest pages, all files, summary.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use reqwest::{Method, StatusCode};
use tokio::task::JoinSet;
use url::Url;

use super::download::{self, Download, Fetched, FileToken};
use super::kickoff::Kickoff;
use super::manifest::{self, Manifest, ManifestError};
use super::names::{NameStyle, Names};
use super::{BulkError, Observer, Summary, landing};
use crate::fhir::asynchronous::{self, AsyncError, Patience};
use crate::fhir::{Client, TokenRule};
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
    /// A job that runs already: it is waited for and fetched instead of starting one.
    pub status_url: Option<Url>,
    /// Leave the job and its files on the server.
    pub keep: bool,
}

/// Runs an export to its end. Whatever could be had is on disk when it returns; the summary says what is missing.
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
    landing::probe(&options.folder).map_err(|source| BulkError::Folder {
        folder: options.folder.clone(),
        source,
    })?;
    let (status_url, first_wait) = match &options.status_url {
        Some(status_url) => (status_url.clone(), None),
        None => kick_off(client, kickoff).await?,
    };
    observer.started(&status_url);
    let manifest =
        read_manifest(client, &status_url, first_wait, options.patience, observer).await?;
    observer.listed(manifest.files.len(), manifest.transaction_time.as_deref());

    let mut summary = Summary {
        transaction_time: manifest.transaction_time.clone(),
        ..Summary::default()
    };
    for fetched in fetch_all(client, manifest, options, observer).await? {
        match fetched {
            Ok(file) => summary.files.push(file),
            Err(failure) => summary.failed.push(failure),
        }
    }
    summary.outcomes = download::outcomes_of(&summary.files);
    if summary.failed.is_empty()
        && !options.keep
        && let Err(error) = asynchronous::delete(client, &status_url).await
    {
        observer.notice(&format!(
            "All files are here, but the job could not be deleted at the server: {error}"
        ));
    }
    summary.elapsed = started.elapsed();
    Ok(summary)
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
        let page = manifest::parse(&finished.url, finished.content_type(), &finished.body)?;
        whole.transaction_time = whole.transaction_time.or(page.transaction_time);
        whole.files.extend(page.files);
        next = page.next;
    }
    Ok(whole)
}

/// Fetches all files, some at a time; results come in manifest order.
async fn fetch_all(
    client: &Client,
    manifest: Manifest,
    options: &Options,
    observer: &Arc<dyn Observer>,
) -> Result<Vec<Fetched>, BulkError> {
    let mut names = Names::new(options.names);
    let mut waiting = manifest.files.into_iter().enumerate();
    let mut results: Vec<Option<Fetched>> = Vec::new();
    results.resize_with(waiting.len(), || None);
    // Only what runs has a task: thousands of files must not cost thousands of tasks' memory.
    let mut tasks = JoinSet::new();
    loop {
        while tasks.len() < options.parallel.max(1)
            && let Some((index, file)) = waiting.next()
        {
            let download = Download {
                path: absolute(&options.folder, &names.path(&file)),
                file,
                verify: options.verify,
                file_token: options.file_token,
            };
            let (client, observer) = (client.clone(), Arc::clone(observer));
            tasks.spawn(async move {
                let fetched = download.run(&client, &*observer).await?;
                match &fetched {
                    Ok(file) => observer.file_done(file),
                    Err(failure) => observer.file_failed(failure),
                }
                Ok::<_, BulkError>((index, fetched))
            });
        }
        match tasks.join_next().await {
            None => return Ok(results.into_iter().flatten().collect()),
            Some(Ok(Ok((index, fetched)))) => results[index] = Some(fetched),
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

fn absolute(folder: &Path, name: &Path) -> PathBuf {
    let path = folder.join(name);
    std::path::absolute(&path).unwrap_or(path)
}
