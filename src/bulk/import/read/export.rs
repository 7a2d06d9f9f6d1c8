//! The folder of an export: what its manifest lists is there, below the folder, and has the bytes that the export wrote.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::bulk::export::{layout, state};
use crate::bulk::import::ImportError;
use crate::bulk::import::read::input::Input;
use crate::bulk::import::read::manifest::Manifest;
use crate::bulk::listed::Listed;
use crate::place::{Lock, Place};
use crate::words;

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

/// The files that an export's `manifest.json` lists with the paths they have here. Nothing where there is none, or one of
/// another program.
///
/// # Errors
/// It cannot be read, or does not say which files there should be: the folder would pass for one that nothing is promised
/// of. A file is not there, not below the folder, or has other bytes; the export replaces them just now.
pub fn of_manifest(
    folder: &Path,
    notice: &mut dyn FnMut(&str),
) -> Result<Option<Vec<Input>>, ImportError> {
    let place = Place::new(folder);
    let manifest = match state::document::read_json::<Manifest>(&place, layout::MANIFEST) {
        Ok(Some(manifest)) => manifest,
        Ok(None) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(unusable(
                folder,
                &format!("it cannot be read ({error})"),
                notice,
            ));
        }
        Err(source) => return Err(ImportError::disk(&place.path(layout::MANIFEST), source)),
    };
    if !manifest.is_of_an_export() && !layout::state_of(folder).is_made() {
        notice(&format!(
            "{} is of another program, and nothing is compared with it",
            place.path(layout::MANIFEST).display()
        ));
        return Ok(None);
    }
    if manifest.complete == Some(false) {
        return Err(ImportError::IncompleteExport {
            folder: folder.to_owned(),
        });
    }
    if let Some(problem) = manifest.problem() {
        return Err(unusable(folder, problem, notice));
    }
    let lists = [manifest.output, manifest.deleted];
    let listed = lists.into_iter().flatten().flatten();
    is_at_rest(folder)?;
    let held = hold(folder)?;
    let source = manifest.request.as_deref().and_then(base_of);
    let inputs = listed.map(|listed| listed_file(folder, listed));
    let mut inputs = inputs.collect::<Result<Vec<Input>, _>>()?;
    for input in &mut inputs {
        input.source.clone_from(&source);
        input.held.clone_from(&held);
    }
    Ok(Some(inputs))
}

/// What is said of a manifest that cannot be gone by: that the export has not ended, where that is why.
fn unusable(folder: &Path, what: &str, notice: &mut dyn FnMut(&str)) -> ImportError {
    is_export(folder, notice)
        .err()
        .unwrap_or_else(|| ImportError::BadManifest {
            folder: folder.to_owned(),
            what: what.to_owned(),
        })
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
