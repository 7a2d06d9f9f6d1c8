//! One resource as text: its type and id, read without building a tree.

use std::borrow::Cow;

use serde::Deserialize;

use crate::fhir::id::Id;
use crate::words;

/// How nearly every exported line begins.
const USUAL_START: &[u8] = br#"{"resourceType":""#;
/// The members of the top level that a name for a resource is made of.
const LONGEST_TYPE: usize = 64;

/// Parameters of a search that shape its answer and do not narrow what it finds (FHIR R4 §3.1.1.5, §3.1.0.1).
const OF_THE_RESULT: [&str; 15] = [
    "_count",
    "_sort",
    "_include",
    "_revinclude",
    "_summary",
    "_elements",
    "_total",
    "_contained",
    "_containedType",
    "_format",
    "_pretty",
    "_score",
    "_cascade",
    "_offset",
    "_cursor",
];

/// Type and id of a resource.
#[derive(Debug, Deserialize)]
pub struct Head<'a> {
    #[serde(rename = "resourceType", borrow, default)]
    pub resource_type: Cow<'a, str>,
    #[serde(borrow, default)]
    pub id: Option<Cow<'a, str>>,
}

impl<'a> Head<'a> {
    /// Reads a whole resource and checks that it is one JSON object with a type (RFC 8259, FHIR R4 §2.6.2).
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn read(text: &'a [u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
        let head: Self = serde_json::from_str(text).map_err(|error| {
            // It counts from the line's start, so its own line number says nothing.
            let what = words::what_of_json(&error);
            format!("it is no JSON resource: {what} at byte {}", error.column())
        })?;
        if !text.starts_with('{') {
            return Err("it is no JSON object".into());
        }
        if head.resource_type.is_empty() {
            return Err("it has no resourceType".into());
        }
        if !is_type(&head.resource_type) {
            return Err("its resourceType is no name of a type".into());
        }
        Ok(head)
    }
}

/// Whether a text can be the name of a resource type: letters, the first a capital.
pub fn is_type(name: &str) -> bool {
    name.len() <= LONGEST_TYPE
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The type of a resource, as quickly as it can be told; empty when it cannot. Good lines give what [`Head::read`] gives.
pub fn quick_type(text: &[u8]) -> Cow<'_, str> {
    if let Some(rest) = text.strip_prefix(USUAL_START)
        && let Some(end) = memchr::memchr2(b'"', b'\\', &rest[..rest.len().min(LONGEST_TYPE + 1)])
        && rest[end] == b'"'
        && let Ok(name) = std::str::from_utf8(&rest[..end])
    {
        return Cow::Borrowed(name);
    }
    Head::read(text)
        .map(|head| head.resource_type)
        .unwrap_or_default()
}

/// As [`quick_type`], but empty when it is no name of a type.
pub fn type_name(text: &[u8]) -> Cow<'_, str> {
    let name = quick_type(text);
    if is_type(&name) {
        name
    } else {
        Cow::Borrowed("")
    }
}

/// The type of what a URL relative to the FHIR base is for: one resource, or those that a search finds. Empty when it is
/// for neither: a type alone would be all resources of that type.
pub fn type_of_url(url: &str) -> &str {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    match path.split_once('/') {
        Some((name, id)) if is_type(name) && Id::of_segment(id).is_ok() => name,
        None if is_type(path) && has_criteria(query) => path,
        _ => "",
    }
}

/// Whether a search narrows what it finds. What only shapes the answer does not (FHIR R4 §3.1.1.5), nor does an empty value.
fn has_criteria(query: &str) -> bool {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().any(|(name, value)| {
        let name = name.split(':').next().unwrap_or_default();
        !name.is_empty() && !value.is_empty() && !OF_THE_RESULT.contains(&name)
    })
}

