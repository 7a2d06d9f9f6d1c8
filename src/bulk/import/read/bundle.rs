//! A Bundle read as a stream: its entries one after the other, so that memory does not grow with the file.

use std::borrow::Cow;
use std::io::{self, BufRead};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::asked::{Asked, Request};
use super::splitter::Splitter;
use crate::bulk::import::ImportError;
use crate::bulk::import::piece::Piece;
use crate::words;

/// The types of Bundle whose entries are resources to import; others are resources themselves (FHIR R4, bundle-type).
const OPENED: [&str; 4] = ["transaction", "batch", "searchset", COLLECTION];
/// A line that is one may be meant as the resource that it is.
const COLLECTION: &str = "collection";
/// What a server said of changes and of requests; nothing of it says what is there now.
const SAID: [&str; 3] = ["history", "batch-response", "transaction-response"];

/// What a JSON file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A Bundle whose entries count.
    Entries,
    /// One resource.
    Resource,
    /// A Bundle that holds nothing to import, and why.
    Refused(String),
}

/// How the entries of a Bundle are numbered.
#[derive(Clone, Copy, Debug)]
pub enum Numbers {
    /// From 1.
    Entries,
    /// All by the line that the Bundle stands on.
    Line(u64),
}

/// Whether a JSON file is a Bundle to open. It is read only as far as needed.
///
/// # Errors
/// The file cannot be read.
pub fn shape(reader: impl BufRead) -> io::Result<Shape> {
    shape_among(reader, &OPENED)
}

/// What a line holds.
///
/// # Errors
/// None but those of the reader.
pub fn shape_of_line(text: &[u8]) -> io::Result<Shape> {
    shape_among(text, &OPENED[..3])
}

fn shape_among(reader: impl BufRead, opened: &[&str]) -> io::Result<Shape> {
    let mut splitter = Splitter::new(false);
    splitter.run(reader, &mut |_| Ok::<(), io::Error>(()))?;
    if splitter.resource_type.as_deref() != Some(b"Bundle") {
        return Ok(Shape::Resource);
    }
    let kind = splitter.bundle_type.as_deref().unwrap_or_default();
    let is = |wanted: &&&str| kind == wanted.as_bytes();
    Ok(if opened.iter().any(|wanted| is(&wanted)) {
        Shape::Entries
    } else if let Some(kind) = SAID.iter().find(is) {
        Shape::Refused(format!(
            "it is a {kind} Bundle: what a server said, and no resources to import"
        ))
    } else {
        Shape::Resource
    })
}

/// Whether a JSON file holds one value on each line. It is read to the end of its first line: where that ends an object,
/// the same value can only go on with `,`, `]` or `}` (RFC 8259 §2).
///
/// # Errors
/// The file cannot be read.
pub fn holds_lines(mut reader: impl BufRead) -> io::Result<bool> {
    let (mut last, mut is_over) = (None, false);
    loop {
        let bytes = reader.fill_buf()?;
        let length = bytes.len();
        if length == 0 {
            return Ok(false);
        }
        if is_over {
            if let Some(next) = bytes.trim_ascii_start().first() {
                return Ok(!matches!(next, b',' | b']' | b'}'));
            }
            reader.consume(length);
            continue;
        }
        let end = memchr::memchr(b'\n', bytes);
        let line = bytes[..end.unwrap_or(length)].trim_ascii_end();
        last = line.last().copied().or(last);
        is_over = end.is_some() && last.is_some();
        if is_over && last != Some(b'}') {
            return Ok(false);
        }
        reader.consume(end.map_or(length, |end| end + 1));
    }
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(rename = "fullUrl", borrow, default)]
    full_url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    resource: Option<&'a RawValue>,
    #[serde(borrow, default)]
    request: Option<Request<'a>>,
    #[serde(borrow, default)]
    search: Option<crate::fhir::raw::Search<'a>>,
}

/// Visits the entries of a Bundle; whether the file could be read, and did not end too early.
///
/// # Errors
/// What `visit` says.
pub fn visit(
    reader: impl BufRead,
    numbers: Numbers,
    asked: Asked,
    visit: &mut dyn FnMut(u64, Piece) -> Result<(), ImportError>,
) -> Result<io::Result<()>, ImportError> {
    let (mut splitter, mut number) = (Splitter::new(true), 0);
    let mut stopped = None;
    let result = splitter.run(reader, &mut |text| {
        number += 1;
        let (number, bundle) = match numbers {
            Numbers::Entries => (number, 0),
            Numbers::Line(line) => (line, line),
        };
        visit_entry((number, bundle), text, asked, visit).map_err(|error| {
            stopped = Some(error);
            io::Error::other("stopped")
        })
    });
    match (stopped, result) {
        (Some(error), _) => Err(error),
        (None, Ok(())) if !splitter.is_complete() => Ok(Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the Bundle is cut short",
        ))),
        (None, read) => Ok(read),
    }
}

