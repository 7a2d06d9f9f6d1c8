//! One file of a manifest: streamed to a temporary file, checked as it goes, tried again where that can help.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};
use tempfile::NamedTempFile;

use super::manifest::{Group, ManifestFile};
use super::outcomes::Counter;
use super::{BulkError, ExportedFile, FailedFile, Observer, Outcomes, landing};
use crate::auth::AuthError;
use crate::fhir::ndjson::Checker;
use crate::fhir::{Client, FhirError, Refusal, TokenRule};
use crate::http::body::Sink;
use crate::http::retry::{self, Retry};
use crate::http::{HttpError, Request, Response};
use crate::{secret, words};

/// Tries after the first. AB2D allows a file six times in all.
const RETRIES: u32 = 4;
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A body that reads wrong is asked for once more: a connection may have been cut where nothing marks the end.
const CONTENT_RETRIES: u32 = 1;
const BUFFER: usize = 256 << 10;

/// A file to fetch.
#[derive(Clone, Debug)]
pub struct Download {
    pub file: ManifestFile,
    /// Where it goes.
    pub path: PathBuf,
    /// Whether lines and counts are checked.
    pub verify: bool,
    pub file_token: FileToken,
}

/// Whether files get the token; servers state it wrongly at times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileToken {
    /// As the manifest says (`requiresAccessToken`).
    #[default]
    Auto,
    Always,
    Never,
}

/// What came of a file that did not stop the export.
pub type Fetched = Result<ExportedFile, FailedFile>;

/// Why one try failed.
enum Failure {
    /// May work the next time; the server may have said when.
    Passing(String, Option<Duration>),
    /// The bytes came, but they are not what was promised.
    Content(String),
    /// Not there, which some servers say too early.
    NotFound(String),
    /// Will not work again.
    Lasting(String),
    /// The disk: no other file will fare better.
    Disk(io::Error),
    /// No token: no other file will fare better.
    Auth(AuthError),
}

impl Download {
    /// Fetches the file and gives it its name.
    ///
    /// # Errors
    /// What stops the whole export: the disk, or no token.
    pub async fn run(self, client: &Client, observer: &dyn Observer) -> Result<Fetched, BulkError> {
        let mut retry = Retry::new(RETRIES, LONGEST_WAIT);
        let mut content_retries = CONTENT_RETRIES;
        let mut not_found_before = false;
        loop {
            let failure = match self.attempt(client, observer).await {
                Ok(done) => return Ok(Ok(done)),
                Err(failure) => failure,
            };
            let (reason, wait) = match failure {
                Failure::Passing(reason, asked) => {
                    let wait = retry.wait(asked);
                    (reason, wait)
                }
                Failure::Content(reason) => {
                    let again = content_retries > 0;
                    content_retries = content_retries.saturating_sub(1);
                    let wait = again.then(|| retry.wait(None)).flatten();
                    (reason, wait)
                }
                // BCDA answers 404 for files that are there a moment later.
                Failure::NotFound(reason) if !not_found_before => {
                    not_found_before = true;
                    (reason, retry.wait(None))
                }
                Failure::NotFound(reason) | Failure::Lasting(reason) => (reason, None),
                Failure::Disk(source) => return Err(BulkError::disk(&self.path, source)),
                Failure::Auth(error) => return Err(BulkError::Fhir(error.into())),
            };
            let Some(wait) = wait else {
                return Ok(Err(self.failed(reason)));
            };
            observer.file_retried(&self.file.url, &reason, wait);
            tokio::time::sleep(wait).await;
        }
    }

    fn failed(&self, reason: String) -> FailedFile {
        FailedFile {
            url: secret::url_for_people(&self.file.url),
            group: self.file.group,
            resource_type: self.file.resource_type.clone(),
            reason,
        }
    }

    async fn attempt(
        &self,
        client: &Client,
        observer: &dyn Observer,
    ) -> Result<ExportedFile, Failure> {
        let answer = self.ask(client).await?;
        let mut body = answer.body;
        let wire_length = body.wire_length();
        let gzip = body.is_gzip();
        let file = landing::temporary_for(&self.path).map_err(Failure::Disk)?;
        let mut sink = Sink::new(gzip, Target::new(file, self));
        let mut wire_bytes = 0_u64;
        while let Some(chunk) = body.chunk().await.map_err(|error| match error {
            HttpError::Encoding { .. } => Failure::Lasting(error.to_string()),
            _ => Failure::Passing(error.to_string(), None),
        })? {
            wire_bytes += chunk.len() as u64;
            sink.write(&chunk)
                .map_err(|error| Self::write_failure(error, sink.get_mut()))?;
            observer.received(chunk.len() as u64);
        }
        if let Some(promised) = wire_length.filter(|promised| *promised != wire_bytes) {
            return Err(Failure::Passing(
                format!("{wire_bytes} of {promised} bytes came"),
                None,
            ));
        }
        let target = sink
            .finish()
            .map_err(|error| Failure::Content(format!("the gzip data is not complete: {error}")))?;
        self.complete(target).await
    }

