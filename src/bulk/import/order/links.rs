//! What kinds of references a resource has, told without reading all of it.

use memchr::memmem::Finder;

use super::names;

/// What a scan looks for.
#[derive(Debug)]
pub struct Scan {
    member: Finder<'static>,
    urn: Finder<'static>,
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
}

impl Links {
    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.has_urns |= other.has_urns;
        self.has_relative |= other.has_relative;
        self.has_source |= other.has_source;
        self.absolute += other.absolute;
        self.conditional += other.conditional;
    }
}

impl Scan {
    /// A scan for resources that go to a server with this base.
    pub fn new(base: Option<String>) -> Self {
        Self {
            member: Finder::new("\"reference\""),
            urn: Finder::new("urn:uuid:"),
            base,
        }
    }

    /// The references of a resource that came from a server with this base.
    pub fn links(&self, text: &[u8], source: Option<&str>) -> Links {
        let mut links = Links {
            has_urns: self.urn.find(text).is_some(),
            ..Links::default()
        };
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
            // Some write `https:\/\/`.
            let plain = value.replace("\\/", "/");
            self.look(&plain, source, &mut links);
        }
        links
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
        };
        assert_eq!(scan.links(text, Some("https://source/fhir/")), wanted);
    }
}
