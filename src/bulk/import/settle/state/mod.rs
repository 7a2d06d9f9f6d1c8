//! What an import did so far, on disk, so that `--resume` goes on where a kill or a lost server ended it.
//!
//! `.medplum-import/` holds `request.json` (what is imported, how and by whom), `journal.ndjson`, and what was rejected
//! until all is settled. Rejects are written before the journal's line that counts them, and cut back to the length that
//! the last line names, so that nothing is lost or stands there twice.

pub mod journal;
pub mod request;

use std::io;
use std::path::Path;

use super::report::Report;
use super::{deliver, rejects};
use crate::bulk::import::{ImportError, Wanted};
use crate::fhir::Client;
use crate::place::{Lock, Place};
use journal::{Before, Entry, Journal};
use request::Request;

/// The folder of the state, inside the working folder.
pub const FOLDER: &str = ".medplum-import";
const REQUEST: &str = "request.json";
const JOURNAL: &str = "journal.ndjson";

/// The state of one folder, held by this process alone.
#[derive(Debug)]
pub struct State {
    place: Place,
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
        let place = Place::new(parent).within(FOLDER);
        let folder = place.folder().to_owned();
        if wanted == Wanted::Resume && !place.has(REQUEST) {
            return Err(nothing(parent, None));
        }
        let lock = locked(&place)?;
        let found = match wanted {
            Wanted::Restart => Found::Nothing,
            _ => look(&place)?,
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
        Self::ready(place, request, resumed, lock).map(|state| Opened::Ready(Box::new(state)))
    }

    fn ready(
        place: Place,
        request: Request,
        resumed: Option<Request>,
        lock: Lock,
    ) -> Result<Self, ImportError> {
        let disk = |source| ImportError::disk(place.folder(), source);
        let is_resumed = resumed.is_some();
        let (request, journal, before) = if let Some(request) = resumed {
            let lengths = rejects::lengths_in(&place);
            let (journal, before) = Journal::go_on(&place, JOURNAL, lengths)?;
            (request, journal, before)
        } else {
            // The journal goes first: with the new request and the old journal, lines would pass for settled.
            place.remove(JOURNAL).map_err(disk)?;
            rejects::discard_in(&place).map_err(disk)?;
            write_request(&place, &request)?;
            // An import of which nothing was sent is none to be gone on with.
            let journal = Journal::begin(&place, JOURNAL);
            let journal = journal.inspect_err(|_| drop(place.remove(REQUEST)))?;
            (request, journal, Before::default())
        };
        Ok(Self {
            place,
            request,
            journal,
            before,
            is_resumed,
            _lock: lock,
        })
    }

    /// Ends what a kill left of an import that was done: its rejects are still where they were written. They go only where
    /// this run would put its own (`rejects`): the folder may come from anywhere, and what it names may be any file. Its
    /// report, where there was such an import.
    ///
    /// # Errors
    /// Another process is at it; they belong elsewhere, or cannot be put there; the disk.
    pub fn complete(parent: &Path, rejects: &Path) -> Result<Option<Report>, ImportError> {
        let place = Place::new(parent).within(FOLDER);
        let unplaced = || match look(&place) {
            Ok(Found::Request(request)) => Some(*request).filter(|request| request.is_unplaced),
            _ => None,
        };
        if unplaced().is_none() {
            return Ok(None);
        }
        let _lock = locked(&place)?;
        let Some(mut request) = unplaced() else {
            return Ok(None);
        };
        if request.rejects == request::name_of(rejects) {
            deliver::deliver(&place, &request, None)?;
        } else if let Some(kept) = rejects::kept_in(&place) {
            let path = request.rejects;
            return Err(ImportError::Undelivered { path, kept });
        }
        placed(&place, &mut request)?;
        Ok(request.finished)
    }

    /// Where the state is.
    pub fn place(&self) -> &Place {
        &self.place
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
        journal::learned(&self.place, JOURNAL, note)
    }

    /// Adds a line to the journal.
    ///
    /// # Errors
    /// The disk.
    pub fn record(&mut self, entry: &Entry) -> Result<(), ImportError> {
        self.journal.record(entry)
    }

    /// Takes the last line of the journal back.
    pub fn take_back(&mut self) {
        self.journal.take_back();
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
        write_request(&self.place, &self.request)
    }

    /// Notes that they are there.
    ///
    /// # Errors
    /// The disk.
    pub fn placed(&mut self) -> Result<(), ImportError> {
        placed(&self.place, &mut self.request)
    }

    /// Forgets the import: nothing came of it that a resume could go on with.
    pub fn forget(&self) {
        let _ = self.place.remove(REQUEST);
        let _ = self.place.remove(JOURNAL);
    }
}

fn placed(place: &Place, request: &mut Request) -> Result<(), ImportError> {
    request.look_again();
    request.is_unplaced = false;
    write_request(place, request)?;
    let removed = place.remove(JOURNAL);
    removed.map_err(|source| ImportError::disk(place.folder(), source))
}

fn locked(place: &Place) -> Result<Lock, ImportError> {
    // Through a symlink, files would be written and removed elsewhere.
    if place.is_link() {
        return Err(ImportError::Elsewhere {
            path: place.folder().to_owned(),
        });
    }
    let lock = place.lock("lock");
    let lock = lock.map_err(|source| ImportError::disk(place.folder(), source))?;
    lock.ok_or_else(|| ImportError::Busy {
        folder: place.folder().to_owned(),
    })
}

fn look(place: &Place) -> Result<Found, ImportError> {
    let path = place.path(REQUEST);
    let text = place.read(REQUEST);
    let Some(text) = text.map_err(|source| ImportError::disk(&path, source))? else {
        return Ok(Found::Nothing);
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

fn write_request(place: &Place, request: &Request) -> Result<(), ImportError> {
    let text = serde_json::to_vec(request).map_err(io::Error::from);
    text.and_then(|text| place.swap(REQUEST, &text))
        .map_err(|source| ImportError::disk(&place.path(REQUEST), source))
}
