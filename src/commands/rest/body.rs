//! The body of a write: inline, from a file or stdin, and JSON before anything is sent.

use std::io::Read;

use anyhow::Context as _;
use bytes::Bytes;

use crate::exit::Failure;
use crate::words;

/// UTF-8's byte order mark.
const BOM: &[u8] = "\u{feff}".as_bytes();

/// Reads `BODY`: JSON inline, `@FILE`, or `-` for stdin. Without a content type of the user's own it must be JSON.
///
/// # Errors
/// The file cannot be read, or the body is not JSON; both are bad input.
pub fn read(text: &str, must_be_json: bool) -> anyhow::Result<Bytes> {
    let (bytes, place) = if text == "-" {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .context("cannot read the body from stdin")?;
        (bytes, "stdin".to_owned())
    } else if let Some(path) = text.strip_prefix('@') {
        let bytes = std::fs::read(path).map_err(|error| {
            Failure::usage(format!("cannot read the body from {path}: {error}"))
        })?;
        (bytes, path.to_owned())
    } else {
        (text.as_bytes().to_vec(), "the command line".to_owned())
    };
    if !must_be_json {
        return Ok(bytes.into());
    }
    // JSON goes out without a byte order mark (RFC 8259 §8.1), which editors on Windows write.
    let bytes = Bytes::from(bytes);
    let bytes = match bytes.strip_prefix(BOM) {
        Some(_) => bytes.slice(BOM.len()..),
        None => bytes,
    };
    check(&bytes, &place, text)?;
    Ok(bytes)
}

fn check(bytes: &[u8], place: &str, text: &str) -> Result<(), Failure> {
    let failure = |reason: String| {
        let failure = Failure::usage(format!("the body from {place} is not JSON: {reason}"));
        if std::path::Path::new(text).is_file() {
            return failure.hint(format!("to send the file, write @{text}"));
        }
        let is_like_a_name = !text.is_empty() && !text.contains(['{', '[', '"', '\n']);
        if is_like_a_name && place == "the command line" {
            return failure.hint("nothing was sent; a file is given as @FILE, stdin as -");
        }
        failure.hint("nothing was sent; for another kind of body give -H 'Content-Type: …'")
    };
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(failure("it is not UTF-8 text".into()));
    };
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(failure(words::of_json(&error))),
    }
}
