//! `Prefer: respond-async`: a status URL polled, politely and stubbornly, until the job is done (FHIR R4 §3.2.2).
//! Long because the rules of one loop stand together: waits, stumbles, second looks.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use reqwest::Method;
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use url::Url;

use super::result::JobResult;
use super::{Answer, Client, FhirError, Refusal, TokenRule};
use crate::exit::{FAILED, NETWORK, NOT_FOUND, Verdict};
use crate::http::retry::{self, Retry};
use crate::http::{HttpError, Request, Response};
use crate::{secret, words};

/// Server's answers that ask for no wait get this one; BCDA says `Retry-After: 0`.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// The back-off of a server that never says how long to wait ends here.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// Failed polls in a row after which the job counts as out of reach.
const MOST_FAILURES: u32 = 10;
/// Answers in a row that say a job is not there any more, before they are believed.
const MOST_ODD: u32 = 2;
/// Bare 500s in a row: some servers stumble, others mean it.
const MOST_BARE_ERRORS: u32 = 3;

/// The longest result that is read into memory, to be judged and shown; manifests are read as streams.
const LARGEST_RESULT: usize = 32 << 20;

/// How patient to be.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Longest time from the first poll on; `None` for no limit.
    pub max_wait: Option<Duration>,
    /// The longest wait a server's Retry-After is given; Oracle Health asks for hours.
    pub max_retry_after: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            max_wait: None,
            max_retry_after: Duration::from_secs(300),
        }
    }
}

/// What one poll said, for whoever watches.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The server's words (`X-Progress`), or why the poll failed.
    pub words: Option<String>,
    pub elapsed: Duration,
    pub next_poll_in: Duration,
    /// The wait the server asked for.
    pub asked: Option<Duration>,
    /// The status of the answer of a poll that failed, when there was one.
    pub code: Option<u16>,
    /// Whether the poll failed and is tried again.
    pub failed: bool,
}

/// The answer of a finished job.
#[derive(Debug)]
pub struct Finished {
    pub url: Url,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why a job's result could not be had.
#[derive(Debug, thiserror::Error)]
pub enum AsyncError {
    #[error("{method} {url} answered {status} {location}, so there is no job to wait for{words}")]
    NoJob {
        method: Method,
        url: String,
        status: StatusCode,
        /// What is wrong with its Content-Location.
        location: String,
        words: String,
    },
    #[error("the job failed: {0}")]
    Failed(Box<Refusal>),
    #[error("the job does not exist any more: {0}")]
    Gone(Box<Refusal>),
    #[error("the job was not done after {} s; it goes on at the server, at {status_url}", waited.as_secs())]
    TooLong {
        waited: Duration,
        status_url: String,
    },
    #[error(
        "the job's status could not be read {MOST_FAILURES} times in a row, the last time because: {0}"
    )]
    OutOfReach(Box<FhirError>),
    #[error(transparent)]
    Fhir(#[from] FhirError),
}

impl Verdict for AsyncError {
    fn verdict(&self) -> (u8, Option<String>) {
        match self {
            Self::NoJob { .. } | Self::Failed(_) => (FAILED, None),
            Self::Gone(_) => (NOT_FOUND, None),
            Self::TooLong { .. } => (
                NETWORK,
                Some("wait longer with --max-wait, or look at the status URL later".into()),
            ),
            Self::OutOfReach(error) => match error.verdict() {
                (FAILED, hint) => (NETWORK, hint),
                verdict => verdict,
            },
            Self::Fhir(FhirError::Http(HttpError::TooLarge { .. })) => (
                FAILED,
                Some("the job is done; fetch its result from the status URL by another program, such as curl".into()),
            ),
            Self::Fhir(error) => error.verdict(),
        }
    }
}

/// Polls a status URL until the job is done, and reads the result.
///
/// # Errors
/// The job failed, is gone, took too long, or its status or result cannot be read.
pub async fn wait(
    client: &Client,
    status_url: &Url,
    mut first_wait: Option<Duration>,
    patience: Patience,
    mut watch: impl FnMut(&Progress),
) -> Result<Finished, AsyncError> {
    let mut tries = Retry::new(client.http.network.retries.max(1), LONGEST_BACKOFF);
    loop {
        let Response {
            status,
            headers,
            url,
            body,
        } = wait_open(client, status_url, first_wait.take(), patience, &mut watch).await?;
        let error = match body.bytes(LARGEST_RESULT).await {
            Ok(body) => {
                return Ok(Finished {
                    url,
                    status,
                    headers,
                    body,
                });
            }
            Err(error) => error,
        };
        match tries.wait(None).filter(|_| !error.is_lasting()) {
            Some(wait) => crate::http::clock::sleep(wait).await,
            None => return Err(FhirError::from(error).into()),
        }
    }
}

