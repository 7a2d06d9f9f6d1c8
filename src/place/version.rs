//! What stands under a name, and which contents it has.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;
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
