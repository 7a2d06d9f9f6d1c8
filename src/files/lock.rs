//! Locks between processes, and how long one is waited for.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::{create_private_dir, plain};
use crate::signals;

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
    /// The file cannot be created, something else is there ([`io::ErrorKind::InvalidData`],
    /// [`io::ErrorKind::NotADirectory`]), or the system has no file locks; [`io::ErrorKind::TimedOut`] when it is not free in
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
    plain::open_own(path)
}

#[cfg(test)]
mod tests {
    use super::*;

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
