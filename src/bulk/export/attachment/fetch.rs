//! One attachment: the bytes themselves, whether the server sends them as they are or inside a Binary in JSON.

use std::io::{self, Write};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};
use url::Url;

use super::{Absent, Found, Source, essence, judge};
use crate::auth::AuthError;
use crate::bulk::export::error::BulkError;
use crate::bulk::export::event::Observer;
use crate::bulk::export::layout;
use crate::bulk::export::sink::unwrap::Unwrap;
use crate::fhir::{FHIR_JSON, FhirError, Refusal};
use crate::http::retry::Retry;
use crate::http::unpack::Sink;
use crate::http::{HttpError, Request, Response, retry};
use crate::words;

/// A server that says "not now" is asked this often more.
const RETRIES: u32 = 6;
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What came of an attachment.
pub(super) enum Fetched<W> {
    Here(W),
    /// Its content came whole, and is not what the resource says of it: another resource may say something else.
    Different(W, Absent),
    Absent(Absent),
}

/// What came, and in words what of it is not what the resource says; it may be the next time.
type Came<W> = (W, Result<(), String>);

/// Why a try failed.
enum Failed {
    /// May work the next time.
    Passing(String),
    Lasting(Absent),
    /// The disk, or no token: no other attachment will fare better.
    Stop(BulkError),
}

/// Counts and hashes what passes, and stops what is larger than wanted.
struct Measured<W> {
    target: W,
    bytes: u64,
    largest: u64,
    is_too_large: bool,
    /// How it begins.
    head: Vec<u8>,
    sha1: Option<Context>,
}

/// Bytes that tell what a text is.
const HEAD: usize = 400;

impl<W: Write> Write for Measured<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.largest {
            self.is_too_large = true;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too large"));
        }
        if let Some(sha1) = &mut self.sha1 {
            sha1.update(bytes);
        }
        let room = HEAD - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.target.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.flush()
    }
}

