//! Interactions that change nothing: read, search, `$everything`.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::answer::{Answer, Result, not_found};
use super::super::search::{self, Query, page};
use super::super::store::{Store, Stored};
use super::super::{compartment, types};
use super::{Interaction, parts, wrong_method};

pub(super) fn answer(store: &Store, base: &str, interaction: &Interaction) -> Result {
    if let Some(id) = interaction
        .path
        .strip_prefix("Patient/")
        .and_then(|path| path.strip_suffix("/$everything"))
    {
        return everything(store, base, id, interaction);
    }
    if interaction.path.is_empty() {
        return Err(wrong_method(interaction.method, ""));
    }
    if let Some((path, version)) = interaction.path.split_once("/_history/")
        && let (resource_type, Some(id)) = parts(path)?
    {
        return version_of(store, resource_type, id, version);
    }
    match parts(interaction.path)? {
        (resource_type, None) => find(store, base, resource_type, interaction),
        (resource_type, Some(id)) => read(store, resource_type, id, interaction),
    }
}

/// A resource that is there.
pub(super) fn existing<'a>(store: &'a Store, resource_type: &str, id: &str) -> Result<&'a Stored> {
    match store.get(resource_type, id) {
        None => Err(not_found(&format!("{resource_type}/{id} is unknown"))),
        Some(stored) if stored.deleted => {
            let words = format!("{resource_type}/{id} was deleted");
            Err(Answer::outcome(410, "deleted", &words).with("etag", stored.etag()))
        }
        Some(stored) => Ok(stored),
    }
}

/// A resource with its version and time.
pub(super) fn resource(status: u16, stored: &Stored) -> Answer {
    let text = stored.text.as_bytes().to_vec();
    versioned(Answer::fhir(status, text), stored)
}

fn versioned(answer: Answer, stored: &Stored) -> Answer {
    answer.with("etag", stored.etag()).with(
        "last-modified",
        httpdate::fmt_http_date(stored.updated.into()),
    )
}

fn read(store: &Store, resource_type: &str, id: &str, interaction: &Interaction) -> Result {
    let stored = existing(store, resource_type, id)?;
    if interaction.if_none_match == stored.etag() {
        return Ok(versioned(Answer::empty(304), stored));
    }
    if interaction.wants_content
        && let Some(content) = content(stored)
    {
        return Ok(versioned(content, stored));
    }
    Ok(resource(200, stored))
}

/// What the Location of a create or update names: the latest version, since others are not kept.
fn version_of(store: &Store, resource_type: &str, id: &str, version: &str) -> Result {
    let stored = existing(store, resource_type, id)?;
    if stored.version.to_string() == version {
        return Ok(resource(200, stored));
    }
    let words = format!("version {version} of {resource_type}/{id} is not kept or never was");
    Err(not_found(&words))
}

/// What is in a Binary.
fn content(stored: &Stored) -> Option<Answer> {
    let binary = stored.value();
    let content = STANDARD.decode(binary["data"].as_str()?).ok()?;
    Some(Answer::typed(200, binary["contentType"].as_str()?, content))
}

fn find(store: &Store, base: &str, resource_type: &str, interaction: &Interaction) -> Result {
    let query = Query::read(&interaction.query, interaction.is_strict)?;
    let found: Vec<page::Found> = search::find(store, resource_type, &query)
        .into_iter()
        .map(|(id, stored)| (format!("{resource_type}/{id}"), stored))
        .collect();
    Ok(page::bundle(base, resource_type, &found, &query))
}

/// All there is about a patient (FHIR R4, Patient/$everything), pages with `_count`.
fn everything(store: &Store, base: &str, id: &str, interaction: &Interaction) -> Result {
    existing(store, "Patient", id)?;
    let only: Vec<&str> = interaction
        .query
        .iter()
        .filter(|(name, _)| name == "_type")
        .flat_map(|(_, value)| value.split(','))
        .collect();
    if let Some(unknown) = only.iter().find(|name| !types::is_known(name)) {
        return Err(not_found(&format!(
            "{unknown} is no resource type of FHIR R4"
        )));
    }
    let reached = compartment::of(store, &HashSet::from([id.to_owned()]));
    let found: Vec<page::Found> = reached
        .into_iter()
        .filter_map(|url| {
            let (resource_type, id) = url.split_once('/')?;
            let stored = store.get(resource_type, id)?;
            let wanted = only.is_empty() || only.contains(&resource_type);
            (wanted && !stored.deleted).then_some((url, stored))
        })
        .collect();
    let is_about_pages = |name: &str| ["_count", "_page"].contains(&name);
    let mut pairs = interaction.query.clone();
    pairs.retain(|(name, _)| is_about_pages(name));
    if pairs.is_empty() {
        pairs.push(("_count".to_owned(), found.len().to_string()));
    }
    let query = Query::read(&pairs, false)?;
    Ok(page::bundle(base, interaction.path, &found, &query))
}
