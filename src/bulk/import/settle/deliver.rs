//! Where rejects go in the end: the name is looked at, locked and tried before the first request, and nothing that is
//! there is written over or removed, except the rejects that were read and what this import put there itself.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::state::request::{Known, Request};
use crate::bulk::import::read::input::Input;
use crate::bulk::import::{Chosen, ImportError, Options};
use crate::place::output::{Named, Output};
use crate::place::{self, Place, There};

/// The names of both files while the import runs, in the folder of its state.
pub const LINES: &str = "rejects.ndjson";
pub const OUTCOMES: &str = "rejects.outcomes.ndjson";

/// Where the outcomes of a rejects file stand: `rejects.ndjson` has `rejects.outcomes.ndjson` beside it.
pub fn outcomes_path(rejects: &Path) -> PathBuf {
    let stem = match rejects.extension() {
        Some(extension) if extension == "ndjson" => rejects.file_stem(),
        _ => rejects.file_name(),
    };
    let mut name = stem.unwrap_or_default().to_owned();
    name.push(".outcomes.ndjson");
    rejects.with_file_name(name)
}

/// A name that is kept for the rejects of this import.
#[derive(Debug)]
pub struct Reservation {
    /// The file that stands there meanwhile, locked.
    file: Option<File>,
    /// What is written through, open.
    through: Option<Output>,
}

impl Reservation {
    /// Takes the name: a file without anything in it stands there until the end.
    ///
    /// # Errors
    /// Another import writes to it, or it cannot be written.
    pub fn take(path: &Path) -> Result<Self, ImportError> {
        let problem = |source| output_error(path, source);
        let named = Named::of(path).map_err(problem)?;
        let Named::Plain(target) = named else {
            return Ok(Self {
                file: None,
                through: Some(Output::open(path).map_err(problem)?),
            });
        };
        let file = place::found_or_made(&target).map_err(problem)?;
        lock(&file, path)?;
        Ok(Self {
            file: Some(file),
            through: None,
        })
    }

    /// Whether what is rejected is written through.
    pub fn is_through(&self) -> bool {
        self.through.is_some()
    }

    /// Gives the name up; what is written through is handed over.
    pub fn release(&mut self) -> Option<Output> {
        self.file = None;
        self.through.take()
    }
}

