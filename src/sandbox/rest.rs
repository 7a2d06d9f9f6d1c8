//! Read, create, update, delete, search, batch and transaction.

use axum::response::Response;
use serde_json::{Value, json};

use super::store::{Stored, now};
use super::{Asked, Shared, answer, lock, search};
use crate::fhir::object::Object;

/// Resources on a page when nothing else is asked for, and the most there can be.
const PAGE: usize = 20;
const LARGEST_PAGE: usize = 1000;

/// Answers a request below the FHIR base.
pub(super) fn serve(shared: &Shared, asked: &Asked, path: &str) -> Response {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match (asked.method.as_str(), parts.as_slice()) {
        ("POST", []) => bundle(shared, asked),
        ("GET", [resource_type]) => find(shared, asked, resource_type, &asked.query),
        ("POST", [resource_type, "_search"]) => {
            let mut query = asked.query.clone();
            query.extend(url::form_urlencoded::parse(&asked.body).into_owned());
            find(shared, asked, resource_type, &query)
        }
        ("POST", [resource_type]) => create(
            shared,
            resource_type,
            &asked.body,
            asked.header("if-none-exist"),
        ),
        ("GET", [resource_type, id]) => {
            read(shared, resource_type, id, asked.header("if-none-match"))
        }
        ("PUT", [resource_type, id]) => update(
            shared,
            resource_type,
            id,
            &asked.body,
            asked.header("if-match"),
        ),
        ("DELETE", [resource_type, id]) => delete(shared, resource_type, id),
        (_, [] | [_] | [_, _]) => answer::outcome(
            405,
            "not-supported",
            &format!("{} is not possible here", asked.method),
        ),
        _ => answer::outcome(404, "not-found", &format!("{path} is unknown")),
    }
}

fn read(shared: &Shared, resource_type: &str, id: &str, if_none_match: &str) -> Response {
    match lock(&shared.store).get(resource_type, id) {
        None => answer::outcome(
            404,
            "not-found",
            &format!("{resource_type}/{id} is unknown"),
        ),
        Some(stored) if stored.deleted => {
            answer::outcome(410, "deleted", &format!("{resource_type}/{id} was deleted"))
        }
        Some(stored) if if_none_match == etag(stored) => {
            answer::with(answer::empty(304), "etag", &etag(stored))
        }
        Some(stored) => resource(200, stored),
    }
}

fn find(
    shared: &Shared,
    asked: &Asked,
    resource_type: &str,
    query: &[(String, String)],
) -> Response {
    if asked.header("prefer").contains("handling=strict")
        && let Some(name) = search::unknown(query)
    {
        return answer::outcome(
            400,
            "not-supported",
            &format!("the search parameter {name} is unknown"),
        );
    }
    let number = |name: &str| {
        query
            .iter()
            .find(|(key, _)| key == name)
            .and_then(|(_, value)| value.parse::<usize>().ok())
    };
    let is_about_matches =
        |(key, _): &&(String, String)| !key.starts_with("_count") && !key.starts_with("_offset");
    let matched: Vec<_> = query.iter().filter(is_about_matches).cloned().collect();
    let store = lock(&shared.store);
    let found = search::matches(&store, resource_type, &matched);
    let count = number("_count").unwrap_or(PAGE).min(LARGEST_PAGE);
    let offset = number("_offset").unwrap_or(0);
    let summary = query
        .iter()
        .any(|(key, value)| key == "_summary" && value == "count");
    let link = |relation: &str, offset: usize| {
        let mut url = url::form_urlencoded::Serializer::new(String::new());
        url.extend_pairs(&matched)
            .append_pair("_count", &count.to_string());
        if offset > 0 {
            url.append_pair("_offset", &offset.to_string());
        }
        json!({"relation": relation, "url": format!("{}/{resource_type}?{}", shared.fhir_base, url.finish())})
    };
    let mut links = vec![link("self", offset)];
    let mut entries = Vec::new();
    if !summary {
        if count > 0 && offset + count < found.len() {
            links.push(link("next", offset + count));
        }
        for (id, stored) in found.iter().skip(offset).take(count) {
            entries.push(format!(
                r#"{{"fullUrl":"{}/{resource_type}/{id}","resource":{},"search":{{"mode":"match"}}}}"#,
                shared.fhir_base, stored.text
            ));
        }
    }
    // Put together as text, so that every resource keeps its digits.
    let body = format!(
        r#"{{"resourceType":"Bundle","type":"searchset","total":{},"link":{},"entry":[{}]}}"#,
        found.len(),
        Value::from(links),
        entries.join(",")
    );
    answer::fhir(200, body)
}

fn create(shared: &Shared, resource_type: &str, body: &[u8], if_none_exist: &str) -> Response {
    let text = match checked(resource_type, body) {
        Ok(text) => text,
        Err(problem) => return *problem,
    };
    let mut store = lock(&shared.store);
    if !if_none_exist.is_empty() {
        let query: Vec<_> = url::form_urlencoded::parse(if_none_exist.as_bytes())
            .into_owned()
            .collect();
        match search::matches(&store, resource_type, &query).as_slice() {
            [] => {}
            [(_, stored)] => return resource(200, stored),
            _ => {
                return answer::outcome(
                    412,
                    "multiple-matches",
                    "several resources match If-None-Exist",
                );
            }
        }
    }
    let id = format!("{:032x}", fastrand::u128(..));
    match store.put(resource_type, &id, text, &now()) {
        Ok(stored) => located(shared, 201, resource_type, &id, &stored),
        Err(error) => answer::outcome(400, "structure", &error.to_string()),
    }
}

