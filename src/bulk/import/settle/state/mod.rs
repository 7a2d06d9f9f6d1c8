//! What an import did so far, on disk, so that `--resume` goes on where a kill or a lost server ended it.
//!
//! `.medplum-import/` holds `request.json` (what is imported, how and by whom), `journal.ndjson`, and what was rejected
//! until all is settled. Rejects are written before the journal's line that counts them, and cut back to the length that
//! the last line names, so that nothing is lost or stands there twice.

pub mod journal;
pub mod request;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::report::Report;
use super::{deliver, rejects};
use crate::bulk::import::{ImportError, Wanted};
use crate::fhir::Client;
use crate::files::{self, Lock};
use crate::place::local;
use journal::{Before, Entry, Journal};
use request::Request;

/// The folder of the state, inside the working folder.
pub const FOLDER: &str = ".medplum-import";
const REQUEST: &str = "request.json";
const JOURNAL: &str = "journal.ndjson";

/// The state of one folder, held by this process alone.
#[derive(Debug)]
pub struct State {
    folder: PathBuf,
    pub request: Request,
    journal: Journal,
    /// What earlier runs left.
    pub before: Before,
    pub is_resumed: bool,
    _lock: Lock,
}

/// What opening a state found.
#[derive(Debug)]
pub enum Opened {
    Ready(Box<State>),
    /// `--resume` of an import that ended already.
    Finished(Box<Report>),
}

/// What lies in the folder of a state.
enum Found {
    Nothing,
    /// What another version of this program left.
    Foreign,
    Request(Box<Request>),
}

impl State {
    /// Opens the state of the folder that holds `.medplum-import`, or begins a new one.
    ///
    /// # Errors
    /// Another process has it; an unfinished import is there, or none where one is to be gone on with; it cannot be
    /// read; the disk.
    pub fn open(
        parent: &Path,
        client: &Client,
        request: Request,
        wanted: Wanted,
    ) -> Result<Opened, ImportError> {
        let folder = parent.join(FOLDER);
        if wanted == Wanted::Resume && !folder.join(REQUEST).exists() {
            return Err(nothing(parent, None));
        }
        let lock = locked(&folder)?;
        let found = match wanted {
            Wanted::Restart => Found::Nothing,
            _ => look(&folder)?,
        };
        let resumed = match found {
            Found::Nothing if wanted == Wanted::Resume => return Err(nothing(parent, None)),
            Found::Nothing => None,
            Found::Foreign => return Err(ImportError::OfAnotherVersion { folder }),
            Found::Request(found) => {
                let difference = request.difference(&found, client);
                match (&found.finished, difference) {
                    (Some(_), difference @ Some(_)) if wanted == Wanted::Resume => {
                        return Err(nothing(parent, difference));
                    }
                    (Some(report), None) if wanted == Wanted::Resume => {
                        return Ok(Opened::Finished(Box::new(report.clone())));
                    }
                    (Some(_), _) => None,
                    (None, Some(difference)) => {
                        return Err(ImportError::Other { folder, difference });
                    }
                    (None, None) if wanted == Wanted::New => {
                        return Err(ImportError::Unfinished { folder });
                    }
                    (None, None) => Some(*found),
                }
            }
        };
        Self::ready(folder, request, resumed, lock).map(|state| Opened::Ready(Box::new(state)))
    }

    fn ready(
        folder: PathBuf,
        request: Request,
        resumed: Option<Request>,
        lock: Lock,
    ) -> Result<Self, ImportError> {
        let disk = |source| ImportError::disk(&folder, source);
        let path = folder.join(JOURNAL);
        let is_resumed = resumed.is_some();
        let (request, journal, before) = if let Some(request) = resumed {
            let lengths = rejects::lengths_in(&folder);
            let (journal, before) = Journal::go_on(&path, lengths)?;
            (request, journal, before)
        } else {
            // The journal goes first: with the new request and the old journal, lines would pass for settled.
            remove(&path).map_err(disk)?;
            rejects::discard_in(&folder).map_err(disk)?;
            write_request(&folder, &request)?;
            (request, Journal::begin(&path)?, Before::default())
        };
        Ok(Self {
            folder,
            request,
            journal,
            before,
            is_resumed,
            _lock: lock,
        })
    }

