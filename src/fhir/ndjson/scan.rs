//! One line of JSON as a state machine (RFC 8259) that can stop and go on at any byte.

/// Deeper nesting than any resource has.
const DEEPEST: usize = 512;
/// The longest key or type that is looked at; no `resourceType` is longer.
const LONGEST_NAME: usize = 256;
const TYPE_KEY: &[u8] = b"resourceType";

/// What is wrong with the JSON.
#[derive(Debug)]
pub(super) struct Problem(pub(super) &'static str);

/// What may come next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    LineStart,
    Value,
    ValueOrEnd,
    KeyOrEnd,
    Key,
    Colon,
    CommaOrEnd,
    String,
    Escape,
    Unicode,
    Number,
    Literal,
    LineEnd,
}

/// Where in a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Digits {
    #[default]
    Sign,
    Zero,
    Whole,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    Power,
}

/// The scanner of one line.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    state: State,
    digits: Digits,
    /// What is left of `true`, `false` or `null`.
    literal: &'static [u8],
    /// Hex digits of an escape still to come.
    hex: u8,
    depth: usize,
    /// One bit per level: whether it is an object.
    objects: [u64; DEEPEST / 64],
    /// Whether the string being read is a key.
    in_key: bool,
    /// Whether the string being read is of interest: a key of the top level, or the value of `resourceType`.
    capturing: bool,
    captured: Vec<u8>,
    /// Whether the value that comes is that of the top level's `resourceType`.
    type_follows: bool,
    resource_type: Option<Vec<u8>>,
    types: u8,
}