/// Whether a deletion may be sent.
///
/// # Errors
/// Why not, in words.
pub fn deletable(url: &str, by_search: bool) -> Result<(), String> {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    if let Some((name, id)) = path.split_once('/')
        && is_type(name)
        && let Err(problem) = Id::of_segment(id)
    {
        return Err(format!("`{url}` is no URL of a resource: {problem}"));
    }
    if is_type(path) && url.contains('?') {
        if !has_criteria(query) {
            return Err(format!("`{url}` is a search that finds all of them"));
        }
        if !by_search {
            return Err(format!(
                "`{url}` is a search, which may find more than was meant; --delete-by-search sends it"
            ));
        }
    }
    if type_of_url(url).is_empty() {
        return Err(format!("`{url}` is no URL of a resource"));
    }
    Ok(())
}

/// The text without white space at both ends, which no resource misses.
pub fn trimmed(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

/// A resource's text with an id put at its start.
pub fn with_id(text: &[u8], id: &str) -> Vec<u8> {
    let rest = text.strip_prefix(b"{").unwrap_or(text);
    let id = serde_json::to_string(id).unwrap_or_default();
    let mut out = Vec::with_capacity(text.len() + id.len() + 8);
    out.extend_from_slice(b"{\"id\":");
    out.extend_from_slice(id.as_bytes());
    if !rest.trim_ascii_start().starts_with(b"}") {
        out.push(b',');
    }
    out.extend_from_slice(rest);
    out
}

/// Whether a text has the shape of a UUID (RFC 9562 §4).
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_and_bad_lines_are_named() {
        let head =
            Head::read(br#"{"id":"a","x":1.00,"resourceType":"Patient","y":{"id":"no"}}"#).unwrap();
        assert_eq!(
            (&*head.resource_type, head.id.as_deref()),
            ("Patient", Some("a"))
        );
        for (bad, words) in [
            (
                &b"{\"resourceType\":\"Patient\""[..],
                "no JSON resource: EOF",
            ),
            (b"{}", "no resourceType"),
            (b"[]", "no JSON object"),
            (b"{\"resourceType\":\"../x\"}", "no name of a type"),
            (
                b"{\"resourceType\":\"Patient\",\"x\":\"\xff\"}",
                "not UTF-8",
            ),
            (
                b"{\"resourceType\":\"Patient\",\"id\":\"1\",\"id\":\"2\"}",
                "duplicate field",
            ),
            (b"{\"resourceType\":\"Patient\"}{}", "trailing characters"),
        ] {
            let error = Head::read(bad).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn the_quick_type_is_the_type() {
        for text in [
            r#"{"resourceType":"Patient","id":"1"}"#,
            r#"{ "id":"1", "resourceType" : "Patient"}"#,
            r#"{"resourceType":"Pati\u0065nt"}"#,
        ] {
            assert_eq!(quick_type(text.as_bytes()), "Patient");
        }
        assert_eq!(quick_type(b"nonsense"), "");
    }

    #[test]
    fn a_url_is_for_one_resource_or_for_what_a_search_finds() {
        for good in [
            "Patient/1",
            "Patient/1?_cascade=delete",
            "Patient?a=b",
            "Patient?&a=b",
        ] {
            assert_eq!(type_of_url(good), "Patient", "{good}");
        }
        for bad in [
            "",
            "Patient",
            "Patient/",
            "Patient?",
            "Patient?a",
            "Patient?a=",
            "Patient?=b",
            "Patient/1/_history/2",
            "Patient/.",
            "Patient/..",
            "Patient/%2e",
            "Patient/%2E%2e",
            "Patient?_count=1000",
            "Patient?_format=json&_sort=name",
            "http://h/Patient/1",
            "?a=b",
        ] {
            assert_eq!(type_of_url(bad), "", "{bad}");
        }
    }

    #[test]
    fn an_id_goes_in() {
        assert_eq!(with_id(b"{}", "a"), b"{\"id\":\"a\"}");
        assert_eq!(with_id(b"{ \"x\":1}", "a"), b"{\"id\":\"a\", \"x\":1}");
        assert!(is_uuid("11111111-2222-3333-4444-55555555aAbB") && !is_uuid("x"));
    }
}
