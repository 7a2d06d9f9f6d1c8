//! Reading a log, whatever is in it: lines that are no events are counted and passed over.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::bulk::export::layout;
use crate::place::{self, There};

/// A longer line is no event of a log.
const LONGEST_LINE: usize = 1 << 20;

/// Who wrote a log, in the first line of each run (`_client`, as smart-fetch has it).
pub const CLIENT: &str = "medplum";
/// How a line of ours begins: what a kill left of the first one.
const BEGINNING: &[u8] = b"{\"exportId\":\"";

/// One event of a log.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    #[serde(rename = "exportId")]
    pub export_id: String,
    /// When; `None` when it is no instant.
    #[serde(default, deserialize_with = "instant")]
    pub timestamp: Option<jiff::Timestamp>,
    /// What: `kickoff`, `download_complete` and so on.
    #[serde(rename = "eventId")]
    pub id: String,
    #[serde(rename = "eventDetail", default)]
    pub detail: Value,
}

fn instant<'de, D: serde::Deserializer<'de>>(
    value: D,
) -> Result<Option<jiff::Timestamp>, D::Error> {
    let value = Value::deserialize(value)?;
    Ok(value.as_str().and_then(|text| text.parse().ok()))
}

/// Gives each event and the byte behind its line; the result is the number of lines that are none.
///
/// # Errors
/// The disk.
pub fn events(reader: impl BufRead, mut take: impl FnMut(Event, u64)) -> io::Result<u64> {
    let mut others = 0;
    lines(reader, |line, end| match serde_json::from_slice(line) {
        Ok(event) => take(event, end),
        Err(_) if line.trim_ascii().is_empty() => {}
        Err(_) => others += 1,
    })?;
    Ok(others)
}

/// Gives each whole line and the byte behind it. Of a line that is too long only the beginning is given, and of a last
/// line without an end nothing.
///
/// # Errors
/// The disk.
pub fn lines(mut reader: impl BufRead, mut take: impl FnMut(&[u8], u64)) -> io::Result<()> {
    let mut line = Vec::new();
    let mut at = 0;
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            return Ok(());
        }
        let end = memchr::memchr(b'\n', chunk);
        let part = &chunk[..end.unwrap_or(chunk.len())];
        let room = LONGEST_LINE.saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = part.len() + usize::from(end.is_some());
        at += used as u64;
        if end.is_some() {
            take(&line, at);
            line.clear();
        }
        reader.consume(used);
    }
}

/// Whether the log in a folder may be added to: it is a plain file that we began, or there is none.
pub fn is_ours(folder: &Path) -> bool {
    let path = folder.join(layout::LOG);
    match There::at(&path) {
        Ok(There::Nothing) => return true,
        Ok(There::Plain(_)) => {}
        _ => return false,
    }
    let Ok(file) = place::open_plain(&path) else {
        return false;
    };
    let mut first = None;
    let mut reader = BufReader::new(file);
    let began = reader
        .fill_buf()
        .map(|read| read[..read.len().min(BEGINNING.len())].to_vec());
    let read = lines(reader.take(LONGEST_LINE as u64), |line, _| {
        let ours =
            serde_json::from_slice::<Value>(line).is_ok_and(|line| line["_client"] == CLIENT);
        first.get_or_insert(ours);
    });
    // A first line that has no end is ours if it begins so; a power cut may leave zeros in its place.
    let is_torn =
        |began: &[u8]| BEGINNING.starts_with(began) || began.iter().all(|byte| *byte == 0);
    match (first, began, read) {
        (Some(ours), _, _) => ours,
        (None, Ok(began), Ok(())) => is_torn(&began),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic_or_stop(
            before in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
            detail in "\\PC{0,40}", instant in "\\PC{0,30}",
        ) {
            let event = serde_json::json!({"exportId": "x", "timestamp": instant, "eventId": "e", "eventDetail": detail});
            let text = [&before, &b"\n"[..], event.to_string().as_bytes(), b"\n", &before].concat();
            let mut found = Vec::new();
            events(&text[..], |event, end| found.push((event, end))).unwrap();
            let last = found.iter().rev().find(|(event, _)| event.id == "e");
            proptest::prop_assert!(last.is_some_and(|(event, _)| event.detail == detail));
            proptest::prop_assert!(found.iter().all(|(_, end)| *end <= text.len() as u64));
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_and_the_next_one_read() {
        let long = format!("{{\"exportId\":\"{}\"}}\n", "x".repeat(3 << 20));
        let text =
            format!("{long}{{\"exportId\":\"a\",\"eventId\":\"kickoff\"}}\n{{\"exportId\":\"a\",");
        let mut found = Vec::new();
        let others = events(text.as_bytes(), |event, end| found.push((event.id, end))).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].0.as_str(), others), ("kickoff", 1));
    }
}
