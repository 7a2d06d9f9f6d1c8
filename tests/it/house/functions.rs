//! Functions stay short: one over 60 lines is split by subject, or says why it is long.

use std::fs;
use std::path::Path;

use super::imports::source_files;
use super::still::LONG_FUNCTIONS;

/// The most lines of a function that need no reason.
const MOST: usize = 60;

/// What stands above or in a function that is long for a reason.
const REASON: &str = "// Long because ";

/// The name of the function whose first line this is, and how far the line is indented.
fn begins(line: &str) -> Option<(&str, usize)> {
    let text = line.trim_start();
    let words = text.split("fn ").next()?.split_whitespace();
    let is_function = words.clone().all(|word| {
        word.starts_with("pub") || word.ends_with(')') || ["in", "async", "const"].contains(&word)
    });
    let (_, rest) = text.split_once("fn ").filter(|_| is_function)?;
    let end = rest.find(|character: char| !character.is_alphanumeric() && character != '_')?;
    Some((&rest[..end], line.len() - text.len()))
}

/// The functions of a file with their lengths, but for its tests and those that give a reason.
fn long_functions(text: &str) -> Vec<(String, usize)> {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        let Some((name, indent)) = begins(line) else {
            continue;
        };
        let end = format!("{}}}", " ".repeat(indent));
        let is_last =
            |line: &&str| **line == end || (line.starts_with(&end) && line.len() > indent);
        let length = if line.ends_with('}') || line.ends_with(';') {
            1
        } else {
            1 + lines[first..].iter().position(is_last).unwrap_or(0)
        };
        let above = lines[..first].iter().rev();
        let mut own = above
            .take_while(|line| line.trim_start().starts_with(['/', '#']))
            .chain(&lines[first..first + length]);
        if length > MOST && !own.any(|line| line.trim_start().starts_with(REASON)) {
            found.push((name.to_owned(), length));
        }
    }
    found
}

#[test]
fn functions_stay_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut long = Vec::new();
    for file in source_files(&root.join("src")) {
        let name = file.strip_prefix(root).unwrap().display().to_string();
        if name.contains("/tests") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        for (function, length) in long_functions(&text) {
            long.push((name.clone(), function, length));
        }
    }
    for (file, function, length) in &long {
        assert!(
            LONG_FUNCTIONS.contains(&(file.as_str(), function.as_str())),
            "{function} in {file} has {length} lines: split it by subject at {MOST}, or say why in a line `{REASON}…`"
        );
    }
    for (file, function) in LONG_FUNCTIONS {
        assert!(
            long.iter()
                .any(|(found, name, _)| found == file && name == function),
            "{function} in {file} is short now, so take it out of LONG_FUNCTIONS in tests/it/house/still.rs"
        );
    }
}

#[test]
fn a_long_function_is_seen_in_every_shape() {
    let body = "        work();\n".repeat(70);
    for head in [
        "    pub(in crate::commands) async fn one(&self) -> X {",
        "    fn one<'a>(\n        text: &'a str,\n    ) -> X {",
        "    pub const fn one() {",
    ] {
        let text = format!("impl X {{\n{head}\n{body}    }}\n\n    fn short() {{}}\n}}\n");
        let found = long_functions(&text);
        assert!(found.len() == 1 && found[0].0 == "one", "{found:?}");
        let reason =
            format!("impl X {{\n    // Long because it is a list.\n{head}\n{body}    }}\n}}\n");
        assert!(long_functions(&reason).is_empty());
    }
}