    async fn ask(&self, client: &Client) -> Result<Response, Failure> {
        let request = Request::new(Method::GET, self.file.url.clone())
            .header(ACCEPT, HeaderValue::from_static("application/fhir+ndjson"));
        let answer = client
            .send_with(request, self.token_rule(client), 0)
            .await
            .map_err(|error| match error {
                FhirError::Auth(AuthError::Http(error)) => {
                    Failure::Passing(error.to_string(), None)
                }
                FhirError::Auth(error) => Failure::Auth(error),
                FhirError::Http(error @ HttpError::Setup { .. }) => {
                    Failure::Lasting(error.to_string())
                }
                FhirError::Http(error) => Failure::Passing(error.to_string(), None),
                error => Failure::Lasting(error.to_string()),
            })?;
        if !matches!(answer.status, StatusCode::OK | StatusCode::NO_CONTENT) {
            let asked = retry::retry_after(&answer.headers, SystemTime::now());
            let refusal = Refusal::read(Method::GET, answer).await;
            let reason = refusal.to_string();
            return Err(match refusal.status.as_u16() {
                404 => Failure::NotFound(reason),
                500 | 502 | 503 | 504 | 429 => Failure::Passing(reason, asked),
                _ if refusal.is_transient => Failure::Passing(reason, asked),
                _ => Failure::Lasting(reason),
            });
        }
        let content_type = answer.header(CONTENT_TYPE).unwrap_or_default();
        if words::is_html(content_type, "") {
            let refusal = Refusal::read(Method::GET, answer).await;
            return Err(Failure::Lasting(format!("it is not NDJSON: {refusal}")));
        }
        Ok(answer)
    }

    /// The manifest decides, not the host: signed URLs fail with a token, foreign ones that ask for it get it, but
    /// never in clear text when the server itself speaks https.
    fn token_rule(&self, client: &Client) -> TokenRule {
        let secure =
            self.file.url.scheme() == "https" || client.profile.fhir_base.scheme() == "http";
        let wanted = match self.file_token {
            FileToken::Auto => self.file.requires_access_token,
            FileToken::Always => true,
            FileToken::Never => false,
        };
        if wanted && secure {
            TokenRule::FirstRequest
        } else {
            TokenRule::Never
        }
    }

    /// A write fails because of the disk, or because the bytes are not what they should be.
    fn write_failure(error: io::Error, target: &mut Target) -> Failure {
        match target.complaint.take() {
            Some(complaint) => Failure::Content(complaint),
            None if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
            ) =>
            {
                Failure::Content(format!("the gzip data is broken: {error}"))
            }
            None => Failure::Disk(error),
        }
    }

    async fn complete(&self, target: Target) -> Result<ExportedFile, Failure> {
        let resources = match target.checker {
            Some(checker) => {
                checker
                    .finish()
                    .map_err(|error| Failure::Content(error.to_string()))?
                    .resources
            }
            None => 0,
        };
        if let Some(promised) = self
            .file
            .count
            .filter(|promised| self.verify && *promised != resources)
        {
            return Err(Failure::Content(format!(
                "the manifest promises {promised} resources and the file holds {resources}"
            )));
        }
        let file = target
            .writer
            .into_inner()
            .map_err(|error| Failure::Disk(error.into_error()))?;
        landing::land(file, &self.path)
            .await
            .map_err(Failure::Disk)?;
        Ok(ExportedFile {
            path: self.path.clone(),
            group: self.file.group,
            resource_type: self.file.resource_type.clone(),
            resources,
            bytes: target.bytes,
            outcomes: target.outcomes.map(Counter::finish).unwrap_or_default(),
        })
    }

    fn expected_type(&self) -> Option<&str> {
        match self.file.group {
            Group::Output => self.file.resource_type.as_deref(),
            Group::Deleted => Some("Bundle"),
            Group::Error => Some("OperationOutcome"),
        }
    }
}

/// Where decoded bytes go: the line check, the count of outcomes, the file.
struct Target {
    writer: BufWriter<NamedTempFile>,
    checker: Option<Checker>,
    outcomes: Option<Counter>,
    bytes: u64,
    complaint: Option<String>,
}

impl Target {
    fn new(file: NamedTempFile, download: &Download) -> Self {
        Self {
            writer: BufWriter::with_capacity(BUFFER, file),
            checker: download
                .verify
                .then(|| Checker::new(download.expected_type())),
            outcomes: (download.file.group == Group::Error).then(Counter::default),
            bytes: 0,
            complaint: None,
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(checker) = &mut self.checker
            && let Err(error) = checker.feed(bytes)
        {
            self.complaint = Some(error.to_string());
            return Err(io::Error::other("the content is wrong"));
        }
        if let Some(outcomes) = &mut self.outcomes {
            outcomes.feed(bytes);
        }
        self.writer.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// The folder a path lies in is there, for a summary that names files by it.
pub fn relative_to<'a>(path: &'a Path, folder: &Path) -> &'a Path {
    path.strip_prefix(folder).unwrap_or(path)
}

/// What the outcome files of an export say together.
pub fn outcomes_of(files: &[ExportedFile]) -> Outcomes {
    let mut all = Outcomes::default();
    for file in files {
        all.add(&file.outcomes);
    }
    all
}
