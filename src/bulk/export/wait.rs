//! The server works: polls until it is done, then reads all pages of the manifest.

use std::collections::HashSet;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use flate2::read::MultiGzDecoder;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use tokio::sync::mpsc;
use tokio::task::JoinError;
use url::Url;

use super::error::BulkError;
use super::event::Observer;
use super::instant;
use super::listing::Listing;
use super::log::Log;
use super::manifest::{Manifest, ManifestError};
use super::page;
use crate::fhir::asynchronous::{self, AsyncError, Patience};
use crate::fhir::{Client, FhirError};
use crate::http::body::Body;
use crate::http::retry::Retry;
use crate::http::{HttpError, Response};
use crate::secret;
use crate::words::number_of;

/// The most pages that a manifest may have.
const MOST_PAGES: usize = 10_000;
/// The most bytes of one page, decoded.
const LARGEST_PAGE: u64 = 1 << 30;
/// Chunks of a page that wait to be read.
const CHUNKS: usize = 4;
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Reads the manifest of the job again.
pub(super) trait Links: Send + Sync {
    /// The manifest as it is now, and what it lists; `None` when it cannot be had.
    fn read(&self, into: Listing) -> impl Future<Output = Option<(Manifest, Listing)>> + Send;
}

/// Reads the manifest of a finished job again.
pub(super) struct Reread<'a> {
    pub(super) client: &'a Client,
    pub(super) status_url: &'a Url,
    pub(super) observer: &'a Arc<dyn Observer>,
}

impl Links for Reread<'_> {
    async fn read(&self, into: Listing) -> Option<(Manifest, Listing)> {
        let patience = Patience {
            max_wait: Some(Duration::from_secs(120)),
            ..Patience::default()
        };
        let (client, observer) = (self.client, self.observer);
        let manifest = read_manifest(
            client,
            self.status_url,
            None,
            patience,
            observer,
            None,
            into,
        );
        manifest.await.ok()
    }
}

/// Polls the job and reads all pages of its manifest.
// Long because every limit of a manifest in pages stands in its loop.
pub(super) async fn read_manifest(
    client: &Client,
    status_url: &Url,
    first_wait: Option<Duration>,
    patience: Patience,
    observer: &Arc<dyn Observer>,
    log: Option<&Log>,
    mut listing: Listing,
) -> Result<(Manifest, Listing), BulkError> {
    let mut pages = 0;
    let started = Instant::now();
    let mut whole = Manifest::default();
    let mut seen = HashSet::new();
    let mut next = Some(status_url.clone());
    let mut wait = first_wait;
    while let Some(url) = next {
        let shown = || secret::url_for_people(&url);
        if !seen.insert(url.clone()) {
            return Err(ManifestError::Loop { url: shown() }.into());
        }
        if pages == MOST_PAGES {
            let (url, pages) = (shown(), MOST_PAGES);
            return Err(ManifestError::Endless { url, pages }.into());
        }
        let left = Patience {
            max_wait: patience
                .max_wait
                .map(|longest| longest.saturating_sub(started.elapsed())),
            ..patience
        };
        if pages > 0 && left.max_wait.is_some_and(|left| left.is_zero()) {
            return Err(too_long(started, status_url));
        }
        let page = read_page(client, &url, wait.take(), left, observer, listing);
        let (page, grown) = match left.max_wait.filter(|_| pages > 0) {
            // The first one is waited for as long as the job works; all others are there.
            Some(left) => tokio::time::timeout(left, page)
                .await
                .map_err(|_| too_long(started, status_url))?,
            None => page.await,
        }?;
        listing = grown;
        pages += 1;
        if let Some(log) = log {
            log.page(pages, &page);
        }
        next = add(&mut whole, page);
        if listing.len() > page::MOST_FILES {
            let what = "more than a million files".to_owned();
            return Err(ManifestError::TooLarge { url: shown(), what }.into());
        }
    }
    // Any list that is empty reads like one without files; whoever means that says of when it is.
    if whole.transaction_time.is_none() && whole.counts == [0; 3] {
        return Err(ManifestError::NotAManifest {
            url: secret::url_for_people(status_url),
            found: "JSON that lists no file and has no transactionTime".to_owned(),
        }
        .into());
    }
    let repeated = listing.without_repetitions().map_err(unkept)?;
    if repeated != [0; 3] {
        for (all, repeated) in whole.counts.iter_mut().zip(repeated) {
            *all -= repeated;
        }
        observer.notice(&format!(
            "The manifest lists {} a second time; each is fetched once.",
            number_of(repeated.iter().sum::<usize>(), "file")
        ));
    }
    if let Some((number, odd)) = &whole.odd_counts {
        observer.warning(&format!(
            "The manifest gives {} that are no number of resources, such as {odd}: nothing is checked by them.",
            number_of(*number, "count")
        ));
    }
    if let Some(log) = log {
        log.manifest(pages, &whole);
    }
    Ok((whole, listing))
}

