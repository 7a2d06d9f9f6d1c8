//! The state of an export on disk, so that the same command goes on where a crash, a kill or an expired token ended it.
//!
//! `DIR/.medplum-export/` holds `job.json` (request, phase, status URL), `files.json` (what the manifest lists and
//! where each file goes) and `done.ndjson` (a line for each file that has its final name). Each is private; the first
//! two are replaced whole, the last only grows.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::manifest::ManifestFile;
use super::{BulkError, ExportedFile, Outcomes, landing};
use crate::files::{self, Lock};

/// The folder of the state, inside the folder of the export.
pub const FOLDER: &str = ".medplum-export";
const VERSION: u32 = 1;

/// What to do about a job that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Again {
    /// Go on with an unfinished job of the same request.
    #[default]
    Continue,
    /// Forget an unfinished job and start a new one.
    Restart,
    /// Replace a finished export, once the new one is complete.
    Overwrite,
}

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The kick-off may or may not have reached the server.
    KickingOff,
    /// The server works; the status URL is known.
    Waiting,
    /// The manifest is known.
    Fetching,
    Done,
}

/// What `job.json` holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    version: u32,
    /// FHIR base and parameters: another request is another job.
    pub request: Value,
    pub phase: Phase,
    pub status_url: Option<Url>,
    pub transaction_time: Option<String>,
}

/// A file of the manifest and its place below the export's folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Planned {
    pub file: ManifestFile,
    pub path: PathBuf,
}

/// A line of `done.ndjson`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Done {
    path: PathBuf,
    pub resources: u64,
    pub bytes: u64,
    pub outcomes: Outcomes,
}

/// The job of one folder, held by this process alone.
#[derive(Debug)]
pub struct Job {
    folder: PathBuf,
    pub state: State,
    pub planned: Vec<Planned>,
    pub done: HashMap<PathBuf, Done>,
    log: Option<File>,
    /// The files of the finished export that this one replaces.
    replaced: Option<Vec<PathBuf>>,
    _lock: Lock,
}

impl Job {
    /// Opens the job of a folder, or begins a new one.
    ///
    /// # Errors
    /// Another process has it; an unfinished job is of another request; the export is finished; it is not known
    /// whether a kick-off arrived; the disk.
    pub fn open(folder: &Path, request: Value, again: Again) -> Result<Self, BulkError> {
        let place = folder.join(FOLDER);
        let disk = |source| BulkError::disk(&place, source);
        let lock = Lock::try_exclusive(&place.join("lock")).map_err(disk)?;
        let lock = lock.ok_or_else(|| BulkError::Busy {
            folder: folder.to_owned(),
        })?;
        let found = read_json::<State>(&place.join("job.json")).map_err(disk)?;
        let planned = read_json::<Vec<Planned>>(&place.join("files.json"))
            .map_err(disk)?
            .unwrap_or_default();
        let mut job = Self {
            folder: folder.to_owned(),
            state: State {
                version: VERSION,
                request,
                phase: Phase::KickingOff,
                status_url: None,
                transaction_time: None,
            },
            planned: Vec::new(),
            done: HashMap::new(),
            log: None,
            replaced: None,
            _lock: lock,
        };
        let Some(found) = found else { return Ok(job) };
        match (found.phase, again) {
            (Phase::Done, Again::Overwrite) => {
                // What an earlier try to replace it left.
                let _ = fs::remove_dir_all(place.join("new"));
                job.replaced = Some(planned.into_iter().map(|planned| planned.path).collect());
                return Ok(job);
            }
            (Phase::Done, _) => {
                return Err(BulkError::Finished {
                    folder: folder.to_owned(),
                });
            }
            (_, Again::Restart) => {
                job.forget()?;
                return Ok(job);
            }
            (Phase::KickingOff, _) => {
                return Err(BulkError::UnknownKickoff {
                    folder: folder.to_owned(),
                });
            }
            _ if found.version != VERSION || found.request != job.state.request => {
                return Err(BulkError::OtherRequest {
                    folder: folder.to_owned(),
                });
            }
            _ => {}
        }
        job.state = found;
        job.planned = planned;
        job.done = read_done(&place.join("done.ndjson")).map_err(disk)?;
        Ok(job)
    }

    /// Where a planned file goes while the export runs: to its final place, or beside the files it will replace.
    pub fn target(&self, planned: &Planned) -> PathBuf {
        let folder = if self.replaced.is_some() {
            self.place().join("new")
        } else {
            self.folder.clone()
        };
        let path = folder.join(&planned.path);
        std::path::absolute(&path).unwrap_or(path)
    }

    /// Whether the files get their places only at the end, since others lie there.
    pub fn replaces_another(&self) -> bool {
        self.replaced.is_some()
    }

    /// A file that is done already.
    pub fn exported(&self, planned: &Planned) -> Option<ExportedFile> {
        let done = self.done.get(&planned.path)?;
        let path = self.target(planned);
        let there = fs::metadata(&path).is_ok_and(|file| file.len() == done.bytes);
        there.then(|| ExportedFile {
            path,
            group: planned.file.group,
            resource_type: planned.file.resource_type.clone(),
            resources: done.resources,
            bytes: done.bytes,
            outcomes: done.outcomes.clone(),
        })
    }

