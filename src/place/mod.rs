//! Where files lie: from `bulk` on, this is the only way to them. Today they lie in folders on a disk; a store takes its
//! seat behind [`Place`]. Knows no FHIR.

mod land;
pub mod lines;
mod local;
mod look;
pub mod output;
mod version;
pub mod window;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Component, Path, PathBuf};

use crate::files;
pub use crate::files::Lock;
pub use land::{Draft, Landed, land, probe};
pub use local::{Staged, append, is_locked, not_plain, open_plain, sync, sync_folders};
pub use look::{
    Identity, found_or_made, is_file, is_folder, is_same, is_there, leads_somewhere, length, look,
    open_file, real, real_within,
};
pub use version::{There, Version};

/// What the names of files begin with that have no name of their own yet; whoever holds the lock sweeps them away.
pub use crate::files::TEMPORARY;

/// A folder of files, by their names below it. Nothing in it is made, looked at or locked by making the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    folder: PathBuf,
}

/// What a place lists.
#[derive(Clone, Debug)]
pub struct Name {
    pub name: PathBuf,
    pub is_folder: bool,
}

impl Place {
    /// The place that is called so.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// The place of a file.
    pub fn around(file: &Path) -> Self {
        Self::new(files::folder_of(file))
    }

    /// A place below this one.
    #[must_use]
    pub fn within(&self, name: impl AsRef<Path>) -> Self {
        Self::new(self.folder.join(name))
    }

    /// What it is called.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What a file in it is called.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes it and what is missing above, for its owner alone, durably.
    ///
    /// # Errors
    /// The disk; something else has the name.
    pub fn make(&self) -> io::Result<()> {
        local::make_folder(&self.folder)
    }

    /// Whether its own name is that of a symlink: what is written in it lies elsewhere then.
    pub fn is_link(&self) -> bool {
        fs::symlink_metadata(&self.folder).is_ok_and(|there| there.is_symlink())
    }

    /// Puts a copy in the place of a file that has other names, which may lie anywhere: what is added to it stays here.
    ///
    /// # Errors
    /// The disk.
    pub fn unshare(&self, name: impl AsRef<Path>) -> io::Result<()> {
        local::unshare(&self.path(name))
    }

    /// Whether it is there.
    pub fn is_made(&self) -> bool {
        self.folder.is_dir()
    }

    /// Whether anything has a name, even a symlink that leads nowhere. What cannot be looked at is taken to be there.
    pub fn has(&self, name: impl AsRef<Path>) -> bool {
        is_there(&self.path(name))
    }

    /// How many bytes what has a name has; `None` of what is not there.
    pub fn length(&self, name: impl AsRef<Path>) -> Option<u64> {
        length(&self.path(name))
    }

    /// The bytes of a plain file; `None` of one that is not there. A file may come from anywhere: what has no end of its own
    /// has one here.
    ///
    /// # Errors
    /// The disk, no plain file, or one that is longer than any document of ours.
    pub fn read(&self, name: impl AsRef<Path>) -> io::Result<Option<Vec<u8>>> {
        unless_missing(local::read_plain(&self.path(name)))
    }

    /// Opens a plain file to read it; `None` of one that is not there.
    ///
    /// # Errors
    /// The disk, or no plain file.
    pub fn open(&self, name: impl AsRef<Path>) -> io::Result<Option<File>> {
        unless_missing(local::open_plain(&self.path(name)))
    }

    /// Creates a file, to write and read it, for its owner alone.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when anything has the name; the disk.
    pub fn create(&self, name: impl AsRef<Path>) -> io::Result<File> {
        local::private()
            .read(true)
            .write(true)
            .create_new(true)
            .open(self.path(name))
    }

    /// Opens a file that only grows, behind its last whole line; makes it when there is none.
    ///
    /// # Errors
    /// The disk, or no plain file.
    pub fn log(&self, name: impl AsRef<Path>) -> io::Result<File> {
        local::open_log(&self.path(name))
    }

    /// Opens a file that only grows, and cuts off what stands behind this length; makes it when there is none.
    ///
    /// # Errors
    /// The disk, or no plain file.
    pub fn log_at(&self, name: impl AsRef<Path>, length: u64) -> io::Result<File> {
        local::open_log_at(&self.path(name), length)
    }

    /// Opens a file that is written into, cut to its first bytes; `None` when it has not so many.
    ///
    /// # Errors
    /// The disk, or no plain file.
    pub fn go_on(&self, name: impl AsRef<Path>, bytes: u64) -> io::Result<Option<File>> {
        local::go_on(&self.path(name), bytes)
    }

