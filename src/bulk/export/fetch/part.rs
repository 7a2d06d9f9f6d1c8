//! The bytes of a file that is not complete: a part in the job's folder, and beside it what proves to the server and to
//! the next run how many of its bytes are good.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files;
use crate::http::range::Validator;
use crate::place::local;

/// A place for the bytes of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    path: PathBuf,
    /// The folder of the job's state, which is never made anew: whoever took it away meant it.
    place: PathBuf,
}

/// How far a part is durable. The bytes behind that are taken off before anything goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// What the link names, less what signs it: under another one nothing is gone on with.
    #[serde(default)]
    pub link: String,
    pub bytes: u64,
    /// The whole length, when the server said it.
    pub whole: Option<u64>,
    pub validator: Validator,
}

impl Part {
    /// The part for a file of this name below the folder of parts.
    pub fn new(parts: &Path, name: &Path) -> Self {
        let mut path = parts.join(name).into_os_string();
        path.push(".part");
        Self {
            path: path.into(),
            place: files::folder_of(parts),
        }
    }

    /// Where the bytes lie.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// An empty file, for its owner alone; what was there is gone.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn create(&self) -> io::Result<File> {
        self.remove();
        if !self.place.exists() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the folder of the export was taken away",
            ));
        }
        files::create_private_dir(&files::folder_of(&self.path))?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        options.open(&self.path)
    }

    /// What an earlier run left of what this link names: the file, cut to its durable bytes, and the mark that says so.
    pub fn left(&self, link: &str) -> Option<(File, Mark)> {
        let mark: Mark =
            serde_json::from_slice(&local::read_plain(&self.mark_path()).ok()?).ok()?;
        if mark.link != link {
            return None;
        }
        let there = fs::symlink_metadata(&self.path).ok()?;
        // What has another name too may be anybody's file: it is not cut.
        let is_own = there.is_file() && !local::is_shared(&there);
        if !is_own || there.len() < mark.bytes || mark.bytes == 0 {
            return None;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&self.path)
            .ok()?;
        file.set_len(mark.bytes).ok()?;
        Some((file, mark))
    }

    /// Records how far the part is durable.
    ///
    /// # Errors
    /// The disk.
    pub fn mark(&self, mark: &Mark) -> io::Result<()> {
        files::replace(
            &self.mark_path(),
            &serde_json::to_vec(mark).unwrap_or_default(),
        )
    }

    /// Whether a later run can go on here.
    pub fn is_marked(&self) -> bool {
        self.mark_path().exists()
    }

    /// Takes the mark away, and the bytes.
    pub fn remove(&self) {
        // The mark first: without it the bytes mean nothing.
        let _ = fs::remove_file(self.mark_path());
        let _ = fs::remove_file(&self.path);
    }

    /// The part has become the file: its mark goes.
    pub fn became_whole(&self) {
        let _ = fs::remove_file(self.mark_path());
    }

    fn mark_path(&self) -> PathBuf {
        self.path.with_extension("mark")
    }
}

/// Takes away the parts that no later run can go on with.
pub fn sweep(parts: &Path) {
    for entry in fs::read_dir(parts).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sweep(&path);
        } else if !path.with_extension("mark").exists() || !path.with_extension("part").exists() {
            let _ = fs::remove_file(path);
        }
    }
    // Only an empty one goes.
    let _ = fs::remove_dir(parts);
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_part_goes_on_at_its_mark_and_without_one_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let parts = folder.path().join("parts");
        let part = Part::new(&parts, Path::new("deleted/x.ndjson"));
        part.create().unwrap().write_all(b"0123456789").unwrap();
        assert!(part.left("a").is_none());
        let mark = Mark {
            link: "a".into(),
            bytes: 4,
            whole: Some(20),
            validator: Validator::Etag("\"1\"".into()),
        };
        part.mark(&mark).unwrap();
        assert!(part.left("b").is_none(), "another link names another file");
        let (file, left) = part.left("a").unwrap();
        assert_eq!((file.metadata().unwrap().len(), left), (4, mark.clone()));

        sweep(&parts);
        assert!(part.left("a").is_some());
        part.mark(&Mark { bytes: 5, ..mark }).unwrap();
        assert!(
            part.left("a").is_none(),
            "the file is shorter than the mark"
        );
        part.became_whole();
        sweep(&parts);
        assert!(!parts.exists());
    }
}