/// Where the system has no locks, there is none.
fn lock(file: &File, path: &Path) -> Result<(), ImportError> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(ImportError::RejectsBusy {
            path: path.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Makes sure that nobody but the user has rejects written elsewhere: the folder may come from anywhere, and with it a
/// symlink under their usual name, or under that of the outcomes, which nobody names.
///
/// # Errors
/// One of them leads away.
pub fn stays_here(options: &Options) -> Result<(), ImportError> {
    let outcomes = outcomes_path(&options.rejects);
    let rejects = (options.rejects_are == Chosen::AsUsual).then(|| options.rejects.clone());
    for path in rejects.into_iter().chain([outcomes]) {
        let named = Named::of(&path).map_err(|source| output_error(&path, source))?;
        if named.leads_out_of(Place::around(&path).folder()) {
            return Err(ImportError::LeadsAway { path });
        }
    }
    Ok(())
}

/// Whether rejects may go to `path`, before anything is changed or sent.
///
/// # Errors
/// The file holds what another import left, or what is no rejects file is to be replaced; another import writes to it; it
/// cannot be written.
pub fn check(path: &Path, inputs: &[Input]) -> Result<(), ImportError> {
    let problem = |source| output_error(path, source);
    let Named::Plain(target) = Named::of(path).map_err(problem)? else {
        return Ok(());
    };
    let outcomes = outcomes_path(path);
    let is_free = if is_among(path, inputs) {
        place::is_file(&outcomes)
    } else {
        is_empty(&target) && is_empty(&outcomes)
    };
    if !is_free {
        return Err(ImportError::RejectsThere {
            path: path.to_owned(),
        });
    }
    // Whether the folder can be written is known only when something was.
    let folder = Place::around(&target);
    folder.draft().map_err(problem)?;
    match place::open_file(&target).map_err(problem)? {
        Some(file) => lock(&file, path),
        None => Ok(()),
    }
}

/// Puts the rejects of an import that is settled where they belong; when there are none, what was read of them or stands
/// there for them is removed. What a run that was killed did of this is not done again.
///
/// # Errors
/// Something else is there by now; the disk.
pub fn deliver(
    state: &Place,
    request: &Request,
    through: Option<Output>,
) -> Result<(), ImportError> {
    let path = &request.rejects;
    let report = request.finished.as_ref();
    let has_any = report.is_some_and(|report| report.rejects.is_some());
    let lines = state.path(LINES);
    let target = match Named::of(path).map_err(|source| output_error(path, source))? {
        Named::Through(_) => {
            if !has_any {
                return Ok(());
            }
            // Without an output to hand them to, an earlier run was about to: how far it came nobody knows.
            let Some(mut output) = through else {
                return Err(ImportError::Undelivered {
                    path: path.clone(),
                    kept: lines,
                });
            };
            let copied = place::open_plain(&lines)
                .and_then(|mut lines| io::copy(&mut lines, &mut output))
                .and_then(|_| output.finish());
            return copied.map_err(|source| ImportError::Undeliverable {
                path: path.clone(),
                kept: lines,
                source,
                is_repeatable: false,
            });
        }
        Named::Plain(target) => target,
    };
    let read = request.read_rejects();
    if !has_any {
        let was_read = read.is_some_and(|read| is_still(&target, read));
        if was_read {
            remove(&outcomes_path(path))?;
        }
        if was_read || request.is_reserved && is_plain_and_empty(&target) {
            remove(&target)?;
        }
        return Ok(());
    }
    let is_ours = read.is_some_and(|read| is_still(&target, read));
    let is_taken = |spooled: &str, name: &Path| state.has(spooled) && !is_empty(name);
    if !is_ours && (is_taken(LINES, &target) || is_taken(OUTCOMES, &outcomes_path(path))) {
        return Err(ImportError::Misplaced {
            path: path.clone(),
            kept: lines,
        });
    }
    move_file(state, OUTCOMES, &outcomes_path(path))?;
    move_file(state, LINES, path)
}

/// Removes the empty file that stood there for the rejects.
///
/// # Errors
/// The disk.
pub fn give_up(request: &Request) -> Result<(), ImportError> {
    let path = &request.rejects;
    match Named::of(path).map_err(|source| output_error(path, source))? {
        Named::Plain(target) if request.is_reserved && is_plain_and_empty(&target) => {
            remove(&target)
        }
        _ => Ok(()),
    }
}

/// Whether a file is still as it was when it was read.
fn is_still(path: &Path, read: &Known) -> bool {
    Known::of(path).is_ok_and(|now| now.is_same_content(read))
}

/// Moves a file to where a name leads, also to another disk; one that was moved is there already.
fn move_file(state: &Place, name: &str, to: &Path) -> Result<(), ImportError> {
    let moved = || -> io::Result<()> {
        let Some(mut file) = state.open(name)? else {
            return Ok(());
        };
        if let Named::Plain(target) = Named::of(to)? {
            let into = Place::around(&target);
            let other = target.file_name().unwrap_or_default();
            if state.give(name, &into, other).is_ok() {
                into.sync();
                return Ok(());
            }
        }
        let mut output = Output::open(to)?;
        io::copy(&mut file, &mut output)?;
        output.flush()?;
        output.finish()?;
        state.remove(name)
    };
    moved().map_err(|source| ImportError::Undeliverable {
        path: to.to_owned(),
        kept: state.path(name),
        source,
        is_repeatable: true,
    })
}

fn remove(path: &Path) -> Result<(), ImportError> {
    let name = path.file_name().unwrap_or_default();
    let removed = Place::around(path).remove(name);
    removed.map_err(|error| output_error(path, error))
}

fn output_error(path: &Path, source: io::Error) -> ImportError {
    ImportError::Output {
        path: path.to_owned(),
        source,
    }
}

fn is_empty(path: &Path) -> bool {
    place::length(path).is_none_or(|length| length == 0)
}

fn is_plain_and_empty(path: &Path) -> bool {
    matches!(There::at(path), Ok(There::Plain(there)) if there.bytes == 0)
}

/// Whether rejects are among what is read.
pub fn is_among(path: &Path, inputs: &[Input]) -> bool {
    let paths = inputs.iter().filter_map(|input| input.path.as_ref());
    let mut paths = paths.map(PathBuf::as_path);
    place::is_there(path) && paths.any(|other| place::is_same(path, other))
}
