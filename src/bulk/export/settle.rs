//! From part to final name: only what is complete, durable and recorded before it is called done, and never in the place
//! of anything else.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::fetch::part::Part;
use super::layout;
use super::state::document::Made;
use crate::place::{self, Landed, Place, Version};

/// A complete file whose bytes are in its part.
#[derive(Debug)]
pub struct Landing {
    pub file: File,
    pub part: Part,
    /// Its final name.
    pub path: PathBuf,
    /// What we made under this name before, the latest first: that, and nothing else, is replaced.
    pub replaces: Vec<Made>,
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
        staged.push(place::Staged {
            file: landing.file,
            from: landing.part.path().to_owned(),
            to: landing.path,
        });
        rest.push((landing.part, landing.replaces));
    }
    let recorded = record(&place::sync(&staged)?)?;
    let mut folders = BTreeSet::new();
    let mut landed = Vec::with_capacity(staged.len());
    for (place::Staged { file, from, to }, (part, replaces)) in staged.into_iter().zip(rest) {
        drop(file);
        let folder = Place::around(&to);
        let made = if folders.contains(folder.folder()) {
            Ok(())
        } else if place::is_there(folder.folder()) && !folder.is_made() {
            landed.push(Landed::InTheWay);
            continue;
        } else {
            folder.make()
        };
        let result = made.and_then(|()| place(&from, &to, &replaces));
        let result = result.map_err(|error| (to, error))?;
        if result == Landed::Placed {
            part.became_whole();
            folders.insert(folder.folder().to_owned());
        }
        landed.push(result);
    }
    place::sync_folders(&folders);
    Ok((landed, recorded))
}

/// Gives a file its name, which nothing may have but what it replaces: that is looked at now, not when it was planned.
///
/// # Errors
/// The disk.
pub fn place(from: &Path, to: &Path, replaces: &[Made]) -> io::Result<Landed> {
    place::land(from, to, || replaces.iter().any(|made| made.is_at(to)))
}

/// Checks, before a server is asked for anything, that files can be made in a folder and moved there from its state.
///
/// # Errors
/// They cannot.
pub fn probe(folder: &Path) -> io::Result<()> {
    let folder = Place::new(folder);
    folder.make()?;
    let state = folder.within(layout::STATE);
    let from = if state.is_made() { &state } else { &folder };
    place::probe(from, &folder, layout::PROBE)
}
