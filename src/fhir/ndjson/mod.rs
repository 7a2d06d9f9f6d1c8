//! NDJSON checked as it streams past: every line one JSON object of the right type, in constant memory.

mod error;
mod scan;
mod utf8;

use medplum_check::{Wanted, Way};

use error::printable;
pub use error::{LineError, LineErrorKind};
use scan::{Problem, Scanner};
use utf8::Utf8;

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
    /// How lines are looked at first; with `None` the state machine sees them all.
    way: Option<Way>,
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

impl Checker {
    /// A check for resources of one type, or with `None` of any.
    pub fn new(expected: Option<&str>) -> Self {
        Self {
            expected: expected.map(str::to_owned),
            refused: &[],
            way: Some(Way::best()),
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

    /// The same by the state machine alone: what the masks are held against in tests.
    #[must_use]
    pub fn without_masks(self) -> Self {
        Self { way: None, ..self }
    }

    /// The same with masks that are made in this way.
    #[must_use]
    pub fn by(self, way: Way) -> Self {
        Self {
            way: Some(way),
            ..self
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
            if self.scanner.is_between_lines() && self.sample.is_empty() {
                rest = self.pass_good_lines(rest);
                if rest.is_empty() {
                    return Ok(());
                }
            }
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

    /// Counts the lines at the start that are good for sure; the rest begins with the line that is for the scanner.
    fn pass_good_lines<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(way) = self.way else {
            return bytes;
        };
        let wanted = match &self.expected {
            Some(expected) => Wanted::Only(expected),
            None => Wanted::But(self.refused),
        };
        let good = medplum_check::good(bytes, wanted, way);
        self.lines += good.lines;
        self.resources += good.resources;
        &bytes[good.bytes..]
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

#[cfg(test)]
mod tests;
