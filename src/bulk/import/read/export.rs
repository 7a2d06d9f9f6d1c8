//! The folder of an export: what its manifest lists is there, below the folder, and has the bytes that the export wrote.

use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use crate::bulk::export::{layout, state};
use crate::bulk::import::ImportError;
use crate::bulk::import::read::input::Input;
use crate::bulk::listed::Listed;
use crate::place::{Lock, Place};
use crate::words;

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    request: Option<String>,
    #[serde(default)]
    output: Vec<Listed>,
    #[serde(default)]
    deleted: Vec<Listed>,
}

/// Whether a folder is that of an export, which has to be complete.
///
/// # Errors
/// It is not, or its state cannot be read.
pub fn is_export(folder: &Path, notice: &mut dyn FnMut(&str)) -> Result<bool, ImportError> {
    let place = layout::state_of(folder);
    if !place.is_made() {
        return Ok(false);
    }
    is_at_rest(folder)?;
    let state = state::document::read_json::<state::State>(&place, layout::JOB);
    let state = state.map_err(|source| ImportError::Input {
        name: place.path(layout::JOB).display().to_string(),
        source,
    })?;
    match state {
        Some(state) if state.phase != state::Phase::Done => Err(ImportError::IncompleteExport {
            folder: folder.to_owned(),
        }),
        None if !place.has(layout::SERIES) => {
            notice(&format!(
                "An export to {} was stopped: what it brought may not be all",
                folder.display()
            ));
            Ok(true)
        }
        _ => Ok(true),
    }
}

/// Whether an export moves its files just now, or was killed at it: old and new ones then lie side by side.
fn is_at_rest(folder: &Path) -> Result<(), ImportError> {
    if layout::state_of(folder).has(layout::MOVING) {
        return Err(ImportError::HalfReplaced {
            folder: folder.to_owned(),
        });
    }
    Ok(())
}

/// The files that an export's `manifest.json` lists with the paths they have here.
///
/// # Errors
/// One of them is not there, not below the folder, or has other bytes; the export replaces them just now.
pub fn of_manifest(folder: &Path) -> Result<Option<Vec<Input>>, ImportError> {
    let place = Place::new(folder);
    let manifest = match state::document::read_json::<Manifest>(&place, layout::MANIFEST) {
        Ok(Some(manifest)) => manifest,
        Ok(None) => return Ok(None),
        // It may be anybody's.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(None),
        Err(source) => return Err(ImportError::disk(&place.path(layout::MANIFEST), source)),
    };
    let listed: Vec<Listed> = manifest
        .output
        .into_iter()
        .chain(manifest.deleted)
        .collect();
    if listed.is_empty() || listed.iter().any(|listed| listed.path.is_none()) {
        return Ok(None);
    }
    is_at_rest(folder)?;
    let held = hold(folder)?;
    let source = manifest.request.as_deref().and_then(base_of);
    let inputs = listed.into_iter().map(|listed| listed_file(folder, listed));
    let mut inputs = inputs.collect::<Result<Vec<Input>, _>>()?;
    for input in &mut inputs {
        input.source.clone_from(&source);
        input.held.clone_from(&held);
    }
    Ok(Some(inputs))
}

/// A file that a manifest lists: what it says of its lines is compared while they are read.
fn listed_file(folder: &Path, listed: Listed) -> Result<Input, ImportError> {
    let name = listed.path.clone().unwrap_or_default();
    let place = listed.place(folder).map_err(|words| {
        let manifest = folder.join(layout::MANIFEST);
        let name = words::shortened(&name);
        ImportError::BadRequest(format!("{} lists {name}, but {words}", manifest.display()))
    })?;
    let mut input = Input::within(folder, place.clone())?;
    listed
        .check_length(&place)
        .and_then(|_| listed.digests())
        .map_err(|what| ImportError::Damaged {
            name: input.name(),
            what,
        })?;
    input.promise = Some(listed);
    Ok(input)
}

/// Keeps exports from the folder while it is read. What cannot be locked, as an archive that is for reading only, is not
/// written by anybody either.
fn hold(folder: &Path) -> Result<Option<Arc<Lock>>, ImportError> {
    let place = layout::state_of(folder);
    if !place.has(layout::LOCK) {
        return Ok(None);
    }
    match place.lock(layout::LOCK) {
        Ok(Some(lock)) => Ok(Some(Arc::new(lock))),
        Ok(None) => Err(ImportError::BadRequest(format!(
            "another process is at the export in {}",
            folder.display()
        ))),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(None),
        Err(source) => Err(ImportError::Input {
            name: place.path(layout::LOCK).display().to_string(),
            source,
        }),
    }
}

/// The FHIR base of a kick-off: `[base]/$export`, `[base]/Patient/$export`, `[base]/Group/ID/$export`.
fn base_of(request: &str) -> Option<Arc<str>> {
    let path = request.split(['?', '#']).next()?;
    let path = path.strip_suffix("/$export")?;
    let level = |path: &str| -> Option<usize> {
        let (rest, last) = path.rsplit_once('/')?;
        if last == "Patient" {
            return Some(rest.len());
        }
        let (rest, kind) = rest.rsplit_once('/')?;
        matches!(kind, "Group" | "Patient").then_some(rest.len())
    };
    let base = &path[..level(path).unwrap_or(path.len())];
    base.contains("://").then(|| format!("{base}/").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_of_an_export_is_what_stands_before_its_level() {
        for (request, base) in [
            (
                "https://h/fhir/$export?_type=Patient",
                Some("https://h/fhir/"),
            ),
            ("https://h/fhir/Patient/$export", Some("https://h/fhir/")),
            ("https://h/fhir/Group/g1/$export", Some("https://h/fhir/")),
            ("https://h/$export", Some("https://h/")),
            ("https://h/fhir/export", None),
            ("/$export", None),
        ] {
            assert_eq!(base_of(request).as_deref(), base, "{request}");
        }
    }
}
