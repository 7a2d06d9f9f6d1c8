//! One file of a manifest: streamed to its part, checked as it goes, gone on with or tried again where that can help.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;

use super::gate::Gate;
use super::ongoing::Ongoing;
use super::part::Part;
use crate::auth::AuthError;
use crate::bulk::export::error::BulkError;
use crate::bulk::export::event::{ExportedFile, FailedFile, Observer};
use crate::bulk::export::log::detail::without_queries;
use crate::bulk::export::manifest::{Group, ManifestFile};
use crate::bulk::export::options::Checksum;
use crate::bulk::export::settle::Landing;
use crate::bulk::export::sink::{Care, Unfinished};
use crate::fhir::{Client, TokenRule};
use crate::http::retry::Retry;
use crate::http::{HttpError, Response};
use crate::secret;

const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A body that reads wrong is asked for once more: a connection may have been cut where nothing marks the end.
const CONTENT_RETRIES: u32 = 1;
/// A server that says "not now" is asked this often more.
const THROTTLED_RETRIES: u32 = 8;
/// A try that brought this many bytes which the next one goes on behind does not count as a failed one.
const PROGRESS: u64 = 1 << 20;

/// A file to fetch.
#[derive(Clone, Debug)]
pub struct Download {
    pub file: ManifestFile,
    /// Where it goes.
    pub path: PathBuf,
    /// Where its bytes are until it is complete.
    pub part: Part,
    /// Whether lines, counts, checksums and lengths are checked.
    pub verify: bool,
    pub checksum: Checksum,
    /// Whether a file of one type holds resources of others (`organizeOutputBy`).
    pub is_mixed: bool,
    /// Whether it is written as gzip.
    pub compress: bool,
    pub token: TokenRule,
    pub gate: Arc<Gate>,
}

/// What came of a file that did not stop the export.
#[derive(Debug)]
pub enum Fetched {
    /// Its bytes are in its part, complete and checked; they are durable once it has landed.
    Complete(Box<(Landing, ExportedFile)>),
    Failed {
        failure: FailedFile,
        /// Whether the manifest may hold a fresh link by now.
        by_link: bool,
    },
}

/// Why one try failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// May work the next time.
    Passing(Reason),
    /// Too much or too early; the server may have said when.
    Throttled(Reason, Option<Duration>),
    /// The bytes came, but they are not what was promised.
    Content(Reason),
    /// Not there, which some servers say too early.
    NotFound(Reason),
    /// The link is not good (any more).
    Link(Reason),
    /// Will not work again.
    Lasting(Reason),
    /// The disk: no other file will fare better.
    Disk(io::Error),
    /// No token: no other file will fare better.
    Auth(AuthError),
}

/// What went wrong in words, with the status of the answer when it was that.
#[derive(Clone, Debug)]
pub(super) struct Reason {
    pub(super) words: String,
    pub(super) code: Option<u16>,
}

impl From<String> for Reason {
    fn from(words: String) -> Self {
        let words = without_queries(&words);
        Self { words, code: None }
    }
}

