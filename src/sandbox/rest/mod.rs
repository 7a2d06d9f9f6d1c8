//! REST below the FHIR base: which interaction a request is, and whether its media types will do.

mod batch;
mod change;
mod edit;
mod look;
mod patch;

use super::answer::{Answer, FHIR_JSON, Result, not_allowed, not_found};
use super::types;
use super::{Asked, Shared};

const JSON_PATCH: &str = "application/json-patch+json";

/// One interaction: a request's own, or an entry of a batch.
#[derive(Debug, Default)]
struct Interaction<'a> {
    method: &'a str,
    path: &'a str,
    query: Vec<(String, String)>,
    body: &'a str,
    if_match: &'a str,
    if_none_match: &'a str,
    if_none_exist: &'a str,
    is_strict: bool,
    wants_content: bool,
}

/// Answers a request below the FHIR base.
pub(super) fn serve(shared: &Shared, asked: &Asked, path: &str) -> Result {
    let (method, is_search) = (asked.method.as_str(), path.ends_with("/_search"));
    let wants_content = path.starts_with("Binary/") && !accepts_only_json(asked);
    if !wants_content && !accepts_json(asked) {
        let words = format!("this server only speaks {FHIR_JSON}");
        return Err(Answer::outcome(406, "not-supported", &words));
    }
    check_content_type(asked, is_search)?;
    let body = std::str::from_utf8(&asked.body)
        .map_err(|_| Answer::outcome(400, "structure", "the body is not UTF-8"))?;
    let mut query = asked.query.clone();
    if is_search {
        query.extend(url::form_urlencoded::parse(body.as_bytes()).into_owned());
    }
    let interaction = Interaction {
        method: if is_search && method == "POST" {
            "GET"
        } else {
            method
        },
        path: path.trim_end_matches("/_search"),
        query,
        body,
        if_match: asked.header("if-match"),
        if_none_match: asked.header("if-none-match"),
        if_none_exist: asked.header("if-none-exist"),
        is_strict: asked.prefers("handling=strict"),
        wants_content,
    };
    let base = asked.fhir_base();
    let answer = if interaction.path.is_empty() && method == "POST" {
        batch::process(&mut shared.store_to_change(), &base, body)?
    } else if interaction.method == "GET" {
        look::answer(&shared.store(), &base, &interaction)?
    } else {
        change::answer(&mut shared.store_to_change(), &base, &interaction)?
    };
    let is_change = matches!(method, "POST" | "PUT" | "PATCH") && !is_search;
    if is_change && !path.is_empty() && asked.prefers("return=minimal") {
        let body = bytes::Bytes::new();
        return Ok(Answer { body, ..answer });
    }
    Ok(answer)
}

/// Type and id of a path; anything else is not there.
fn parts(path: &str) -> Result<(&str, Option<&str>)> {
    let (resource_type, id) = match path.split_once('/') {
        Some((resource_type, id)) => (resource_type, Some(id)),
        None => (path, None),
    };
    if !types::is_known(resource_type) {
        return Err(not_found(&format!(
            "{resource_type} is no resource type of FHIR R4"
        )));
    }
    // FHIR R4 §2.24.0.1, the type id.
    let is_id = |id: &str| {
        (1..=64).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
    };
    if id.is_some_and(|id| !is_id(id)) {
        return Err(not_found(&format!("{path} is unknown")));
    }
    Ok((resource_type, id))
}

/// The method is none of those that a path takes.
fn wrong_method(method: &str, path: &str) -> Answer {
    let allowed = match path.split('/').filter(|part| !part.is_empty()).count() {
        0 => "POST",
        1 => "GET, POST",
        _ => "GET, PUT, PATCH, DELETE",
    };
    not_allowed(method, allowed)
}

fn accepts_json(asked: &Asked) -> bool {
    let json = ["json", "application/json", FHIR_JSON];
    if let Some((_, format)) = asked.query.iter().find(|(name, _)| name == "_format") {
        // The `+` of a media type that is not encoded in a query has become a space.
        return json.contains(&media_type(&format.replace(' ', "+")));
    }
    let accepted = asked.header("accept");
    accepted.is_empty()
        || accepted.split(',').any(|item| {
            let item = media_type(item);
            ["*/*", "application/*"].contains(&item) || json.contains(&item)
        })
}

/// Whether the resource is wanted and not what is in it: a Binary comes as its content otherwise (FHIR R4 §2.10.0.2).
fn accepts_only_json(asked: &Asked) -> bool {
    asked.header("accept").contains("json") || asked.query.iter().any(|(name, _)| name == "_format")
}

fn check_content_type(asked: &Asked, is_search: bool) -> Result<()> {
    let wanted: &[&str] = match asked.method.as_str() {
        "POST" if is_search => &["application/x-www-form-urlencoded"],
        "POST" | "PUT" => &[FHIR_JSON, "application/json"],
        "PATCH" => &[JSON_PATCH],
        _ => return Ok(()),
    };
    let told = media_type(asked.header("content-type"));
    // A body without a type is taken for what is wanted (RFC 9110 §8.3).
    if told.is_empty() || wanted.contains(&told) || asked.body.is_empty() {
        return Ok(());
    }
    let words = format!("the Content-Type has to be {}, not {told}", wanted[0]);
    Err(Answer::outcome(415, "not-supported", &words))
}

/// A media type without its parameters.
fn media_type(text: &str) -> &str {
    text.split(';').next().unwrap_or_default().trim()
}
