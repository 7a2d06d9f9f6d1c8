//! A profile written where its secrets are to be.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::write;
use crate::profile::ProfileError;
use crate::profile::file::{ProfileFile, read_file};
use crate::profile::held::{self, Marker, Place};
use crate::profile::parts::KEYRING;

/// Writes a profile where its secrets are to be. The order is such that a run killed at any point loses nothing: what
/// is new is there before what is old goes.
pub(super) fn save(
    path: &Path,
    name: &str,
    before: &ProfileFile,
    file: &ProfileFile,
) -> Result<(), ProfileError> {
    let owner = absolute(path);
    if file.place == Place::File {
        write_keys(path, name, &file.keys)?;
        return match &before.marker {
            Some(marker) => marker.forget(&owner),
            None => Ok(()),
        };
    }
    let (mut public, held) = held::split(&file.keys);
    let in_file = match read_file(path)? {
        Some(file) => file.keys,
        None => Map::new(),
    };
    if public == in_file
        && let Some(marker) = &before.marker
        && marker.replace_held(&owner, &held)?
    {
        return Ok(());
    }
    let marker = Marker::hold(before.marker.as_ref(), name, &owner, &held)?;
    public.insert(KEYRING.into(), marker.to_json());
    write_keys(path, name, &public)?;
    marker.tidy();
    Ok(())
}

fn write_keys(path: &Path, name: &str, keys: &Map<String, Value>) -> Result<(), ProfileError> {
    let text = serde_json::to_string_pretty(keys).unwrap_or_default();
    write::replace(path, name, text.as_bytes()).map_err(|source| ProfileError::File {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

/// A path that names the same file in every folder.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
