//! What a FHIR `Binary` in JSON holds, unwrapped as it streams: HAPI may wrap NDJSON so, and most wrap attachments.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// What stands before the data of a Binary is short: id, meta, content type.
const LONGEST_HEAD: usize = 64 << 10;
const LONGEST_TAIL: usize = 64 << 10;

/// Passes bytes on, unwrapped if they are a Binary that holds NDJSON.
#[derive(Debug)]
pub struct Unwrap<W: Write> {
    target: W,
    stage: Stage,
    /// Whether a Binary may hold anything, not NDJSON alone.
    of_any: bool,
}

#[derive(Debug)]
enum Stage {
    /// What came so far may be the head of a Binary.
    Head(Vec<u8>),
    /// It is no Binary.
    Raw,
    /// Inside the string of base64.
    Data { quad: Vec<u8>, escaped: bool },
    /// Behind it.
    Tail(Vec<u8>),
}

impl<W: Write> Unwrap<W> {
    /// A stage before `target`. Only an answer whose content type is JSON `may_be_binary`.
    pub fn new(target: W, may_be_binary: bool) -> Self {
        let stage = if may_be_binary {
            Stage::Head(Vec::new())
        } else {
            Stage::Raw
        };
        Self {
            target,
            stage,
            of_any: false,
        }
    }

    /// The same for a Binary that holds anything.
    pub fn of_any(target: W) -> Self {
        Self {
            of_any: true,
            ..Self::new(target, true)
        }
    }

    /// The target.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.target
    }

    /// Whether bytes pass as they come.
    pub fn is_raw(&self) -> bool {
        matches!(self.stage, Stage::Raw)
    }

    /// Whether the data of a Binary were found.
    pub fn is_binary(&self) -> bool {
        matches!(self.stage, Stage::Data { .. } | Stage::Tail(_))
    }

    /// Ends the body.
    ///
    /// # Errors
    /// The target's, or a Binary that is not complete.
    pub fn finish(mut self) -> io::Result<W> {
        match std::mem::replace(&mut self.stage, Stage::Raw) {
            Stage::Raw => {}
            Stage::Head(head) => self.target.write_all(&head)?,
            Stage::Data { .. } => return Err(broken("it ends within its data")),
            Stage::Tail(tail) => {
                let whole = [b"{\"data\":\"\"".as_slice(), &tail].concat();
                serde_json::from_slice::<Map<String, Value>>(&whole)
                    .map_err(|_| broken("it is not complete"))?;
            }
        }
        Ok(self.target)
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stage {
            Stage::Raw => self.target.write_all(bytes),
            Stage::Head(head) => {
                head.extend_from_slice(bytes);
                match look_at(head, self.of_any) {
                    Head::Binary { data } => {
                        let rest = head.split_off(data);
                        self.stage = Stage::Data {
                            quad: Vec::new(),
                            escaped: false,
                        };
                        self.take(&rest)
                    }
                    Head::Unknown if head.len() <= LONGEST_HEAD => Ok(()),
                    Head::Unknown | Head::Other => {
                        let head = std::mem::take(head);
                        self.stage = Stage::Raw;
                        self.target.write_all(&head)
                    }
                }
            }
            Stage::Data { quad, escaped } => {
                let end = decode(bytes, quad, escaped, &mut self.target)?;
                if let Some(end) = end {
                    self.stage = Stage::Tail(Vec::new());
                    return self.take(&bytes[end..]);
                }
                Ok(())
            }
            Stage::Tail(tail) => {
                tail.extend_from_slice(bytes);
                if tail.len() > LONGEST_TAIL {
                    return Err(broken("much follows its data"));
                }
                Ok(())
            }
        }
    }
}

impl<W: Write> Write for Unwrap<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.flush()
    }
}

enum Head {
    /// A Binary that holds NDJSON, whose data begin at this byte.
    Binary {
        data: usize,
    },
    Other,
    /// More bytes are needed.
    Unknown,
}

/// Looks for the data of a Binary (`data` in R4, `content` before).
fn look_at(head: &[u8], of_any: bool) -> Head {
    let Some(first) = head.iter().find(|byte| !byte.is_ascii_whitespace()) else {
        return Head::Unknown;
    };
    if *first != b'{' {
        return Head::Other;
    }
    for key in [&b"\"data\""[..], b"\"content\""] {
        for at in memchr::memmem::find_iter(head, key) {
            let Some(data) = opening_quote(head, at + key.len()) else {
                continue;
            };
            let before = [&head[..at], b"\"data\":\"\"}"].concat();
            let Ok(object) = serde_json::from_slice::<Map<String, Value>>(&before) else {
                continue;
            };
            let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
            let holds_lines = of_any || text("contentType").to_ascii_lowercase().contains("ndjson");
            return if text("resourceType") == "Binary" && holds_lines {
                Head::Binary { data }
            } else {
                Head::Other
            };
        }
    }
    // A first line that is whole and holds no data is a line of NDJSON.
    let first_line = memchr::memchr(b'\n', head).map(|end| &head[..end]);
    match first_line {
        Some(line) if serde_json::from_slice::<Map<String, Value>>(line).is_ok() => Head::Other,
        _ => Head::Unknown,
    }
}

