//! Which resources the server has already, with the same content: they need not be written again.

use std::collections::HashSet;

use reqwest::Method as HttpMethod;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::bulk::import::BundleKind;
use crate::bulk::import::batch::{Batch, quoted};
use crate::bulk::import::piece::{Action, Item};
use crate::bulk::import::send::answer::SHORTEST_LIMIT;
use crate::bulk::import::send::answer::{self, Outcome};
use crate::fhir::object::Object;
use crate::fhir::{Answer, Client, FHIR_JSON, FhirError, TokenRule, with_body};
use crate::http::{HttpError, Request};

/// Members of `meta` that a server sets (FHIR R4 §2.27.4; the last three are Medplum's).
const OF_THE_SERVER: [&str; 5] = [
    "versionId",
    "lastUpdated",
    "author",
    "project",
    "compartment",
];

/// No resource is nested as deep (serde_json stops at 128 where it builds).
const DEEPEST: usize = 128;

#[derive(Deserialize)]
struct Found<'a> {
    #[serde(borrow, default)]
    entry: Vec<FoundEntry<'a>>,
}

#[derive(Deserialize)]
struct FoundEntry<'a> {
    #[serde(borrow, default)]
    resource: Option<&'a RawValue>,
}

/// The ordinals of the items that are on the server with the same content.
///
/// # Errors
/// What the answer, or the lack of one, means for the whole request.
pub(super) async fn on_server(
    client: &Client,
    batch: &Batch,
    kind: BundleKind,
) -> Result<HashSet<u64>, Outcome> {
    let items = batch.items.iter();
    let items: Vec<&Item> = items.filter(|item| item.action == Action::Put).collect();
    let ours = |item: &Item| std::str::from_utf8(batch.text_of(item)).unwrap_or_default();
    // What is much longer than ours is not the same.
    let limit = SHORTEST_LIMIT + 4 * items.iter().map(|item| ours(item).len()).sum::<usize>();
    let mut same = HashSet::new();
    match (items.first(), kind) {
        (None, _) => {}
        (Some(item), BundleKind::None) => {
            let theirs = read_one(client, item, limit).await?;
            if theirs.is_some_and(|theirs| is_same_resource(ours(item), &theirs)) {
                same.insert(item.ordinal);
            }
        }
        _ => {
            let text = read_many(client, &items, limit).await?.unwrap_or_default();
            let found: Found = serde_json::from_str(&text).unwrap_or(Found { entry: Vec::new() });
            for (item, entry) in items.iter().zip(found.entry) {
                let is_same = |theirs: &RawValue| is_same_resource(ours(item), theirs.get());
                if entry.resource.is_some_and(is_same) {
                    same.insert(item.ordinal);
                }
            }
        }
    }
    Ok(same)
}

/// What the server has of an item; `None` of what it has not, or what is too long to be the same.
async fn read_one(client: &Client, item: &Item, limit: usize) -> Result<Option<String>, Outcome> {
    let url = client.url(&item.url).map_err(answer::of_error)?;
    let request = Request::new(HttpMethod::GET, url);
    let answer = client
        .read_within(request, TokenRule::OwnOrigins, limit)
        .await;
    let answer = unless_too_large(answer)?.filter(|answer| answer.status.is_success());
    Ok(answer.map(|answer| String::from_utf8_lossy(&answer.body).into_owned()))
}