impl Download {
    /// Fetches the file.
    ///
    /// # Errors
    /// What stops the whole export: the disk, or no token.
    // Long because what each failure costs stands in one match.
    pub async fn run(
        &self,
        client: &Client,
        observer: &dyn Observer,
    ) -> Result<Fetched, BulkError> {
        let retries = || Retry::new(client.http.network.retries.saturating_add(1), LONGEST_WAIT);
        let mut retry = retries();
        let mut throttled = Retry::new(THROTTLED_RETRIES, LONGEST_WAIT);
        let mut content_retries = CONTENT_RETRIES;
        let mut not_found_before = false;
        if self.file.contradicts {
            let words = "the manifest lists it twice and promises different things of it";
            let failure = self.failure(words.to_owned().into());
            let by_link = false;
            return Ok(Fetched::Failed { failure, by_link });
        }
        let mut ongoing = Ongoing::left(&self.part, &self.file.link.identity(), self.care());
        let mut furthest = ongoing.as_ref().map_or(0, Ongoing::received);
        loop {
            self.gate.open().await;
            observer.file_requested(&self.file, &self.path);
            let failed = match self.attempt(client, observer, &mut ongoing).await {
                Ok(complete) => {
                    self.gate.went_well();
                    return Ok(Fetched::Complete(Box::new(complete)));
                }
                Err(failed) => failed,
            };
            let received = ongoing.as_ref().map_or(0, Ongoing::received);
            if received >= furthest + PROGRESS {
                // It gets on. From the start again, and never further, it does not.
                (retry, furthest) = (retries(), received);
            }
            let is_content = matches!(failed, Failed::Content(_));
            let by_link = matches!(failed, Failed::NotFound(_) | Failed::Link(_));
            let (reason, wait) = match failed {
                Failed::Passing(reason) => (reason, retry.wait(None)),
                Failed::Throttled(reason, asked) => {
                    let wait = throttled.wait(asked);
                    self.gate.slow_down(wait.unwrap_or_default());
                    (reason, wait)
                }
                Failed::Content(reason) => {
                    ongoing = None;
                    self.part.remove();
                    let again = content_retries > 0;
                    content_retries = content_retries.saturating_sub(1);
                    (reason, again.then(|| retry.wait(None)).flatten())
                }
                // BCDA answers 404 for files that are there a moment later.
                Failed::NotFound(reason) if !not_found_before => {
                    not_found_before = true;
                    (reason, retry.wait(None))
                }
                Failed::NotFound(reason) | Failed::Link(reason) | Failed::Lasting(reason) => {
                    (reason, None)
                }
                Failed::Disk(source) => return Err(self.disk(source)),
                Failed::Auth(error) => return Err(BulkError::Fhir(error.into())),
            };
            let failure = FailedFile {
                is_content,
                ..self.failure(reason)
            };
            observer.file_try_failed(&failure, wait);
            let Some(wait) = wait else {
                return Ok(Fetched::Failed { failure, by_link });
            };
            observer.file_retried(&self.file.link.url(), &failure.reason, wait);
            crate::http::clock::sleep(wait).await;
        }
    }

    fn disk(&self, source: io::Error) -> BulkError {
        BulkError::disk(&self.path, source)
    }

    fn failure(&self, reason: Reason) -> FailedFile {
        FailedFile {
            url: secret::url_without_query(&self.file.link.url()),
            path: self.path.clone(),
            code: reason.code,
            is_content: false,
            group: self.file.group,
            resource_type: self.file.resource_type.as_deref().map(str::to_owned),
            reason: reason.words,
        }
    }