fn too_long(started: Instant, status_url: &Url) -> BulkError {
    let status_url = secret::url_for_people(status_url);
    let waited = started.elapsed();
    AsyncError::TooLong { waited, status_url }.into()
}

/// Adds a page to those before it, and tells the next one. What holds for all is the earliest time: nothing later is in all of them.
fn add(whole: &mut Manifest, page: Manifest) -> Option<Url> {
    whole.transaction_time = instant::earlier(whole.transaction_time.take(), page.transaction_time);
    whole.request = whole.request.take().or(page.request);
    whole.requires_access_token |= page.requires_access_token;
    match (&mut whole.odd_counts, page.odd_counts) {
        (Some(before), Some(more)) => before.0 += more.0,
        (before, more) => *before = before.take().or(more),
    }
    for (all, more) in whole.counts.iter_mut().zip(page.counts) {
        *all += more;
    }
    page.next
}

/// One page; it is asked for again when it breaks off.
async fn read_page(
    client: &Client,
    url: &Url,
    first_wait: Option<Duration>,
    patience: Patience,
    observer: &Arc<dyn Observer>,
    mut listing: Listing,
) -> Result<(Manifest, Listing), BulkError> {
    let mut retry = Retry::new(client.http.network.retries.max(1), LONGEST_WAIT);
    let mut first_wait = first_wait;
    loop {
        let answer =
            asynchronous::wait_open(client, url, first_wait.take(), patience, |progress| {
                observer.polled(progress);
            })
            .await?;
        if answer.status == StatusCode::NO_CONTENT {
            return Err(AsyncError::NoJob {
                method: Method::GET,
                url: secret::url_for_people(url),
                status: answer.status,
                location: "and no manifest".into(),
                words: String::new(),
            }
            .into());
        }
        let (page, back) = stream(answer, listing).await?;
        listing = back;
        match page {
            Err(BulkError::Fhir(FhirError::Http(error))) if !error.is_lasting() => {
                let Some(wait) = retry.wait(None) else {
                    return Err(BulkError::Fhir(error.into()));
                };
                tokio::time::sleep(wait).await;
            }
            page => return Ok((page?, listing)),
        }
    }
}

/// A page, and the listing whether it could be read or not.
type Streamed = (Result<Manifest, BulkError>, Listing);

/// Reads a page as it comes.
async fn stream(answer: Response, mut listing: Listing) -> Result<Streamed, BulkError> {
    let content_type = answer.header(CONTENT_TYPE).unwrap_or_default().to_owned();
    let Response { url, body, .. } = answer;
    let is_gzip = body.is_gzip();
    let (sender, receiver) = mpsc::channel(CHUNKS);
    let reader = tokio::task::spawn_blocking(move || {
        let source = Chunks {
            receiver,
            chunk: Bytes::new(),
        };
        let page = if is_gzip {
            let decoded = MultiGzDecoder::new(source).take(LARGEST_PAGE);
            page::read(&url, &content_type, decoded, &mut listing)
        } else {
            let source = source.take(LARGEST_PAGE);
            page::read(&url, &content_type, source, &mut listing)
        };
        (page, listing)
    });
    let sent = send(body, sender).await;
    let ended = |error| BulkError::disk(Path::new("the manifest"), io::Error::other(error));
    let (read, listing) = reader.await.map_err(|error: JoinError| ended(error))?;
    let page = match (read, sent) {
        (Ok(page), _) => Ok(page),
        (Err(ManifestError::Unkept(error)), _) => Err(unkept(error)),
        (Err(_), Err(error)) => Err(BulkError::Fhir(error.into())),
        (Err(error), Ok(())) => Err(error.into()),
    };
    Ok((page, listing))
}

/// The disk does not take what the manifest lists.
fn unkept(error: io::Error) -> BulkError {
    BulkError::disk(Path::new("what the manifest lists"), error)
}

/// Sends the chunks of a body to whoever reads it, until they want no more.
async fn send(mut body: Body, sender: mpsc::Sender<Bytes>) -> Result<(), HttpError> {
    while let Some(chunk) = body.chunk().await? {
        if sender.send(chunk).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// The chunks of a body, read where reading may wait.
struct Chunks {
    receiver: mpsc::Receiver<Bytes>,
    chunk: Bytes,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.receiver.blocking_recv() {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(0),
            }
        }
        let read = buffer.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut buffer[..read]);
        Ok(read)
    }
}
