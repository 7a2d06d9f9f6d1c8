//! Private files: readable by their owner alone, replaced whole, changed under a lock.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::signals;

/// What the names of files begin with that are being written.
pub const TEMPORARY: &str = ".medplum-new-";

/// How often a lock is tried for.
const LOOK: Duration = Duration::from_millis(10);
/// A wait that is longer is told.
const SILENT_WAIT: Duration = Duration::from_secs(2);
/// The longest wait unless [`wait_at_most`] says another.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

static LONGEST: OnceLock<Duration> = OnceLock::new();

/// Sets the longest wait for locks of this process, as `--timeout` says it.
pub fn wait_at_most(time: Duration) {
    // The first word holds: there is one command line.
    let _ = LONGEST.set(time);
}

fn longest_wait() -> Duration {
    LONGEST.get().copied().unwrap_or(LONGEST_WAIT)
}

/// A held lock; other processes wait until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the exclusive lock on `path`, creating the lock file; waits for whoever holds it, and says so to a person
    /// when it takes long. `to` is what the lock is wanted for.
    ///
    /// # Errors
    /// The file cannot be created or the system has no file locks; [`io::ErrorKind::TimedOut`] when it is not free in
    /// time, [`io::ErrorKind::Interrupted`] when a signal came meanwhile.
    pub fn exclusive(path: &Path, to: &str) -> io::Result<Self> {
        let file = open_lock_file(path)?;
        let started = Instant::now();
        let mut was_told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(fs::TryLockError::Error(error)) => return Err(error),
                Err(fs::TryLockError::WouldBlock) => {}
            }
            let waited = started.elapsed();
            if signals::came() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if waited >= longest_wait() {
                let reason = format!(
                    "another medplum process has held {} for {} s",
                    path.display(),
                    waited.as_secs()
                );
                return Err(io::Error::new(io::ErrorKind::TimedOut, reason));
            }
            if waited >= SILENT_WAIT && !std::mem::replace(&mut was_told, true) {
                signals::tell(&format!(
                    "Waiting {to}: another medplum process holds {}",
                    path.display()
                ));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Takes the lock if nobody holds it.
    ///
    /// # Errors
    /// As [`Lock::exclusive`].
    pub fn try_exclusive(path: &Path) -> io::Result<Option<Self>> {
        let file = open_lock_file(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

fn open_lock_file(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        create_private_dir(folder)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

/// Creates a folder and its missing parents, each for its owner alone (0700 on Unix).
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path)
}

/// Replaces a file whole: either the old or the new contents are there, never a part. 0600 on Unix.
///
/// # Errors
/// The folder cannot be written, or the disk is full; the old file is then as it was.
pub fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .suffix(".tmp")
        .tempfile_in(&folder)?;
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
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .suffix(".tmp")
        .tempfile_in(&folder)?;
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

    #[test]
    fn a_lock_is_held_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("locks").join("x");
        let held = Lock::exclusive(&path, "to test").unwrap();
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
        drop(held);
        assert!(Lock::try_exclusive(&path).unwrap().is_some());
    }
}
