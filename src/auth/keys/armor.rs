//! The text encoding of PEM (RFC 7468), also where a CI system or a secret store has taken its line ends away.
//!
//! A label is all that is ever said of what stands in such a text.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
/// Labels are words in capitals; the longest in use has 22 characters.
const LONGEST_LABEL: usize = 40;

/// What stands between `-----BEGIN X-----` and its end.
pub(super) struct Block {
    pub label: String,
    /// `Proc-Type: 4,ENCRYPTED` (RFC 1421), OpenSSL's old way.
    pub is_old_encryption: bool,
    pub der: Vec<u8>,
}

/// Whether a text is meant to be PEM.
pub(super) fn is_pem(text: &str) -> bool {
    text.contains(BEGIN)
}

/// The blocks of a text; what stands around and between them is passed over (RFC 7468 §2), such as `KEY=` and quotes.
/// Line ends may be blanks, or `\n` as two characters, or gone: base64 has no blank, no backslash and no dash.
///
/// # Errors
/// What is wrong, in words that hold nothing of the text but labels.
pub(super) fn blocks(text: &str) -> Result<Vec<Block>, String> {
    let text: Cow<'_, str> = if text.contains("\\n") {
        text.replace("\\r", "").replace("\\n", "\n").into()
    } else {
        text.into()
    };
    let mut blocks = Vec::new();
    let mut rest = &*text;
    while let Some(start) = rest.find(BEGIN) {
        rest = &rest[start + BEGIN.len()..];
        let Some(label) = label(rest) else { continue };
        rest = &rest[label.len() + DASHES.len()..];
        let end = format!("-----END {label}-----");
        let damaged = |how: &str| format!("its {label} block is damaged: {how}");
        let length = rest.find(&end).ok_or_else(|| damaged("it has no end"))?;
        let (inside, after) = rest.split_at(length);
        blocks.push(block(label, inside).map_err(damaged)?);
        rest = &after[end.len()..];
    }
    if blocks.is_empty() {
        return Err("its BEGIN line is damaged".into());
    }
    Ok(blocks)
}

/// The label that a text begins with.
fn label(text: &str) -> Option<&str> {
    let label = &text[..text.find(DASHES)?];
    let is_label = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == ' ';
    (label.len() <= LONGEST_LABEL && label.chars().all(is_label)).then_some(label)
}

/// # Errors
/// How it is damaged.
fn block(label: &str, inside: &str) -> Result<Block, &'static str> {
    let headers = inside.contains(':');
    let is_old_encryption = headers && inside.contains("ENCRYPTED");
    if headers && !is_old_encryption && inside.trim().lines().count() == 1 {
        return Err("its line ends are missing");
    }
    let lines = inside.lines().filter(|line| !line.contains(':'));
    let base64: String = lines
        .flat_map(|line| line.chars())
        .filter(|c| !c.is_whitespace())
        .collect();
    // Such a key is refused whatever is in it.
    let der = match STANDARD.decode(base64) {
        Ok(der) => der,
        Err(_) if is_old_encryption => Vec::new(),
        Err(_) => return Err("it holds something that is not base64, or a part of it is missing"),
    };
    Ok(Block {
        label: label.to_owned(),
        is_old_encryption,
        der,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "-----BEGIN PRIVATE KEY-----\nQUJD\nREVG\n-----END PRIVATE KEY-----\n";

    #[test]
    fn line_ends_may_be_blanks_two_characters_or_gone() {
        for text in [
            WHOLE.to_owned(),
            WHOLE.replace('\n', "\r\n"),
            WHOLE.replace('\n', " "),
            WHOLE.replace('\n', ""),
            WHOLE.replace('\n', "\\n"),
            WHOLE.replace('\n', "\\r\\n"),
            format!("KEY=\"{}\"", WHOLE.replace('\n', "\\n")),
            format!("KEY='{WHOLE}'"),
            format!("  Bag Attributes: x\n{WHOLE}"),
        ] {
            let blocks = blocks(&text).unwrap();
            assert_eq!(
                (blocks.len(), &*blocks[0].der),
                (1, &b"ABCDEF"[..]),
                "{text}"
            );
            assert_eq!(blocks[0].label, "PRIVATE KEY");
        }
    }

    #[test]
    fn nothing_but_the_label_is_ever_said() {
        for text in [
            "-----BEGIN PRIVATE KEY-----canary",
            "-----BEGIN PRIVATE KEY-----canary!-----END PRIVATE KEY-----",
            "-----BEGIN canary-----x-----END canary-----",
            "-----BEGIN PRIVATE KEY canary",
            "-----BEGIN PRIVATE KEY----- Comment: x canary= -----END PRIVATE KEY-----",
        ] {
            let error = blocks(text).err().unwrap();
            assert!(!error.contains("canary"), "{text}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(-----(BEGIN|END) ?(PRIVATE KEY|é)?-{0,5}|[a-zA-Z0-9+/=:\\\\n \n-]{0,8}){0,12}") {
            drop(blocks(&text));
        }
    }
}