impl Scanner {
    /// Reads on to the end of the line; the number of bytes up to and with the newline, or `None` when the bytes end
    /// before.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Option<usize>, Problem> {
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            if self.state == State::String {
                let end = at + plain_length(&bytes[at..]);
                self.capture(&bytes[at..end]);
                at = end;
                match bytes.get(at) {
                    None => return Ok(None),
                    Some(b'"') => {
                        self.end_string();
                        at += 1 + self.next_string(&bytes[at + 1..]);
                    }
                    Some(b'\\') => {
                        self.capture(b"\\");
                        self.state = State::Escape;
                        at += 1;
                    }
                    Some(_) => return Err(Problem("a control character in a string")),
                }
                continue;
            }
            if self.state == State::Number {
                match next_digit(self.digits, byte) {
                    Some(next) => {
                        self.digits = next;
                        at += 1;
                    }
                    None if may_end(self.digits) => self.state = State::CommaOrEnd,
                    None => return Err(Problem("a number is not well-formed")),
                }
                continue;
            }
            at += 1;
            if byte == b'\n' {
                return match self.state {
                    State::LineStart | State::LineEnd => Ok(Some(at)),
                    _ => Err(Problem("the line ends too early")),
                };
            }
            self.step(byte)?;
        }
        Ok(None)
    }

    /// Whether nothing of a line has come yet.
    pub(super) fn is_between_lines(&self) -> bool {
        self.state == State::LineStart
    }

    /// Whether the line's object is closed.
    pub(super) fn is_complete(&self) -> bool {
        self.state == State::LineEnd
    }

    /// The top level's `resourceType`, if it is there and a string.
    pub(super) fn resource_type(&self) -> Option<&[u8]> {
        self.resource_type.as_deref()
    }

    /// Whether the top level names its type more than once.
    pub(super) fn has_two_types(&self) -> bool {
        self.types > 1
    }

    /// Forgets the line.
    pub(super) fn next_line(&mut self) {
        self.state = State::LineStart;
        self.depth = 0;
        self.type_follows = false;
        self.resource_type = None;
        self.types = 0;
    }

    /// One byte outside of strings and numbers.
    // Long because it is one table of states.
    fn step(&mut self, byte: u8) -> Result<(), Problem> {
        match self.state {
            State::Escape => return self.escape(byte),
            State::Unicode => {
                if !byte.is_ascii_hexdigit() {
                    return Err(Problem("a \\u escape is not well-formed"));
                }
                self.capture(&[byte]);
                self.hex -= 1;
                if self.hex == 0 {
                    self.state = State::String;
                }
                return Ok(());
            }
            State::Literal => {
                if self.literal[0] != byte {
                    return Err(Problem("an unknown word"));
                }
                self.literal = &self.literal[1..];
                if self.literal.is_empty() {
                    self.state = State::CommaOrEnd;
                }
                return Ok(());
            }
            _ if matches!(byte, b' ' | b'\t' | b'\r') => return Ok(()),
            _ => {}
        }
        match (self.state, byte) {
            (State::LineStart, b'{') => self.open(true),
            (State::LineStart, _) => Err(Problem("no `{` at its start")),
            (State::KeyOrEnd | State::CommaOrEnd, b'}') if self.is_in_object() => {
                self.close();
                Ok(())
            }
            (State::ValueOrEnd, b']') => {
                self.close();
                Ok(())
            }
            (State::CommaOrEnd, b']') if !self.is_in_object() => {
                self.close();
                Ok(())
            }
            (State::CommaOrEnd, b',') => {
                self.state = if self.is_in_object() {
                    State::Key
                } else {
                    State::Value
                };
                Ok(())
            }
            (State::KeyOrEnd | State::Key, b'"') => {
                self.start_string(true, self.depth == 1);
                Ok(())
            }
            (State::Colon, b':') => {
                self.state = State::Value;
                Ok(())
            }
            (State::Value | State::ValueOrEnd, _) => self.value(byte),
            (State::LineEnd, _) => Err(Problem("more after the object")),
            (State::KeyOrEnd | State::Key, _) => Err(Problem("a name is missing")),
            (State::Colon, _) => Err(Problem("a `:` is missing")),
            _ => Err(Problem("a `,` or an end is missing")),
        }
    }

    fn value(&mut self, byte: u8) -> Result<(), Problem> {
        let is_type = std::mem::take(&mut self.type_follows);
        match byte {
            b'"' => self.start_string(false, is_type),
            b'{' => return self.open(true),
            b'[' => return self.open(false),
            b't' => self.word(b"rue"),
            b'f' => self.word(b"alse"),
            b'n' => self.word(b"ull"),
            b'-' => self.number(Digits::Sign),
            b'0' => self.number(Digits::Zero),
            b'1'..=b'9' => self.number(Digits::Whole),
            _ => return Err(Problem("a value is missing")),
        }
        Ok(())
    }

    fn word(&mut self, rest: &'static [u8]) {
        (self.state, self.literal) = (State::Literal, rest);
    }

    fn number(&mut self, digits: Digits) {
        (self.state, self.digits) = (State::Number, digits);
    }

    fn escape(&mut self, byte: u8) -> Result<(), Problem> {
        self.capture(&[byte]);
        self.state = match byte {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => State::String,
            b'u' => {
                self.hex = 4;
                State::Unicode
            }
            _ => return Err(Problem("an unknown escape in a string")),
        };
        Ok(())
    }

    fn open(&mut self, object: bool) -> Result<(), Problem> {
        if self.depth == DEEPEST {
            return Err(Problem("nested too deeply"));
        }
        let (word, bit) = (self.depth / 64, self.depth % 64);
        self.objects[word] = self.objects[word] & !(1 << bit) | u64::from(object) << bit;
        self.depth += 1;
        self.state = if object {
            State::KeyOrEnd
        } else {
            State::ValueOrEnd
        };
        Ok(())
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.state = if self.depth == 0 {
            State::LineEnd
        } else {
            State::CommaOrEnd
        };
    }

    fn is_in_object(&self) -> bool {
        let level = self.depth.saturating_sub(1);
        self.objects[level / 64] >> (level % 64) & 1 == 1
    }

    /// From the end of one string to the next, when nothing but `:` or `,` is between them, as mostly; how many bytes
    /// that takes.
    fn next_string(&mut self, bytes: &[u8]) -> usize {
        match (self.state, bytes) {
            (State::Colon, [b':', b'"', ..]) => {
                let is_type = std::mem::take(&mut self.type_follows);
                self.start_string(false, is_type);
                2
            }
            (State::CommaOrEnd, [b',', b'"', ..]) => {
                let is_key = self.is_in_object();
                self.start_string(is_key, is_key && self.depth == 1);
                2
            }
            _ => 0,
        }
    }

    fn start_string(&mut self, key: bool, capturing: bool) {
        self.in_key = key;
        self.capturing = capturing;
        if capturing {
            self.captured.clear();
        }
        self.state = State::String;
    }

    fn capture(&mut self, bytes: &[u8]) {
        if self.capturing {
            let room = LONGEST_NAME - self.captured.len();
            self.captured
                .extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    fn end_string(&mut self) {
        self.state = if self.in_key {
            State::Colon
        } else {
            State::CommaOrEnd
        };
        if !std::mem::take(&mut self.capturing) {
            return;
        }
        if self.captured.contains(&b'\\') {
            self.captured = unescaped(&self.captured);
        }
        if !self.in_key {
            self.resource_type = Some(self.captured.clone());
        } else if self.captured == TYPE_KEY {
            self.type_follows = true;
            self.types = self.types.saturating_add(1);
        }
    }
}

/// A captured string without its escapes.
fn unescaped(raw: &[u8]) -> Vec<u8> {
    let quoted = [b"\"", raw, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).map_or_else(|_| raw.to_owned(), String::into_bytes)
}

/// The number of bytes up to a quote, backslash or control character, eight at a time.
fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    while let Some(chunk) = bytes
        .get(at..at + 8)
        .and_then(|chunk| chunk.try_into().ok())
    {
        let word = u64::from_le_bytes(chunk);
        // A byte's high bit is set where the byte is zero after the exclusive or, or less than a space.
        let zero = |word: u64| word.wrapping_sub(ONES) & !word;
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let found = (zero(word ^ (ONES * u64::from(b'"')))
            | zero(word ^ (ONES * u64::from(b'\\')))
            | control)
            & HIGHS;
        if found != 0 {
            // Borrows reach upwards only, so the lowest bit set is right.
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    bytes[at..]
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))
        .map_or(bytes.len(), |length| at + length)
}

fn next_digit(digits: Digits, byte: u8) -> Option<Digits> {
    Some(match (digits, byte) {
        (Digits::Sign, b'0') => Digits::Zero,
        (Digits::Sign, b'1'..=b'9') | (Digits::Whole, b'0'..=b'9') => Digits::Whole,
        (Digits::Zero | Digits::Whole, b'.') => Digits::Point,
        (Digits::Point | Digits::Fraction, b'0'..=b'9') => Digits::Fraction,
        (Digits::Zero | Digits::Whole | Digits::Fraction, b'e' | b'E') => Digits::Exponent,
        (Digits::Exponent, b'+' | b'-') => Digits::ExponentSign,
        (Digits::Exponent | Digits::ExponentSign | Digits::Power, b'0'..=b'9') => Digits::Power,
        _ => return None,
    })
}

fn may_end(digits: Digits) -> bool {
    matches!(
        digits,
        Digits::Zero | Digits::Whole | Digits::Fraction | Digits::Power
    )
}
