//! `medplum keys jwks --check URL`: whether the set that a vendor fetches is the one that is meant.

use anyhow::Context as _;
use reqwest::Method;
use reqwest::header::{ACCEPT, HeaderValue};
use url::Url;

use crate::auth::keys::{Key, published};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::http::Request;
use crate::http::limit::{LONGEST_EXCHANGE, within};
use crate::secret;

/// The largest set that is read.
const LARGEST: usize = 1 << 20;

pub(super) async fn run(context: &Context, url: &Url, keys: &[Key]) -> anyhow::Result<()> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Failure::usage("--check takes an http or https URL").into());
    }
    let shown = secret::url_for_people(url);
    if url.scheme() == "http" {
        context.output.warn(&format!(
            "{shown} is not https: whoever is on the way to it can put a key of his own into the set"
        ));
    }
    let set = fetched(context, url, &shown).await?;
    let Some(found) = published::compare(keys, &set) else {
        return Err(
            Failure::new(exit::FAILED, format!("{shown} answers no key set"))
                .hint("publish what `medplum keys jwks FILE…` prints")
                .into(),
        );
    };
    if !found.exposed.is_empty() {
        return Err(Failure::new(
            exit::FAILED,
            format!(
                "{shown} PUBLISHES A PRIVATE KEY: {}. Whoever has read it can sign as this client",
                found.exposed.join(", ")
            ),
        )
        .hint(
            "take it away at once, tell the vendor, and make a new key with `medplum keys rotate`",
        )
        .into());
    }
    if !found.differences.is_empty() {
        return Err(Failure::new(
            exit::FAILED,
            format!("the set at {shown} differs: {}", found.differences.join("; ")),
        )
        .hint("publish what `medplum keys jwks FILE…` prints; a set that was published just now may be an old copy of a cache")
        .into());
    }
    let rows = keys.iter().map(|key| {
        let mut about = super::about(key);
        about.shift_remove("part");
        about.insert("published".into(), shown.as_str().into());
        about
    });
    super::print(context, rows.collect())
}

/// What the URL answers to anybody: no token, no header and no certificate of a profile goes along.
async fn fetched(context: &Context, url: &Url, shown: &str) -> anyhow::Result<Vec<u8>> {
    let (mut profile, _) = context.resolve(false)?;
    profile.client_cert = None;
    let http = context.http(&profile)?;
    let request = Request::new(Method::GET, url.clone())
        .header(ACCEPT, HeaderValue::from_static("application/json"));
    let answer = within(LONGEST_EXCHANGE, url, http.send(request)).await?;
    if !answer.status.is_success() {
        let to = match answer.header("location") {
            Some(to) if answer.status.is_redirection() => {
                format!(
                    " to {}; vendors may not follow it",
                    crate::words::shortened(to)
                )
            }
            _ => String::new(),
        };
        let message = format!("{shown} answered {}{to}", answer.status);
        return Err(Failure::new(exit::FAILED, message).into());
    }
    let body = within(LONGEST_EXCHANGE, url, answer.body.bytes(LARGEST)).await;
    Ok(body.context("the key set cannot be read")?.to_vec())
}