/// Polls a status URL until the job is done. The body of the result is for the caller to read.
///
/// # Errors
/// The job failed, is gone, took too long, or its status cannot be read.
// Long because one turn of the loop is one look and one wait.
pub async fn wait_open(
    client: &Client,
    status_url: &Url,
    first_wait: Option<Duration>,
    patience: Patience,
    mut watch: impl FnMut(&Progress),
) -> Result<Response, AsyncError> {
    let started = Instant::now();
    let mut backoff = SHORTEST_WAIT;
    let mut stumbles = Stumbles::default();
    let mut odd = Odd::default();
    if let Some(wait) = first_wait {
        let wait = wait.min(patience.max_retry_after);
        if patience.max_wait.is_some_and(|longest| wait > longest) {
            return Err(AsyncError::TooLong {
                waited: started.elapsed(),
                status_url: shown(status_url),
            });
        }
        crate::http::clock::sleep(wait).await;
    }
    loop {
        let mut code = None;
        let (words, asked, failed) = match look(client, status_url).await {
            Err(error) => {
                let (words, status) = odd.forgive(error)?;
                code = Some(status.as_u16());
                (Some(words), None, true)
            }
            Ok(Look::Finished(answer)) => return Ok(*answer),
            Ok(Look::Running { words, asked }) => {
                stumbles = Stumbles::default();
                odd.seen();
                (words, asked, false)
            }
            Ok(Look::Stumbled { error, asked }) => {
                let words = error.to_string();
                if let FhirError::Refused(refusal) = &error {
                    code = Some(refusal.status.as_u16());
                }
                stumbles.count(error)?;
                (Some(words), asked, true)
            }
        };
        let wait = match asked {
            Some(asked) => asked.clamp(SHORTEST_WAIT, patience.max_retry_after.max(SHORTEST_WAIT)),
            None => backoff.mul_f64(0.9 + fastrand::f64() * 0.2),
        };
        backoff = (backoff.mul_f64(1.5)).min(LONGEST_BACKOFF);
        let elapsed = started.elapsed();
        if patience
            .max_wait
            .is_some_and(|longest| elapsed + wait > longest)
        {
            return Err(AsyncError::TooLong {
                waited: elapsed,
                status_url: shown(status_url),
            });
        }
        watch(&Progress {
            words,
            elapsed,
            next_poll_in: wait,
            asked,
            code,
            failed,
        });
        crate::http::clock::sleep(wait).await;
    }
}

/// What one look at the status found.
#[derive(Debug)]
pub enum Look {
    /// The result; its body is not read yet.
    Finished(Box<Response>),
    Running {
        words: Option<String>,
        asked: Option<Duration>,
    },
    /// The look failed, which says nothing of the job.
    Stumbled {
        error: FhirError,
        asked: Option<Duration>,
    },
}

/// Looks at the status once. Retries are the caller's business: it knows how long the server wants to be left alone.
///
/// # Errors
/// The job failed or is gone, or the request was refused.
pub async fn look(client: &Client, status_url: &Url) -> Result<Look, AsyncError> {
    let request = Request::new(Method::GET, status_url.clone())
        .header(ACCEPT, HeaderValue::from_static("application/json"));
    let answer = async {
        let answer = client.send_with(request, TokenRule::OwnOrigins, 0).await?;
        let status = job_status(answer.status, &answer.headers);
        if status.is_success() && status != StatusCode::ACCEPTED {
            return Ok(Err(Box::new(answer)));
        }
        Ok::<_, FhirError>(Ok(Answer::beginning(Method::GET, answer).await?))
    };
    let answer = match answer.await {
        Ok(Err(finished)) => return Ok(Look::Finished(finished)),
        Ok(Ok(answer)) => answer,
        Err(FhirError::Http(error)) if !error.is_lasting() => {
            return Ok(Look::Stumbled {
                error: error.into(),
                asked: None,
            });
        }
        // The token endpoint is down: the job runs on.
        Err(FhirError::Auth(error)) if error.is_passing() => {
            return Ok(Look::Stumbled {
                error: error.into(),
                asked: None,
            });
        }
        Err(error) => return Err(error.into()),
    };
    let asked = retry::retry_after(&answer.headers, SystemTime::now());
    let status = job_status(answer.status, &answer.headers);
    if status == StatusCode::ACCEPTED {
        let words = answer.headers.get("x-progress");
        let words = words.map(|words| words::shortened(&String::from_utf8_lossy(words.as_bytes())));
        return Ok(Look::Running { words, asked });
    }
    let refusal = Box::new(Refusal::of_answer(answer));
    // What is on the way to the server says so too (520 and 524 of Cloudflare), and nothing of the job.
    let is_bare_error = retry::may_be_on_the_way(status) && !refusal.is_outcome;
    match status.as_u16() {
        _ if retry::is_passing(status) || refusal.is_transient || is_bare_error => {
            Ok(Look::Stumbled {
                error: FhirError::Refused(refusal),
                asked,
            })
        }
        401 | 403 => Err(AsyncError::Fhir(FhirError::Refused(refusal))),
        404 | 410 => Err(AsyncError::Gone(refusal)),
        _ => Err(AsyncError::Failed(refusal)),
    }
}

