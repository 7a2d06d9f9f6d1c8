//! Where references lead: a table from full URLs (and ids that the server replaced) to `Type/id`, kept on disk.

use std::io;

use aws_lc_rs::digest::{SHA256, digest};

use super::names::{Names, Scope, is_relative, is_urn, relative_of, without_version};
use super::own::Own;
use super::table::{Key, Table};
use crate::fhir::object::rewrite_links;

// What stands in the place of a target that is not known. No `Type/id` looks like them.
const COMING: &str = "?";
const FAILED: &str = "!";
const AMBIGUOUS: &str = "*";

/// Nothing longer leads to a resource (FHIR R4: ids have at most 64 characters).
const LONGEST_TARGET: usize = 255;

/// Where references lead, by the first half of their SHA-256.
#[derive(Debug, Default)]
pub struct Index {
    table: Table,
    /// Whether resources go by full URLs over HTTP, so that those are worth looking up.
    has_urls: bool,
}

impl Index {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Notes where a reference leads. A later note replaces an earlier one. What is too long to be a reference to a
    /// resource (FHIR R4: ids have at most 64 characters) is not noted.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn insert(&mut self, reference: &str, target: &str) -> io::Result<()> {
        if target.is_empty() || target.len() > LONGEST_TARGET {
            return Ok(());
        }
        self.table.insert(key(reference), target.as_bytes())
    }

    /// Gets ready for many look-ups.
    ///
    /// # Errors
    /// The temporary files cannot be read or written.
    pub fn settle(&mut self) -> io::Result<()> {
        self.table.settle()
    }

    /// Where a reference leads, when that is known.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn get(&self, reference: &str) -> io::Result<Option<String>> {
        let found = self.table.get(&key(reference))?;
        Ok(found.map(|target| String::from_utf8_lossy(&target).into_owned()))
    }

    /// Notes where a resource leads that goes by a Bundle's full URL and by other names. In another file the same full
    /// URL is another resource's: outside of its own file it then leads nowhere. `is_own` is whether the target is the
    /// resource's own id.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn note(&mut self, names: &Names, target: &str, is_own: bool) -> io::Result<()> {
        if let Some(urn) = &names.full_url {
            self.has_urls |= !is_urn(urn);
            let here = names.scope.name(urn);
            let was_here = self.get(&here)?.is_some();
            self.insert(&here, target)?;
            let is_same = match self.get(urn)? {
                None => true,
                Some(other) if other == AMBIGUOUS => false,
                Some(other) => was_here || is_own && other == target,
            };
            self.insert(urn, if is_same { target } else { AMBIGUOUS })?;
        }
        names
            .others
            .iter()
            .try_for_each(|name| self.insert(name, target))
    }

    /// Notes that a resource will come, so that what points at it waits.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn note_coming(&mut self, names: &Names) -> io::Result<()> {
        self.note(names, COMING, false)
    }

    /// Notes that a resource did not come, unless one of its name did.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn note_failed(&mut self, names: &Names) -> io::Result<()> {
        for name in names.all() {
            if self.get(&name)?.is_some_and(|target| target == COMING) {
                self.insert(&name, FAILED)?;
            }
        }
        Ok(())
    }

    /// Where a reference in a Bundle or file leads.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn find(&self, scope: Scope, reference: &str) -> io::Result<Target> {
        let reference = without_version(reference);
        let mut found = None;
        if is_urn(reference) || reference.contains("://") {
            found = self.get(&scope.name(reference))?;
        }
        if found.is_none() {
            found = self.get(reference)?;
        }
        Ok(match found {
            None => Target::Unknown,
            Some(target) => match target.as_str() {
                COMING => Target::Coming,
                FAILED => Target::Failed,
                AMBIGUOUS => Target::Ambiguous,
                _ => Target::At(target),
            },
        })
    }

    /// A relative reference is looked for under the base of the text's own full URL.
    fn is_led_by_the_server(&self, reference: &str, way: &Way) -> io::Result<bool> {
        if !way.own.has_urls() {
            return Ok(false);
        }
        let is_own = |url: &str| way.own.leads(way.scope, url, || is_ambiguous(self, url));
        let under_the_base = || {
            let full_url = way.full_url?;
            let base = full_url.strip_suffix(relative_of(full_url)?)?;
            Some(format!("{base}{}", without_version(reference)))
        };
        if is_own(reference)? {
            return Ok(true);
        }
        let relative = is_relative(reference).then(under_the_base).flatten();
        relative.map_or(Ok(false), |url| is_own(&url))
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
                return relative.filter(|_| !way.absolute).map(str::to_owned);
            }
            match self.is_led_by_the_server(reference, way) {
                Ok(false) => {}
                Ok(true) => return None,
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
                || self.has_urls && name.contains("://");
            if !is_name {
                led.dangling += u64::from(way.ids_change && is_relative(name));
                return None;
            }
            match self.find(way.scope, name) {
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

/// Where a reference leads.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    /// To this `Type/id`.
    At(String),
    /// To a resource that is still to be written.
    Coming,
    /// To a resource that was not taken.
    Failed,
    /// To resources of several files, none of them this one.
    Ambiguous,
    /// To nothing that is imported.
    Unknown,
}

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
    /// Whether to write where a reference leads as a whole URL, for a text that is read once more.
    pub absolute: bool,
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
            Target::At(target) if way.absolute => return Some(format!("{}{target}", way.base)),
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

impl Names {
    /// Every name that leads to what was just written, for the journal.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn learned(&self, index: &Index) -> io::Result<Vec<String>> {
        let mut names = self.all();
        if let Some(url) = &self.full_url
            && is_ambiguous(index, url)?
        {
            names.retain(|name| name != url);
        }
        Ok(names)
    }
}