fn visit_entry(
    (number, bundle): (u64, u64),
    text: &[u8],
    asked: Asked,
    visit: &mut dyn FnMut(u64, Piece) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let bad = |problem: &str| Piece::Bad {
        text,
        problem: problem.to_owned(),
        is_entry: true,
    };
    let Ok(json) = std::str::from_utf8(text) else {
        return visit(number, bad("it is not UTF-8"));
    };
    if !json.starts_with('{') {
        return visit(number, bad("it is no entry of a Bundle: it is no object"));
    }
    let entry: Entry = match serde_json::from_str(json) {
        Ok(entry) => entry,
        Err(error) => {
            return visit(
                number,
                bad(&format!(
                    "it is no entry of a Bundle: {}",
                    words::what_of_json(&error)
                )),
            );
        }
    };
    let about_the_search = entry
        .search
        .as_ref()
        .and_then(|search| search.mode.as_deref());
    if about_the_search == Some("outcome") {
        return Ok(());
    }
    let request = entry.request.as_ref();
    let problem = request.and_then(|request| request.problem(entry.resource, asked));
    if let Some(problem) = problem {
        return visit(number, bad(&problem));
    }
    let is_left_out = |request: &Request| asked == Asked::Ids && request.has_condition();
    let piece = match (&entry.resource, &entry.request) {
        (_, Some(request)) if request.is_deletion() => Piece::Deletion {
            url: request.relative_url(entry.full_url.as_deref()),
        },
        (Some(resource), _) => Piece::Resource {
            text: resource.get().as_bytes(),
            full_url: entry.full_url.map(Cow::into_owned),
            bundle,
            loses_condition: request.is_some_and(is_left_out),
        },
        _ => bad("its entry holds no resource"),
    };
    visit(number, piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<String> {
        let mut seen = Vec::new();
        visit(
            io::BufReader::with_capacity(7, text.as_bytes()),
            Numbers::Entries,
            Asked::Ids,
            &mut |number, piece| {
                seen.push(match piece {
                    Piece::Resource { text, full_url, .. } => {
                        format!(
                            "{number} {} {}",
                            String::from_utf8_lossy(text),
                            full_url.unwrap_or_default()
                        )
                    }
                    Piece::Deletion { url } => format!("{number} DELETE {url}"),
                    Piece::Bad { problem, .. } => format!("{number} bad {problem}"),
                });
                Ok(())
            },
        )
        .unwrap()
        .unwrap();
        seen
    }

    #[test]
    fn the_entries_of_a_bundle_come_one_by_one_with_their_digits() {
        let text = r#"{"entry":[{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient","x":"}]\"","v":1.00}},
            {"resource":{"resourceType":"OperationOutcome"},"search":{"mode":"outcome"}}, {"request":{"method":"DELETE","url":"Patient/1"}},
            {"link":[{"entry":[{}]}]}],"resourceType":"Bundle","type":"searchset"}"#;
        assert_eq!(
            pieces(text),
            [
                r#"1 {"resourceType":"Patient","x":"}]\"","v":1.00} urn:uuid:1"#,
                "3 DELETE Patient/1",
                "4 bad its entry holds no resource"
            ]
        );
        assert_eq!(shape(text.as_bytes()).unwrap(), Shape::Entries);
    }

    #[test]
    fn lines_are_told_from_one_value_by_what_follows_the_first() {
        let holds = |text: &str| {
            let at_once = holds_lines(text.as_bytes()).unwrap();
            let in_bits = holds_lines(io::BufReader::with_capacity(1, text.as_bytes())).unwrap();
            assert_eq!(at_once, in_bits, "{text}");
            at_once
        };
        for lines in [
            "{}\n{}",
            "\n \r\n{\"a\":1} \r\n\n {\"b\":2}\n",
            "\u{feff}{}\n{",
            "{}\nx",
        ] {
            assert!(holds(lines), "{lines}");
        }
        for one in [
            "",
            "\n",
            "{}",
            "{}\n \n",
            "{}{}",
            "{\n\"a\":1}\n{}",
            "{\"a\":{}\n,\"b\":1}",
            "{\"a\":[{}\n]}",
            "{\"a\":{}\n}",
            "[{},\n{}]",
        ] {
            assert!(!holds(one), "{one}");
        }
    }

    #[test]
    fn only_bundles_of_resources_are_opened() {
        for text in [
            r#"{"resourceType":"Bundle","type":"document","entry":[]}"#,
            r#"{"resourceType":"Patient","type":"batch"}"#,
            r#"{"x":{"resourceType":"Bundle","type":"batch"}}"#,
        ] {
            assert_eq!(shape(text.as_bytes()).unwrap(), Shape::Resource, "{text}");
        }
    }
}
