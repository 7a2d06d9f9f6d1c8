//! The answer to a Bundle: one entry for each request, in order (FHIR R4 §3.1.0.11.2). However many a server sends, no more
//! are kept than were asked for.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::outcome;
use super::verdict::{Answered, Verdict, Written, fits, reference_of, verdict};
use crate::bulk::import::order::names::folded;
use crate::bulk::import::piece::{Action, Item};
use crate::fhir::result::{JobResult, has_errors};
use crate::output::json;
use crate::words;

/// The longest outcome of one entry that is kept as it came.
const LONGEST_OUTCOME: usize = 1 << 20;

/// A Bundle that answers, with at most as many entries as are asked for; how many there are is counted.
#[derive(Debug, Default)]
struct BatchResponse<'a> {
    resource_type: Cow<'a, str>,
    entry: Vec<&'a RawValue>,
    entries: usize,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(rename = "fullUrl", borrow, default)]
    full_url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    response: Option<Response<'a>>,
    #[serde(borrow, default)]
    resource: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    location: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    outcome: Option<&'a RawValue>,
}

/// Reads a `batch-response`: what became of each item, and how long the server wants those to wait that it did not take.
///
/// # Errors
/// Why it is no answer to these, in words.
pub(super) fn read(
    body: &[u8],
    items: &[Item],
) -> Result<Vec<(Answered, Option<Duration>)>, String> {
    let text = String::from_utf8_lossy(body);
    let mut reader = serde_json::Deserializer::from_str(&text);
    let bundle = BundleOf(items.len())
        .deserialize(&mut reader)
        .and_then(|bundle| reader.end().map(|()| bundle))
        .map_err(|error| format!("it is no Bundle ({})", words::of_json(&error)))?;
    if bundle.resource_type != "Bundle" {
        let kind = words::shortened(&bundle.resource_type);
        let said = JobResult::of(reqwest::StatusCode::OK, "", text.as_bytes());
        let said = said.words().join("; ");
        let what = if kind.is_empty() {
            "nothing that says what it is".to_owned()
        } else {
            format!("a {kind}")
        };
        return Err(match &*said {
            "" => format!("it is {what} where a Bundle is due"),
            said => format!("it is {what} where a Bundle is due: {said}"),
        });
    }
    if bundle.entries != items.len() {
        return Err(format!(
            "it has {} entries for {} requests",
            bundle.entries,
            items.len()
        ));
    }
    let entries = bundle.entry.into_iter().zip(items);
    let answered = entries.map(|(entry, item)| of_entry(entry, item, items));
    let answered = answered.collect::<Result<Vec<_>, _>>()?;
    each_is_its_own(items, &answered)?;
    Ok(answered)
}

/// Makes sure that no two resources were created in one place: one of them is somewhere else then, and nobody knows which.
fn each_is_its_own(
    items: &[Item],
    answered: &[(Answered, Option<Duration>)],
) -> Result<(), String> {
    let mut places = HashSet::new();
    for (item, ((verdict, location), _)) in items.iter().zip(answered) {
        let is_new = item.action == Action::Post && *verdict == Verdict::Created;
        if let Some(location) = location.as_deref().filter(|_| is_new)
            && !places.insert(location)
        {
            let location = words::shortened(location);
            return Err(format!("two resources were created at {location}, it says"));
        }
    }
    Ok(())
}

/// Whether an entry can be the answer to this item, as far as it says: by the type of what it brings, or by the full URL of
/// another item.
fn is_in_its_place(
    entry: &Entry,
    written: Option<&Written>,
    item: &Item,
    items: &[Item],
) -> Result<(), String> {
    let foreign =
        written.filter(|written| !written.is_about(item) && !written.resource_type.is_empty());
    if let Some(written) = foreign {
        let kind = words::shortened(&written.resource_type);
        return Err(format!(
            "{} was sent, and the answer in its place holds a {kind}",
            item.url
        ));
    }
    let name = |item: &Item| {
        let url = item.full_url.as_ref().or(item.made_up_url.as_ref());
        url.map(|url| folded(url).into_owned())
    };
    let Some(said) = entry.full_url.as_deref().map(folded) else {
        return Ok(());
    };
    let is_of_another = name(item).as_deref() != Some(&*said)
        && items
            .iter()
            .any(|other| name(other).as_deref() == Some(&*said));
    if is_of_another {
        let said = words::shortened(&said);
        return Err(format!(
            "the answer in the place of {} is that to {said}",
            item.url
        ));
    }
    Ok(())
}

