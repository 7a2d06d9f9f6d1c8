//! NDJSON checked as it streams past: every line one JSON object of the right type, in constant memory.

mod scan;

use std::fmt;

use scan::{Problem, Scanner};

/// The most of a bad line that an error quotes.
const LONGEST_SAMPLE: usize = 80;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Checks NDJSON in chunks of any size. Blank lines count for nothing; a last line needs no newline; a byte order
/// mark at the start is passed over. Memory does not grow with lines or files.
#[derive(Debug)]
pub struct Checker {
    expected: Option<String>,
    /// Types that are no data where nothing is expected.
    refused: &'static [&'static str],
    scanner: Scanner,
    utf8: Utf8,
    /// Lines that are complete.
    lines: u64,
    resources: u64,
    /// The start of the line, for errors.
    sample: Vec<u8>,
    /// Bytes of a byte order mark that have come, or all of them once there can be none.
    mark: usize,
}

/// What a whole file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Lines that hold a resource.
    pub resources: u64,
}

/// What is wrong, and in which line.
#[derive(Debug, thiserror::Error)]
#[error("line {line} {kind}")]
pub struct LineError {
    /// The line's number, from 1.
    pub line: u64,
    pub kind: LineErrorKind,
}

/// What can be wrong with a line.
#[derive(Debug, PartialEq, Eq)]
pub enum LineErrorKind {
    /// Not one JSON object (RFC 8259), and how the line begins.
    NotJson { what: &'static str, sample: String },
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// No `resourceType`, or two.
    NoType { what: &'static str, sample: String },
    /// A resource of another type than the manifest says.
    WrongType { found: String, expected: String },
    /// The file ends inside the line.
    Cut,
}

impl fmt::Display for LineErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson { what, sample } => {
                write!(f, "is not a JSON object ({what}); it begins: {sample}")
            }
            Self::NotUtf8 => f.write_str("is not UTF-8"),
            Self::NoType { what, sample } => write!(f, "{what}; it begins: {sample}"),
            Self::WrongType { found, expected } => {
                write!(f, "holds {found} where {expected} is promised")
            }
            Self::Cut => f.write_str("is cut short: the file ends inside it"),
        }
    }
}

impl Checker {
    /// A check for resources of one type, or with `None` of any.
    pub fn new(expected: Option<&str>) -> Self {
        Self {
            expected: expected.map(str::to_owned),
            refused: &[],
            scanner: Scanner::default(),
            utf8: Utf8::default(),
            lines: 0,
            resources: 0,
            sample: Vec::new(),
            mark: 0,
        }
    }

    /// A check for resources of any type but these.
    pub fn but_not(refused: &'static [&'static str]) -> Self {
        Self {
            refused,
            ..Self::new(None)
        }
    }

    /// The resources of the lines that have ended.
    pub fn resources(&self) -> u64 {
        self.resources
    }

    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), LineError> {
        // Whether the UTF-8 is good is asked for whole chunks, and reported for the line where JSON still was.
        let utf8 = self.utf8.feed(bytes);
        while self.mark < BYTE_ORDER_MARK.len() && !bytes.is_empty() {
            if bytes[0] == BYTE_ORDER_MARK[self.mark] {
                self.mark += 1;
                bytes = &bytes[1..];
            } else {
                let begun = std::mem::replace(&mut self.mark, BYTE_ORDER_MARK.len());
                self.scan(&BYTE_ORDER_MARK[..begun])?;
            }
        }
        let good = match utf8 {
            Ok(()) => bytes.len(),
            Err(bad) => bytes.len().saturating_sub(bad),
        };
        self.scan(&bytes[..good])?;
        if good < bytes.len() || utf8.is_err() {
            return Err(self.error(LineErrorKind::NotUtf8));
        }
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// The last line is wrong or cut short.
    pub fn finish(mut self) -> Result<Summary, LineError> {
        if !self.utf8.is_complete() {
            return Err(self.error(LineErrorKind::NotUtf8));
        }
        if !self.scanner.is_between_lines() {
            if !self.scanner.is_complete() {
                return Err(self.error(LineErrorKind::Cut));
            }
            self.end_line()?;
        }
        Ok(Summary {
            resources: self.resources,
        })
    }

    fn scan(&mut self, bytes: &[u8]) -> Result<(), LineError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.sample.len() < LONGEST_SAMPLE {
                let room = LONGEST_SAMPLE - self.sample.len();
                self.sample.extend_from_slice(&rest[..rest.len().min(room)]);
            }
            match self.scanner.feed(rest) {
                // The chunk ended inside the line.
                Ok(None) => return Ok(()),
                Ok(Some(length)) => {
                    rest = &rest[length..];
                    if self.scanner.is_complete() {
                        self.end_line()?;
                    }
                    self.lines += 1;
                    self.sample.clear();
                    self.scanner.next_line();
                }
                Err(Problem(what)) => {
                    let sample = self.sample();
                    return Err(self.error(LineErrorKind::NotJson { what, sample }));
                }
            }
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), LineError> {
        let what = match (self.scanner.resource_type(), self.scanner.has_two_types()) {
            (_, true) => "has two resourceTypes",
            (None, _) => "has no resourceType",
            (Some(found), _) => {
                match &self.expected {
                    Some(expected) if expected.as_bytes() != found => {
                        let kind = LineErrorKind::WrongType {
                            found: printable(found),
                            expected: expected.clone(),
                        };
                        return Err(self.error(kind));
                    }
                    None if self
                        .refused
                        .iter()
                        .any(|refused| refused.as_bytes() == found) =>
                    {
                        let kind = LineErrorKind::WrongType {
                            found: printable(found),
                            expected: "data".to_owned(),
                        };
                        return Err(self.error(kind));
                    }
                    _ => self.resources += 1,
                }
                return Ok(());
            }
        };
        let sample = self.sample();
        Err(self.error(LineErrorKind::NoType { what, sample }))
    }

    fn error(&self, kind: LineErrorKind) -> LineError {
        LineError {
            line: self.lines + 1,
            kind,
        }
    }

    fn sample(&self) -> String {
        let line = self
            .sample
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let mut sample = printable(line);
        if line.len() >= LONGEST_SAMPLE {
            sample.push('…');
        }
        sample
    }
}

fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// UTF-8 over chunk borders.
#[derive(Debug, Default)]
struct Utf8 {
    /// A character that the last chunk ended in.
    open: Vec<u8>,
}

impl Utf8 {
    /// Takes the next bytes; on bad ones, how many bytes from the end of the chunk they begin.
    fn feed(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let mut rest = bytes;
        while !self.open.is_empty() && !rest.is_empty() {
            self.open.push(rest[0]);
            rest = &rest[1..];
            match std::str::from_utf8(&self.open) {
                Ok(_) => self.open.clear(),
                Err(error) if error.error_len().is_some() => return Err(bytes.len()),
                Err(_) => {}
            }
        }
        match std::str::from_utf8(rest) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(rest.len() - error.valid_up_to()),
            Err(error) => {
                self.open.extend_from_slice(&rest[error.valid_up_to()..]);
                Ok(())
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &[u8], expected: Option<&str>, chunk: usize) -> Result<u64, LineError> {
        let mut checker = Checker::new(expected);
        for bytes in text.chunks(chunk.max(1)) {
            checker.feed(bytes)?;
        }
        checker.finish().map(|summary| summary.resources)
    }

    fn all_chunks(text: &[u8], expected: Option<&str>) -> Result<u64, String> {
        let results: Vec<_> = [1, 2, 3, 7, 64, 1 << 20]
            .into_iter()
            .map(|chunk| check(text, expected, chunk).map_err(|error| error.to_string()))
            .collect();
        // What is quoted of a bad line is as long as what had come of it.
        let verdict = |result: &Result<u64, String>| {
            result
                .clone()
                .map_err(|error| error.split("; it begins").next().map(str::to_owned))
        };
        assert!(
            results
                .iter()
                .all(|result| verdict(result) == verdict(&results[0])),
            "{results:?}"
        );
        results[results.len() - 1].clone()
    }

    #[test]
    fn good_lines_are_counted() {
        for (text, resources) in [
            (&b""[..], 0),
            (b"\n \r\n\t\n", 0),
            (b"{\"resourceType\":\"Patient\"}", 1),
            (b"\xef\xbb\xbf{\"resourceType\":\"Patient\"}\r\n\n{\"id\":\"x\", \"resourceType\" : \"Patient\" }\n", 2),
            ("{\"a\":[1,-0.5e+10,{\"resourceType\":\"Nested\"},true,false,null,\"é\\u00e9\\n\\\"\"],\"resourceType\":\"Patient\"}".as_bytes(), 1),
            (b"{\"\":{},\"b\":[],\"resourceType\":\"Pati\\u0065nt\"}", 1),
        ] {
            assert_eq!(all_chunks(text, Some("Patient")), Ok(resources), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn bad_lines_are_named_with_what_is_wrong() {
        let good = "{\"resourceType\":\"Patient\"}\n";
        for (line, words) in [
            (
                "{\"resourceType\":\"Observation\"}",
                "holds Observation where Patient is promised",
            ),
            ("{\"id\":\"x\"}", "has no resourceType"),
            ("{\"resourceType\":3}", "has no resourceType"),
            (
                "{\"resourceType\":\"Patient\",\"resourceType\":\"Patient\"}",
                "two resourceTypes",
            ),
            (
                "{\"contained\":[{\"resourceType\":\"Patient\"}]}",
                "has no resourceType",
            ),
            ("<html>", "it begins: <html>"),
            ("[]", "is not a JSON object"),
            ("{\"a\":1,}", "is not a JSON object"),
            ("{\"a\":01}", "is not a JSON object"),
            ("{\"a\":1.}", "is not a JSON object"),
            ("{\"a\":+1}", "is not a JSON object"),
            ("{\"a\":1e}", "is not a JSON object"),
            ("{\"a\":-}", "is not a JSON object"),
            ("{\"a\":NaN}", "is not a JSON object"),
            ("{\"a\":nul}", "is not a JSON object"),
            ("{\"a\":tru", "is not a JSON object"),
            ("{\"a\" 1}", "is not a JSON object"),
            ("{a:1}", "is not a JSON object"),
            ("{\"a\":[1 2]}", "is not a JSON object"),
            ("{\"a\":[1}}", "is not a JSON object"),
            ("{\"a\":\"\\x\"}", "is not a JSON object"),
            ("{\"a\":\"\\u12g4\"}", "is not a JSON object"),
            ("{\"a\":\"\t\"}", "is not a JSON object"),
            ("{} {}", "is not a JSON object"),
            ("{}x", "is not a JSON object"),
            ("{\"a\":", "is not a JSON object"),
        ] {
            let error = all_chunks(
                format!("{good}\n{line}\n{good}").as_bytes(),
                Some("Patient"),
            )
            .unwrap_err();
            assert!(
                error.starts_with("line 3 ") && error.contains(words),
                "{line}: {error}"
            );
        }
        assert!(
            all_chunks(b"{\"a\":1", None)
                .unwrap_err()
                .contains("cut short")
        );
        assert!(
            all_chunks(b"{\"resourceType\":\"X\"}\n{\"a\":\"\xff\"}\n", None)
                .unwrap_err()
                .contains("line 2 is not UTF-8")
        );
        assert!(
            all_chunks(b"{\"resourceType\":\"\xc3", None)
                .unwrap_err()
                .contains("UTF-8")
        );
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        assert!(
            all_chunks(deep.as_bytes(), None)
                .unwrap_err()
                .contains("nested")
        );
    }

    /// What the check means: the line is UTF-8, an object for serde_json, and has one string `resourceType`.
    fn by_the_book(line: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(line) else {
            return false;
        };
        let Ok(object) = crate::fhir::object::Object::parse(text) else {
            return false;
        };
        object.string("resourceType").is_some() && text.matches("resourceType").count() == 1
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            ".{0,20}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 24, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::vec((".{0,8}", inner), 0..6)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_serde_json_writes_is_accepted(value in json(), chunk in 1_usize..40) {
            let line = serde_json::json!({"a": value, "resourceType": "X"}).to_string();
            let text = format!("{line}\n{line}");
            prop_assert_eq!(check(text.as_bytes(), Some("X"), chunk).unwrap(), 2);
        }

        #[test]
        fn a_changed_line_is_judged_as_serde_json_judges_it(value in json(), at in any::<prop::sample::Index>(), byte: u8, chunk in 1_usize..40) {
            let mut line = serde_json::json!({"a": value, "resourceType": "X"}).to_string().into_bytes();
            let at = at.index(line.len());
            if byte != b'\n' {
                line[at] = byte;
            }
            // Equal names in the top level are refused here and not there; `by_the_book` counts the name's spellings.
            let escaped = line.windows(2).any(|pair| pair == b"\\u");
            if !escaped {
                prop_assert_eq!(check(&line, None, chunk).is_ok(), by_the_book(&line), "{}", String::from_utf8_lossy(&line));
            }
        }

        #[test]
        fn nothing_makes_it_panic_and_chunks_do_not_matter(bytes in prop::collection::vec(any::<u8>(), 0..60), chunk in 1_usize..20) {
            // A chunk that ends inside a character may hide that it is a bad one until the line has failed otherwise.
            let verdict = |error: LineError| error.line;
            let whole = check(&bytes, None, 1000).map_err(verdict);
            prop_assert_eq!(check(&bytes, None, chunk).map_err(verdict), whole);
        }
    }
}
