//! Batch and transaction (FHIR R4 §3.1.0.11): many interactions in one Bundle.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::super::answer::{Answer, Result, bad_request};
use super::super::store::Store;
use super::{Interaction, change, look};
use crate::fhir::object::rewrite_references;
use crate::words;

#[derive(Deserialize)]
struct Bundle<'a> {
    #[serde(rename = "resourceType", borrow)]
    resource_type: Cow<'a, str>,
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    entry: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(borrow, default)]
    full_url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    resource: Option<&'a RawValue>,
    #[serde(borrow)]
    request: Option<Request<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    url: Cow<'a, str>,
    #[serde(borrow, default)]
    if_match: Cow<'a, str>,
    #[serde(borrow, default)]
    if_none_exist: Cow<'a, str>,
}

/// Does what the entries ask for: each by itself, or all or nothing.
pub(super) fn process(store: &mut Store, base: &str, body: &str) -> Result {
    let bundle: Bundle = serde_json::from_str(body).map_err(|error| {
        let words = format!("the body is no Bundle: {}", words::of_json(&error));
        Answer::outcome(400, "structure", &words)
    })?;
    let is_transaction = match (bundle.resource_type.as_ref(), bundle.kind.as_ref()) {
        ("Bundle", "batch") => false,
        ("Bundle", "transaction") => true,
        _ => {
            return Err(bad_request(
                "only a Bundle of type batch or transaction can be posted here",
            ));
        }
    };
    let ids: Vec<String> = bundle
        .entry
        .iter()
        .map(|_| format!("{:032x}", fastrand::u128(..)))
        .collect();
    let mut urls = HashMap::new();
    if is_transaction {
        urls = final_urls(store, &bundle.entry, &ids)?;
        store.begin();
    }
    let mut answers: Vec<Option<Answer>> = vec![None; ids.len()];
    for index in order(&bundle.entry, is_transaction) {
        let answer = entry(store, base, &bundle.entry[index], &ids[index], &urls);
        if let (true, Err(problem)) = (is_transaction, &answer) {
            store.roll_back();
            return Err(failed(index, problem));
        }
        answers[index] = Some(answer.unwrap_or_else(|problem| problem));
    }
    store.commit();
    let entries: Vec<String> = answers.iter().flatten().map(written).collect();
    Ok(Answer::fhir(
        200,
        format!(
            r#"{{"resourceType":"Bundle","type":"{}-response","entry":[{}]}}"#,
            bundle.kind,
            entries.join(",")
        ),
    ))
}

/// A transaction deletes first, then creates, updates, and reads last (FHIR R4 §3.1.0.11.2).
fn order(entries: &[Entry], is_transaction: bool) -> Vec<usize> {
    let rank = |index: &usize| {
        let method = entries[*index]
            .request
            .as_ref()
            .map(|request| request.method.as_ref());
        ["DELETE", "POST", "PUT", "PATCH", "GET"]
            .iter()
            .position(|known| Some(*known) == method)
    };
    let mut order: Vec<usize> = (0..entries.len()).collect();
    if is_transaction {
        order.sort_by_key(rank);
    }
    order
}

/// Where the resources will be that others in the Bundle name by their fullUrl.
fn final_urls(store: &Store, entries: &[Entry], ids: &[String]) -> Result<HashMap<String, String>> {
    let mut urls = HashMap::new();
    for (entry, id) in entries.iter().zip(ids) {
        let (Some(full_url), Some(request)) = (&entry.full_url, &entry.request) else {
            continue;
        };
        let url = match request.method.as_ref() {
            "PUT" => request.url.clone().into_owned(),
            "POST" if request.if_none_exist.is_empty() => format!("{}/{id}", request.url),
            "POST" => {
                let found = change::matching(store, &request.url, &request.if_none_exist)?;
                let id = found.first().map_or(id.as_str(), |(id, _)| id);
                format!("{}/{id}", request.url)
            }
            _ => continue,
        };
        urls.insert(full_url.clone().into_owned(), url);
    }
    Ok(urls)
}

fn entry(
    store: &mut Store,
    base: &str,
    entry: &Entry,
    id: &str,
    urls: &HashMap<String, String>,
) -> Result {
    let request = entry
        .request
        .as_ref()
        .ok_or_else(|| bad_request("the entry has no request"))?;
    let body = entry.resource.map_or("", RawValue::get);
    let body = if urls.is_empty() {
        Cow::Borrowed(body)
    } else {
        Cow::Owned(rewrite_references(body, |reference| {
            urls.get(reference).cloned()
        }))
    };
    let (path, query) = request.url.split_once('?').unwrap_or((&request.url, ""));
    let interaction = Interaction {
        method: &request.method,
        path: path.trim_matches('/'),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        body: &body,
        if_match: &request.if_match,
        if_none_exist: &request.if_none_exist,
        ..Interaction::default()
    };
    match (interaction.method, super::parts(interaction.path)?) {
        ("GET", _) => look::answer(store, base, &interaction),
        ("POST", (resource_type, None)) => {
            change::create(store, base, resource_type, id, &interaction)
        }
        _ => change::answer(store, base, &interaction),
    }
}

/// The refusal of a transaction: the entry's own, with its place.
fn failed(index: usize, problem: &Answer) -> Answer {
    let outcome: serde_json::Value = serde_json::from_slice(&problem.body).unwrap_or_default();
    let issue = &outcome["issue"][0];
    let words = issue["details"]["text"].as_str().unwrap_or_default();
    let code = issue["code"].as_str().unwrap_or("processing");
    let words = format!("Bundle.entry[{index}]: {words}; nothing was stored");
    Answer::outcome(problem.status, code, &words)
}

/// An answer as an entry of the response Bundle; what was looked for is in it as text.
fn written(answer: &Answer) -> String {
    let status = axum::http::StatusCode::from_u16(answer.status).unwrap_or_default();
    let mut response = json!({"status": status.to_string()});
    for (member, name) in [("location", "location"), ("etag", "etag")] {
        if let Some(value) = answer.header(name) {
            response[member] = value.into();
        }
    }
    let body = std::str::from_utf8(&answer.body).unwrap_or_default();
    if answer.status >= 400 {
        response["outcome"] = serde_json::from_str(body).unwrap_or_default();
    }
    let is_read = answer.status == 200 && answer.header("location").is_none();
    if is_read && !body.is_empty() {
        return format!(r#"{{"response":{response},"resource":{body}}}"#);
    }
    json!({"response": response}).to_string()
}