/// Answers in a row that end a job. A gateway gives one at times, and a job that was there a minute ago deserves another
/// look.
#[derive(Debug, Default)]
struct Odd {
    in_a_row: u32,
    was_there: bool,
}

impl Odd {
    /// The job is there.
    fn seen(&mut self) {
        (self.in_a_row, self.was_there) = (0, true);
    }

    /// The words of an answer that another look may put right, unless it is one too many.
    fn forgive(&mut self, error: AsyncError) -> Result<(String, StatusCode), AsyncError> {
        let (AsyncError::Gone(refusal)
        | AsyncError::Failed(refusal)
        | AsyncError::Fhir(FhirError::Refused(refusal))) = &error
        else {
            return Err(error);
        };
        let may_pass = refusal.status.is_client_error() && refusal.status.as_u16() != 401;
        let most = match (self.was_there, refusal.is_page) {
            (true, _) => MOST_ODD,
            // A page is a gateway's, not the server's own word.
            (false, true) => 1,
            (false, false) => 0,
        };
        if !may_pass || self.in_a_row >= most {
            return Err(error);
        }
        self.in_a_row += 1;
        let status = refusal.status;
        Ok((error.to_string(), status))
    }
}

/// Failed looks in a row.
#[derive(Debug, Default)]
struct Stumbles {
    all: u32,
    /// 500s without an outcome.
    bare: u32,
}

impl Stumbles {
    /// Counts a failed look, and says when it was one too many.
    fn count(&mut self, error: FhirError) -> Result<(), AsyncError> {
        match &error {
            // Being told to slow down is no failure.
            FhirError::Refused(refusal) if refusal.status == StatusCode::TOO_MANY_REQUESTS => {}
            FhirError::Refused(refusal) if refusal.status == StatusCode::INTERNAL_SERVER_ERROR => {
                self.all += 1;
                self.bare += u32::from(!refusal.is_transient);
            }
            _ => self.all += 1,
        }
        match error {
            FhirError::Refused(refusal) if self.bare >= MOST_BARE_ERRORS => {
                Err(AsyncError::Failed(refusal))
            }
            error if self.all >= MOST_FAILURES => Err(AsyncError::OutOfReach(Box::new(error))),
            _ => Ok(()),
        }
    }
}

/// A status URL for words, without who asks: a password may stand there.
fn shown(status_url: &Url) -> String {
    let mut shown = status_url.clone();
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    secret::url_for_people(&shown)
}

/// The job's status: the HTTP one, unless the server says it apart (Bulk Data 3.0, `separate-export-status`).
pub(super) fn job_status(status: StatusCode, headers: &HeaderMap) -> StatusCode {
    let separate = headers
        .get("x-export-status")
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.split_whitespace().next()?.parse::<u16>().ok())
        .and_then(|code| StatusCode::from_u16(code).ok());
    separate.filter(|_| status.is_success()).unwrap_or(status)
}

/// Tells the server that the job's files are not needed any more, or to stop it. 404 is fine: it is gone already.
///
/// # Errors
/// The server refused or was not reached.
pub async fn delete(client: &Client, status_url: &Url) -> Result<(), FhirError> {
    let request = Request::new(Method::DELETE, status_url.clone());
    let answer = match client.send(request, TokenRule::OwnOrigins).await {
        Ok(answer) => answer,
        Err(FhirError::MaybeDone(_)) => return Ok(()),
        Err(error) => return Err(error),
    };
    if answer.status.is_success() || matches!(answer.status.as_u16(), 404 | 410) {
        return Ok(());
    }
    Err(FhirError::Refused(Box::new(
        Refusal::read(Method::DELETE, answer).await,
    )))
}

impl Finished {
    /// What the result says of the job.
    pub fn result(&self) -> JobResult {
        JobResult::of(self.status, self.content_type(), &self.body)
    }

    /// The body's media type as the server said it.
    pub fn content_type(&self) -> &str {
        self.headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}
