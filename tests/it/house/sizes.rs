//! Files stay small: half of them have at most 130 lines, and one over 400 says why at its top.

use std::fs;
use std::path::Path;

use super::imports::source_files;
use super::still::{LONG, MEDIAN};

#[test]
fn files_stay_small() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut lengths = Vec::new();
    let mut long = Vec::new();
    for file in source_files(&root.join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(root).unwrap().display().to_string();
        let length = text.lines().count();
        lengths.push(length);
        let mut top = text.lines().take_while(|line| line.starts_with("//!"));
        assert!(
            top.clone().next().is_some(),
            "{name} does not say what it is for in a first line `//! …`"
        );
        if length > 400 && !top.any(|line| line.starts_with("//! Long because ")) {
            long.push((name, length));
        }
    }
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(
        median <= MEDIAN,
        "the median file has {median} lines, not at most {MEDIAN}"
    );
    for (name, length) in &long {
        assert!(
            LONG.contains(&name.as_str()),
            "{name} has {length} lines: split it by subject at 400, or say why in a line `//! Long because …` at its top"
        );
    }
    for name in LONG {
        assert!(
            long.iter().any(|(found, _)| found == name),
            "{name} is short now, so take it out of LONG in tests/it/house/still.rs"
        );
    }
}
