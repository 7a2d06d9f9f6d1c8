//! The server works: polls until it is done, then reads all pages of the manifest.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use url::Url;

use super::error::BulkError;
use super::event::Observer;
use super::fetch::Links;
use super::log::Log;
use super::manifest::{self, Manifest, ManifestError};
use crate::fhir::Client;
use crate::fhir::asynchronous::{self, AsyncError, Patience};
use crate::secret;
use crate::words::number_of;

/// Reads the manifest of a finished job again.
pub(super) struct Reread<'a> {
    pub(super) client: &'a Client,
    pub(super) status_url: &'a Url,
    pub(super) observer: &'a Arc<dyn Observer>,
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
pub(super) async fn read_manifest(
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
