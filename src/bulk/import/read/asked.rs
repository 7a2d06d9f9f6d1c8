//! What an entry of a Bundle asks for, and whether an import does that: it writes resources and deletes them, no more.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::line::{self, Head};
use crate::words;

/// What becomes of what entries ask for by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// All is written under the ids it has.
    #[default]
    Ids,
    /// Each resource becomes a new one.
    Anew,
    /// What a search finds is the same, and the import says by what.
    Matched,
    /// Nothing is written.
    Nothing,
}

/// The `request` of an entry.
#[derive(Deserialize)]
pub(super) struct Request<'a> {
    #[serde(borrow, default)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    url: Cow<'a, str>,
    #[serde(rename = "ifMatch", borrow, default)]
    if_match: Option<&'a RawValue>,
    #[serde(rename = "ifNoneExist", borrow, default)]
    if_none_exist: Option<&'a RawValue>,
    #[serde(rename = "ifNoneMatch", borrow, default)]
    if_none_match: Option<&'a RawValue>,
}

impl Request<'_> {
    pub(super) fn is_deletion(&self) -> bool {
        self.is("DELETE")
    }

    /// Whether it is for what is not there alone.
    pub(super) fn has_condition(&self) -> bool {
        self.if_none_exist.is_some()
    }

    /// The methods are written in capitals (FHIR R4, http-verb); some write them small, and mean the same.
    fn is(&self, method: &str) -> bool {
        self.method.eq_ignore_ascii_case(method)
    }

    /// The URL relative to the FHIR base; of an absolute one, only where it is the resource's full URL.
    pub(super) fn relative_url(&self, full_url: Option<&str>) -> String {
        let url = &*self.url;
        let is_own = full_url == Some(url) && url.contains("://");
        let own = is_own.then(|| tail(url)).flatten();
        own.unwrap_or_else(|| url.strip_prefix('/').unwrap_or(url).to_owned())
    }

    /// Why an import cannot do what is asked for, when it cannot.
    pub(super) fn problem(&self, resource: Option<&RawValue>, asked: Asked) -> Option<String> {
        let is_known = ["", "PUT", "POST", "DELETE"]
            .iter()
            .any(|name| self.is(name));
        if !is_known {
            let method = words::shortened(&self.method);
            return Some(format!(
                "its request is {method}, and only PUT, POST and DELETE are imported"
            ));
        }
        let path = self.url.split('?').next().unwrap_or_default();
        if path.contains('$') {
            let path = words::shortened(path);
            return Some(format!("its request is for the operation `{path}`"));
        }
        self.unsent_condition(asked).or_else(|| {
            let resource = resource.filter(|_| !self.is_deletion())?;
            self.contradiction(resource, asked)
        })
    }

    /// Conditions that are not sent: without them, what the server has by now would be written over or doubled.
    fn unsent_condition(&self, asked: Asked) -> Option<String> {
        let name = if self.if_match.is_some() {
            "ifMatch"
        } else if self.if_none_match.is_some() {
            "ifNoneMatch"
        } else if self.if_none_exist.is_some() && !self.is("POST") && !self.is("") {
            // FHIR R4 §3.1.0.11.1: it is for a POST alone.
            return Some(format!(
                "its request is {} with ifNoneExist, which only a POST can have",
                words::shortened(&self.method)
            ));
        } else if self.if_none_exist.is_some() && asked == Asked::Anew {
            return Some(
                "its request has ifNoneExist, which is not sent; --match says what is the same"
                    .into(),
            );
        } else {
            return None;
        };
        Some(format!("its request has {name}, which is not sent"))
    }

    /// Whether it is for another resource than the one that comes with it.
    fn contradiction(&self, resource: &RawValue, asked: Asked) -> Option<String> {
        let url = self.relative_url(None);
        if url.is_empty() {
            return None;
        }
        // What is wrong with the resource itself is told where it is read.
        let head: Head = serde_json::from_str(resource.get()).ok()?;
        let (kind, id) = (&*head.resource_type, head.id.as_deref());
        let (path, query) = match url.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&*url, None),
        };
        let target = tail(path).unwrap_or_else(|| path.to_owned());
        let own = format!("{kind}/{}", id.unwrap_or_default());
        let is_own = target == own || target == kind && (query.is_some() || !self.is("PUT"));
        if !is_own {
            let (url, own) = (words::shortened(&url), words::shortened(&own));
            return Some(match id {
                Some(_) => format!("its request is for `{url}`, and its resource is {own}"),
                None => format!(
                    "its request is for `{url}`, and its resource is a {kind} without an id"
                ),
            });
        }
        let is_search = query.is_some() && target == kind;
        (is_search && matches!(asked, Asked::Ids | Asked::Anew)).then(|| {
            let url = words::shortened(&url);
            format!(
                "its request is for what `{url}` finds; --method conditional writes so, by --match"
            )
        })
    }
}

