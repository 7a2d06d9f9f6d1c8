//! One page of a manifest read as a stream: a list of any length costs what is kept of its entries and no more.

mod list;

use std::collections::BTreeSet;
use std::io::{BufReader, Read};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use url::Url;

use super::listing::Listing;
use super::manifest::{self, Group, Manifest, ManifestError, ManifestFile, Page};
use super::meter::{LARGEST_ENTRY, Meter, Metered};
use crate::{secret, words};
use list::List;

/// The most of a member that nobody asks for.
const LARGEST_UNKNOWN: usize = 8 << 20;
/// The most files that all pages may list.
pub(super) const MOST_FILES: usize = 1_000_000;

/// Reads one page that came from `url`, and the files it lists. What the manifest is made of decides, not its Content-Type.
///
/// # Errors
/// The text is no manifest, or an entry names no file: skipping it would hide data.
pub fn parse(
    url: &Url,
    content_type: &str,
    body: &[u8],
) -> Result<(Manifest, Vec<ManifestFile>), ManifestError> {
    let mut listing = Listing::default();
    let page = read(url, content_type, body, &mut listing)?;
    let files = listing.each().collect::<Result<_, _>>();
    Ok((page, files.map_err(ManifestError::Unkept)?))
}

/// The same from a source that may be of any length; what it lists is added to a listing.
///
/// # Errors
/// As [`parse`]; an entry or the list is too large; the disk. Nothing is added then.
pub(super) fn read(
    url: &Url,
    content_type: &str,
    source: impl Read,
    listing: &mut Listing,
) -> Result<Manifest, ManifestError> {
    let page = read_page(url, content_type, source, listing);
    if page.is_err() {
        listing.drop_page().map_err(ManifestError::Unkept)?;
    }
    page
}

fn read_page(
    url: &Url,
    content_type: &str,
    source: impl Read,
    listing: &mut Listing,
) -> Result<Manifest, ManifestError> {
    let shown = secret::url_for_people(url);
    let meter = Meter::default();
    let mut draft = Draft::into(listing);
    let source = BufReader::with_capacity(LARGEST_ENTRY, source);
    let mut source = Metered::new(source, &meter);
    let mut json = serde_json::Deserializer::from_reader(&mut source);
    let reading = Reading {
        page: Page::at(url),
        meter: &meter,
    };
    let whole = Top {
        reading: &reading,
        draft: &mut draft,
    };
    let result = whole.deserialize(&mut json).and_then(|()| json.end());
    let head = source.head();
    if let Err(problem) = result {
        if let Some(what) = meter.exceeded.get() {
            return Err(ManifestError::TooLarge {
                url: shown,
                what: what.to_owned(),
            });
        }
        return Err(match draft.problem {
            Some(Problem::File(found)) => ManifestError::BadFile { url: shown, found },
            Some(Problem::Next(found)) => ManifestError::BadNext { url: shown, found },
            Some(Problem::List(found)) => ManifestError::NotAManifest { url: shown, found },
            Some(Problem::Disk(error)) => ManifestError::Unkept(error),
            None => ManifestError::NotAManifest {
                url: shown,
                found: what_it_is(content_type, &head, &problem),
            },
        });
    }
    if !draft.is_manifest() {
        let found = if let Some(resource_type) = draft.resource_type {
            format!("a {}", words::shortened(&resource_type))
        } else {
            "JSON without a list `output`".to_owned()
        };
        return Err(ManifestError::NotAManifest { url: shown, found });
    }
    Ok(draft.finish())
}

fn what_it_is(content_type: &str, head: &[u8], problem: &serde_json::Error) -> String {
    // Nothing of it is quoted: links have signatures.
    match head.trim_ascii_start().first() {
        Some(b'{') => return format!("JSON that is broken or cut ({})", words::of_json(problem)),
        Some(b'[') => return "a JSON list".to_owned(),
        Some(b'"') => return "a JSON string".to_owned(),
        _ => {}
    }
    words::of_text(content_type, head).unwrap_or_else(|| "an empty body".into())
}

