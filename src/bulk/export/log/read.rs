//! Reading a log, whatever is in it: lines that are no events are counted and passed over.

use std::io::{self, BufRead};

use serde::Deserialize;
use serde_json::Value;

/// A longer line is no event of a log.
const LONGEST_LINE: usize = 1 << 20;

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
