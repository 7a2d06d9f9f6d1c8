//! The kick-off: sent once, and its answer recorded before anything else can fail.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_LOCATION, DATE};
use serde_json::Value;
use url::Url;

use super::end;
use super::error::BulkError;
use super::event::Observer;
use super::instant;
use super::kickoff::Kickoff;
use super::log::Log;
use super::open::Work;
use super::options::Options;
use super::state::{GivenUp, Job};
use crate::fhir::accepted;
use crate::fhir::asynchronous::AsyncError;
use crate::fhir::error::{is_outcome, outcome_words};
use crate::fhir::severity::Severity;
use crate::fhir::{Answer, Client, FhirError, Refusal, TokenRule};
use crate::http::retry;
use crate::secret::url_for_people;

/// Brings the job to where the server works on it.
pub(super) async fn start_job(
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
            match kick_off(client, &work.kickoff, &work.log, observer).await {
                Ok(Accepted {
                    status_url,
                    wait,
                    at,
                }) => {
                    first_wait = wait;
                    job.state.asked_at = Some(at.to_string());
                    // Said before anything else can fail: without it nobody finds the job again.
                    observer.started(&status_url);
                    if let Err(error) = job.accepted(&status_url) {
                        return Err(unkept(client, job, status_url, error).await);
                    }
                    status_url
                }
                Err(error) => {
                    if certainly_not_started(&error) {
                        job.not_started()?;
                    }
                    return Err(error);
                }
            }
        }
    };
    end_the_former(client, observer, work).await?;
    Ok((status_url, first_wait))
}

/// The server works on a job of which the folder cannot say so, such as on a full disk: nobody would find it again, so it is
/// ended.
async fn unkept(client: &Client, job: &mut Job, status_url: Url, error: BulkError) -> BulkError {
    if job.is_kept() {
        return error;
    }
    let ended = end::of_accepted(client, &status_url).await;
    let is_as_before = ended.is_ok() && job.not_started().is_ok();
    BulkError::Unkept {
        source: Box::new(error),
        status_url: Box::new(status_url),
        is_as_before,
        problem: ended.err().map(|error| error.to_string()),
    }
}

/// The server has accepted this export: the job that was given up for it ends there. If it does not, a later run tries
/// again.
async fn end_the_former(
    client: &Client,
    observer: &Arc<dyn Observer>,
    work: &mut Work,
) -> Result<(), BulkError> {
    let keeps = work.job.state.style.keep;
    if let Some(given_up) = work.job.given_up().filter(|_| !keeps)
        && !has_ended(client, observer, &given_up).await
    {
        return Ok(());
    }
    work.job.forget_before()?;
    if let Some(replacement) = &mut work.replacement
        && let Some(given_up) = replacement.given_up(&work.job.state)?
        && (keeps || has_ended(client, observer, &given_up).await)
    {
        replacement.gave_up(&given_up)?;
    }
    Ok(())
}

async fn has_ended(client: &Client, observer: &Arc<dyn Observer>, given_up: &GivenUp) -> bool {
    match end::of_given_up(client, given_up, None).await {
        Ok(()) => true,
        Err(error) => {
            let urls: Vec<_> = given_up.status_urls().iter().map(url_for_people).collect();
            observer.warning(&format!(
                "The job that was given up runs on at the server ({}): {error}",
                urls.join(", ")
            ));
            false
        }
    }
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
    observer: &Arc<dyn Observer>,
) -> Result<Accepted, BulkError> {
    let request = kickoff.request(client)?;
    let answer = client.read_words(request, TokenRule::OwnOrigins).await?;
    log.kicked_off(client, kickoff, &answer);
    let jobs = running_jobs(client, &answer);
    if !jobs.is_empty() {
        let refusal = Box::new(Refusal::of_answer(answer));
        return Err(BulkError::JobsRunning { refusal, jobs });
    }
    let answer = answer.checked()?;
    // The server passed over something, and says so (Bulk Data 3.0, response - success).
    if let Ok(body) = serde_json::from_slice::<Value>(&answer.body)
        && is_outcome(&body)
    {
        for words in outcome_words(&body) {
            let text = format!("The server accepts the export and says: {words}");
            match Severity::of_line(&words) {
                Severity::Information => observer.notice(&text),
                Severity::Error | Severity::Warning => observer.warning(&text),
            }
        }
        log.remarked(&answer);
    }
    let wait = retry::retry_after(&answer.headers, SystemTime::now());
    let at = answer.header(DATE).and_then(instant::read);
    Ok(Accepted {
        status_url: accepted::status_url(answer)?,
        wait,
        at: at.unwrap_or_else(Timestamp::now),
    })
}

/// A job that the server works on.
struct Accepted {
    status_url: Url,
    wait: Option<Duration>,
    /// The server's clock.
    at: Timestamp,
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