/// A batch-response with what the server has of each item; `None` from one that cannot be asked this way.
async fn read_many(
    client: &Client,
    items: &[&Item],
    limit: usize,
) -> Result<Option<String>, Outcome> {
    let entry = |item: &&Item| {
        let url = quoted(&item.url);
        format!(r#"{{"request":{{"method":"GET","url":{url}}}}}"#)
    };
    let entries: Vec<String> = items.iter().map(entry).collect();
    let body = format!(
        r#"{{"resourceType":"Bundle","type":"batch","entry":[{}]}}"#,
        entries.join(",")
    );
    let request = Request::new(HttpMethod::POST, client.profile.fhir_root.clone());
    let request = with_body(request, body.into(), FHIR_JSON);
    let answer = client.read_once_within(request, TokenRule::OwnOrigins, limit);
    let Some(answer) = unless_too_large(answer.await)? else {
        return Ok(None);
    };
    // It has said nothing: all is written then.
    if matches!(answer.status.as_u16(), 400 | 404 | 405 | 422 | 501) {
        return Ok(None);
    }
    if !answer.status.is_success() {
        return Err(answer::of_refusal(answer, true));
    }
    Ok(Some(String::from_utf8_lossy(&answer.body).into_owned()))
}

/// The answer, or nothing where it is too long to be the same.
fn unless_too_large(answer: Result<Answer, FhirError>) -> Result<Option<Answer>, Outcome> {
    match answer {
        Err(FhirError::Http(HttpError::TooLarge { .. })) => Ok(None),
        answer => answer.map(Some).map_err(answer::of_error),
    }
}

/// Whether two resources say the same, but for what a server adds to `meta`. Numbers are compared digit by digit.
fn is_same_resource(ours: &str, theirs: &str) -> bool {
    let (Some(ours), Some(theirs)) = (without_servers(ours), without_servers(theirs)) else {
        return false;
    };
    is_same(&ours, &theirs, DEEPEST)
}

fn without_servers(text: &str) -> Option<String> {
    let mut resource = Object::parse(text).ok()?;
    if let Some(meta) = resource.get("meta").map(str::to_owned) {
        let mut meta = Object::parse(&meta).ok()?;
        for name in OF_THE_SERVER {
            meta.remove(name);
        }
        cut_request(&mut meta);
        if meta.is_empty() {
            resource.remove("meta");
        } else {
            resource.set("meta", meta.to_string());
        }
    }
    Some(resource.to_string())
}

/// HAPI adds `#` and the id of the request to `meta.source` of all that it takes, in place of any fragment that was there.
fn cut_request(meta: &mut Object) {
    let Some(source) = meta.get("source") else {
        return;
    };
    let Ok(source) = serde_json::from_str::<String>(source) else {
        return;
    };
    match source.split_once('#') {
        Some(("", _)) => {
            meta.remove("source");
        }
        Some((source, _)) => {
            let source = serde_json::Value::from(source);
            meta.set("source", source.to_string());
        }
        None => {}
    }
}

/// What lies deeper counts as another, so that no nesting is too much for the stack.
fn is_same(one: &str, other: &str, depth: usize) -> bool {
    let (one, other) = (one.trim(), other.trim());
    if one == other {
        return true;
    }
    let Some(depth) = depth.checked_sub(1) else {
        return false;
    };
    match (one.as_bytes().first(), other.as_bytes().first()) {
        (Some(b'{'), Some(b'{')) => {
            let (Ok(one), Ok(other)) = (members(one), members(other)) else {
                return false;
            };
            one.len() == other.len()
                && one.iter().all(|(name, value)| {
                    other
                        .get(name)
                        .is_some_and(|theirs| is_same(value.get(), theirs.get(), depth))
                })
        }
        (Some(b'['), Some(b'[')) => {
            let lists = serde_json::from_str::<Vec<&RawValue>>(one)
                .ok()
                .zip(serde_json::from_str::<Vec<&RawValue>>(other).ok());
            lists.is_some_and(|(one, other)| {
                one.len() == other.len()
                    && one
                        .iter()
                        .zip(other)
                        .all(|(one, other)| is_same(one.get(), other.get(), depth))
            })
        }
        (Some(b'"'), Some(b'"')) => {
            let text = |raw| serde_json::from_str::<String>(raw).ok();
            text(one).is_some_and(|one| Some(one) == text(other))
        }
        _ => false,
    }
}

fn members(text: &str) -> Result<std::collections::HashMap<String, &RawValue>, serde_json::Error> {
    serde_json::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nested_too_deep_is_another_and_no_crash() {
        let nested = |inner: &str| {
            let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
            format!(r#"{{"a":{open}{inner}{close}}}"#)
        };
        assert!(!is_same_resource(&nested("1"), &nested("2")));
        assert!(is_same_resource(&nested("1"), &nested("1")));
    }

    #[test]
    fn the_request_that_hapi_adds_to_the_source_is_no_difference() {
        let with = |source| format!(r#"{{"id":"1","meta":{{"source":"{source}"}}}}"#);
        assert!(is_same_resource(
            r#"{"id":"1"}"#,
            &with("#r1pSPMYKgsiH7yOk")
        ));
        assert!(is_same_resource(&with("urn:a"), &with("urn:a#r1pSPMYK")));
        assert!(is_same_resource(&with("#one"), &with("#other")));
        assert!(!is_same_resource(&with("urn:a"), &with("urn:b#r1pSPMYK")));
        assert!(!is_same_resource(r#"{"id":"1"}"#, &with("urn:a#r1pSPMYK")));
    }

    #[test]
    fn resources_are_the_same_whatever_the_order_and_what_the_server_adds() {
        let ours = r#"{"resourceType":"Patient","id":"1","a":[1.00,{"b":"\u00e9","c":null}]}"#;
        let theirs = r#"{ "id":"1", "meta":{"versionId":"2","lastUpdated":"x","project":"p"}, "a":[1.00, {"c":null,"b":"é"}], "resourceType":"Patient"}"#;
        assert!(is_same_resource(ours, theirs));
        for (old, new) in [
            ("1.00", "1.0"),
            ("\"1\"", "\"2\""),
            ("null", "0"),
            ("versionId", "source"),
            ("\"c\":null,", ""),
        ] {
            assert!(
                !is_same_resource(ours, &theirs.replacen(old, new, 1)),
                "{old} {new}"
            );
        }
    }
}
