//! What a file of the manifest's `deleted` list deletes, by type (Bulk Data 3.0: transaction Bundles of DELETE requests).

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use crate::place;
use crate::words;

#[derive(Deserialize)]
struct Bundle {
    #[serde(default)]
    entry: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    request: Option<Request>,
}

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    method: String,
    #[serde(default)]
    url: String,
}

/// The number of deletions by type.
///
/// # Errors
/// The disk, or lines that are no Bundles.
pub(super) fn count(path: &Path) -> io::Result<BTreeMap<String, u64>> {
    let file = BufReader::new(place::open_plain(path)?);
    let is_packed = path.extension().is_some_and(|extension| extension == "gz");
    let reader: Box<dyn Read> = if is_packed {
        Box::new(BufReader::new(MultiGzDecoder::new(file)))
    } else {
        Box::new(file)
    };
    let mut counts = BTreeMap::new();
    for bundle in serde_json::Deserializer::from_reader(reader).into_iter::<Bundle>() {
        let bundle = bundle.map_err(words::json_error)?;
        for request in bundle.entry.into_iter().filter_map(|entry| entry.request) {
            if request.method == "DELETE" {
                *counts.entry(type_in(&request.url)).or_default() += 1;
            }
        }
    }
    Ok(counts)
}

/// The type in `Type/id`, `Type?query`, or the same behind a base URL.
fn type_in(url: &str) -> String {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let mut parts = path.rsplit('/').filter(|part| !part.is_empty());
    let last = parts.next();
    let name = if query.is_empty() {
        parts.next().or(last)
    } else {
        last
    };
    name.unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deletions_are_counted_by_type() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let entry = |url: &str| format!(r#"{{"request":{{"method":"DELETE","url":"{url}"}}}}"#);
        let line = [
            entry("Patient/1"),
            entry("https://h.example/fhir/Patient/2"),
            entry("Group?name=x"),
        ]
        .join(",");
        let text = format!(
            "{{\"resourceType\":\"Bundle\",\"entry\":[{line},{{}}]}}\n{{\"resourceType\":\"Bundle\"}}\n"
        );
        io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        let counts = count(file.path()).unwrap();
        assert_eq!(
            counts,
            BTreeMap::from([("Patient".into(), 2), ("Group".into(), 1)])
        );
    }
}