    /// Replaces a document whole: either the old or the new one is there, durably, for its owner alone.
    ///
    /// # Errors
    /// The disk; the old document is then as it was.
    pub fn swap(&self, name: impl AsRef<Path>, contents: &[u8]) -> io::Result<()> {
        files::replace(&self.path(name), contents)
    }

    /// The same with a document that is written as a stream.
    ///
    /// # Errors
    /// As [`Place::swap`], and those of `write`.
    pub fn swap_by(
        &self,
        name: impl AsRef<Path>,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut writer = BufWriter::with_capacity(64 << 10, self.draft()?.made);
        write(&mut writer)?;
        let made = writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        made.as_file().sync_all()?;
        made.persist(self.path(name)).map_err(|error| error.error)?;
        self.sync();
        Ok(())
    }

    /// A file to be written that gets its name later.
    ///
    /// # Errors
    /// The disk.
    pub fn draft(&self) -> io::Result<Draft> {
        Draft::in_folder(&self.folder)
    }

    /// A file that never has a name, and is gone with its last handle.
    ///
    /// # Errors
    /// The disk.
    pub fn nameless(&self) -> io::Result<File> {
        tempfile::tempfile_in(&self.folder)
    }

    /// What lies in it, in no order.
    ///
    /// # Errors
    /// It is no place, or cannot be read.
    pub fn names(&self) -> io::Result<Vec<Name>> {
        let entries = fs::read_dir(&self.folder)?;
        let names = entries.map(|entry| {
            entry.map(|entry| Name {
                is_folder: entry.file_type().is_ok_and(|kind| kind.is_dir()),
                name: entry.file_name().into(),
            })
        });
        names.collect()
    }

    /// The same, and nothing of a place that cannot be read.
    pub fn list(&self) -> Vec<Name> {
        self.names().unwrap_or_default()
    }

    /// Removes a file; that there is none is fine.
    ///
    /// # Errors
    /// The disk.
    pub fn remove(&self, name: impl AsRef<Path>) -> io::Result<()> {
        unless_missing(fs::remove_file(self.path(name))).map(drop)
    }

    /// Removes a folder if nothing lies in it.
    pub fn remove_empty(&self, name: impl AsRef<Path>) {
        // A folder that is not empty stays: that is asked for.
        let _ = fs::remove_dir(self.path(name));
    }

    /// Removes a folder of which everything is ours, with all that is in it; that there is none is fine.
    ///
    /// # Errors
    /// The disk.
    pub fn clear(&self, name: impl AsRef<Path>) -> io::Result<()> {
        unless_missing(fs::remove_dir_all(self.path(name))).map(drop)
    }

    /// Gives what has a name another one, here or at another place; what had that one is replaced.
    ///
    /// # Errors
    /// The disk; what is to be moved is not there.
    pub fn give(
        &self,
        name: impl AsRef<Path>,
        to: &Self,
        other: impl AsRef<Path>,
    ) -> io::Result<()> {
        fs::rename(self.path(name), to.path(other))
    }

    /// Makes names that were given or taken durable.
    pub fn sync(&self) {
        files::sync_dir(&self.folder);
    }

    /// Takes a lock if nobody holds it.
    ///
    /// # Errors
    /// Its file cannot be made, or the system has no locks.
    pub fn lock(&self, name: impl AsRef<Path>) -> io::Result<Option<Lock>> {
        Lock::try_exclusive(&self.path(name))
    }
}

/// A file that never has a name and lies where the system has room for such.
///
/// # Errors
/// The disk.
pub fn scratch() -> io::Result<File> {
    tempfile::tempfile()
}

/// `None` of what is not there.
fn unless_missing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a path is a name below a folder: relative, and nothing in it leads out.
pub fn is_name(path: &Path) -> bool {
    let mut parts = path.components();
    !path.as_os_str().is_empty() && parts.all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_does_not_lead_out_of_its_folder() {
        for name in ["a", "a/b", "..a", "a..b/c"] {
            assert!(is_name(Path::new(name)), "{name}");
        }
        for path in ["", "/", "/a", "..", "a/../b", "../a", "./a", "a/.."] {
            assert!(!is_name(Path::new(path)), "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_symlink_that_leads_nowhere_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link");
        assert!(!is_there(&path));
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        assert!(is_there(&path) && !path.exists());
        assert_eq!(There::at(&path).unwrap(), There::Other);
    }
}