/// `Type/id` at the end of an absolute URL, or the type alone.
fn tail(url: &str) -> Option<String> {
    let (_, path) = url.split_once("://")?;
    let mut parts = path.rsplit('/');
    let (last, before) = (parts.next()?, parts.next()?);
    if line::is_type(before) {
        return Some(format!("{before}/{last}"));
    }
    line::is_type(last).then(|| last.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(request: &str, resource: &str, asked: Asked) -> String {
        let request: Request = serde_json::from_str(request).unwrap();
        let resource: &RawValue = serde_json::from_str(resource).unwrap();
        request.problem(Some(resource), asked).unwrap_or_default()
    }

    #[test]
    fn what_an_entry_asks_for_is_done_or_refused() {
        let patient = r#"{"resourceType":"Patient","id":"2"}"#;
        for (method, url, words) in [
            ("PUT", "Patient/2", ""),
            ("put", "/Patient/2", ""),
            ("PUT", "https://h/fhir/Patient/2", ""),
            ("POST", "Patient", ""),
            ("Post", "https://h/fhir/Patient", ""),
            ("", "", ""),
            ("PUT", "Patient/1", "its resource is Patient/2"),
            (
                "PUT",
                "https://h/fhir/Patient/1",
                "its resource is Patient/2",
            ),
            ("PUT", "Observation/2", "its resource is Patient/2"),
            ("PUT", "Patient/2/_history/1", "its resource is Patient/2"),
            ("PUT", "Patient", "its resource is Patient/2"),
            ("POST", "Observation", "its resource is Patient/2"),
            ("POST", "Patient/_search", "its resource is Patient/2"),
            ("PUT", "Patient?a=b", "finds"),
            ("POST", "Patient?a=b", "finds"),
            ("HEAD", "Patient/2", "only PUT"),
            ("PUT ", "Patient/2", "only PUT"),
        ] {
            let request = format!(r#"{{"method":"{method}","url":"{url}"}}"#);
            for asked in [Asked::Ids, Asked::Anew] {
                let said = problem(&request, patient, asked);
                assert!(said.contains(words), "{request}: {said}");
                assert_eq!(said.is_empty(), words.is_empty(), "{request}: {said}");
            }
            let said = problem(&request, patient, Asked::Matched);
            assert_eq!(said.is_empty(), words.is_empty() || words == "finds");
        }
        let anonymous = r#"{"resourceType":"Patient"}"#;
        let said = problem(
            r#"{"method":"PUT","url":"Patient/1"}"#,
            anonymous,
            Asked::Anew,
        );
        assert!(said.ends_with("a Patient without an id"), "{said}");
    }

    #[test]
    fn a_condition_that_is_not_sent_is_told() {
        let patient = r#"{"resourceType":"Patient","id":"2"}"#;
        for (method, asked, words) in [
            ("PUT", Asked::Ids, "which only a POST can have"),
            ("PUT", Asked::Matched, "which only a POST can have"),
            ("POST", Asked::Anew, "--match says"),
            ("POST", Asked::Matched, ""),
            ("POST", Asked::Ids, ""),
        ] {
            let request = format!(r#"{{"method":"{method}","ifNoneExist":"a=b"}}"#);
            let said = problem(&request, patient, asked);
            assert!(
                said.contains(words) && said.is_empty() == words.is_empty(),
                "{said}"
            );
        }
    }
}
