//! A complete file gets its name, without ever replacing what is not ours.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use super::{Place, Version, local};
use crate::files::{self, TEMPORARY};

/// A file that is written and has no name yet: it goes away unless it gets one.
#[derive(Debug)]
pub struct Draft {
    pub(super) made: NamedTempFile,
}

/// What came of a file that was to get its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landed {
    Placed,
    /// Something has the name that is not ours. The bytes stay where they are.
    InTheWay,
}

impl Draft {
    /// One in a folder.
    pub(super) fn in_folder(folder: &Path) -> io::Result<Self> {
        files::temporary(TEMPORARY, folder).map(|made| Self { made })
    }

    /// Makes its bytes durable, and says which they are: no name changes that.
    ///
    /// # Errors
    /// The disk.
    pub fn sync(&self) -> io::Result<Version> {
        self.made.as_file().sync_all()?;
        Ok(Version::of(&self.made.as_file().metadata()?))
    }

    /// Where its bytes are meanwhile.
    pub fn path(&self) -> &Path {
        self.made.path()
    }

    /// Gives it its name by [`land`].
    ///
    /// # Errors
    /// The disk.
    pub fn land(self, to: &Path, is_ours: impl FnOnce() -> bool) -> io::Result<Landed> {
        land(&self.made.into_temp_path(), to, is_ours)
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.made.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.made.flush()
    }
}

/// Gives a complete file its name, which nothing may have but what is ours: that is looked at now.
///
/// # Errors
/// The disk.
pub fn land(from: &Path, to: &Path, is_ours: impl FnOnce() -> bool) -> io::Result<Landed> {
    match local::rename_new(from, to) {
        Ok(()) => Ok(Landed::Placed),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if is_ours() {
                fs::rename(from, to).map(|()| Landed::Placed)
            } else {
                Ok(Landed::InTheWay)
            }
        }
        Err(error) => Err(error),
    }
}

/// Tries whether files can be made at one place and given to another: another disk is found out now, not when all have
/// come. Nothing stays.
///
/// # Errors
/// They cannot.
pub fn probe(from: &Place, to: &Place, prefix: &str) -> io::Result<()> {
    let mut file = files::temporary(prefix, &from.folder)?;
    file.write_all(b"probe")?;
    if from == to {
        return Ok(());
    }
    let moved = files::temporary(prefix, &to.folder)?.into_temp_path();
    fs::rename(file.path(), &moved)
}
