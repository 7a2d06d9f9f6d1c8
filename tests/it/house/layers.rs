//! Imports run one way: a module may use only modules that stand before it in `lib.rs`, and no files import each other
//! in a circle.

use std::fs;
use std::path::Path;

use super::imports::{Imports, code, source_files};
use super::still::CIRCLES;

/// The names that follow `crate::` in a text, also those in braces.
fn imported(text: &str) -> Vec<&str> {
    let is_name = |character: char| character.is_alphanumeric() || character == '_';
    let first_name = |text| -> &str {
        str::split(text, |character| !is_name(character))
            .next()
            .unwrap_or_default()
    };
    text.split("crate::")
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(braces) => braces
                .split('}')
                .next()
                .unwrap()
                .split(',')
                .map(|name| first_name(name.trim()))
                .collect(),
            None => vec![first_name(rest)],
        })
        .collect()
}

#[test]
fn a_module_imports_only_modules_above_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let library = fs::read_to_string(src.join("lib.rs")).unwrap();
    let modules: Vec<&str> = library
        .lines()
        .filter_map(|line| {
            line.trim_start_matches("pub ")
                .strip_prefix("mod ")?
                .strip_suffix(';')
        })
        .collect();
    assert!(modules.len() > 5, "no module list in lib.rs: {modules:?}");
    for file in source_files(&src) {
        let inside = file.strip_prefix(&src).unwrap();
        let own = inside
            .iter()
            .next()
            .unwrap()
            .to_string_lossy()
            .trim_end_matches(".rs")
            .to_owned();
        let Some(layer) = modules.iter().position(|module| *module == own) else {
            assert!(
                ["lib", "main"].contains(&own.as_str()),
                "{} is in no module of lib.rs",
                file.display()
            );
            continue;
        };
        for name in imported(&fs::read_to_string(&file).unwrap()) {
            if let Some(used) = modules.iter().position(|module| *module == name) {
                assert!(
                    used <= layer,
                    "{} uses {name}, which stands below {own} in lib.rs",
                    file.display()
                );
            }
        }
    }
}

/// A store takes the place of a folder some day: who goes around `place` would go on writing to the disk then.
#[test]
fn export_and_import_come_to_files_by_place_alone() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let around = [
        " fs::",
        "(fs::",
        "std::fs::{self",
        "tokio::fs",
        "OpenOptions",
        "File::open",
        "File::create",
        "tempfile",
        "files::",
        ".exists()",
        ".is_dir()",
        ".is_file()",
        ".canonicalize()",
        ".read_dir()",
        ".symlink_metadata()",
    ];
    let (mut found, mut opened) = (Vec::new(), 0);
    for file in source_files(&src.join("bulk")) {
        let text = code(&fs::read_to_string(&file).unwrap());
        opened += text.matches("place").count();
        for (number, line) in text.lines().enumerate() {
            if around.iter().any(|way| line.contains(way)) {
                found.push(format!(
                    "{}:{}: {}",
                    file.display(),
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    assert!(opened > 100, "place is used {opened} times");
    assert!(
        found.is_empty(),
        "these go around src/place:\n{}\nPlace has a way for it, or gets one.",
        found.join("\n")
    );
}

/// Two files that import each other are one file in two halves; so are three that do it in a round.
#[test]
fn no_files_import_each_other_in_a_circle() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let found = Imports::of(&src).circles();
    let is_known = |circle: &[String]| {
        let mut known = CIRCLES.iter();
        known.any(|known| circle.iter().all(|file| known.contains(&file.as_str())))
    };
    let new = found.iter().filter(|circle| !is_known(circle));
    let new: Vec<_> = new.map(|circle| circle.join(" and ")).collect();
    assert!(
        new.is_empty(),
        "these files import each other, directly or in a round:\n{}\nMove what both need into a third one.",
        new.join("\n")
    );
}
