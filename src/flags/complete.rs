//! What a shell completes by asking this program: the names of profiles.

use std::ffi::OsStr;

use clap_complete::{ArgValueCompleter, CompletionCandidate};

use crate::profile::store::Store;

/// What completes the name of a profile.
pub fn profile() -> ArgValueCompleter {
    ArgValueCompleter::new(profile_names)
}

/// The profiles whose names begin so.
fn profile_names(begun: &OsStr) -> Vec<CompletionCandidate> {
    let begun = begun.to_string_lossy();
    let names = Store::open().and_then(|store| store.names());
    names
        .unwrap_or_default()
        .into_iter()
        .filter(|name| name.starts_with(&*begun))
        .map(CompletionCandidate::new)
        .collect()
}