/// The byte behind `: "`.
fn opening_quote(head: &[u8], from: usize) -> Option<usize> {
    let mut rest = head[from..]
        .iter()
        .enumerate()
        .filter(|(_, byte)| !byte.is_ascii_whitespace());
    let (_, colon) = rest.next()?;
    let (at, quote) = rest.next()?;
    (*colon == b':' && *quote == b'"').then_some(from + at + 1)
}

/// Decodes base64 up to the closing quote; the place behind that, once it is reached.
fn decode(
    bytes: &[u8],
    quad: &mut Vec<u8>,
    escaped: &mut bool,
    target: &mut impl Write,
) -> io::Result<Option<usize>> {
    let mut end = None;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            // In JSON, `/` may be written `\/`, and line ends `\n`.
            _ if std::mem::take(escaped) => {
                if *byte == b'/' {
                    quad.push(*byte);
                }
            }
            b'\\' => *escaped = true,
            b'"' => {
                end = Some(at + 1);
                break;
            }
            byte if byte.is_ascii_whitespace() => {}
            byte => quad.push(*byte),
        }
    }
    let whole = if end.is_some() {
        quad.len()
    } else {
        // The last four may be padded, which only the end allows.
        quad.len().saturating_sub(1) / 4 * 4
    };
    let rest = quad.split_off(whole);
    let decoded = STANDARD
        .decode(&*quad)
        .map_err(|error| broken(&error.to_string()))?;
    *quad = rest;
    target.write_all(&decoded)?;
    Ok(end)
}

fn broken(reason: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the Binary around the lines is broken: {reason}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "{\"resourceType\":\"Patient\",\"id\":\"1\"}\n{\"resourceType\":\"Patient\",\"id\":\"??>\"}\n";

    fn unwrapped(text: &str) -> io::Result<String> {
        let mut last = None;
        for size in [1, 3, 7, 1 << 20] {
            let mut unwrap = Unwrap::new(Vec::new(), true);
            let fed = text
                .as_bytes()
                .chunks(size)
                .try_for_each(|chunk| unwrap.write_all(chunk));
            let result = fed
                .and_then(|()| unwrap.finish())
                .map(|bytes| String::from_utf8(bytes).unwrap());
            if let Some(last) = &last {
                assert_eq!(last, &result.as_ref().ok().cloned(), "chunks of {size}");
            }
            last = Some(result.as_ref().ok().cloned());
            if size > 7 {
                return result;
            }
        }
        unreachable!()
    }

    #[test]
    fn a_binary_around_lines_is_taken_off_whatever_the_chunks() {
        let data = STANDARD.encode(LINES);
        for text in [
            format!(
                r#"{{"resourceType":"Binary","id":"x","contentType":"application/fhir+ndjson","data":"{data}"}}"#
            ),
            format!(
                "{{\n  \"resourceType\": \"Binary\",\n  \"meta\": {{\"tag\": [{{\"code\": \"data\"}}]}},\n  \"contentType\": \"application/fhir+ndjson\",\n  \"data\": \"{}\"\n}}\n",
                data.replace('/', "\\/")
            ),
            format!(
                r#"{{"resourceType":"Binary","contentType":"application/ndjson","content":"{data}","language":"en"}}"#
            ),
        ] {
            assert_eq!(unwrapped(&text).unwrap(), LINES, "{text}");
        }
    }

    #[test]
    fn everything_else_passes_as_it_is() {
        for text in [
            LINES,
            "",
            "not json",
            r#"{"resourceType":"Binary","contentType":"image/png","data":"aaaa"}"#,
            "{\"resourceType\":\"Patient\",\"text\":{\"data\":\"x\"}}\n{\"data\":\"y\"}",
        ] {
            assert_eq!(unwrapped(text).unwrap(), text);
        }
    }

    #[test]
    fn a_binary_that_is_cut_or_broken_is_an_error() {
        let data = STANDARD.encode(LINES);
        let whole = format!(
            r#"{{"resourceType":"Binary","contentType":"application/fhir+ndjson","data":"{data}"}}"#
        );
        for end in [whole.len() - 1, whole.len() - 2, whole.len() - 9] {
            assert!(unwrapped(&whole[..end]).is_err(), "cut at {end}");
        }
        assert!(unwrapped(&whole.replace(&data[8..12], "!!!!")).is_err());
        assert!(unwrapped(&(whole + "x")).is_err());
    }
}