    /// Ends what a kill left of an import that was done: its rejects are still where they were written. They go only where
    /// this run would put its own (`rejects`): the folder may come from anywhere, and what it names may be any file.
    ///
    /// # Errors
    /// Another process is at it; they belong elsewhere, or cannot be put there; the disk.
    pub fn complete(parent: &Path, rejects: &Path) -> Result<(), ImportError> {
        let folder = parent.join(FOLDER);
        let unplaced = || match look(&folder) {
            Ok(Found::Request(request)) => Some(*request).filter(|request| request.is_unplaced),
            _ => None,
        };
        if unplaced().is_none() {
            return Ok(());
        }
        let _lock = locked(&folder)?;
        let Some(mut request) = unplaced() else {
            return Ok(());
        };
        if request.rejects == request::name_of(rejects) {
            deliver::deliver(&folder, &request, None)?;
        } else if let Some(kept) = rejects::kept_in(&folder) {
            let path = request.rejects;
            return Err(ImportError::Undelivered { path, kept });
        }
        placed(&folder, &mut request)
    }

    /// The folder of the state.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Calls `note` with where references lead, as far as earlier runs learned it.
    ///
    /// # Errors
    /// The disk; what `note` says.
    pub fn learned(
        &self,
        note: impl FnMut(&str, &str) -> io::Result<()>,
    ) -> Result<(), ImportError> {
        if !self.is_resumed {
            return Ok(());
        }
        journal::learned(&self.folder.join(JOURNAL), note)
    }

    /// Adds a line to the journal.
    ///
    /// # Errors
    /// The disk.
    pub fn record(&mut self, entry: &Entry) -> Result<(), ImportError> {
        self.journal.record(entry)
    }

    /// Makes the journal outlive a power cut: after it, what it says was sent is never sent again.
    ///
    /// # Errors
    /// The disk.
    pub fn sync(&self) -> Result<(), ImportError> {
        self.journal.sync()
    }

    /// Notes that all is settled, before the rejects are put where they belong.
    ///
    /// # Errors
    /// The disk.
    pub fn settled(&mut self, report: &Report) -> Result<(), ImportError> {
        self.request.finished = Some(report.clone());
        self.request.is_unplaced = true;
        write_request(&self.folder, &self.request)
    }

    /// Notes that they are there.
    ///
    /// # Errors
    /// The disk.
    pub fn placed(&mut self) -> Result<(), ImportError> {
        placed(&self.folder, &mut self.request)
    }

    /// Forgets the import: nothing came of it that a resume could go on with.
    pub fn forget(&self) {
        let _ = fs::remove_file(self.folder.join(REQUEST));
        let _ = fs::remove_file(self.folder.join(JOURNAL));
    }
}

fn placed(folder: &Path, request: &mut Request) -> Result<(), ImportError> {
    request.look_again();
    request.is_unplaced = false;
    write_request(folder, request)?;
    remove(&folder.join(JOURNAL)).map_err(|source| ImportError::disk(folder, source))
}

fn locked(folder: &Path) -> Result<Lock, ImportError> {
    // Through a symlink, files would be written and removed elsewhere.
    if fs::symlink_metadata(folder).is_ok_and(|there| there.is_symlink()) {
        return Err(ImportError::Elsewhere {
            path: folder.to_owned(),
        });
    }
    let lock = Lock::try_exclusive(&folder.join("lock"));
    let lock = lock.map_err(|source| ImportError::disk(folder, source))?;
    lock.ok_or_else(|| ImportError::Busy {
        folder: folder.to_owned(),
    })
}

fn look(folder: &Path) -> Result<Found, ImportError> {
    let path = folder.join(REQUEST);
    let text = match local::read_plain(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(source) => return Err(ImportError::disk(&path, source)),
    };
    match Request::read(&text) {
        Ok(Some(request)) => Ok(Found::Request(Box::new(request))),
        Ok(None) => Ok(Found::Foreign),
        Err(reason) => Err(ImportError::BadState { path, reason }),
    }
}

fn nothing(parent: &Path, difference: Option<String>) -> ImportError {
    ImportError::NothingToResume {
        folder: std::path::absolute(parent.join(FOLDER)).unwrap_or_else(|_| parent.to_owned()),
        but: difference.map_or_else(String::new, |difference| {
            format!("; the last one was finished, and {difference}")
        }),
    }
}

fn write_request(folder: &Path, request: &Request) -> Result<(), ImportError> {
    let path = folder.join(REQUEST);
    let text = serde_json::to_vec(request).map_err(io::Error::from);
    text.and_then(|text| files::replace(&path, &text))
        .map_err(|source| ImportError::disk(&path, source))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
