//! Foreign words: what a server, a store, a file or a program said, made fit for a line of ours.
//!
//! Whoever wrote them may want to drive the terminal, to look like our own words, or to fill the screen. So they are
//! one line, bounded, without characters that steer; and every secret that this process knows is masked in them.

use std::fmt::{self, Write};
use std::ops::Deref;

use crate::secret;

/// The most of somebody's words that is shown, in characters.
pub const LONGEST: usize = 300;
/// What is looked at to find that much: blanks and masks take no part of it.
const LOOKED_AT: usize = 64 << 10;
/// Bytes in which secrets are looked for; none is longer than [`LOOKED_AT`].
const MASKED: usize = 4 * LOOKED_AT;
/// What stands where a character was that steers.
pub const REPLACEMENT: char = '\u{fffd}';

/// Somebody's words as they may be shown: one line of at most [`LONGEST`] characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Foreign(String);

impl Foreign {
    /// Makes words fit to be shown.
    pub fn new(text: &str) -> Self {
        Self::up_to(LONGEST, text)
    }

    /// The same with another bound, for what was asked for and cannot be said shorter.
    pub fn up_to(most: usize, text: &str) -> Self {
        // Masked before anything is cut or joined: half a secret would not be known as one.
        let masked = masked_start(text);
        let words = masked.split_whitespace().enumerate();
        let characters = words.flat_map(|(at, word)| {
            let blank = (at > 0).then_some(' ');
            blank.into_iter().chain(word.chars())
        });
        let mut line = String::new();
        for (at, character) in characters.enumerate() {
            match character {
                _ if at == most => {
                    line.push('…');
                    break;
                }
                steering if steers(steering) => line.push(REPLACEMENT),
                other => line.push(other),
            }
        }
        Self(line)
    }

    /// Words of which there are some.
    pub fn some(text: &str) -> Option<Self> {
        Some(Self::new(text)).filter(|words| !words.is_empty())
    }

    /// The words themselves.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Foreign {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Foreign {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&str> for Foreign {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Foreign {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

/// The start of a text, in which words are looked for, with what is to be masked in it. It is masked before it is cut, since
/// nobody knows half a secret as one; and not all of it, since an answer may be of any length.
pub fn masked_start(text: &str) -> String {
    let start = start_of(text, MASKED);
    let mut masked = secret::mask_foreign(start);
    let mut most = LOOKED_AT;
    if start.len() < text.len() {
        // What is cut in half here stands at the end, however much was masked before it.
        most = most.min(masked.len().saturating_sub(LOOKED_AT));
    }
    let length = start_of(&masked, most).len();
    masked.truncate(length);
    masked
}

/// The start of a text, cut between two characters.
fn start_of(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Lines of ours that may have foreign words in them, for a terminal: what steers is made harmless, line breaks and
/// tabs stay. The net below [`Foreign`], not its stead.
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => out.push(character),
            steering if steers(steering) => out.push(REPLACEMENT),
            other => out.push(other),
        }
    }
    out
}

/// JSON for a terminal: characters that steer stand as `\u` escapes, which mean the same. Outside of its strings JSON
/// has none but line breaks, tabs and blanks.
pub fn escaped_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '\n' | '\t' | '\r' => out.push(character),
            steering if steers(steering) => {
                for unit in steering.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            other => out.push(other),
        }
    }
    out
}

/// Whether a character changes how others are shown, or is not to be seen: controls (C0, C1, DEL), line and paragraph
/// separators, and the format characters of Unicode (general category Cf), those of bidirectional text among them.
fn steers(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{600}'..='\u{605}'
                | '\u{61c}'
                | '\u{6dd}'
                | '\u{70f}'
                | '\u{890}'..='\u{891}'
                | '\u{8e2}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{110bd}'
                | '\u{110cd}'
                | '\u{13430}'..='\u{1343f}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_words_are_one_line_that_steers_nothing() {
        for (text, shown) in [
            (" a\r\nHint: b\u{2028}c\u{85}d ", "a Hint: b c d"),
            ("\x1b[8mx\x1b]0;t\x07", "\u{fffd}[8mx\u{fffd}]0;t\u{fffd}"),
            ("\u{9b}2J\u{7f}", "\u{fffd}2J\u{fffd}"),
            (
                "a\u{202e}b\u{2066}c\u{200b}d",
                "a\u{fffd}b\u{fffd}c\u{fffd}d",
            ),
            ("Jos\u{e9} \u{5d0} \u{1f600}", "Jos\u{e9} \u{5d0} \u{1f600}"),
            ("", ""),
        ] {
            assert_eq!(Foreign::new(text).as_str(), shown, "{text:?}");
        }
    }

    #[test]
    fn they_are_bounded_and_masked_before_they_are_cut() {
        let secret = secret::Secret::new("long-secret-that-is-cut-in-the-middle");
        let text = format!("{}{}", "x".repeat(LONGEST - 10), secret.expose());
        let words = Foreign::new(&text);
        assert!(!words.contains("long-se"), "{words}");
        // Blanks take no part of what is shown, but of what is looked at.
        let text = format!("{}{}", " ".repeat(LOOKED_AT - 10), secret.expose());
        let words = Foreign::new(&text);
        assert_eq!(words.as_str(), secret::MASK);
        // Each is masked and takes less room: the half at the end of what is looked at comes near the start.
        let masked = masked_start(&secret.expose().repeat(MASKED));
        assert!(!masked.contains(&secret.expose()[..4]), "{masked}");
        let words = Foreign::new(&"é\n".repeat(1_000_000));
        assert_eq!(words.chars().count(), LONGEST + 1);
    }

    #[test]
    fn json_for_a_terminal_means_the_same() {
        let json = "{\"a\": \"x\u{202e}y\u{9b}2J\u{e0041}\"}\n";
        let shown = escaped_json(json);
        assert_eq!(shown, "{\"a\": \"x\\u202ey\\u009b2J\\udb40\\udc41\"}\n");
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&shown), value(json));
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_said_it_is_one_short_line(text in "\\PC{0,400}|[\\x00-\\u{ffff}]{0,400}") {
            let words = Foreign::new(&text);
            proptest::prop_assert!(words.chars().count() <= LONGEST + 1);
            proptest::prop_assert!(!words.chars().any(steers));
            let again = Foreign::new(&words);
            // A test beside this one may have made a secret of it meanwhile.
            proptest::prop_assert!(again == words || again.contains(secret::MASK), "{again:?} of {words:?}");
        }
    }
}
