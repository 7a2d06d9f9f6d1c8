//! The references of a text, led to where the index says.

use std::io;

use super::names::{Scope, is_relative, is_urn, relative_of, without_version};
use super::own::Own;
use super::references::{Index, Target, is_ambiguous};
use crate::fhir::object::rewrite_links;

/// How references are led.
#[derive(Debug)]
pub struct Way<'a> {
    /// Where the text is from.
    pub scope: Scope,
    /// The FHIR base, with a slash at its end.
    pub base: &'a str,
    /// The FHIR base that it came from, with a slash at its end.
    pub source: Option<&'a str>,
    /// The text's own full URL.
    pub full_url: Option<&'a str>,
    /// What the server leads itself, since it is in the same transaction.
    pub own: &'a Own,
    /// Whether `Type/id` is led too.
    pub relative: bool,
    /// Whether the server gives the ids, so that `Type/id` that is not led may be somebody else's.
    pub ids_change: bool,
    pub goes: Goes,
}

/// Where a text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goes {
    /// To the server.
    Out,
    /// Into a file, to be read once more: references lead to where they go by whole URLs. It leaves its Bundle, so names that
    /// several Bundles have become names of their own (`apart`), where all of them were known.
    IntoAFile { apart: bool },
}

impl Way<'_> {
    fn of_source<'r>(&self, reference: &'r str) -> Option<&'r str> {
        let relative = reference.strip_prefix(self.source?)?;
        is_relative(relative).then_some(relative)
    }
}

/// A text whose references were led.
#[derive(Debug, Default)]
pub struct Led {
    pub text: String,
    /// How many lead to nothing that is imported.
    pub dangling: u64,
    /// How many of those lead to the server that it came from.
    pub absolute: u64,
    /// A reference to what is still to come.
    pub coming: Option<String>,
    /// A reference to what was not taken.
    pub failed: Option<String>,
    /// A reference that the server would lead to an entry of another Bundle.
    pub misled: Option<String>,
    /// Full URLs made up for this transaction that it points at.
    pub within: Vec<String>,
}

impl Led {
    /// What stands in the place of a reference; `None` leaves it.
    fn take(&mut self, reference: &str, name: &str, target: Target, way: &Way) -> Option<String> {
        match target {
            Target::At(target) if way.goes != Goes::Out => {
                return Some(format!("{}{target}", way.base));
            }
            Target::At(target) => return Some(target),
            Target::Coming => {
                self.coming.get_or_insert_with(|| reference.to_owned());
            }
            Target::Failed => {
                self.failed.get_or_insert_with(|| reference.to_owned());
            }
            Target::Ambiguous | Target::Unknown if way.own.misleads(way.scope, reference) => {
                self.misled.get_or_insert_with(|| reference.to_owned());
            }
            Target::Ambiguous | Target::Unknown if name != reference => self.absolute += 1,
            Target::Ambiguous | Target::Unknown => {
                let is_told = is_urn(name) || way.ids_change && is_relative(name);
                self.dangling += u64::from(is_told);
            }
        }
        None
    }
}

impl Index {
    /// The reference as the server leads it itself, by the full URL that its entry has; `None` of one that it does not lead.
    /// A relative one is looked for under the base of the text's own full URL.
    fn led_by_the_server(&self, reference: &str, way: &Way) -> io::Result<Option<String>> {
        if !way.own.has_urls() {
            return Ok(None);
        }
        let own = |url: &str| way.own.leads(way.scope, url, || is_ambiguous(self, url));
        let under_the_base = || {
            let full_url = way.full_url?;
            let base = full_url.strip_suffix(relative_of(full_url)?)?;
            Some(format!("{base}{}", without_version(reference)))
        };
        if let Some(spelled) = own(reference)? {
            return Ok(Some(spelled.to_owned()));
        }
        let relative = is_relative(reference).then(under_the_base).flatten();
        let is_led = relative.map_or(Ok(false), |url| own(&url).map(|led| led.is_some()))?;
        Ok(is_led.then(|| reference.to_owned()))
    }

