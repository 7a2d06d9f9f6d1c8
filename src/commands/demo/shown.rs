//! How the tour shows a command, what it said, and the files that it made.

use std::path::Path;

use anyhow::Context as _;

use crate::bulk::export::layout;
use crate::words::number_of;

/// The most lines of one command's result that are shown.
const MOST_LINES: usize = 14;

/// A word as it is typed in a shell.
pub(super) fn quoted(word: &str) -> String {
    let plain = !word.is_empty()
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c));
    if plain {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

pub(super) fn shortened(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    if lines.len() <= MOST_LINES + 1 {
        return lines.join("\n");
    }
    format!(
        "{}\n  … ({} more lines)",
        lines[..MOST_LINES].join("\n"),
        lines.len() - MOST_LINES
    )
}

/// The exported files with their number of lines.
pub(super) fn listing(folder: &Path) -> anyhow::Result<String> {
    let mut lines = Vec::new();
    for entry in
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "ndjson")
            && !path.ends_with(layout::LOG)
        {
            let resources = std::fs::read(&path)?
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
                .count();
            lines.push(format!(
                "{} ({})",
                path.display(),
                number_of(resources, "resource")
            ));
        }
    }
    lines.sort();
    Ok(lines.join("\n"))
}
