//! The integration tests, all in one binary: what a user of `medplum` sees, against real sockets and processes.
//! The helpers use Unix rights, signals and `bash`, so elsewhere only the unit tests run.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stderr, unreachable_pub)]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]

mod doctor;
mod export;
mod house;
mod import;
mod profile;
mod real;
mod rest;
mod sign_in;
mod support;

use std::fs;
use std::path::Path;

/// A test file that no `mod` line names would never run.
#[test]
fn no_file_is_forgotten_in_the_module_lists() {
    fn check(folder: &Path, list: &Path) {
        let text = fs::read_to_string(list).unwrap();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && path.join("mod.rs").is_file() {
                check(&path, &path.join("mod.rs"));
            } else if path.extension().is_none_or(|extension| extension != "rs") || path == list {
                continue;
            }
            let named = text
                .lines()
                .any(|line| line == format!("mod {name};") || line == format!("pub mod {name};"));
            assert!(
                named,
                "{} has no `mod {name};` line in {}",
                path.display(),
                list.display()
            );
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    check(&folder, &folder.join("main.rs"));
}
