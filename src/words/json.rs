//! What is wrong with a JSON text, without a word of it: the parser quotes what it found, and that may be anybody's secret.

use std::io;

use serde_json::error::{Category, Error};

/// What the parser says that it found, where it is told by its kind (serde's `Unexpected`).
const KINDS: [&str; 9] = [
    "boolean",
    "integer",
    "floating point",
    "number",
    "string",
    "null",
    "sequence",
    "map",
    "byte array",
];

/// What is wrong and where, by line and column.
pub fn of_json(error: &Error) -> String {
    let what = what_of_json(error);
    match error.line() {
        0 => what,
        line => format!("{what} at line {line} column {}", error.column()),
    }
}

/// What is wrong.
pub fn what_of_json(error: &Error) -> String {
    let words = error.to_string();
    match error.classify() {
        // Of the grammar it speaks in words of its own.
        Category::Io | Category::Syntax | Category::Eof => {
            let end = words.rfind(" at line ").unwrap_or(words.len());
            words[..end].to_owned()
        }
        Category::Data => of_data(&words),
    }
}

/// The names of fields are those that were looked for.
fn of_data(words: &str) -> String {
    for fixed in ["missing field `", "duplicate field `"] {
        if let Some(rest) = words.strip_prefix(fixed)
            && let Some((name, _)) = rest.split_once('`')
        {
            return format!("{fixed}{name}`");
        }
    }
    let kind = words.strip_prefix("invalid type: ").and_then(|rest| {
        let mut kinds = KINDS.into_iter();
        kinds.find(|kind| rest.starts_with(kind))
    });
    match kind {
        Some(kind) => format!("invalid type: {kind}"),
        None => "a value that was not expected".to_owned(),
    }
}

/// The same as an error of a file: the disk's own, or that the file is not what it should be.
pub fn json_error(error: Error) -> io::Error {
    match error.classify() {
        Category::Io => error.into(),
        _ => io::Error::new(io::ErrorKind::InvalidData, of_json(&error)),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    use super::*;

    #[derive(Debug, Deserialize)]
    enum Kind {
        One,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Holder {
        #[expect(dead_code, reason = "only its name counts")]
        number: u8,
    }

    fn words<T: DeserializeOwned + Debug>(text: &str) -> String {
        of_json(&serde_json::from_str::<T>(text).unwrap_err())
    }

    #[test]
    fn what_is_wrong_is_told_by_kind_and_place_and_never_by_content() {
        let canary = "canary-7f3a";
        for (words, wanted) in [
            (
                words::<Holder>(&format!("\"{canary}\"")),
                "invalid type: string at line 1 column 13",
            ),
            (
                words::<Holder>(&format!("{{\"number\":\"{canary}\"}}")),
                "invalid type: string at line 1 column 23",
            ),
            (
                words::<Holder>(&format!("{{\n\"{canary}\":1}}")),
                "a value that was not expected at line 2 column 13",
            ),
            (
                words::<Kind>(&format!("\"{canary}\"")),
                "a value that was not expected at line 1 column 13",
            ),
            (
                words::<Holder>("{\"number\":7331}"),
                "a value that was not expected at line 1 column 14",
            ),
            (
                words::<Holder>("{}"),
                "missing field `number` at line 1 column 2",
            ),
            (
                words::<Holder>("{\"number\":1,\"number\":2}"),
                "duplicate field `number` at line 1 column 20",
            ),
            (
                words::<Holder>(&format!("{{{canary}")),
                "key must be a string at line 1 column 2",
            ),
            (
                words::<Holder>("{\"number\":1"),
                "EOF while parsing an object at line 1 column 11",
            ),
        ] {
            assert_eq!(words, wanted);
        }
        let custom = <Error as serde::de::Error>::custom(format!("missing {canary}"));
        assert_eq!(of_json(&custom), "a value that was not expected");
    }
}
