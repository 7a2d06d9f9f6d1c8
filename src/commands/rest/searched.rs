//! What the answer to a search does not say by itself: that there is more of it, and that the server took no notice of a
//! parameter.

use std::collections::BTreeSet;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use crate::fhir::id::Id;
use crate::fhir::raw::{Bundle, Identity};
use crate::output::{Format, Output};
use crate::words;

/// Parameters that choose resources although they begin with `_` (FHIR R4 §3.1.1.4); the others are about the answer.
const CHOOSING: [&str; 13] = [
    "_id",
    "_lastUpdated",
    "_tag",
    "_profile",
    "_security",
    "_text",
    "_content",
    "_list",
    "_has",
    "_query",
    // The order and what comes beside are missed as much.
    "_sort",
    "_include",
    "_revinclude",
];

#[derive(Deserialize)]
struct Count {
    #[serde(default)]
    total: Option<u64>,
}

/// Says it of the answer to a search, if it is one. Lines and tables have no place for the link to the next page.
pub(super) fn say(output: &Output, asked: &Url, body: &[u8]) {
    let is_cut = matches!(output.format, Some(Format::Ndjson | Format::Table));
    // What there may be nothing to say of is not read for it.
    if !is_cut && names_of(asked).is_empty() {
        return;
    }
    let Ok(text) = std::str::from_utf8(body) else {
        return;
    };
    let Ok(bundle) = Bundle::parse(text) else {
        return;
    };
    if bundle.bundle_type.as_deref() != Some("searchset") {
        return;
    }
    say_ignored(output, asked, &bundle);
    if is_cut && bundle.next_link().is_some() {
        let here = bundle.resources().count();
        let of = total(text).map_or_else(String::new, |total| format!(" of {total}"));
        output.note(&format!(
            "This is the first page alone, with {here}{of} resources; --all fetches the others"
        ));
    }
}

/// How many there are, when a Bundle says so.
pub(super) fn total(text: &str) -> Option<u64> {
    serde_json::from_str::<Count>(text).ok()?.total
}

/// Whether a word is a type as it stands in a URL (FHIR R4 §2.24, resource types are names in upper camel case).
pub(super) fn is_type(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric())
}

/// `Type/id` of a resource.
///
/// # Errors
/// It has none.
pub(super) fn reference(resource: &RawValue) -> anyhow::Result<String> {
    let identity: Identity = serde_json::from_str(resource.get()).map_err(words::json_error)?;
    let id = identity
        .id
        .context("the server gave a resource without an id")?;
    let id = Id::parse(&id)?;
    Ok(format!(
        "{}/{}",
        words::shortened(&identity.resource_type),
        id.as_str()
    ))
}

/// A server says in the `self` link which parameters it used (FHIR R4 §3.1.1.3); one that names none of a search says nothing.
pub(super) fn say_ignored(output: &Output, asked: &Url, bundle: &Bundle) {
    let link = bundle.link.iter().find(|link| link.relation == "self");
    let Some(used) = link.and_then(|link| asked.join(&link.url).ok()) else {
        return;
    };
    let used = names_of(&used);
    let ignored: Vec<_> = names_of(asked).difference(&used).cloned().collect();
    if !ignored.is_empty() {
        output.warn(&format!(
            "The server seems to take no notice of {}, so what it gave may be more than was asked for: its self link \
             does not name it",
            words::shortened(&ignored.join(", "))
        ));
    }
}

/// The parameters that choose resources, without modifiers and chains.
fn names_of(url: &Url) -> BTreeSet<String> {
    let names = url.query_pairs().map(|(name, _)| {
        let name = name.split([':', '.']).next().unwrap_or_default();
        name.to_owned()
    });
    names
        .filter(|name| !name.starts_with('_') || CHOOSING.contains(&name.as_str()))
        .collect()
}