    fn care(&self) -> Care<'_> {
        Care {
            check: self.verify.then(|| self.expected_type()),
            // A Binary that is promised is left as it is.
            may_be_wrapped: self.file.resource_type.as_deref() != Some("Binary"),
            outcomes: self.file.group == Group::Error,
            digest: self.digest(),
            compress: self.compress,
        }
    }

    // Long because each step may end what is under way.
    async fn attempt(
        &self,
        client: &Client,
        observer: &dyn Observer,
        ongoing: &mut Option<Ongoing>,
    ) -> Result<(Landing, ExportedFile), Failed> {
        let broken_off = ongoing.as_ref().and_then(Ongoing::broken_off);
        let mut answer = self.ask(client, broken_off.as_ref()).await?;
        if let Some(broken_off) = broken_off
            && answer.status != StatusCode::OK
            && !broken_off.continues(answer.status, &answer.headers)
        {
            // What came does not prove that it fits: the whole file again.
            *ongoing = None;
            answer = self.ask(client, None).await?;
        }
        match ongoing {
            Some(under_way) if answer.status == StatusCode::PARTIAL_CONTENT => {
                under_way.learn_whole(&answer);
            }
            _ => *ongoing = None,
        }
        let under_way = if let Some(under_way) = ongoing {
            under_way
        } else {
            let link = self.file.link.identity();
            let begun = Ongoing::begin(&self.part, link, self.care(), &answer);
            ongoing.insert(begun.map_err(Failed::Disk)?)
        };
        if answer.status == StatusCode::OK && !answer.body.has_end() && !self.can_be_told_whole() {
            self.gate.say_once(|| {
                observer.warning(
                    "The server says of some files neither how long they are nor how many resources they hold: \
                     whether those came whole cannot be told.",
                );
            });
        }
        if let Err(failed) = self.stream(answer, under_way, observer).await {
            if matches!(failed, Failed::Content(_)) {
                under_way.spoil();
            }
            if under_way.broken_off().is_none() {
                *ongoing = None;
            }
            return Err(failed);
        }
        if let Some(whole) = under_way.wants() {
            let received = under_way.received();
            let words = format!("{received} bytes came of a file of {whole}");
            if received < whole {
                return Err(Failed::Passing(words.into()));
            }
            under_way.spoil();
            *ongoing = None;
            return Err(Failed::Content(words.into()));
        }
        match ongoing.take() {
            Some(whole) => self.complete(whole),
            None => Err(Failed::Passing("nothing came".to_owned().into())),
        }
    }

    /// Takes the bytes of an answer.
    async fn stream(
        &self,
        answer: Response,
        ongoing: &mut Ongoing,
        observer: &dyn Observer,
    ) -> Result<(), Failed> {
        let mut body = answer.body;
        let promised = body.wire_length();
        let mut came = 0_u64;
        while let Some(chunk) = body.chunk().await.map_err(|error| match error {
            HttpError::Encoding { .. } => Failed::Lasting(error.to_string().into()),
            _ => Failed::Passing(error.to_string().into()),
        })? {
            came += chunk.len() as u64;
            ongoing
                .write(&chunk)
                .map_err(|error| match ongoing.target().complaint.take() {
                    Some(complaint) => Failed::Content(complaint.into()),
                    None if matches!(
                        error.kind(),
                        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
                    ) =>
                    {
                        Failed::Content(format!("the data on the wire is broken: {error}").into())
                    }
                    None => Failed::Disk(error),
                })?;
            observer.received(chunk.len() as u64);
            if let Some(words) = self.is_more_than_promised(ongoing) {
                return Err(Failed::Content(words.into()));
            }
        }
        match promised {
            Some(promised) if promised != came => Err(Failed::Passing(
                format!("{came} of {promised} bytes came").into(),
            )),
            _ => Ok(()),
        }
    }

    fn complete(&self, whole: Ongoing) -> Result<(Landing, ExportedFile), Failed> {
        let wire = whole.received();
        let etag = whole.etag();
        let lines = whole
            .finish()
            .map_err(|error| match error.kind() {
                io::ErrorKind::Other => Failed::Content(error.to_string().into()),
                _ => Failed::Content(format!("the data are not complete: {error}").into()),
            })?
            .finish()
            .map_err(|error| match error {
                Unfinished::Disk(error) => Failed::Disk(error),
                Unfinished::Lines(reason) => Failed::Content(reason.into()),
            })?;
        if let Some((promised, found)) = self
            .file
            .count
            .zip(lines.resources)
            .filter(|(promised, found)| promised != found)
        {
            return Err(Failed::Content(
                format!("the manifest promises {promised} resources and the file holds {found}")
                    .into(),
            ));
        }
        if self.verify {
            let promise = &self.file.promise;
            promise
                .check(lines.digest, lines.bytes, wire)
                .map_err(|reason| Failed::Content(reason.into()))?;
        }
        let bytes = lines.file.metadata().map_err(Failed::Disk)?.len();
        let exported = ExportedFile {
            path: self.path.clone(),
            group: self.file.group,
            resource_type: self.file.resource_type.as_deref().map(str::to_owned),
            resources: lines.resources,
            bytes,
            digest: lines.digest,
            etag,
            outcomes: lines.outcomes,
        };
        let landing = Landing {
            file: lines.file,
            part: self.part.clone(),
            path: self.path.clone(),
            replaces: Vec::new(),
        };
        Ok((landing, exported))
    }

    fn expected_type(&self) -> Option<&str> {
        match self.file.group {
            Group::Output if self.is_mixed => {
                // By such a type only resources of it can be meant.
                let stated = self.file.resource_type.as_deref();
                stated.filter(|stated| matches!(*stated, "OperationOutcome" | "Bundle"))
            }
            Group::Output => self.file.resource_type.as_deref(),
            Group::Deleted => Some("Bundle"),
            Group::Error => Some("OperationOutcome"),
        }
    }
}
