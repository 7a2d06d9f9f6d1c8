//! Lines of NDJSON checked 64 bytes at a time, by bit masks (the way of Langdale and Lemire, "Parsing gigabytes of JSON
//! per second", 2019): which lines are for sure a JSON object (RFC 8259) with one `resourceType`.
//!
//! It never says that a line is bad. Where it has a doubt it stops, and the caller's own parser is the judge of that line:
//! of broken ones, and of good ones that are seldom (a name with an escape in it, a tower of brackets). So its one duty is
//! to let nothing pass that a parser refuses. It looks at no UTF-8: the caller has done that.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod behind;
mod mask;
mod strings;
mod token;
mod walk;
mod way;

#[cfg(test)]
mod tests;

pub use way::Way;

/// The types that lines may have.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    Only(&'a str),
    /// Any but these.
    But(&'a [&'a str]),
}

/// What is good at the start of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Good {
    /// Its length: whole lines.
    pub bytes: usize,
    pub lines: u64,
    /// Lines that hold a resource; the others are blank.
    pub resources: u64,
}

/// The lines at the start of a text that are good for sure. It begins at the start of a line; what stands behind its last
/// newline is not looked at. When not all of it is good, the next line is for the judge.
pub fn good(text: &[u8], wanted: Wanted, way: Way) -> Good {
    // Names are compared as they are written: one that cannot be written so is for the judge.
    if matches!(wanted, Wanted::Only(name) if !name.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    {
        return Good::default();
    }
    way.walk(text, wanted)
}
