//! A profile file replaced whole, and what killed runs left behind taken away.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::rights;
use crate::files;

/// A temporary file without a profile's name is nobody's any more after this time.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// Where a profile really lies: a symlink is written through, and its target replaced.
pub(super) fn target(path: &Path) -> PathBuf {
    let Ok(link) = fs::read_link(path) else {
        return path.to_owned();
    };
    fs::canonicalize(path).unwrap_or_else(|_| files::folder_of(path).join(link))
}

/// What the temporary files of a profile begin with. No name of a profile holds a `~`, so none begins another one's.
fn prefix(name: &str) -> String {
    format!("{}{name}~", files::TEMPORARY)
}

/// Whether a profile file can be written where it lies; what is there stays.
///
/// # Errors
/// Its folder cannot be written.
pub(super) fn try_out(path: &Path, name: &str) -> io::Result<()> {
    let folder = files::folder_of(&target(path));
    files::temporary(&prefix(name), &folder).map(drop)
}

/// Replaces a profile file; the old one stays until the new one is whole and on disk.
///
/// # Errors
/// The folder cannot be written, or the disk is full.
pub(super) fn replace(path: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    let target = target(path);
    let folder = files::folder_of(&target);
    let mut file = files::temporary(&prefix(name), &folder)?;
    file.write_all(text)?;
    rights::open_to_group(file.path(), rights::of_group(&folder))?;
    file.as_file().sync_all()?;
    file.persist(&target)?;
    files::sync_dir(&folder);
    Ok(())
}

/// Takes away what runs that were killed while they wrote this profile left: it holds tokens. The caller holds the
/// profile's lock, so nobody writes it now.
pub(super) fn sweep(path: &Path, name: &str) {
    let own = prefix(name);
    let mut folders = vec![files::folder_of(path), files::folder_of(&target(path))];
    folders.dedup();
    for entry in folders
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
    {
        for entry in entry.flatten() {
            let file = entry.file_name();
            let file = file.to_string_lossy();
            let is_abandoned = file.starts_with(files::TEMPORARY)
                && !file.contains('~')
                && entry
                    .metadata()
                    .and_then(|about| about.modified())
                    .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > ABANDONED));
            if file.starts_with(&own) || is_abandoned {
                // One that stays is tried again next time.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}