    /// Records that the kick-off is about to be sent.
    ///
    /// # Errors
    /// The disk.
    pub fn kicking_off(&mut self) -> Result<(), BulkError> {
        if self.replaced.is_none() {
            self.save()?;
        }
        Ok(())
    }

    /// Records the job the server started.
    ///
    /// # Errors
    /// The disk.
    pub fn accepted(&mut self, status_url: &Url) -> Result<(), BulkError> {
        self.state.phase = Phase::Waiting;
        self.state.status_url = Some(status_url.clone());
        self.kicking_off()
    }

    /// Records what the manifest lists. A file that is there already and is none of this job's stops it: nothing of
    /// the user's is overwritten unasked.
    ///
    /// # Errors
    /// A file is in the way; the disk.
    pub fn plan(
        &mut self,
        planned: Vec<Planned>,
        transaction_time: Option<String>,
    ) -> Result<(), BulkError> {
        if self.state.phase == Phase::Waiting {
            let in_the_way = planned
                .iter()
                .map(|planned| self.target(planned))
                .find(|path| path.exists());
            if let Some(path) = in_the_way.filter(|_| self.replaced.is_none()) {
                return Err(BulkError::InTheWay { path });
            }
        }
        self.planned = planned;
        self.state.phase = Phase::Fetching;
        self.state.transaction_time = transaction_time;
        if self.replaced.is_none() {
            self.write("files.json", &self.planned)?;
            self.save()?;
        }
        Ok(())
    }

    /// Records a file that has its final name.
    ///
    /// # Errors
    /// The disk.
    pub fn record(&mut self, planned: &Planned, file: &ExportedFile) -> Result<(), BulkError> {
        let done = Done {
            path: planned.path.clone(),
            resources: file.resources,
            bytes: file.bytes,
            outcomes: file.outcomes.clone(),
        };
        let place = self.place().join("done.ndjson");
        if self.log.is_none() && self.replaced.is_none() {
            self.log = Some(append(&place).map_err(|source| BulkError::disk(&place, source))?);
        }
        if let Some(log) = &mut self.log {
            let line = serde_json::to_string(&done).unwrap_or_default() + "\n";
            log.write_all(line.as_bytes())
                .map_err(|source| BulkError::disk(&place, source))?;
        }
        self.done.insert(planned.path.clone(), done);
        Ok(())
    }

    /// Ends a job whose files are all there: files that replace others get their places now.
    ///
    /// # Errors
    /// The disk.
    pub fn finish(&mut self, exported: &mut [ExportedFile]) -> Result<(), BulkError> {
        if let Some(old) = self.replaced.take() {
            let new = std::path::absolute(self.place().join("new"))
                .unwrap_or_else(|_| self.place().join("new"));
            for file in exported {
                let below = file
                    .path
                    .strip_prefix(&new)
                    .unwrap_or(&file.path)
                    .to_owned();
                let path = self.folder.join(&below);
                let path = std::path::absolute(&path).unwrap_or(path);
                let moved = files::create_private_dir(&files::folder_of(&path))
                    .and_then(|()| fs::rename(&file.path, &path));
                moved.map_err(|source| BulkError::disk(&path, source))?;
                file.path = path;
            }
            for path in old
                .iter()
                .filter(|path| !self.planned.iter().any(|planned| planned.path == **path))
            {
                let _ = fs::remove_file(self.folder.join(path));
            }
            let _ = fs::remove_dir_all(new);
            let _ = fs::remove_file(self.place().join("done.ndjson"));
            self.write("files.json", &self.planned)?;
        }
        self.state.phase = Phase::Done;
        self.save()
    }

    /// Forgets the job, with what a run that ended hard left behind: temporary files and no others.
    ///
    /// # Errors
    /// The disk.
    pub fn forget(&mut self) -> Result<(), BulkError> {
        if self.replaced.is_some() {
            return Ok(());
        }
        for name in ["job.json", "files.json", "done.ndjson"] {
            let path = self.place().join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(BulkError::disk(&path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes away the temporary files of a run that was killed; the lock says that no other run writes them.
    pub fn sweep(&self) {
        for folder in [
            self.folder.clone(),
            self.folder.join("deleted"),
            self.folder.join("errors"),
        ] {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if landing::is_temporary(&entry.file_name().to_string_lossy()) {
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
    }

    fn place(&self) -> PathBuf {
        self.folder.join(FOLDER)
    }

    fn save(&self) -> Result<(), BulkError> {
        self.write("job.json", &self.state)
    }

    fn write(&self, name: &str, value: &impl Serialize) -> Result<(), BulkError> {
        let path = self.place().join(name);
        let text = serde_json::to_vec_pretty(value).unwrap_or_default();
        files::replace(&path, &text).map_err(|source| BulkError::disk(&path, source))
    }
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The files that are done. A last line that a crash cut is one that was not written.
fn read_done(path: &Path) -> io::Result<HashMap<PathBuf, Done>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Done>(line).ok());
    Ok(lines.map(|done| (done.path.clone(), done)).collect())
}

/// Opens a log to add to, after the last whole line.
fn append(path: &Path) -> io::Result<File> {
    let cut = fs::read(path).is_ok_and(|bytes| bytes.last().is_some_and(|byte| *byte != b'\n'));
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    if cut {
        file.write_all(b"\n")?;
    }
    Ok(file)
}