/// What is known of a page so far.
struct Draft<'a> {
    manifest: Manifest,
    listing: &'a mut Listing,
    /// The lines of `output`, `deleted`, `error` and `outcome`, which stand in any order.
    lists: [Vec<u32>; 4],
    has_output: bool,
    seen: BTreeSet<String>,
    resource_type: Option<String>,
    problem: Option<Problem>,
}

enum Problem {
    File(String),
    Next(String),
    List(String),
    Disk(std::io::Error),
}

impl<'a> Draft<'a> {
    /// Nothing is known, and what comes is added to a listing.
    fn into(listing: &'a mut Listing) -> Self {
        Self {
            manifest: Manifest::default(),
            listing,
            lists: Default::default(),
            has_output: false,
            seen: BTreeSet::new(),
            resource_type: None,
            problem: None,
        }
    }

    /// Whether it is one that lists files, or says that there are none. `output` stands in every manifest (Bulk Data 3.0,
    /// response - output manifest), empty in one without files; what has no such list says nothing of files.
    fn is_manifest(&self) -> bool {
        let lists_files = self.lists.iter().any(|list| !list.is_empty());
        lists_files || self.has_output && self.resource_type.is_none()
    }

    fn finish(self) -> Manifest {
        let mut manifest = self.manifest;
        let [output, deleted, error, outcome] = self.lists.each_ref().map(Vec::len);
        manifest.counts = [output, deleted, error + outcome];
        let lines = self.lists.into_iter().flatten();
        self.listing.end_page(lines, manifest.requires_access_token);
        manifest
    }
}

struct Reading<'a> {
    page: Page<'a>,
    meter: &'a Meter,
}

/// The page itself, an object.
struct Top<'a, 'b> {
    reading: &'a Reading<'a>,
    draft: &'a mut Draft<'b>,
}

