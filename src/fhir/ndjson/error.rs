//! What is wrong with a line, in words.

use std::fmt;

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
                write!(f, "is not a JSON object ({what}){}", begun(sample))
            }
            Self::NotUtf8 => f.write_str("is not UTF-8"),
            Self::NoType { what, sample } => write!(f, "{what}{}", begun(sample)),
            Self::WrongType { found, expected } => {
                write!(f, "holds {found} where {expected} is promised")
            }
            Self::Cut => f.write_str("is cut short: the file ends inside it"),
        }
    }
}

/// How a line begins, where it is markup: the page of a proxy. Any other line may be somebody's health, and what is said
/// of it goes into logs.
fn begun(sample: &str) -> String {
    if sample.trim_start().starts_with('<') {
        return format!("; it begins: {sample}");
    }
    String::new()
}

/// Bytes of a line as one line of text.
pub(super) fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
