//! Where files lie. Knows no FHIR.

pub mod lines;
pub mod local;
pub mod output;

use std::fs::{self, Metadata};
use std::io;
use std::path::{Component, Path};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

/// Which contents a file has, as far as that can be told without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    pub bytes: u64,
    /// Nanoseconds since 1970: a copy that keeps times has them, too.
    pub modified: u64,
}

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum There {
    Nothing,
    Plain(Version),
    /// A folder, a symlink wherever it leads, a device, a FIFO.
    Other,
}

impl Version {
    /// The version of an open file, or of one that was looked at.
    pub fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok();
        let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self {
            bytes: metadata.len(),
            modified: since
                .and_then(|since| u64::try_from(since.as_nanos()).ok())
                .unwrap_or_default(),
        }
    }
}

impl There {
    /// Looks at a path. Symlinks are not followed: one that leads nowhere is there.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn at(path: &Path) -> io::Result<Self> {
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => Ok(Self::Plain(Version::of(&metadata))),
            Ok(_) => Ok(Self::Other),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(Self::Nothing)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether anything has this name, even a symlink that leads nowhere. What cannot be looked at is taken to be there.
pub fn is_there(path: &Path) -> bool {
    There::at(path).map_or(true, |there| there != There::Nothing)
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