impl<'de> DeserializeSeed<'de> for Top<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Top<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a manifest")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { reading, draft } = self;
        let meter = reading.meter;
        loop {
            meter.allow(LARGEST_ENTRY, "a name of more than 64 KiB");
            let Some(name) = members.next_key::<String>()? else {
                return Ok(());
            };
            meter.allow(LARGEST_ENTRY, "a member of more than 64 KiB");
            let list = match name.as_str() {
                "output" => Some((0, Group::Output)),
                "deleted" => Some((1, Group::Deleted)),
                "error" => Some((2, Group::Error)),
                "outcome" => Some((3, Group::Error)),
                _ => None,
            };
            if (list.is_some() || name == "link") && !draft.seen.insert(name.clone()) {
                // One of the two would be passed over.
                let found = format!("its `{name}` stands there twice");
                draft.problem = Some(Problem::List(found));
                return Err(A::Error::custom("twice"));
            }
            if let Some((at, group)) = list {
                members.next_value_seed(List {
                    reading,
                    draft: &mut *draft,
                    name: &name,
                    at,
                    group,
                })?;
                continue;
            }
            match name.as_str() {
                "transactionTime" => {
                    // It is shown, names folders, and goes out again: one line, whatever it holds.
                    let time = scalar(&members.next_value()?);
                    draft.manifest.transaction_time = time.map(|time| words::shortened(&time));
                }
                "request" => draft.manifest.request = text(&members.next_value()?),
                "resourceType" => draft.resource_type = text(&members.next_value()?),
                "requiresAccessToken" => {
                    draft.manifest.requires_access_token =
                        manifest::requires_token(&members.next_value()?);
                }
                "link" => match reading.page.next(&members.next_value()?) {
                    Ok(next) => draft.manifest.next = next,
                    Err(found) => {
                        draft.problem = Some(Problem::Next(found));
                        return Err(A::Error::custom("a bad link"));
                    }
                },
                _ => {
                    meter.allow(LARGEST_UNKNOWN, "a member of more than 8 MiB");
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// A text, or a number as text: some servers count seconds.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        value => text(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Manifest, Vec<ManifestFile>), ManifestError> {
        parse(
            &Url::parse("https://h.example/fhir/job/1").unwrap(),
            "",
            text.as_bytes(),
        )
    }

    #[test]
    fn published_and_odd_shapes_are_read() {
        let (manifest, files) = read(
            r#"{"transactionTime":"2026-01-01T00:00:00Z","output":[
            {"type":"Patient","url":"/f/1","count":"2"},{"type":"Patient","url":"https://b.example/2","count":3,"x":1}],
            "requiresAccessToken":"true",
            "deleted":null,"outcome":[{"url":"e"}],"extension":[],"link":[{"relation":"next","url":"?page=2"}]}"#,
        )
        .unwrap();
        assert_eq!(files.len(), 3);
        assert_eq!(files[0].link.as_str(), "https://h.example/f/1");
        assert_eq!(files[0].count, Some(2));
        assert!(manifest.requires_access_token);
        assert_eq!(files[2].group, Group::Error);
        assert_eq!(
            manifest.next.unwrap().as_str(),
            "https://h.example/fhir/job/1?page=2"
        );
        for none in [
            r#"{"transactionTime":"x","output":[]}"#,
            r#"{"transactionTime":"x","output":[],"error":null}"#,
        ] {
            assert!(read(none).unwrap().1.is_empty());
        }
        // Some leave an empty list out when another one is not.
        let deleted = r#"{"transactionTime":"x","deleted":[{"url":"d"}]}"#;
        assert_eq!(read(deleted).unwrap().1.len(), 1);
    }

    #[test]
    fn what_is_no_manifest_is_refused_with_what_was_found() {
        let long = format!(r#"{{"output":[{{"url":"{}"}}]}}"#, "x".repeat(70_000));
        for (text, found) in [
            ("", "an empty body"),
            ("<html><title>Login</title>", "Login"),
            (
                r#"{"resourceType":"OperationOutcome"}"#,
                "a OperationOutcome",
            ),
            ("{}", "without a list `output`"),
            (r#"{"transactionTime":"x"}"#, "without a list `output`"),
            (r#"{"status":"done","error":[],"deleted":[]}"#, "`output`"),
            (r#"{"resourceType":"Task","output":[]}"#, "a Task"),
            (r#"{"output":"none"}"#, "`output` is"),
            (
                r#"{"transactionTime":"x","output":null}"#,
                "without a list `output`",
            ),
            (r#"{"output":[{"type":"Patient"}]}"#, "null"),
            (r#"{"output":[{"url":"s3://bucket/x"}]}"#, "s3://"),
            (r#"{"output":[]} x"#, "broken or cut"),
            (r#"{"output":["#, "broken or cut"),
            (&long, "an entry of more than 64 KiB"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(found), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_json_makes_it_panic(text in "\\PC{0,80}") {
            let _ = read(&text);
            let _ = read(&format!(r#"{{"output":[{text}]}}"#));
        }

        #[test]
        fn every_entry_is_a_file_or_the_page_is_refused(
            entries in proptest::collection::vec((0_usize..4, 0_usize..8, proptest::option::of(0_u64..9)), 0..12),
        ) {
            let lists = ["output", "deleted", "error", "outcome"];
            let urls = ["/f/1", "f/2", "?f=3", "https://b.example/4?sig=a%2Fb", "HTTP://h.example/5", "s3://b/6", "", "http://["];
            let mut page = serde_json::json!({"transactionTime": "2026-01-01T00:00:00Z", "output": []});
            for (list, url, count) in &entries {
                let entry = serde_json::json!({"type": "Patient", "url": urls[*url], "count": count});
                let items = page.as_object_mut().unwrap().entry(lists[*list]);
                items.or_insert_with(|| serde_json::json!([])).as_array_mut().unwrap().push(entry);
            }
            let is_usable = |url: usize| url != 5 && url != 7;
            match read(&page.to_string()) {
                Err(_) => proptest::prop_assert!(entries.iter().any(|(_, url, _)| !is_usable(*url))),
                Ok((_, files)) => {
                    proptest::prop_assert!(entries.iter().all(|(_, url, _)| is_usable(*url)));
                    let counts = |list: usize| entries.iter().filter(move |entry| entry.0 == list).map(|entry| entry.2);
                    let wanted: Vec<_> = (0..4).flat_map(counts).collect();
                    let found: Vec<_> = files.iter().map(|file| file.count).collect();
                    proptest::prop_assert_eq!(found, wanted, "in the order of the lists");
                }
            }
        }
    }
}
