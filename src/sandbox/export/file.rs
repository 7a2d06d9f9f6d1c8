//! A file of an export: NDJSON, packed for those who take gzip, or a range of it.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::answer::{Answer, Result, not_found};
use super::super::{Asked, Shared};

const NDJSON: &str = "application/fhir+ndjson";

/// The lists of a manifest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum List {
    Output,
    Deleted,
    Error,
}

/// Some lines; they are the same however often they are fetched.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) list: List,
    /// The resource type of its lines.
    pub(super) kind: String,
    /// Shared with the store, so that an export costs no memory for what it only lists.
    lines: Arc<[Arc<str>]>,
}

impl File {
    pub(super) fn new(list: List, kind: &str, lines: &[Arc<str>]) -> Self {
        Self {
            list,
            kind: kind.to_owned(),
            lines: lines.into(),
        }
    }

    /// The last part of its URL.
    pub(super) fn name(&self, index: usize) -> String {
        format!("{}.{}.ndjson", index + 1, self.kind)
    }

    pub(super) fn count(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn text(&self) -> String {
        self.lines.join("\n") + "\n"
    }
}

/// `GET` of a file's URL.
pub(super) fn download(shared: &Shared, asked: &Asked, id: &str, name: &str) -> Result {
    let file = shared.jobs().file(id, name);
    let file = file.ok_or_else(|| not_found("there is no such file, or not any more"))?;
    let text = file.text().into_bytes();
    // Its URL names nothing else, ever.
    let etag = format!("\"{id}.{name}\"");
    let common = |status: u16, body: Vec<u8>| {
        Answer::typed(status, NDJSON, body)
            .with("vary", "accept-encoding")
            .with("accept-ranges", "bytes")
    };
    let if_range = asked.header("if-range");
    let range = Some(asked.header("range"))
        .filter(|range| range.starts_with("bytes=") && (if_range.is_empty() || if_range == etag));
    if let Some(range) = range {
        let Some(Range { start, end }) = bytes(range, text.len()) else {
            let words = "the file has no such bytes";
            return Err(Answer::outcome(416, "invalid", words)
                .with("content-range", format!("bytes */{}", text.len())));
        };
        let content_range = format!("bytes {start}-{}/{}", end - 1, text.len());
        return Ok(common(206, text[start..end].to_vec())
            .with("etag", etag)
            .with("content-range", content_range));
    }
    if !takes_gzip(asked.header("accept-encoding")) {
        return Ok(common(200, text).with("etag", etag));
    }
    let packed =
        gzip(&text).map_err(|error| Answer::outcome(500, "exception", &error.to_string()))?;
    // Other bytes, another tag (RFC 9110 §8.8.3.3).
    let etag = format!("\"{id}.{name}.gz\"");
    Ok(common(200, packed)
        .with("etag", etag)
        .with("content-encoding", "gzip"))
}

/// The bytes of a range; of several, and of what makes no sense, none.
fn bytes(range: &str, length: usize) -> Option<Range<usize>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (start, end) = match (first, last) {
        ("", last) => (length.saturating_sub(last.parse().ok()?), length),
        (first, "") => (first.parse().ok()?, length),
        (first, last) => {
            let last: usize = last.parse().ok()?;
            (first.parse().ok()?, last.saturating_add(1).min(length))
        }
    };
    (start < end).then_some(start..end)
}

/// Whether a client takes gzip: the coding is there, and not with `q=0`.
fn takes_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|item| {
        let (coding, parameters) = item.split_once(';').unwrap_or((item, ""));
        let quality = parameters.trim().strip_prefix("q=");
        let is_refused = quality.is_some_and(|quality| quality.parse() == Ok(0.0_f32));
        ["gzip", "*"].contains(&coding.trim()) && !is_refused
    })
}

fn gzip(text: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_rfc_9110() {
        assert_eq!(bytes("bytes=0-3", 10), Some(0..4));
        assert_eq!(bytes("bytes=4-", 10), Some(4..10));
        assert_eq!(bytes("bytes=-3", 10), Some(7..10));
        assert_eq!(bytes("bytes=8-99", 10), Some(8..10));
        for none in [
            "bytes=10-",
            "bytes=5-2",
            "bytes=a-b",
            "bytes=-0",
            "bytes=0-1,4-5",
        ] {
            assert_eq!(bytes(none, 10), None, "{none}");
        }
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        assert!(takes_gzip("gzip") && takes_gzip("br, gzip;q=0.5") && takes_gzip("*"));
        assert!(!takes_gzip("") && !takes_gzip("identity") && !takes_gzip("gzip;q=0"));
    }
}
