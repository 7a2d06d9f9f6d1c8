//! Where references lead: a table from `urn:uuid` (and ids that the server replaced) to `Type/id`, kept on disk.

use std::collections::HashSet;
use std::io;

use aws_lc_rs::digest::{SHA256, digest};

use crate::bulk::import::order::table::{Key, Table};
use crate::bulk::import::read::line;
use crate::bulk::import::{BundleKind, Method, Options};
use crate::fhir::object::rewrite_links;

// What stands in the place of a target that is not known. No `Type/id` looks like them.
const COMING: &str = "?";
const FAILED: &str = "!";
const AMBIGUOUS: &str = "*";

/// Nothing longer leads to a resource (FHIR R4: ids have at most 64 characters).
const LONGEST_TARGET: usize = 255;

/// Where references lead, by the first half of their SHA-256.
#[derive(Debug, Default)]
pub struct Index(Table);

impl Index {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
        self.0.insert(key(reference), target.as_bytes())
    }

    /// Gets ready for many look-ups.
    ///
    /// # Errors
    /// The temporary files cannot be read or written.
    pub fn settle(&mut self) -> io::Result<()> {
        self.0.settle()
    }

    /// Where a reference leads, when that is known.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn get(&self, reference: &str) -> io::Result<Option<String>> {
        let found = self.0.get(&key(reference))?;
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
            let here = in_file(names.file, urn);
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

    /// Where a reference in a file leads.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn find(&self, file: usize, reference: &str) -> io::Result<Target> {
        let reference = reference.split("/_history/").next().unwrap_or_default();
        let mut found = None;
        if is_urn(reference) {
            found = self.get(&in_file(file, reference))?;
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
            if relative.is_some() || way.own.contains(reference) {
                return relative.filter(|_| !way.absolute).map(str::to_owned);
            }
            if !is_urn(reference) && !way.relative {
                return None;
            }
            match self.find(way.file, reference) {
                Ok(Target::At(target)) if way.absolute => Some(format!("{}{target}", way.base)),
                Ok(Target::At(target)) => Some(target),
                Ok(Target::Coming) => {
                    led.coming.get_or_insert_with(|| reference.to_owned());
                    None
                }
                Ok(Target::Failed) => {
                    led.failed.get_or_insert_with(|| reference.to_owned());
                    None
                }
                Ok(Target::Ambiguous | Target::Unknown) => {
                    led.dangling += u64::from(is_urn(reference));
                    None
                }
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
    /// The file that the text is from.
    pub file: usize,
    /// The FHIR base, with a slash at its end.
    pub base: &'a str,
    /// Full URLs that the server leads itself, since they are in the same transaction (FHIR R4 §3.1.0.11.2).
    pub own: &'a HashSet<String>,
    /// Whether `Type/id` is led too: ids change.
    pub relative: bool,
    /// Whether to write where a reference leads as a whole URL, for a text that is read once more.
    pub absolute: bool,
}

/// A text whose references were led.
#[derive(Debug, Default)]
pub struct Led {
    pub text: String,
    /// How many `urn:uuid` lead nowhere.
    pub dangling: u64,
    /// A reference to what is still to come.
    pub coming: Option<String>,
    /// A reference to what was not taken.
    pub failed: Option<String>,
}

/// What references call a resource.
#[derive(Debug)]
pub struct Names {
    file: usize,
    full_url: Option<String>,
    others: Vec<String>,
}

/// By what names references call the resources of an import.
#[derive(Clone, Copy, Debug)]
pub struct Naming {
    /// Whether resources are written under the ids they have.
    pub keeps_ids: bool,
    /// Whether `Type/id` is a name that leads elsewhere.
    pub by_id: bool,
    /// Whether an id that is a UUID is a name as `urn:uuid`.
    pub by_uuid: bool,
}

impl Naming {
    /// How it is with these options. A POST leaves references by id alone, and a transaction of POSTs those by UUID
    /// without a full URL, as the Medplum CLI does.
    pub fn of(options: &Options) -> Self {
        let is_post = options.method == Method::Post;
        Self {
            keeps_ids: !options.method.gives_ids(),
            by_id: options.method == Method::Conditional,
            by_uuid: !(is_post && options.bundle == BundleKind::Transaction),
        }
    }
}

impl Names {
    /// The names of a resource in a file.
    pub fn new(
        file: usize,
        resource_type: &str,
        id: Option<&str>,
        full_url: Option<&str>,
        naming: Naming,
    ) -> Self {
        let mut others = Vec::new();
        if let Some(id) = id {
            if naming.by_uuid && line::is_uuid(id) {
                others.push(format!("urn:uuid:{id}"));
            }
            if naming.by_id {
                others.push(format!("{resource_type}/{id}"));
            }
        }
        let full_url = full_url.filter(|url| is_urn(url)).map(str::to_owned);
        others.retain(|name| Some(name) != full_url.as_ref());
        Self {
            file,
            full_url,
            others,
        }
    }

    /// Every name, as the index knows it.
    fn all(&self) -> Vec<String> {
        let urn = self.full_url.iter();
        let urns = urn.flat_map(|urn| [in_file(self.file, urn), urn.clone()]);
        urns.chain(self.others.iter().cloned()).collect()
    }

    /// Every name that leads to what was just written, for the journal.
    pub fn learned(&self, index: &Index) -> io::Result<Vec<String>> {
        let mut names = self.all();
        if let Some(urn) = &self.full_url
            && self::is_ambiguous(index, urn)?
        {
            names.retain(|name| name != urn);
        }
        Ok(names)
    }
}

fn is_ambiguous(index: &Index, urn: &str) -> io::Result<bool> {
    Ok(index.get(urn)?.is_some_and(|target| target == AMBIGUOUS))
}

/// A full URL within its file.
fn in_file(file: usize, urn: &str) -> String {
    format!("{file}|{}", urn.to_ascii_lowercase())
}

/// Whether a reference is a `urn:uuid`.
pub fn is_urn(reference: &str) -> bool {
    reference.starts_with("urn:uuid:")
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

    const NEW: Naming = Naming {
        keeps_ids: false,
        by_id: true,
        by_uuid: true,
    };

    fn led(index: &Index, file: usize, text: &str, own: &[&str]) -> Led {
        let own = own.iter().map(|urn| (*urn).to_owned()).collect();
        let way = Way {
            file,
            base: "https://h/fhir/",
            own: &own,
            relative: true,
            absolute: false,
        };
        index.lead(text, &way).unwrap()
    }

    #[test]
    fn references_are_led_to_their_targets_and_nothing_else_changes() {
        let mut index = Index::default();
        index.insert("urn:uuid:AB", "Patient/ab").unwrap();
        let text = r#"{"value":1.00,"subject":{"reference":"urn:uuid:ab"},"x":[{"reference":"urn:uuid:cd"},{"reference":"urn:uuid:ef"}],"system":"urn:uuid:ab","url":"urn:uuid:ab"}"#;
        let led = led(&index, 0, text, &["urn:uuid:ef"]);
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
            let names = Names::new(file, "Patient", None, Some(urn), NEW);
            index.note(&names, target, true).unwrap();
        }
        for (file, wanted) in [
            (0, Target::At("Patient/a".into())),
            (1, Target::At("Patient/b".into())),
            (2, Target::Ambiguous),
        ] {
            assert_eq!(index.find(file, urn).unwrap(), wanted, "{file}");
        }
    }

    #[test]
    fn what_is_to_come_is_waited_for_and_what_failed_is_told() {
        let mut index = Index::default();
        let names = Names::new(0, "Patient", Some("1"), None, NEW);
        index.note_coming(&names).unwrap();
        let text = r#"{"reference":"Patient/1/_history/2"}"#;
        assert!(led(&index, 0, text, &[]).coming.is_some());
        index.note(&names, "Patient/9", false).unwrap();
        index.note_failed(&names).unwrap();
        assert_eq!(
            led(&index, 0, text, &[]).text,
            r#"{"reference":"Patient/9"}"#
        );
        let text = r#"{"reference":"https://h/fhir/Patient/1"}"#;
        assert_eq!(
            led(&index, 0, text, &[]).text,
            r#"{"reference":"Patient/1"}"#
        );
    }
}
