//! One GET without a token, and what came of it.

use std::time::SystemTime;

use reqwest::StatusCode;
use serde::de::DeserializeOwned;
use url::Url;

use crate::auth::discovery::LARGEST_STATEMENT;
use crate::auth::discovery::document::{Document, Statement};
use crate::auth::discovery::fetch::{self, Wanted};
use crate::fhir::Client;
use crate::http::HttpError;

/// Key sets are small.
const LARGEST_KEY_SET: usize = 256 << 10;

/// What an address gave.
#[derive(Debug)]
pub(super) struct Page {
    pub status: StatusCode,
    /// What it is as a CapabilityStatement, if it is JSON.
    pub statement: Option<Statement>,
    /// Whether it is a web page.
    pub is_html: bool,
    /// The server's words when they are no JSON.
    pub words: Option<String>,
    /// Where it sends its readers instead.
    pub moved_to: Option<Url>,
    /// How far the server's clock is ahead of this one, in seconds.
    pub ahead: Option<i64>,
}

/// Fetches what may be a CapabilityStatement.
pub(super) async fn get(client: &Client, url: Url) -> Result<Page, HttpError> {
    let page = ask(client, url, LARGEST_STATEMENT).await?;
    let statement: Option<Statement> = read(&page);
    let is_json = statement.is_some();
    Ok(Page {
        status: page.status,
        is_html: !is_json && page.is_html(),
        words: (!is_json).then(|| page.words()).flatten(),
        ahead: page.date().map(seconds_ahead),
        moved_to: page.moved_to,
        statement,
    })
}

/// Fetches a SMART configuration; `None` when there is none.
pub(super) async fn document(client: &Client, url: Url) -> Result<Option<Document>, HttpError> {
    let page = ask(client, url, LARGEST_STATEMENT).await?;
    Ok(read(&page).filter(|_| page.status.is_success()))
}

/// Fetches a key set: the status, and the JSON if it is some.
pub(super) async fn key_set(
    client: &Client,
    url: Url,
) -> Result<(StatusCode, Option<serde_json::Value>), HttpError> {
    let page = ask(client, url, LARGEST_KEY_SET).await?;
    Ok((page.status, read(&page)))
}

/// Asked once: who looks for a fault wants to see it.
async fn ask(client: &Client, url: Url, largest: usize) -> Result<fetch::Page, HttpError> {
    let wanted = Wanted {
        accept: "application/fhir+json, application/json",
        largest,
        retries: 0,
    };
    fetch::get(&client.http, &client.profile, url, wanted).await
}

fn read<T: DeserializeOwned>(page: &fetch::Page) -> Option<T> {
    let text = page.text();
    // serde would take a list for an object, its elements for the members.
    let is_object = text.trim_ascii_start().starts_with(b"{");
    is_object
        .then(|| serde_json::from_slice(text).ok())
        .flatten()
}

impl Page {
    /// Whether it is what a FHIR server says of itself (R4 CapabilityStatement, DSTU2 Conformance).
    pub(super) fn is_capability_statement(&self) -> bool {
        let kind = self.statement.as_ref();
        let kind = kind.and_then(|statement| statement.resource_type.get());
        self.status.is_success() && matches!(kind, Some("CapabilityStatement" | "Conformance"))
    }
}

/// How far a time is ahead of the clock here, in seconds; negative when it lies in the past.
pub(super) fn seconds_ahead(time: SystemTime) -> i64 {
    let now = SystemTime::now();
    let seconds = |duration: std::time::Duration| i64::try_from(duration.as_secs());
    match time.duration_since(now) {
        Ok(ahead) => seconds(ahead).unwrap_or(i64::MAX),
        Err(behind) => -seconds(behind.duration()).unwrap_or(i64::MAX),
    }
}
