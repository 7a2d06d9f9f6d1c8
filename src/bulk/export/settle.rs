//! From part to final name: only what is complete, durable and recorded before it is called done, and never in the place
//! of anything else.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::fetch::part::Part;
use super::layout;
use super::state::document::Made;
use crate::files;
use crate::place::{Version, local};

/// A complete file whose bytes are in its part.
#[derive(Debug)]
pub struct Landing {
    pub file: File,
    pub part: Part,
    /// Its final name.
    pub path: PathBuf,
    /// What we made under this name before: that, and nothing else, is replaced.
    pub replaces: Vec<Made>,
}

/// What came of a file that was to get its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landed {
    Placed,
    /// Something has the name that is not ours. The bytes stay in their part.
    InTheWay,
}

/// Makes complete files durable and gives them their names; a batch costs little more than one. They are recorded in
/// between: a file that has its final name is always known, and one that is recorded without it gets it later.
///
/// # Errors
/// The disk, with the path it happened at.
pub fn land<R>(
    batch: Vec<Landing>,
    record: impl FnOnce(&[Version]) -> Result<R, (PathBuf, io::Error)>,
) -> Result<(Vec<Landed>, R), (PathBuf, io::Error)> {
    let mut staged = Vec::with_capacity(batch.len());
    let mut rest = Vec::with_capacity(batch.len());
    for landing in batch {
        staged.push(local::Staged {
            file: landing.file,
            from: landing.part.path().to_owned(),
            to: landing.path,
        });
        rest.push((landing.part, landing.replaces));
    }
    let recorded = record(&local::sync(&staged)?)?;
    let mut folders = BTreeSet::new();
    let mut landed = Vec::with_capacity(staged.len());
    for (local::Staged { file, from, to }, (part, replaces)) in staged.into_iter().zip(rest) {
        drop(file);
        let folder = files::folder_of(&to);
        if !folders.contains(&folder) && fs::metadata(&folder).is_ok_and(|there| !there.is_dir()) {
            landed.push(Landed::InTheWay);
            continue;
        }
        let result = local::make_folder(&folder).and_then(|()| place(&from, &to, &replaces));
        let result = result.map_err(|error| (to, error))?;
        if result == Landed::Placed {
            part.became_whole();
            folders.insert(folder);
        }
        landed.push(result);
    }
    local::sync_folders(&folders);
    Ok((landed, recorded))
}

/// Gives a file its name, which nothing may have but what it replaces: that is looked at now, not when it was planned.
///
/// # Errors
/// The disk.
pub fn place(from: &Path, to: &Path, replaces: &[Made]) -> io::Result<Landed> {
    match local::rename_new(from, to) {
        Ok(()) => Ok(Landed::Placed),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if replaces.iter().rev().any(|made| made.is_at(to)) {
                fs::rename(from, to).map(|()| Landed::Placed)
            } else {
                Ok(Landed::InTheWay)
            }
        }
        Err(error) => Err(error),
    }
}

/// Checks, before a server is asked for anything, that files can be made in a folder and moved there from its state.
///
/// # Errors
/// They cannot.
pub fn probe(folder: &Path) -> io::Result<()> {
    local::make_folder(folder)?;
    let state = folder.join(layout::STATE);
    let from = if state.is_dir() { &state } else { folder };
    let mut file = files::temporary(layout::PROBE, from)?;
    io::Write::write_all(&mut file, b"probe")?;
    if from == folder {
        return Ok(());
    }
    // Another disk is found out now, not when all files have come.
    let moved = files::temporary(layout::PROBE, folder)?.into_temp_path();
    let path = moved.to_owned();
    fs::rename(file.path(), &path)
}
