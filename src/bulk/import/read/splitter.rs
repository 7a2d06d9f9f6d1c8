//! The entries of a Bundle, cut out of its text byte by byte: what they are is not looked at.

use std::io::{self, BufRead};

/// The longest entry.
const LONGEST_ENTRY: usize = 128 << 20;

/// Bytes of a string that are kept: none that is looked for has more, with each of its letters escaped.
const LONGEST_NAME: usize = 6 * 64;

/// Follows the nesting of JSON and cuts out the elements of the top level's `entry`, whatever they are.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a state of its own")]
pub(super) struct Splitter {
    emit: bool,
    depth: usize,
    in_string: bool,
    escaped: bool,
    in_entries: bool,
    /// Whether its list of entries has begun.
    had_entries: bool,
    /// The bytes of the entry.
    kept: Vec<u8>,
    string: Vec<u8>,
    key: Vec<u8>,
    after_colon: bool,
    pub(super) resource_type: Option<Vec<u8>>,
    pub(super) bundle_type: Option<Vec<u8>>,
    closed: bool,
    /// Whether it says twice what it is or holds: readers differ in which they take.
    is_twofold: bool,
}

impl Splitter {
    /// One that gives entries away, or only looks what kind of resource it is.
    pub(super) fn new(emit: bool) -> Self {
        Self {
            emit,
            depth: 0,
            in_string: false,
            escaped: false,
            in_entries: false,
            had_entries: false,
            kept: Vec::new(),
            string: Vec::new(),
            key: Vec::new(),
            after_colon: false,
            resource_type: None,
            bundle_type: None,
            closed: false,
            is_twofold: false,
        }
    }

    /// Whether the value has ended.
    pub(super) fn is_complete(&self) -> bool {
        self.closed && self.depth == 0
    }

    /// Reads on, as far as needed.
    pub(super) fn run(
        &mut self,
        mut reader: impl BufRead,
        entry: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        loop {
            let bytes = reader.fill_buf()?;
            let length = bytes.len();
            if length == 0 {
                return Ok(());
            }
            for &byte in bytes {
                self.step(byte, entry)?;
            }
            if self.is_twofold {
                return Err(io::Error::other(
                    "it says more than once what it is or holds",
                ));
            }
            reader.consume(length);
            if !self.emit && self.resource_type.is_some() && self.bundle_type.is_some() {
                return Ok(());
            }
        }
    }

    fn step(&mut self, byte: u8, entry: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        if self.emit {
            self.keep(byte, entry)?;
        }
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => {
                    self.in_string = false;
                    self.end_string();
                    return Ok(());
                }
                _ => {}
            }
            if self.depth == 1 && self.string.len() < LONGEST_NAME {
                self.string.push(byte);
            }
            return Ok(());
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.string.clear();
            }
            b':' if self.depth == 1 => self.after_colon = true,
            b',' if self.depth == 1 => self.after_colon = false,
            b'{' | b'[' => {
                if self.depth == 1 && self.after_colon && self.key == b"entry" {
                    if self.emit && byte == b'{' {
                        return Err(io::Error::other("the Bundle's entry is no list"));
                    }
                    self.is_twofold |= self.had_entries && !self.closed;
                    self.had_entries = true;
                    self.in_entries = true;
                }
                self.depth += 1;
            }
            b'}' | b']' => {
                self.depth = self
                    .depth
                    .checked_sub(1)
                    .ok_or_else(|| io::Error::other("it is no JSON"))?;
                if self.depth == 1 {
                    self.in_entries = false;
                }
                self.closed |= self.depth == 0;
            }
            _ => {}
        }
        Ok(())
    }

    /// Keeps a byte if it is of an entry, and gives the entry away where it ends.
    fn keep(&mut self, byte: u8, entry: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        if self.closed && !byte.is_ascii_whitespace() {
            return Err(io::Error::other("more follows after the end of the Bundle"));
        }
        if !self.in_entries {
            return Ok(());
        }
        let is_between = self.depth == 2 && !self.in_string;
        if is_between && matches!(byte, b',' | b']') {
            if !self.kept.is_empty() {
                entry(&self.kept)?;
                self.kept.clear();
            }
            return Ok(());
        }
        if self.kept.len() == LONGEST_ENTRY {
            return Err(io::Error::other(format!(
                "an entry is longer than {LONGEST_ENTRY} bytes"
            )));
        }
        if !is_between || !byte.is_ascii_whitespace() {
            self.kept.push(byte);
        }
        Ok(())
    }

    fn end_string(&mut self) {
        if self.depth != 1 {
            return;
        }
        let text = plain(&self.string);
        if !self.after_colon {
            self.key = text;
            return;
        }
        let said = match &*self.key {
            b"resourceType" => &mut self.resource_type,
            b"type" => &mut self.bundle_type,
            _ => return,
        };
        self.is_twofold |= said.replace(text).is_some();
    }
}

/// What a string says, whose letters may be escaped (RFC 8259 §7).
fn plain(string: &[u8]) -> Vec<u8> {
    if !string.contains(&b'\\') {
        return string.to_owned();
    }
    let quoted = [b"\"", string, b"\""].concat();
    let text = serde_json::from_slice::<String>(&quoted);
    text.map_or_else(|_| string.to_owned(), String::into_bytes)
}
