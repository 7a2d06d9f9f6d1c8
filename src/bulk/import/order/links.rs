//! What kinds of references a resource has, told without reading all of it.

use memchr::memmem::{self, Finder};

use super::names;
use crate::fhir::object::{rewrite_links, rewrite_references};

/// What a scan looks for.
#[derive(Debug)]
pub struct Scan {
    member: Finder<'static>,
    /// What may be the end of `urn:`, in capitals and small letters: in a text of many megabytes it is found quickest so.
    ends_of_urn: [Finder<'static>; 4],
    /// Escapes in which letters, colons and slashes can hide (RFC 8259 §7).
    escapes: [Finder<'static>; 2],
    /// The FHIR base that resources go to, with a slash at its end.
    base: Option<String>,
}

/// The references of resources, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Links {
    pub has_urns: bool,
    /// Whether there are any as `Type/id`.
    pub has_relative: bool,
    /// Whether there are any by the URL of the server that an export came from.
    pub has_source: bool,
    /// Those by the URL of another server.
    pub absolute: u64,
    /// Those by a search (`Patient?identifier=…`).
    pub conditional: u64,
    /// Resources whose entries have an `ifNoneExist` that is not sent.
    pub lost_conditions: u64,
}

impl Links {
    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.has_urns |= other.has_urns;
        self.has_relative |= other.has_relative;
        self.has_source |= other.has_source;
        self.absolute += other.absolute;
        self.conditional += other.conditional;
        self.lost_conditions += other.lost_conditions;
    }
}

impl Scan {
    /// A scan for resources that go to a server with this base.
    pub fn new(base: Option<String>) -> Self {
        Self {
            member: Finder::new("\"reference\""),
            ends_of_urn: ["rn:", "RN:", "Rn:", "rN:"].map(Finder::new),
            escapes: ["\\u", "\\/"].map(Finder::new),
            base,
        }
    }

    /// Whether a text may have references by `urn:uuid`, or by the URL of the server that it came from.
    pub fn may_lead(&self, text: &[u8], source: Option<&str>) -> bool {
        let is_of_source = |source: &str| memmem::find(text, source.as_bytes()).is_some();
        self.has_urn(text) || source.is_some_and(is_of_source) || self.hides(text)
    }

    fn has_urn(&self, text: &[u8]) -> bool {
        let begins = |at: usize| {
            let start = at.checked_sub(1)?;
            let urn = std::str::from_utf8(text.get(start..start + names::URN.len())?).ok()?;
            names::is_urn(urn).then_some(())
        };
        let mut ends = self.ends_of_urn.iter();
        ends.any(|end| end.find_iter(text).any(|at| begins(at).is_some()))
    }

    /// Whether a text may say something in other letters than it shows.
    fn hides(&self, text: &[u8]) -> bool {
        let mut escapes = self.escapes.iter();
        escapes.any(|escape| escape.find(text).is_some())
    }

    /// The references of a resource that came from a server with this base.
    pub fn links(&self, text: &[u8], source: Option<&str>) -> Links {
        let mut links = Links {
            has_urns: self.has_urn(text),
            ..Links::default()
        };
        if self.hides(text)
            && let Ok(text) = std::str::from_utf8(text)
        {
            self.look_through(text, source, &mut links);
            return links;
        }
        for at in self.member.find_iter(text) {
            let rest = text[at + self.member.needle().len()..].trim_ascii_start();
            let Some(rest) = rest.strip_prefix(b":") else {
                continue;
            };
            let Some(rest) = rest.trim_ascii_start().strip_prefix(b"\"") else {
                continue;
            };
            let end = memchr::memchr(b'"', rest).unwrap_or(rest.len());
            let Ok(value) = std::str::from_utf8(&rest[..end]) else {
                continue;
            };
            self.look(value, source, &mut links);
        }
        links
    }

    /// As each of them is read, string by string.
    fn look_through(&self, text: &str, source: Option<&str>, links: &mut Links) {
        rewrite_references(text, |value| {
            self.look(value, source, links);
            None
        });
        rewrite_links(text, |value| {
            links.has_urns |= names::is_urn(value);
            None
        });
    }

    fn look(&self, value: &str, source: Option<&str>, links: &mut Links) {
        let starts = |base: Option<&str>| base.is_some_and(|base| value.starts_with(base));
        if names::is_relative(value) {
            links.has_relative = true;
        } else if starts(source) {
            links.has_source = true;
        } else if value.starts_with("http://") || value.starts_with("https://") {
            links.absolute += u64::from(!starts(self.base.as_deref()));
        } else if value.starts_with(|c: char| c.is_ascii_uppercase()) && value.contains('?') {
            links.conditional += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_by_their_kind() {
        let scan = Scan::new(Some("https://here/fhir/".into()));
        let text = br#"{"a":{"reference":"Patient/1"},"b":{"reference" : "https://there/fhir/Patient/1"},"c":{"reference":"https:\/\/source\/fhir\/Patient/1"},
            "d":{"reference":"https://here/fhir/Patient/1"},"e":{"reference":"Patient?identifier=a"},"url":"https://x/y","reference":{"reference":"urn:uuid:1"},"f":["reference","https://z/Patient/1"]}"#;
        let wanted = Links {
            has_urns: true,
            has_relative: true,
            has_source: true,
            absolute: 1,
            conditional: 1,
            lost_conditions: 0,
        };
        let source = Some("https://source/fhir/");
        assert_eq!(scan.links(text, source), wanted);
        let text = std::str::from_utf8(text).unwrap();
        let escaped = text.replace("\"reference\"", "\"\\u0072eference\"");
        assert_eq!(scan.links(escaped.as_bytes(), source), wanted);
        let plain = text.replace("\\/", "/");
        assert_eq!(scan.links(plain.as_bytes(), source), wanted);
    }

    #[test]
    fn a_urn_is_seen_in_whatever_letters() {
        let scan = Scan::new(None);
        for urn in [
            "urn:uuid:1",
            "URN:UUID:1",
            "uRn:uUiD:1",
            r"urn\u003auuid:1",
            r"\u0055rn:uuid:1",
        ] {
            for member in ["reference", "url", "valueUri"] {
                let text = format!(r#"{{"{member}":"{urn}"}}"#);
                assert!(scan.links(text.as_bytes(), None).has_urns, "{text}");
                assert!(scan.may_lead(text.as_bytes(), None), "{text}");
            }
        }
        for text in ["", "urn:uuid", "rn:uuid:1", r#"{"reference":"urn:oid:1"}"#] {
            assert!(!scan.links(text.as_bytes(), None).has_urns, "{text}");
            assert!(!scan.may_lead(text.as_bytes(), None), "{text}");
        }
    }
}
