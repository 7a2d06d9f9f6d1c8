//! Interactions that change something: create, update, patch, delete.

use super::super::answer::{Answer, Result, bad_request};
use super::super::search::{self, Query};
use super::super::store::{Store, Stored};
use super::look::{existing, resource};
use super::{Interaction, parts, patch, wrong_method};
use crate::fhir::object::Object;

pub(super) fn answer(store: &mut Store, base: &str, interaction: &Interaction) -> Result {
    let wrong = || wrong_method(interaction.method, interaction.path);
    if interaction.path.is_empty() {
        return Err(wrong());
    }
    match (interaction.method, parts(interaction.path)?) {
        ("POST", (resource_type, None)) => {
            let id = format!("{:032x}", fastrand::u128(..));
            create(store, base, resource_type, &id, interaction)
        }
        ("PUT", (resource_type, Some(id))) => update(store, base, resource_type, id, interaction),
        ("PATCH", (resource_type, Some(id))) => change(store, base, resource_type, id, interaction),
        ("DELETE", (resource_type, Some(id))) => {
            if store.delete(resource_type, id) {
                Ok(Answer::empty(204))
            } else {
                existing(store, resource_type, id).map(|_| Answer::empty(204))
            }
        }
        _ => Err(wrong()),
    }
}

/// Creates a resource with an id that is chosen already.
pub(super) fn create(
    store: &mut Store,
    base: &str,
    resource_type: &str,
    id: &str,
    interaction: &Interaction,
) -> Result {
    check(resource_type, interaction.body)?;
    if !interaction.if_none_exist.is_empty() {
        match matching(store, resource_type, interaction.if_none_exist)?.as_slice() {
            [] => {}
            [(_, stored)] => return Ok(resource(200, stored)),
            _ => {
                let words = "several resources match If-None-Exist";
                return Err(Answer::outcome(412, "multiple-matches", words));
            }
        }
    }
    put(store, base, 201, (resource_type, id), interaction.body)
}

/// What a condition on a create matches (FHIR R4 §3.1.0.8.1).
pub(super) fn matching<'a>(
    store: &'a Store,
    resource_type: &str,
    condition: &str,
) -> Result<Vec<(&'a str, &'a Stored)>> {
    let condition = condition
        .split_once('?')
        .map_or(condition, |(_, query)| query);
    let pairs: Vec<_> = url::form_urlencoded::parse(condition.as_bytes())
        .into_owned()
        .collect();
    // A parameter that is left out would match too much.
    let query = Query::read(&pairs, true)?;
    Ok(search::find(store, resource_type, &query))
}

fn update(
    store: &mut Store,
    base: &str,
    resource_type: &str,
    id: &str,
    interaction: &Interaction,
) -> Result {
    let told = check(resource_type, interaction.body)?;
    if told.as_deref() != Some(id) {
        let told = told.unwrap_or_else(|| "missing".to_owned());
        return Err(bad_request(&format!(
            "the id in the resource is {told}, the one in the URL {id}"
        )));
    }
    let before = store
        .get(resource_type, id)
        .filter(|stored| !stored.deleted);
    check_version(before, interaction.if_match)?;
    let status = if before.is_some() { 200 } else { 201 };
    put(store, base, status, (resource_type, id), interaction.body)
}

fn change(
    store: &mut Store,
    base: &str,
    resource_type: &str,
    id: &str,
    interaction: &Interaction,
) -> Result {
    let stored = existing(store, resource_type, id)?;
    check_version(Some(stored), interaction.if_match)?;
    let changed = patch::apply(&stored.text, interaction.body)?;
    if check(resource_type, &changed)?.as_deref() != Some(id) {
        let words = "a patch cannot change the id";
        return Err(Answer::outcome(422, "business-rule", words));
    }
    put(store, base, 200, (resource_type, id), &changed)
}

fn put(
    store: &mut Store,
    base: &str,
    status: u16,
    (resource_type, id): (&str, &str),
    text: &str,
) -> Result {
    let now = store.tick();
    let stored = store
        .put(resource_type, id, text, now)
        .map_err(|error| Answer::outcome(400, "structure", &format!("meta: {error}")))?;
    let version = stored.version;
    let location = format!("{base}/{resource_type}/{id}/_history/{version}");
    Ok(resource(status, &stored).with("location", location))
}

fn check_version(stored: Option<&Stored>, if_match: &str) -> Result<()> {
    if if_match.is_empty() || stored.is_some_and(|stored| stored.etag() == if_match) {
        return Ok(());
    }
    let there = stored.map_or_else(|| "not there".to_owned(), Stored::etag);
    let words = format!("the resource is {there}, not {if_match}");
    Err(Answer::outcome(412, "conflict", &words))
}

/// Checks that a body is a resource of a type, and gives the id in it.
fn check(resource_type: &str, body: &str) -> Result<Option<String>> {
    let resource = Object::parse(body).map_err(|error| {
        let words = format!("the body is not a JSON object: {error}");
        Answer::outcome(400, "structure", &words)
    })?;
    match resource.string("resourceType") {
        Some(told) if told == resource_type => Ok(resource.string("id")),
        Some(told) => Err(bad_request(&format!(
            "a {told} cannot be stored as {resource_type}"
        ))),
        None => {
            let words = "the resource has no resourceType";
            Err(Answer::outcome(422, "required", words))
        }
    }
}
