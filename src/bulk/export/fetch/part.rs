//! The bytes of a file that is not complete: a part in the job's folder, and beside it what proves to the server and to
//! the next run how many of its bytes are good.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::http::range::Validator;
use crate::place::Place;

/// A place for the bytes of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    path: PathBuf,
    /// Where the job's state is, which is never made anew: whoever took it away meant it.
    state: Place,
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
            state: Place::around(parts),
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
        if !self.state.is_made() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the folder of the export was taken away",
            ));
        }
        let folder = self.folder();
        let made = match folder.create(self.name()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                folder.make().and_then(|()| folder.create(self.name()))
            }
            made => made,
        };
        match made {
            // A mark without a part is swept away before anything is fetched.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.remove();
                folder.create(self.name())
            }
            made => made,
        }
    }

    /// What an earlier run left of what this link names: the file, cut to its durable bytes, and the mark that says so.
    pub fn left(&self, link: &str) -> Option<(File, Mark)> {
        let mark: Mark =
            serde_json::from_slice(&self.folder().read(self.mark_name()).ok()??).ok()?;
        if mark.link != link || mark.bytes == 0 {
            return None;
        }
        let file = self.folder().go_on(self.name(), mark.bytes).ok()??;
        Some((file, mark))
    }

    /// Records how far the part is durable.
    ///
    /// # Errors
    /// The disk.
    pub fn mark(&self, mark: &Mark) -> io::Result<()> {
        let text = serde_json::to_vec(mark).unwrap_or_default();
        self.folder().swap(self.mark_name(), &text)
    }

    /// Whether a later run can go on here.
    pub fn is_marked(&self) -> bool {
        self.folder().has(self.mark_name())
    }

    /// Takes the mark away, and the bytes.
    pub fn remove(&self) {
        // The mark first: without it the bytes mean nothing.
        self.became_whole();
        let _ = self.folder().remove(self.name());
    }

    /// The part has become the file: its mark goes.
    pub fn became_whole(&self) {
        let _ = self.folder().remove(self.mark_name());
    }

    fn folder(&self) -> Place {
        Place::around(&self.path)
    }

    fn name(&self) -> &OsStr {
        self.path.file_name().unwrap_or_default()
    }

    fn mark_name(&self) -> PathBuf {
        Path::new(self.name()).with_extension("mark")
    }
}

/// Takes away the parts that no later run can go on with.
pub fn sweep(parts: &Place) {
    for there in parts.list() {
        let name = there.name;
        let has = |extension: &str| parts.has(name.with_extension(extension));
        if there.is_folder {
            sweep(&parts.within(&name));
        } else if !has("mark") || !has("part") {
            let _ = parts.remove(&name);
        }
    }
    parts.remove_empty("");
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

        sweep(&Place::new(&parts));
        assert!(part.left("a").is_some());
        part.mark(&Mark { bytes: 5, ..mark }).unwrap();
        assert!(
            part.left("a").is_none(),
            "the file is shorter than the mark"
        );
        part.became_whole();
        sweep(&Place::new(&parts));
        assert!(!parts.exists());
    }
}
