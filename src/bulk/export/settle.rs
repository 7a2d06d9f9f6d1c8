//! From part to final name: only what is complete, and durable before it is called done.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::fetch::part::Part;
use super::layout;
use crate::files;

/// Files synced at a time: a journal commits them together.
const AT_A_TIME: usize = 8;

/// A complete file whose bytes are in its part.
#[derive(Debug)]
pub struct Landing {
    pub file: File,
    pub part: Part,
    /// Its final name.
    pub path: PathBuf,
}

/// Makes complete files durable and gives them their names; a batch costs little more than one. They are recorded in
/// between: a file that has its final name is always known, and one that is recorded without it is fetched again.
///
/// # Errors
/// The disk, with the path it happened at.
pub fn land(
    batch: Vec<Landing>,
    record: impl FnOnce() -> Result<(), (PathBuf, io::Error)>,
) -> Result<(), (PathBuf, io::Error)> {
    sync(&batch)?;
    record()?;
    let mut folders = BTreeSet::new();
    for Landing { file, part, path } in batch {
        drop(file);
        let folder = files::folder_of(&path);
        let landed = if folders.contains(&folder) {
            Ok(())
        } else {
            files::create_private_dir(&folder)
        };
        landed
            .and_then(|()| fs::rename(part.path(), &path))
            .map_err(|error| (path, error))?;
        part.became_whole();
        folders.insert(folder);
    }
    for folder in &folders {
        files::sync_dir(folder);
    }
    Ok(())
}

fn sync(batch: &[Landing]) -> Result<(), (PathBuf, io::Error)> {
    let sync_some = |some: &[Landing]| {
        some.iter().try_for_each(|landing| {
            landing
                .file
                .sync_all()
                .map_err(|error| (landing.path.clone(), error))
        })
    };
    if batch.len() == 1 {
        return sync_some(batch);
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = batch
            .chunks(batch.len().div_ceil(AT_A_TIME).max(1))
            .map(|some| scope.spawn(move || sync_some(some)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| match thread.join() {
                Ok(result) => result,
                Err(_) => Err((PathBuf::new(), io::Error::other("a sync did not end"))),
            })
    })
}

/// Checks that files can be made in a folder before a server is asked for anything.
///
/// # Errors
/// They cannot.
pub fn probe(folder: &Path) -> io::Result<()> {
    files::create_private_dir(folder)?;
    let mut file = tempfile::Builder::new()
        .prefix(layout::PROBE)
        .tempfile_in(folder)?;
    io::Write::write_all(&mut file, b"probe")
}
