//! Private files: readable by their owner alone, replaced whole, changed under a lock.

mod lock;
mod plain;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub use lock::{Lock, wait_at_most};
pub use plain::{open_plain, read_named, read_plain, read_plain_text};
use tempfile::NamedTempFile;

/// What the names of files begin with that are being written.
pub const TEMPORARY: &str = ".medplum-new-";

/// A new file of this program in a folder, which goes away unless it gets another name.
///
/// # Errors
/// None can be made there. That its name stands in the error is of no use to anybody.
pub fn temporary(prefix: &str, folder: &Path) -> io::Result<NamedTempFile> {
    let made = tempfile::Builder::new()
        .prefix(prefix)
        .suffix(".tmp")
        .tempfile_in(folder);
    made.map_err(|error| {
        let text = error.to_string();
        let number = text
            .rsplit_once("(os error ")
            .and_then(|(_, rest)| rest.split_once(')'));
        match number.map(|(number, _)| number.parse()) {
            Some(Ok(number)) => io::Error::from_raw_os_error(number),
            _ => error,
        }
    })
}

/// Creates a folder and its missing parents, each for its owner alone (0700 on Unix).
///
/// # Errors
/// It cannot be created; [`io::ErrorKind::NotADirectory`] when something else has its name.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path).map_err(|error| match error.kind() {
        // The system's words are "File exists", which does not say what is wrong.
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => io::Error::new(
            io::ErrorKind::NotADirectory,
            format!("{} is no folder", obstacle(path).display()),
        ),
        _ => error,
    })
}

/// What stands in the way of a folder: the first of its parts that is none.
fn obstacle(path: &Path) -> &Path {
    let mut parts: Vec<&Path> = path.ancestors().collect();
    parts.reverse();
    let is_obstacle = |part: &&&Path| !part.as_os_str().is_empty() && !part.is_dir();
    parts.iter().find(is_obstacle).copied().unwrap_or(path)
}

/// Replaces a file whole: either the old or the new contents are there, never a part. 0600 on Unix.
///
/// # Errors
/// The folder cannot be written, or the disk is full; the old file is then as it was.
pub fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    let mut file = temporary(TEMPORARY, &folder)?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_dir(&folder);
    Ok(())
}

/// Creates a file whole, for its owner alone; one that is there already stays as it is.
///
/// # Errors
/// The file exists ([`io::ErrorKind::AlreadyExists`]), or the folder cannot be written.
pub fn create(path: &Path, contents: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    let mut file = temporary(TEMPORARY, &folder)?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    sync_dir(&folder);
    Ok(())
}

/// The folder a file lies in, `.` for a bare name.
pub fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Makes renames in a folder durable, where the system can.
pub fn sync_dir(folder: &Path) {
    #[cfg(unix)]
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    let _ = folder;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_private_and_leaves_no_temporary_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }
}