fn update(shared: &Shared, resource_type: &str, id: &str, body: &[u8], if_match: &str) -> Response {
    let text = match checked(resource_type, body) {
        Ok(text) => text,
        Err(problem) => return *problem,
    };
    let told = Object::parse(text)
        .ok()
        .and_then(|resource| resource.string("id"));
    if told.is_some_and(|told| told != id) {
        return answer::outcome(
            400,
            "invalid",
            "the id in the resource is not the one in the URL",
        );
    }
    let mut store = lock(&shared.store);
    let before = store.get(resource_type, id);
    if !if_match.is_empty() && before.is_none_or(|stored| etag(stored) != if_match) {
        return answer::outcome(412, "conflict", "the resource has another version");
    }
    let status = if before.is_some_and(|stored| !stored.deleted) {
        200
    } else {
        201
    };
    match store.put(resource_type, id, text, &now()) {
        Ok(stored) => located(shared, status, resource_type, id, &stored),
        Err(error) => answer::outcome(400, "structure", &error.to_string()),
    }
}

fn delete(shared: &Shared, resource_type: &str, id: &str) -> Response {
    if lock(&shared.store).delete(resource_type, id, &now()) {
        return answer::empty(204);
    }
    read(shared, resource_type, id, "")
}

/// A batch or transaction of creates, updates and deletes, one after the other.
fn bundle(shared: &Shared, asked: &Asked) -> Response {
    let Ok(text) = std::str::from_utf8(&asked.body) else {
        return answer::outcome(400, "structure", "the body is not UTF-8");
    };
    let entries = match serde_json::from_str::<Value>(text) {
        Ok(bundle) if matches!(bundle["type"].as_str(), Some("batch" | "transaction")) => {
            bundle["entry"].clone()
        }
        Ok(_) => {
            return answer::outcome(
                400,
                "invalid",
                "only a Bundle of type batch or transaction can be posted here",
            );
        }
        Err(error) => return answer::outcome(400, "structure", &error.to_string()),
    };
    let texts: Vec<String> = crate::fhir::raw::Bundle::parse(text)
        .map(|bundle| {
            bundle
                .entry
                .iter()
                .map(|entry| {
                    entry
                        .resource
                        .map_or_else(String::new, |raw| raw.get().to_owned())
                })
                .collect()
        })
        .unwrap_or_default();
    let mut answers = Vec::new();
    for (entry, text) in entries.as_array().into_iter().flatten().zip(texts) {
        let method = entry
            .pointer("/request/method")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let url = entry
            .pointer("/request/url")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let parts: Vec<&str> = url.trim_matches('/').split('/').collect();
        let answer = match (method, parts.as_slice()) {
            ("POST", [resource_type]) => create(shared, resource_type, text.as_bytes(), ""),
            ("PUT", [resource_type, id]) => update(shared, resource_type, id, text.as_bytes(), ""),
            ("DELETE", [resource_type, id]) => delete(shared, resource_type, id),
            _ => answer::outcome(
                400,
                "not-supported",
                &format!("{method} {url} is not possible here"),
            ),
        };
        let header = |name: &str| {
            answer
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        answers.push(json!({"response": {
            "status": answer.status().to_string(),
            "location": header("location"),
            "etag": header("etag"),
        }}));
    }
    let response = json!({"resourceType": "Bundle", "type": "batch-response", "entry": answers});
    answer::fhir(200, response.to_string())
}

/// The body as text, if it is a resource of the type.
fn checked<'a>(resource_type: &str, body: &'a [u8]) -> Result<&'a str, Box<Response>> {
    let text = std::str::from_utf8(body)
        .map_err(|_| Box::new(answer::outcome(400, "structure", "the body is not UTF-8")))?;
    let resource = Object::parse(text).map_err(|error| {
        Box::new(answer::outcome(
            400,
            "structure",
            &format!("the body is not a JSON object: {error}"),
        ))
    })?;
    match resource.string("resourceType") {
        Some(told) if told == resource_type => Ok(text),
        Some(told) => Err(Box::new(answer::outcome(
            400,
            "invalid",
            &format!("a {told} cannot be stored as {resource_type}"),
        ))),
        None => Err(Box::new(answer::outcome(
            422,
            "required",
            "the resource has no resourceType",
        ))),
    }
}

fn resource(status: u16, stored: &Stored) -> Response {
    answer::with(
        answer::fhir(status, stored.text.clone()),
        "etag",
        &etag(stored),
    )
}

fn located(
    shared: &Shared,
    status: u16,
    resource_type: &str,
    id: &str,
    stored: &Stored,
) -> Response {
    let location = format!(
        "{}/{resource_type}/{id}/_history/{}",
        shared.fhir_base, stored.version
    );
    answer::with(resource(status, stored), "location", &location)
}

fn etag(stored: &Stored) -> String {
    format!("W/\"{}\"", stored.version)
}