    /// Another name for a full URL that several Bundles have.
    fn parted(&self, way: &Way, url: &str) -> io::Result<Option<String>> {
        Ok(is_ambiguous(self, url)?.then(|| way.scope.own_url(url)))
    }

    /// A resource's text with its references led to where they go now.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn lead(&self, text: &str, way: &Way) -> io::Result<Led> {
        let (mut led, mut problem) = (Led::default(), None);
        let new = rewrite_links(text, |reference| {
            // The server's own base says nothing that a relative reference does not say.
            let relative = reference
                .strip_prefix(way.base)
                .filter(|rest| rest.contains('/'));
            if relative.is_some() {
                return relative
                    .filter(|_| way.goes == Goes::Out)
                    .map(str::to_owned);
            }
            match self.led_by_the_server(reference, way) {
                Ok(None) => {}
                Ok(led) => return led,
                Err(error) => {
                    problem = Some(error);
                    return None;
                }
            }
            let of_source = way.of_source(reference);
            let name = of_source.unwrap_or(reference);
            if let Some(url) = way.own.url_of(without_version(name)) {
                led.within.push(url.to_owned());
                return Some(url.to_owned());
            }
            let is_name = is_urn(name)
                || is_relative(name) && (way.relative || of_source.is_some())
                || self.has_urls() && name.contains("://");
            if !is_name {
                led.dangling += u64::from(way.ids_change && is_relative(name));
                return None;
            }
            match self.find(way.scope, name) {
                Ok(Target::Coming | Target::Failed)
                    if way.goes == (Goes::IntoAFile { apart: true }) =>
                {
                    match self.parted(way, name) {
                        Ok(new) => new,
                        Err(error) => {
                            problem = Some(error);
                            None
                        }
                    }
                }
                Ok(target) => led.take(reference, name, target, way),
                Err(error) => {
                    problem = Some(error);
                    None
                }
            }
        });
        led.text = new;
        problem.map_or(Ok(led), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::{Names, Naming};
    use super::*;

    const NEW: Naming = Naming {
        keeps_ids: false,
        by_id: true,
        by_uuid: true,
    };

    fn in_file(file: usize) -> Scope {
        Scope { file, bundle: 0 }
    }

    fn led(index: &Index, text: &str, own: &[&str]) -> Led {
        let own = Own::with(in_file(0), own);
        let way = Way {
            scope: in_file(0),
            base: "https://h/fhir/",
            source: None,
            full_url: None,
            own: &own,
            relative: true,
            ids_change: true,
            goes: Goes::Out,
        };
        index.lead(text, &way).unwrap()
    }

    #[test]
    fn references_are_led_to_their_targets_and_nothing_else_changes() {
        let mut index = Index::default();
        index.insert("urn:uuid:AB", "Patient/ab").unwrap();
        let text = r#"{"value":1.00,"subject":{"reference":"urn:uuid:ab"},"x":[{"reference":"urn:uuid:cd"},{"reference":"urn:uuid:ef"}],"system":"urn:uuid:ab","url":"urn:uuid:ab"}"#;
        let led = led(&index, text, &["urn:uuid:ef"]);
        let wanted = text
            .replacen("urn:uuid:ab", "Patient/ab", 1)
            .replace(r#""url":"urn:uuid:ab""#, r#""url":"Patient/ab""#);
        assert_eq!((led.text, led.dangling), (wanted, 1));
    }

    #[test]
    fn what_is_to_come_is_waited_for_and_what_failed_is_told() {
        let mut index = Index::default();
        let names = Names::new(in_file(0), "Patient", Some("1"), None, NEW);
        index.note_coming(&names).unwrap();
        let text = r#"{"reference":"Patient/1/_history/2"}"#;
        assert!(led(&index, text, &[]).coming.is_some());
        index.note(&names, "Patient/9", false).unwrap();
        index.note_failed(&names).unwrap();
        assert_eq!(led(&index, text, &[]).text, r#"{"reference":"Patient/9"}"#);
        let text = r#"{"reference":"https://h/fhir/Patient/1"}"#;
        assert_eq!(led(&index, text, &[]).text, r#"{"reference":"Patient/1"}"#);
    }
}
