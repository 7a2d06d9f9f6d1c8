//! Files of the user's, wherever their names lead: looked at and read, never changed.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{There, Version, local, unless_missing};

/// What tells that a file was changed or replaced since it was found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    bytes: u64,
    changed: Option<SystemTime>,
    place: (u64, u64),
}

impl Identity {
    /// That of the file a path leads to; `None` of what is no plain file.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn of(path: &Path) -> io::Result<Option<Self>> {
        let metadata = fs::metadata(path)?;
        Ok(metadata.is_file().then(|| Self::by(&metadata)))
    }

    /// That of an open file.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn of_open(file: &File) -> io::Result<Self> {
        file.metadata().map(|metadata| Self::by(&metadata))
    }

    fn by(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let place = {
            use std::os::unix::fs::MetadataExt;
            (metadata.dev(), metadata.ino())
        };
        #[cfg(not(unix))]
        let place = (0, 0);
        Self {
            bytes: metadata.len(),
            changed: metadata.modified().ok(),
            place,
        }
    }
}

/// Whether anything has this name, even a symlink that leads nowhere. What cannot be looked at is taken to be there.
pub fn is_there(path: &Path) -> bool {
    There::at(path).map_or(true, |there| there != There::Nothing)
}

/// Whether a path leads to anything that can be looked at.
pub fn leads_somewhere(path: &Path) -> bool {
    path.exists()
}

/// Whether a path leads to a plain file.
pub fn is_file(path: &Path) -> bool {
    path.is_file()
}

/// Whether a path leads to a folder.
pub fn is_folder(path: &Path) -> bool {
    path.is_dir()
}

/// How many bytes what a path leads to has; `None` of what cannot be looked at.
pub fn length(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|metadata| metadata.len())
}

/// The version of the plain file that a path leads to; `None` of what is none.
///
/// # Errors
/// It cannot be looked at.
pub fn look(path: &Path) -> io::Result<Option<Version>> {
    let metadata = fs::metadata(path)?;
    Ok(metadata.is_file().then(|| Version::of(&metadata)))
}

/// Where a path leads in the end, without symlinks.
///
/// # Errors
/// It leads nowhere.
pub fn real(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path)
}

/// Where a path leads in the end, when that is in or below a folder.
///
/// # Errors
/// One of them leads nowhere.
pub fn real_within(path: &Path, folder: &Path) -> io::Result<Option<PathBuf>> {
    let (path, folder) = (real(path)?, real(folder)?);
    Ok(path.starts_with(folder).then_some(path))
}

/// Whether two paths are of one file, or are spelled alike when one leads nowhere.
pub fn is_same(one: &Path, other: &Path) -> bool {
    match (real(one), real(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

/// Opens what a path leads to, to read it; `None` when it leads nowhere. What the user named may be a FIFO, which is
/// waited for: what we named ourselves is opened by [`local::open_plain`].
///
/// # Errors
/// It cannot be opened.
pub fn open_file(path: &Path) -> io::Result<Option<File>> {
    unless_missing(File::open(path))
}

/// Opens the file of a name to lock it, and makes an empty one, for its owner alone, when there is none.
///
/// # Errors
/// It can be neither made nor opened.
pub fn found_or_made(path: &Path) -> io::Result<File> {
    match local::private().write(true).create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => File::open(path),
        made => made,
    }
}