impl Source {
    /// Fetches an attachment into what `target` makes, which is made anew for every try.
    ///
    /// # Errors
    /// What stops the whole export: the disk, or no token.
    pub(super) async fn fetch<W: Write + Send>(
        &self,
        found: &Found,
        url: &Url,
        observer: &dyn Observer,
        mut target: impl FnMut() -> Result<W, BulkError> + Send,
    ) -> Result<Fetched<W>, BulkError> {
        let mut retry = Retry::new(
            self.client.http.network.retries.saturating_add(1),
            LONGEST_WAIT,
        );
        if let Some(data) = &found.data {
            let mut target = target()?;
            let written = target.write_all(data).and_then(|()| target.flush());
            written.map_err(|source| {
                BulkError::disk(std::path::Path::new(layout::ATTACHMENTS), source)
            })?;
            let size = data.len() as u64;
            return Ok(match self.wants_size(size) {
                Ok(()) => Fetched::Here(target),
                Err(absent) => Fetched::Absent(absent),
            });
        }
        loop {
            let tried = self.attempt(found, url, observer, target()?).await;
            let (reason, different) = match tried {
                Ok((target, Ok(()))) => {
                    self.gate.went_well();
                    return Ok(Fetched::Here(target));
                }
                Ok((target, Err(reason))) => (reason, Some(target)),
                Err(Failed::Passing(reason)) => (reason, None),
                Err(Failed::Lasting(absent)) => return Ok(Fetched::Absent(absent)),
                Err(Failed::Stop(error)) => return Err(error),
            };
            let Some(wait) = retry.wait(None) else {
                let absent = Absent::Missing(reason);
                return Ok(match different {
                    Some(target) => Fetched::Different(target, absent),
                    None => Fetched::Absent(absent),
                });
            };
            observer.file_retried(url, &reason, wait);
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt<W: Write>(
        &self,
        found: &Found,
        url: &Url,
        observer: &dyn Observer,
        target: W,
    ) -> Result<Came<W>, Failed> {
        let answer = self.ask(found, url).await?;
        let is_in_json = self.is_in_json(found, &answer)?;
        let may_be_binary = is_json(&essence(answer.header(CONTENT_TYPE).unwrap_or_default()));
        let mut body = answer.body;
        let checks_hash = self.verify && found.hash.is_some();
        let measured = Measured {
            target,
            bytes: 0,
            largest: self.largest().unwrap_or(u64::MAX),
            is_too_large: false,
            head: Vec::new(),
            sha1: checks_hash.then(|| Context::new(&SHA1_FOR_LEGACY_USE_ONLY)),
        };
        // A server may give the resource where its content was asked for, also when that is JSON itself.
        let unwrap = if may_be_binary {
            Unwrap::of_any(measured)
        } else {
            Unwrap::new(measured, false)
        };
        let promised = body.wire_length();
        let mut came = 0;
        let mut sink = Sink::new(body.is_gzip(), unwrap);
        while let Some(chunk) = body.chunk().await.map_err(|error| match error {
            HttpError::Encoding { .. } => missing(&error),
            _ => Failed::Passing(error.to_string()),
        })? {
            came += chunk.len() as u64;
            observer.received(chunk.len() as u64);
            if let Err(error) = sink.write(&chunk) {
                return Err(self.unwritten(&error, sink.get_mut().get_mut().is_too_large));
            }
        }
        if promised.is_some_and(|promised| promised != came) {
            let reason = format!("{came} of {} bytes came", promised.unwrap_or_default());
            return Err(Failed::Passing(reason));
        }
        let unwrap = sink
            .finish()
            .map_err(|error| self.unwritten(&error, false))?;
        self.judged(found, is_in_json, unwrap)
    }

    /// What came, when it is the content and what the resource says of it.
    fn judged<W: Write>(
        &self,
        found: &Found,
        is_in_json: bool,
        unwrap: Unwrap<Measured<W>>,
    ) -> Result<Came<W>, Failed> {
        if is_in_json && !unwrap.is_binary() {
            let reason = "the server answers with JSON that is no Binary";
            return Err(Failed::Lasting(Absent::Missing(reason.into())));
        }
        let mut measured = unwrap
            .finish()
            .map_err(|error| Failed::Passing(error.to_string()))?;
        measured
            .flush()
            .map_err(|error| self.unwritten(&error, false))?;
        if is_about_it(&measured.head) {
            let reason = "the server answers with a FHIR resource in place of the content";
            return Err(Failed::Lasting(Absent::Missing(reason.into())));
        }
        let compared = match (measured.sha1, &found.hash) {
            (Some(sha1), Some(promised)) => {
                judge::compare_sums(&STANDARD.encode(sha1.finish()), promised)
            }
            _ => Ok(()),
        };
        let compared = compared.and_then(|()| judge::compare_lengths(measured.bytes, found));
        Ok((measured.target, compared))
    }

    async fn ask(&self, found: &Found, url: &Url) -> Result<Response, Failed> {
        let stated = found.content_type.as_deref().unwrap_or_default();
        // By a name that is FHIR's own, servers send the Binary instead of its content (FHIR R4 §2.21.1).
        let is_its_own =
            stated.contains('/') && !is_json(&essence(stated)) && !is_xml(&essence(stated));
        let stated = Some(stated).filter(|_| is_its_own);
        let accept =
            stated.map_or_else(|| "*/*".to_owned(), |stated| format!("{stated}, */*;q=0.5"));
        let mut answer = self.ask_for(url, &accept).await?;
        // Some take the exact type alone (Oracle Health), or FHIR's.
        for exact in stated.into_iter().chain([FHIR_JSON]) {
            if answer.status == StatusCode::NOT_ACCEPTABLE {
                answer = self.ask_for(url, exact).await?;
            }
        }
        if answer.status == StatusCode::OK {
            return Ok(answer);
        }
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            self.gate.slow_down(Duration::ZERO);
        }
        let may_pass = retry::may_be_on_the_way(answer.status);
        let was_refused = matches!(answer.status.as_u16(), 401 | 403);
        let refusal = Refusal::read(Method::GET, answer).await;
        if may_pass {
            return Err(Failed::Passing(refusal.to_string()));
        }
        let hint = if was_refused && !self.client.is_own(url) {
            " (no token went there: --trust-origin names origins that get it)"
        } else {
            ""
        };
        Err(Failed::Lasting(Absent::Missing(format!("{refusal}{hint}"))))
    }

    async fn ask_for(&self, url: &Url, accept: &str) -> Result<Response, Failed> {
        let accept = HeaderValue::from_str(accept).unwrap_or(HeaderValue::from_static("*/*"));
        let request = Request::new(Method::GET, url.clone()).header(ACCEPT, accept);
        self.gate.open().await;
        let answer = self
            .client
            .send_with(request, self.token_rule(url), RETRIES);
        answer.await.map_err(|error| match error {
            FhirError::Auth(AuthError::Http(error)) => Failed::Passing(error.to_string()),
            FhirError::Auth(error) => Failed::Stop(BulkError::Fhir(error.into())),
            FhirError::Http(error) if !error.is_lasting() => Failed::Passing(error.to_string()),
            error => missing(&error),
        })
    }

    /// Whether the bytes are inside JSON; an answer that cannot be the attachment is refused.
    fn is_in_json(&self, found: &Found, answer: &Response) -> Result<bool, Failed> {
        let stated = found.content_type.as_deref().map(essence);
        let came = essence(answer.header(CONTENT_TYPE).unwrap_or_default());
        if words::is_html(&came, "") && stated.as_deref() != Some("text/html") {
            return Err(Failed::Lasting(Absent::Missing(
                "the server answers with a web page".into(),
            )));
        }
        let is_of_fhir = came == "application/fhir+json" && stated.as_deref() != Some(&came);
        let is_in_json = is_of_fhir || is_json(&came) && !stated.as_deref().is_some_and(is_json);
        if stated.is_none() && !is_in_json {
            self.wants_type(&came).map_err(Failed::Lasting)?;
        }
        Ok(is_in_json)
    }

    fn unwritten(&self, error: &io::Error, is_too_large: bool) -> Failed {
        let largest = self.largest().unwrap_or_default();
        match error.kind() {
            _ if is_too_large => Failed::Lasting(Absent::LeftOut(format!(
                "it is larger than {largest} bytes"
            ))),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Failed::Passing(format!("the data on the wire are broken: {error}"))
            }
            kind => Failed::Stop(BulkError::Disk {
                path: layout::ATTACHMENTS.into(),
                source: io::Error::new(kind, error.to_string()),
            }),
        }
    }
}

fn is_json(essence: &str) -> bool {
    essence.ends_with("/json") || essence.ends_with("+json")
}

fn is_xml(essence: &str) -> bool {
    essence.ends_with("/xml") || essence.ends_with("+xml")
}

/// Whether a text begins as what a FHIR server says of a Binary, instead of with its content.
fn is_about_it(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head);
    let is_xml = head.contains("http://hl7.org/fhir")
        && (head.contains("<Binary") || head.contains("<OperationOutcome"));
    let squeezed: String = head.split_whitespace().collect();
    is_xml || squeezed.starts_with("{\"resourceType\":\"OperationOutcome\"")
}

fn missing(error: &impl std::fmt::Display) -> Failed {
    Failed::Lasting(Absent::Missing(error.to_string()))
}