/// What an entry says of the resource in its place.
fn of_entry(
    entry: &RawValue,
    item: &Item,
    items: &[Item],
) -> Result<(Answered, Option<Duration>), String> {
    let entry: Entry = serde_json::from_str(entry.get())
        .map_err(|error| format!("an entry cannot be read ({})", words::what_of_json(&error)))?;
    let resource = entry.resource.map(RawValue::get);
    let written = resource.and_then(Written::read);
    is_in_its_place(&entry, written.as_ref(), item, items)?;
    let response = entry.response.ok_or("an entry has no response")?;
    let status = response.status.map(RawValue::get).unwrap_or_default();
    let status = status_of(status).ok_or("an entry's response has no status")?;
    let is_said = |written: &Written| written.is_outcome_of(item);
    let in_place = resource.filter(|_| {
        status >= 300 || item.action == Action::Validate || written.as_ref().is_some_and(is_said)
    });
    // Either may be the one that holds an error.
    let said = [response.outcome.map(RawValue::get), in_place];
    let outcome = said
        .into_iter()
        .flatten()
        .find(|outcome| has_errors(outcome))
        .or(said[0])
        .or(said[1]);
    let wait = outcome.and_then(outcome::wait_of);
    let outcome = outcome.map(kept).unwrap_or_default();
    let location = response
        .location
        .as_deref()
        .and_then(reference_of)
        .or_else(|| written.and_then(|written| written.reference(item)));
    let verdict = verdict(item, status, outcome, location.as_deref());
    if status < 300 && !matches!(verdict, Verdict::Refused { .. } | Verdict::Unknown { .. }) {
        fits(item, location.as_deref())?;
    }
    Ok(((verdict, location), wait))
}

/// An outcome as it is kept; of one without measure it is said how it begins.
fn kept(outcome: &str) -> String {
    if outcome.len() <= LONGEST_OUTCOME {
        return json::compact(outcome);
    }
    outcome::outcome_of_words(&format!(
        "the server's outcome has {} bytes and begins: {}",
        outcome.len(),
        words::shortened(outcome)
    ))
}

/// "201 Created"; some servers send a number.
fn status_of(text: &str) -> Option<u16> {
    let text = text.trim_matches('"');
    let (digits, rest) = text.split_at_checked(3)?;
    let is_status = digits.bytes().all(|byte| byte.is_ascii_digit())
        && (rest.is_empty() || rest.starts_with(' '));
    is_status.then(|| digits.parse().ok()).flatten()
}

/// Reads a Bundle, and keeps so many of its entries.
struct BundleOf(usize);

impl<'de> DeserializeSeed<'de> for BundleOf {
    type Value = BatchResponse<'de>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for BundleOf {
    type Value = BatchResponse<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Bundle")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut bundle = BatchResponse::default();
        while let Some(name) = map.next_key::<Cow<str>>()? {
            match &*name {
                "resourceType" => bundle.resource_type = map.next_value()?,
                "entry" => map.next_value_seed(EntriesOf(self.0, &mut bundle))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(bundle)
    }
}

struct EntriesOf<'b, 'a>(usize, &'b mut BatchResponse<'a>);

impl<'de> DeserializeSeed<'de> for EntriesOf<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for EntriesOf<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(entry) = list.next_element::<&RawValue>()? {
            self.1.entries += 1;
            if self.1.entry.len() < self.0 {
                self.1.entry.push(entry);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_three_digits_and_perhaps_words() {
        for (text, status) in [
            ("\"201 Created\"", Some(201)),
            ("\"200\"", Some(200)),
            ("404", Some(404)),
            ("\"200garbage\"", None),
            ("2000", None),
            ("\"2é\"", None),
            ("\"\"", None),
            ("20", None),
        ] {
            assert_eq!(status_of(text), status, "{text}");
        }
    }
}
