//! A folder read again and compared with its `manifest.json` and the index of its attachments: count, length and digest of
//! every file. It needs no server and no state, so that a copy can be verified too; folders of version 0.1 have the same
//! manifest. Where there is a state, the manifest is compared with what that recorded of it.

mod check;
mod glance;
mod index;
mod kept;

use std::path::{Component, Path};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::error::BulkError;
use super::layout;
use super::series::Series;
use super::state::document::Made;
use crate::bulk::listed::Listed;
use crate::words;
use check::Checked;
pub use glance::Glance;
use index::Index;
use kept::Kept;

/// What came of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// Files that are as the manifest says.
    pub files: u64,
    pub resources: u64,
    pub bytes: u64,
    /// Files of which only the length was compared: neither count nor digest is known, because they came unchecked, or are
    /// attachments that an older version fetched.
    pub unchecked: u64,
    /// Files that were counted, and have no digest (`--checksum none`).
    pub without_digest: u64,
    pub different: Vec<Difference>,
}

/// A file that is not as the manifest says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub path: String,
    pub problem: String,
}

/// Compares a folder with its manifest, or every finished export of a series, this many files at a time.
///
/// # Errors
/// It holds no export; its manifest cannot be read.
pub fn verify(folder: &Path, parallel: usize) -> Result<Verified, BulkError> {
    let Some(series) = Series::look(folder)? else {
        return one(folder, parallel, "");
    };
    let mut all = Verified::default();
    for run in series.runs {
        let place = folder.join(&run.folder);
        if !is_name(&run.folder) {
            all.differs(&run.folder, "its path leads out of the folder".to_owned());
            continue;
        }
        match one(&place, parallel, &format!("{}/", run.folder)) {
            Ok(verified) => all.add(verified),
            // A run that was taken away on purpose is no export any more.
            Err(BulkError::NoManifest { .. }) => {
                all.differs(
                    &run.folder,
                    "it is not there, or holds no manifest.json".to_owned(),
                );
            }
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

fn is_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!(
        (parts.next(), parts.next()),
        (Some(Component::Normal(_)), None)
    )
}

/// A file to compare.
enum Item {
    Resources(Listed),
    Attachment(Listed),
}

/// One export. The names in the result begin with `before`.
fn one(folder: &Path, parallel: usize, before: &str) -> Result<Verified, BulkError> {
    let recorded = kept::recorded(folder);
    let mut verified = Verified::default();
    let manifest = format!("{before}{}", layout::MANIFEST);
    let kept = match (Kept::of(folder), &recorded) {
        (Ok(kept), _) => kept,
        // The export had written one.
        (Err(error @ (BulkError::NoManifest { .. } | BulkError::BadState { .. })), Some(_)) => {
            let what = lost(folder, &error);
            verified.differs(&manifest, what);
            return Ok(verified);
        }
        (Err(error), _) => return Err(error),
    };
    let checked = kept.check_lists().and_then(|()| match &recorded {
        Some(made) => as_recorded(made, folder),
        None => Ok(()),
    });
    if let Err(problem) = checked {
        verified.differs(&manifest, problem);
    }
    let is_complete = kept.complete != Some(false);
    let index_name = format!("{before}{}", layout::ATTACHMENT_INDEX);
    let mut index = Index::of(folder);
    let index_differs = check_index(&kept, folder, &index);
    let is_told = index_differs.is_some();
    if let Some(problem) = index_differs {
        verified.differs(&index_name, problem);
    }
    let files = kept.into_files().map(Item::Resources);
    let files = files.chain(index.by_ref().map(Item::Attachment));
    let mut verified = compare(files, folder, parallel, before, verified);
    if !is_told && let Some(problem) = index.problem {
        verified.differs(&index_name, problem);
    } else if !is_told && let Some((first, number)) = index.broken {
        verified.differs(
            &index_name,
            format!("{number} of its lines are no entries, the first is line {first}"),
        );
    }
    verified
        .different
        .sort_by(|one, other| one.path.cmp(&other.path));
    if !is_complete && verified.different.is_empty() {
        verified.differs(
            &manifest,
            "it says that the export is not complete".to_owned(),
        );
    }
    Ok(verified)
}

/// Why the manifest cannot be used that the export wrote.
fn lost(folder: &Path, error: &BulkError) -> String {
    let what = match error {
        BulkError::BadState { reason, .. } => format!("it cannot be read ({reason})"),
        _ if crate::place::is_there(&folder.join(layout::MANIFEST)) => {
            "its lists are gone".to_owned()
        }
        _ => "it is not there".to_owned(),
    };
    format!("{what}; the export had written it, and without it no file can be compared")
}

/// Compares the manifest with what the export recorded of it.
fn as_recorded(made: &Made, folder: &Path) -> Result<(), String> {
    let listed = Listed::of(layout::MANIFEST, made.bytes, made.digest);
    let checked = check::contents(&listed, folder);
    checked
        .map(|_| ())
        .map_err(|_| "it was changed since the export wrote it".to_owned())
}

/// What is wrong with the index of the attachments, when something is.
fn check_index(kept: &Kept, folder: &Path, index: &Index) -> Option<String> {
    match &kept.attachments {
        Some(listed) => check::contents(listed, folder).err(),
        None if kept.names_its_index() || index.is_there() => None,
        None => index::has_attachments(folder).then(|| {
            "it is not there, and nothing else says which attachments should be".to_owned()
        }),
    }
}

/// Compares the files, this many at a time, and adds what came of it.
fn compare(
    files: impl Iterator<Item = Item> + Send,
    folder: &Path,
    parallel: usize,
    before: &str,
    verified: Verified,
) -> Verified {
    let files = Mutex::new(files);
    let verified = Mutex::new(verified);
    let work = || {
        loop {
            let Some(item) = locked(&files).next() else {
                return;
            };
            let (checked, file) = match &item {
                Item::Resources(file) => (check::resources(file, folder), file),
                Item::Attachment(file) => (check::contents(file, folder), file),
            };
            let mut verified = locked(&verified);
            match checked {
                Ok(checked) => verified.is_as_written(&checked),
                Err(problem) => {
                    let name = file.path.as_deref().unwrap_or(&file.url);
                    verified.differs(&format!("{before}{name}"), problem);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..parallel.max(1) {
            scope.spawn(work);
        }
        work();
    });
    verified
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Verified {
    fn is_as_written(&mut self, checked: &Checked) {
        self.files += 1;
        self.bytes += checked.bytes;
        self.resources += checked.resources.unwrap_or_default();
        self.unchecked += u64::from(!checked.was_read);
        self.without_digest += u64::from(checked.was_read && !checked.has_digest);
    }

    fn differs(&mut self, path: &str, problem: String) {
        self.different.push(Difference {
            path: words::shortened(path),
            problem,
        });
    }

    fn add(&mut self, other: Self) {
        self.files += other.files;
        self.resources += other.resources;
        self.bytes += other.bytes;
        self.unchecked += other.unchecked;
        self.without_digest += other.without_digest;
        self.different.extend(other.different);
    }
}
