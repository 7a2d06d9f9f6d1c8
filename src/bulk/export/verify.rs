//! A folder read again and compared with its `manifest.json`: count, length and digest of every file. It needs no server
//! and no state, so that a copy can be verified too; folders of version 0.1 have the same manifest.

use std::io::{BufRead, BufReader, Read};
use std::path::{Component, Path};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use flate2::bufread::MultiGzDecoder;
use serde::{Deserialize, Serialize};

use super::error::BulkError;
use super::layout;
use super::series::Series;
use super::state::document;
use crate::bulk::digest::Compared;
use crate::bulk::listed::Listed;
use crate::fhir::ndjson::Checker;
use crate::place::{self, Place};
use crate::words;

const BUFFER: usize = 256 << 10;
/// The longest line of the index of attachments that is read.
const LONGEST_LINE: u64 = 1 << 20;

/// What `manifest.json` says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// Whether the export had ended; none in a folder of version 0.1.
    pub complete: Option<bool>,
    output: Option<Vec<Listed>>,
    deleted: Vec<Listed>,
    error: Vec<Listed>,
}

/// What came of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// Files that are as the manifest says.
    pub files: u64,
    pub resources: u64,
    pub bytes: u64,
    /// Files of which neither count nor digest is known, because they came unchecked: only their lengths were compared.
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

impl Kept {
    /// Reads the manifest of a folder.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn of(folder: &Path) -> Result<Self, BulkError> {
        let place = Place::new(folder);
        let read = document::read_json(&place, layout::MANIFEST);
        let read = read.map_err(|error| BulkError::disk(&place.path(layout::MANIFEST), error))?;
        // A document without a list says of nothing that it should be here.
        let read = read.filter(|kept: &Self| kept.output.is_some());
        read.ok_or_else(|| BulkError::NoManifest {
            folder: folder.to_owned(),
        })
    }

    /// All files that it lists.
    pub fn files(&self) -> impl Iterator<Item = &Listed> {
        self.output
            .iter()
            .flatten()
            .chain(&self.deleted)
            .chain(&self.error)
    }
}

/// What was compared of a file beside its length.
struct Checked {
    /// The resources in it, when it was read.
    resources: Option<u64>,
    has_digest: bool,
}

/// Reads the file and compares all that the manifest says of it.
///
/// # Errors
/// What differs, in words.
fn check(listed: &Listed, place: &Path) -> Result<Checked, String> {
    listed.check_length(place)?;
    let promised = listed.digests()?;
    let has_digest = !promised.is_empty();
    if listed.resources.is_none() && !has_digest {
        return Ok(Checked {
            resources: None,
            has_digest,
        });
    }
    let is_gzip = place.extension().is_some_and(|extension| extension == "gz");
    let file = place::open_plain(place).map_err(|error| error.to_string())?;
    let file = BufReader::with_capacity(BUFFER, file);
    let compared = Compared::with(promised);
    let (resources, compared) = if is_gzip {
        read(MultiGzDecoder::new(file), compared)?
    } else {
        read(file, compared)?
    };
    listed.check_count(resources)?;
    compared.finish()?;
    Ok(Checked {
        resources: Some(resources),
        has_digest,
    })
}

/// The resources in some lines, which are compared too.
fn read(mut source: impl Read, mut compared: Compared) -> Result<(u64, Compared), String> {
    let mut checker = Checker::new(None);
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) => return Err(format!("it cannot be read: {error}")),
        };
        checker
            .feed(&buffer[..read])
            .map_err(|error| error.to_string())?;
        compared.feed(&buffer[..read]);
    }
    let lines = checker.finish().map_err(|error| error.to_string())?;
    Ok((lines.resources, compared))
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

/// One export. The names in the result begin with `before`.
fn one(folder: &Path, parallel: usize, before: &str) -> Result<Verified, BulkError> {
    let kept = Kept::of(folder)?;
    let files: Vec<&Listed> = kept.files().collect();
    let next = AtomicUsize::new(0);
    let verified = Mutex::new(Verified::default());
    std::thread::scope(|scope| {
        for _ in 0..parallel.clamp(1, files.len().max(1)) {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let checked = file
                        .place(folder)
                        .and_then(|place| Ok((check(file, &place)?, file.check_length(&place)?)));
                    let mut verified = verified.lock().unwrap_or_else(PoisonError::into_inner);
                    match checked {
                        Ok((checked, bytes)) => {
                            verified.files += 1;
                            verified.bytes += bytes;
                            verified.resources += checked.resources.unwrap_or_default();
                            let was_read = checked.resources.is_some();
                            verified.unchecked += u64::from(!was_read);
                            verified.without_digest += u64::from(was_read && !checked.has_digest);
                        }
                        Err(problem) => {
                            let name = file.path.as_deref().unwrap_or(&file.url);
                            verified.differs(&format!("{before}{name}"), problem);
                        }
                    }
                }
            });
        }
    });
    let mut verified = verified
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    attachments(folder, before, &mut verified);
    verified
        .different
        .sort_by(|one, other| one.path.cmp(&other.path));
    if kept.complete == Some(false) && verified.different.is_empty() {
        verified.differs(
            &format!("{before}{}", layout::MANIFEST),
            "it says that the export is not complete".to_owned(),
        );
    }
    Ok(verified)
}

/// Attachments that lie beside the files: the index says how long each is.
fn attachments(folder: &Path, before: &str, verified: &mut Verified) {
    let Ok(index) = place::open_plain(&folder.join(layout::ATTACHMENT_INDEX)) else {
        return;
    };
    let mut reader = BufReader::new(index);
    let mut line = Vec::new();
    let mut seen = std::collections::HashSet::new();
    loop {
        line.clear();
        match reader
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
        {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                let name = format!("{before}{}", layout::ATTACHMENT_INDEX);
                return verified.differs(&name, error.to_string());
            }
        }
        let Ok(file) = serde_json::from_slice::<Listed>(&line) else {
            continue;
        };
        let Some(name) = file.path.clone().filter(|name| seen.insert(name.clone())) else {
            continue;
        };
        match file
            .place(folder)
            .and_then(|place| file.check_length(&place))
        {
            Ok(bytes) => {
                verified.files += 1;
                verified.bytes += bytes;
            }
            Err(problem) => verified.differs(&format!("{before}{name}"), problem),
        }
    }
}

impl Verified {
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
