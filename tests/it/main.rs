//! The integration tests, all in one binary: what a user of `medplum` sees, against real sockets and processes.
//! The helpers use Unix rights, signals and `bash`, so elsewhere only the unit tests run.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stderr, unreachable_pub)]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]

mod at_rest;
mod browser_login;
mod browser_security;
mod cli;
mod client_auth;
mod demo;
mod device_code;
mod docs_page;
mod docs_page_jwt;
mod docs_page_login;
mod doctor;
mod doctor_causes;
mod doctor_tls;
mod export;
mod export_attachments;
mod export_docs;
mod export_faults;
mod export_faults_disk;
mod export_faults_links;
mod export_files;
mod export_jobs;
mod export_kills;
mod export_kills_calls;
mod export_kills_large;
mod export_log;
mod export_manifest;
mod export_promises;
mod export_ranges;
mod export_report;
mod export_reports;
mod export_series;
mod export_tokens;
mod import;
mod import_faults;
mod import_identity;
mod import_inputs;
mod import_kills;
mod import_kills_calls;
mod import_methods;
mod import_resume;
mod jwt;
mod jwt_renewal;
mod jwt_secrets;
mod keys;
mod layers;
mod logout;
mod many;
mod network;
mod profile;
mod real;
mod recipes;
mod refresh;
mod rest;
mod rest_errors;
mod resume;
mod sandbox;
mod secret_command;
mod secrets;
mod settings;
mod signin;
mod signin_tokens;
mod support;
mod support_works;
mod token_exchange;

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
