//! What a kick-off asks for: its parameters, read.

use jiff::Timestamp;

use super::super::answer::{Answer, Result, bad_request};
use super::super::search::Query;
use super::super::types;

const FORMATS: [&str; 3] = ["application/fhir+ndjson", "application/ndjson", "ndjson"];
/// The parameters it knows, with the value that each has in Parameters. Those without effect here have none anywhere:
/// there is no Provenance, and a manifest is never partial.
pub(super) const PARAMETERS: [(&str, &str); 9] = [
    ("_outputFormat", "valueString"),
    ("_since", "valueInstant"),
    ("_until", "valueInstant"),
    ("_type", "valueString"),
    ("_elements", "valueString"),
    ("_typeFilter", "valueString"),
    ("patient", "valueReference"),
    ("includeAssociatedData", "valueCode"),
    ("allowPartialManifests", "valueBoolean"),
];

/// What is asked for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) types: Vec<String>,
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pub(super) patients: Vec<String>,
    /// Searches by type: a resource has to match one of those for its type.
    pub(super) filters: Vec<(String, Query)>,
    /// `Type.element`, or `element` for all types.
    pub(super) elements: Vec<String>,
    /// What was asked for and left out, since the client is lenient.
    pub(super) ignored: Vec<String>,
}

impl Wanted {
    pub(super) fn read(pairs: &[(String, String)], is_lenient: bool) -> Result<Self> {
        let mut wanted = Self::default();
        for (name, value) in pairs {
            if !wanted.take(name, value)? {
                let words = format!("the parameter {name} is unknown");
                if !is_lenient {
                    return Err(Answer::outcome(400, "not-supported", &words));
                }
                wanted.ignored.push(words);
            }
        }
        Ok(wanted)
    }

    /// Takes one parameter; `false` when there is no such parameter.
    fn take(&mut self, name: &str, value: &str) -> Result<bool> {
        match name {
            "_outputFormat" => {
                // The `+` of a media type that is not encoded in a query has become a space.
                if !FORMATS.contains(&value.replace(' ', "+").as_str()) {
                    return Err(bad_request(&format!(
                        "the output format {value} is unknown"
                    )));
                }
            }
            "_since" => self.since = Some(instant(name, value)?),
            "_until" => self.until = Some(instant(name, value)?),
            "_type" => {
                for name in list(value) {
                    check_type(&name)?;
                    self.types.push(name);
                }
            }
            "_elements" => self.elements.extend(list(value)),
            "_typeFilter" => {
                for filter in filters(value) {
                    self.filters.push(filter?);
                }
            }
            "patient" => self
                .patients
                .extend(list(value).map(|url| url.trim_start_matches("Patient/").to_owned())),
            _ => return Ok(PARAMETERS.iter().any(|(known, _)| *known == name)),
        }
        Ok(true)
    }
}

fn list(value: &str) -> impl Iterator<Item = String> {
    let items = value.split(',').map(str::trim);
    items.filter(|item| !item.is_empty()).map(str::to_owned)
}

fn instant(name: &str, value: &str) -> Result<Timestamp> {
    // The `+` of a zone that is not encoded in a query has become a space.
    let value = value.replace(' ', "+");
    value
        .parse()
        .map_err(|_| bad_request(&format!("{name} is not an instant with a zone: {value}")))
}

fn check_type(name: &str) -> Result<()> {
    if types::is_known(name) {
        return Ok(());
    }
    Err(bad_request(&format!(
        "{name} is no resource type of FHIR R4"
    )))
}

/// The filters in a value. Several can stand there with commas between them (Bulk Data 2.0), but a comma can belong to
/// a search, too: a new filter begins only where `Type?` follows. Clients encode what is in a filter once more or not.
fn filters(value: &str) -> Vec<Result<(String, Query)>> {
    let begins = |text: &str| {
        text.split_once('?')
            .is_some_and(|(name, _)| types::is_known(name))
    };
    let mut texts: Vec<String> = Vec::new();
    for piece in value.split(',') {
        match texts.last_mut() {
            Some(last) if !begins(piece) => {
                last.push(',');
                last.push_str(piece);
            }
            _ => texts.push(piece.to_owned()),
        }
    }
    texts.iter().map(|text| filter(text)).collect()
}

fn filter(text: &str) -> Result<(String, Query)> {
    let (name, query) = text
        .split_once('?')
        .ok_or_else(|| bad_request(&format!("_typeFilter is not Type?query: {text}")))?;
    check_type(name)?;
    let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    Ok((name.to_owned(), Query::read(&pairs, true)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, is_lenient: bool) -> Result<Wanted> {
        let pairs: Vec<_> = url::form_urlencoded::parse(text.as_bytes())
            .into_owned()
            .collect();
        Wanted::read(&pairs, is_lenient)
    }

    #[test]
    fn parameters_come_with_commas_or_again_and_again() {
        let wanted = read("_type=Patient,Condition&_type=Claim&_elements=id", false).unwrap();
        assert_eq!(wanted.types, ["Patient", "Condition", "Claim"]);
        let wanted = read("_since=2026-01-01T00:00:00%2B01:00", false).unwrap();
        assert_eq!(wanted.since.unwrap().to_string(), "2025-12-31T23:00:00Z");
        for format in FORMATS {
            assert!(read(&format!("_outputFormat={format}"), false).is_ok());
        }
    }

    #[test]
    fn a_comma_begins_a_filter_only_before_a_type() {
        let types = |text: &str| -> Vec<String> {
            let wanted = read(text, false).unwrap();
            wanted.filters.into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(
            types("_typeFilter=Observation%3Fcategory=a,b"),
            ["Observation"]
        );
        assert_eq!(
            types("_typeFilter=Observation%3Fcategory=a%252Cb,Condition%3Fcode=x"),
            ["Observation", "Condition"]
        );
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for text in [
            "_type=Pat",
            "_since=2026-01-01",
            "_outputFormat=csv",
            "color=red",
            "_typeFilter=Patient",
            "_typeFilter=Patient%3Fcolor=red",
        ] {
            assert_eq!(read(text, false).unwrap_err().status, 400, "{text}");
        }
        assert_eq!(read("color=red", true).unwrap().ignored.len(), 1);
    }
}