fn is_ambiguous(index: &Index, urn: &str) -> io::Result<bool> {
    Ok(index.get(urn)?.is_some_and(|target| target == AMBIGUOUS))
}

fn key(reference: &str) -> Key {
    let mut key = Key::default();
    // UUIDs are the same in capitals and small letters (RFC 9562 §4); ids are not.
    let hash = if is_urn(reference) {
        digest(&SHA256, reference.to_ascii_lowercase().as_bytes())
    } else {
        digest(&SHA256, reference.as_bytes())
    };
    let length = key.len();
    key.copy_from_slice(&hash.as_ref()[..length]);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_of_references_are_found_again() {
        let mut index = Index::default();
        assert!(index.is_empty());
        for number in 0..10_000 {
            index
                .insert(&format!("urn:uuid:{number}"), &format!("Patient/{number}"))
                .unwrap();
        }
        index.insert("urn:uuid:7", "Group/7").unwrap();
        for number in 0..10_000 {
            let wanted = if number == 7 {
                "Group/7".into()
            } else {
                format!("Patient/{number}")
            };
            assert_eq!(
                index.get(&format!("urn:uuid:{number}")).unwrap(),
                Some(wanted)
            );
        }
        assert_eq!(index.get("urn:uuid:x").unwrap(), None);
    }

    use super::super::names::Naming;

    const NEW: Naming = Naming {
        keeps_ids: false,
        by_id: true,
        by_uuid: true,
    };

    fn in_file(file: usize) -> Scope {
        Scope { file, bundle: 0 }
    }

    fn led(index: &Index, text: &str, own: &[&str]) -> Led {
        let own = own.iter().map(|urn| (*urn).to_owned()).collect();
        let way = Way {
            scope: in_file(0),
            base: "https://h/fhir/",
            source: None,
            full_url: None,
            own: &own,
            relative: true,
            ids_change: true,
            absolute: false,
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
    fn a_full_url_is_that_of_its_own_file() {
        let mut index = Index::default();
        let urn = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0";
        for (file, target) in [(0, "Patient/a"), (1, "Patient/b")] {
            let names = Names::new(in_file(file), "Patient", None, Some(urn), NEW);
            index.note(&names, target, true).unwrap();
        }
        for (file, wanted) in [
            (0, Target::At("Patient/a".into())),
            (1, Target::At("Patient/b".into())),
            (2, Target::Ambiguous),
        ] {
            assert_eq!(index.find(in_file(file), urn).unwrap(), wanted, "{file}");
        }
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
