//! One request and what its answer says of each resource in it.

use std::time::{Duration, Instant};

use reqwest::Method as HttpMethod;
use reqwest::header::{HeaderName, HeaderValue};

use crate::bulk::import::batch::Batch;
use crate::bulk::import::piece::Action;
use crate::bulk::import::send::answer::{self, Outcome};
use crate::bulk::import::send::unchanged;
use crate::bulk::import::{BundleKind, ImportError};
use crate::fhir::{Client, FhirError, TokenRule};
use crate::http::Request;

/// A request that has ended.
#[derive(Debug)]
pub struct Sent {
    pub batch: Batch,
    /// What was the same on the server already.
    pub skipped: Option<Batch>,
    pub outcome: Outcome,
    pub latencies: Vec<Duration>,
    /// Whether the server does not know the one type of resource that it refused.
    pub is_unknown_type: bool,
}

/// How a batch is sent.
#[derive(Clone, Copy, Debug)]
pub struct How {
    pub kind: BundleKind,
    /// Whether to read first, and leave out what is the same.
    pub skip_unchanged: bool,
    /// Whether a refusal of all of one type asks if that type is known.
    pub asks_for_type: bool,
    /// Whether the ids that the server gives are needed.
    pub wants_ids: bool,
    /// How long to wait first.
    pub delay: Duration,
}

/// Sends a batch.
pub async fn send(
    client: &Client,
    mut batch: Batch,
    how: How,
    mut abandoned: tokio::sync::watch::Receiver<bool>,
) -> Sent {
    let (mut skipped, mut latencies) = (None, Vec::new());
    let waited = tokio::select! {
        biased;
        () = tokio::time::sleep(how.delay), if !how.delay.is_zero() => true,
        _ = abandoned.wait_for(|abandoned| *abandoned) => false,
        () = std::future::ready(()), if how.delay.is_zero() => true,
    };
    let outcome = if waited {
        tokio::select! {
            biased;
            outcome = exchange(client, &mut batch, how, how.skip_unchanged.then_some(&mut skipped), &mut latencies) => outcome,
            _ = abandoned.wait_for(|abandoned| *abandoned) => Outcome::Abandoned,
        }
    } else {
        Outcome::Unbegun
    };
    let is_unknown_type =
        how.asks_for_type && answer::refuses_all(&outcome) && is_unknown_type(client, &batch).await;
    Sent {
        batch,
        skipped,
        outcome,
        latencies,
        is_unknown_type,
    }
}

/// Whether the server does not know the type that all of a batch has.
async fn is_unknown_type(client: &Client, batch: &Batch) -> bool {
    let Some(first) = batch.items.first() else {
        return false;
    };
    if batch
        .items
        .iter()
        .any(|item| item.resource_type != first.resource_type)
    {
        return false;
    }
    let Ok(url) = client.url(&format!("{}?_count=1", first.resource_type)) else {
        return false;
    };
    // The status says it: nothing of the body is read.
    let answer = client.send(Request::new(HttpMethod::GET, url), TokenRule::OwnOrigins);
    answer
        .await
        .is_ok_and(|answer| answer.status.as_u16() == 404)
}

async fn exchange(
    client: &Client,
    batch: &mut Batch,
    how: How,
    skipped: Option<&mut Option<Batch>>,
    latencies: &mut Vec<Duration>,
) -> Outcome {
    if let Some(skipped) = skipped {
        let started = Instant::now();
        match unchanged::on_server(client, batch, how.kind).await {
            Ok(same) => *skipped = Some(batch.split_off(|item| same.contains(&item.ordinal))),
            Err(outcome) => return outcome,
        }
        latencies.push(started.elapsed());
        if batch.items.is_empty() {
            return Outcome::Answered(Vec::new(), None);
        }
    }
    let request = match request(client, batch, how) {
        Ok(request) => request,
        Err(error) => return Outcome::Fatal(ImportError::Stopped(error)),
    };
    let started = Instant::now();
    // It says a little of each resource, or brings them all back; what is longer is no answer to this.
    let sent = request.body.as_ref().map_or(0, bytes::Bytes::len);
    let limit = answer::SHORTEST_LIMIT + 4 * sent;
    let answer = client
        .read_once_within(request, TokenRule::OwnOrigins, limit)
        .await;
    latencies.push(started.elapsed());
    match answer {
        Ok(answer) => answer::of_answer(answer, batch, how.kind),
        Err(error) => answer::of_write_error(error),
    }
}

fn request(client: &Client, batch: &mut Batch, how: How) -> Result<Request, FhirError> {
    let body = batch.body(how.kind);
    let mut request = if how.kind == BundleKind::None {
        let item = &batch.items[0];
        let method =
            HttpMethod::from_bytes(item.action.method().as_bytes()).unwrap_or(HttpMethod::POST);
        let mut request = Request::new(method, client.url(&item.url)?);
        if let Action::ConditionalPost(query) = &item.action
            && let Ok(value) = HeaderValue::from_str(query)
        {
            request = request.header(HeaderName::from_static("if-none-exist"), value);
        }
        request.body = (item.action != Action::Delete).then_some(body);
        request
    } else {
        let mut request = Request::new(HttpMethod::POST, client.profile.fhir_root.clone());
        request.body = Some(body);
        request
    };
    // Of resources that come back nothing is looked at but the id, which some servers say nowhere else.
    let wanted = if how.wants_ids {
        "return=representation"
    } else {
        "return=minimal"
    };
    if batch
        .items
        .iter()
        .all(|item| item.action != Action::Validate)
    {
        request = request.header(
            HeaderName::from_static("prefer"),
            HeaderValue::from_static(wanted),
        );
    }
    Ok(request)
}
