//! A folder may come from anywhere: a symlink in the place of one of the folders in it would have files written, replaced
//! and removed elsewhere, under names that somebody else chose.

use std::path::{Path, PathBuf};

use crate::bulk::export::error::BulkError;
use crate::bulk::export::layout;
use crate::place::Place;

/// Makes sure that whatever is written below the folder of an export lies in it.
///
/// # Errors
/// One of the folders there is a symlink.
pub fn check(folder: &Path) -> Result<(), BulkError> {
    let new = layout::state_of(folder).path(layout::NEW);
    for path in [folder, &new].into_iter().flat_map(folders_in) {
        if Place::new(&path).is_link() {
            return Err(BulkError::Elsewhere { path });
        }
    }
    Ok(())
}

/// Every folder that an export makes in its own, outer ones first.
fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let state = folder.join(layout::STATE);
    let parts = state.join(layout::PARTS);
    let mut all = vec![state.clone(), state.join(layout::NEW), parts.clone()];
    all.extend(layout::FOLDERS.map(|name| parts.join(name)));
    all.extend(layout::FOLDERS.map(|name| folder.join(name)));
    all
}
