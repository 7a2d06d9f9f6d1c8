//! A JSON object taken apart at its top level only: members can go or change, the text of the others stays.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::output::json::string_length;

/// The members of an object in their order, values as text.
#[derive(Debug)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Object<'a> {
    /// Takes an object apart.
    ///
    /// # Errors
    /// The text is no JSON object.
    pub fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The text of a member's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_ref())
    }

    /// A member's value when it is a string.
    pub fn string(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?).ok()
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| key != name);
    }

    /// Replaces a member's value, or adds one at the end.
    pub fn set(&mut self, name: &'a str, value: String) {
        match self.0.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = Cow::Owned(value),
            None => self.0.push((Cow::Borrowed(name), Cow::Owned(value))),
        }
    }

    /// Whether no member is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (key, value)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            let key = serde_json::to_string(key).map_err(|_| fmt::Error)?;
            write!(f, "{key}:{value}")?;
        }
        f.write_str("}")
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((Cow::Owned(key), Cow::Borrowed(value.get())));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Valid JSON text with the values of `reference` members replaced where `replace` gives another.
pub fn rewrite_references(text: &str, replace: impl FnMut(&str) -> Option<String>) -> String {
    rewrite_members(text, &["\"reference\""], replace)
}

/// As [`rewrite_references`], and also in members that hold a `uri` or `url` and may point at an entry of a Bundle
/// (FHIR R4 §3.1.0.11.2).
pub fn rewrite_links(text: &str, replace: impl FnMut(&str) -> Option<String>) -> String {
    const LINKS: [&str; 4] = ["\"reference\"", "\"url\"", "\"valueUri\"", "\"valueUrl\""];
    rewrite_members(text, &LINKS, replace)
}

fn rewrite_members(
    text: &str,
    names: &[&str],
    mut replace: impl FnMut(&str) -> Option<String>,
) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_reference = false;
    while let Some(start) = rest.find('"') {
        out.push_str(&rest[..start]);
        // What stands between two strings tells whether the first was a key.
        let length = string_length(&rest[start..]);
        let raw = &rest[start..start + length];
        rest = &rest[start + length..];
        let is_key = rest.trim_start().starts_with(':');
        let new = (in_reference && !is_key)
            .then(|| {
                serde_json::from_str::<String>(raw)
                    .ok()
                    .and_then(|old| replace(&old))
            })
            .flatten();
        match new {
            Some(new) => out.push_str(&serde_json::to_string(&new).unwrap_or_default()),
            None => out.push_str(raw),
        }
        in_reference =
            is_key && is_among(raw, names) && rest.trim_start()[1..].trim_start().starts_with('"');
    }
    out.push_str(rest);
    out
}

/// Whether a key is one of these, however its letters are written (RFC 8259 §7).
fn is_among(raw: &str, names: &[&str]) -> bool {
    let is_same = |key: &str| names.iter().any(|name| name.trim_matches('"') == key);
    names.contains(&raw)
        || raw.contains('\\') && serde_json::from_str::<String>(raw).is_ok_and(|key| is_same(&key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_go_and_change_and_the_rest_keeps_its_digits() {
        let mut object =
            Object::parse(r#"{"id":"1","value": 1.00 ,"big":12345678901234567890,"x":{"y":1e2}}"#)
                .unwrap();
        object.remove("id");
        object.set("x", "2".into());
        object.set("new", "null".into());
        assert_eq!(
            object.to_string(),
            r#"{"value":1.00,"big":12345678901234567890,"x":2,"new":null}"#
        );
    }

    #[test]
    fn only_values_of_reference_members_are_rewritten() {
        let text = r#"{"a":"P/1","reference":"P/1","b":{"reference" : "P/2"},"c":["reference","P/1"],"reference":{"d":"P/1"}}"#;
        let new = rewrite_references(text, |old| (old == "P/1").then(|| "urn:x".into()));
        assert_eq!(
            new,
            r#"{"a":"P/1","reference":"urn:x","b":{"reference" : "P/2"},"c":["reference","P/1"],"reference":{"d":"P/1"}}"#
        );
        let escaped =
            r#"{"\u0072eference":"P\/1","refer\\ence":"P/1","x":"\"reference\":\"P/1\""}"#;
        let new = rewrite_references(escaped, |old| (old == "P/1").then(|| "urn:x".into()));
        assert_eq!(new, escaped.replace(r"P\/1", "urn:x"));
    }
}
