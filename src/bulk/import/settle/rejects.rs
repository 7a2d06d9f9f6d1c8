//! What was refused or is unknown: the lines, to be tried again, and beside them what the server said. Both are written in
//! the folder of the state, where nobody else is, and go to where they belong in the end.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::deliver::{self, LINES, OUTCOMES, Reservation, outcomes_path};
use super::state::request::Request;
use crate::bulk::import::ImportError;
use crate::bulk::import::batch::quoted;
use crate::bulk::import::piece::{Action, Item};
use crate::bulk::import::read::input::Input;
use crate::output::json;
use crate::place::Place;
use crate::secret;

/// The two files, made when the first line comes.
#[derive(Debug)]
pub struct Rejects {
    /// Where the lines lie in the end.
    path: PathBuf,
    state: Place,
    reservation: Reservation,
    files: Option<(File, File)>,
    lengths: (u64, u64),
    is_synced: bool,
}

/// The lengths of both files, as an earlier run left them.
pub fn lengths_in(state: &Place) -> (u64, u64) {
    let length = |name| state.length(name).unwrap_or_default();
    (length(LINES), length(OUTCOMES))
}

/// What is there of both files.
pub fn kept_in(state: &Place) -> Option<PathBuf> {
    let name = [LINES, OUTCOMES].into_iter().find(|name| state.has(name));
    name.map(|name| state.path(name))
}

/// Takes both files of an earlier import away.
///
/// # Errors
/// The disk.
pub fn discard_in(state: &Place) -> io::Result<()> {
    state.remove(LINES).and_then(|()| state.remove(OUTCOMES))
}

impl Rejects {
    /// Rejects that go to `path`, after `lengths` bytes that an earlier run of the same import wrote.
    ///
    /// # Errors
    /// The name cannot be written, or another import has it.
    pub fn begin(path: &Path, state: &Place, lengths: (u64, u64)) -> Result<Self, ImportError> {
        let mut rejects = Self {
            path: path.to_owned(),
            state: state.clone(),
            reservation: Reservation::take(path)?,
            files: None,
            lengths,
            is_synced: true,
        };
        if state.has(LINES) {
            rejects.open()?;
        }
        Ok(rejects)
    }

    /// Writes a line, of [`line_of`], and what was said to it. It counts only once the journal names the new lengths.
    ///
    /// # Errors
    /// The disk.
    pub fn add(
        &mut self,
        item: &Item,
        mut line: Vec<u8>,
        input: &Input,
        status: Option<u16>,
        result: &str,
        outcome: &str,
    ) -> Result<(), ImportError> {
        let mut said = Vec::new();
        line.push(b'\n');
        let id = item.id.as_deref().map_or("null".to_owned(), quoted);
        let status = status.map_or("null".to_owned(), |status| status.to_string());
        // A server may say back what it was sent, the token among it.
        let outcome = secret::mask(outcome);
        writeln!(
            said,
            r#"{{"file":{},"line":{},"type":{},"id":{id},"status":{status},"result":"{result}","outcome":{outcome}}}"#,
            quoted(&input.name()),
            item.line,
            quoted(&item.resource_type),
        )
        .map_err(|source| ImportError::disk(self.state.folder(), source))?;
        if self.files.is_none() {
            self.open()?;
        }
        let Some((lines, outcomes)) = &mut self.files else {
            return Ok(());
        };
        self.is_synced = false;
        lines
            .write_all(&line)
            .and_then(|()| outcomes.write_all(&said))
            .map_err(|source| ImportError::disk(&self.state.path(LINES), source))?;
        self.lengths.0 += line.len() as u64;
        self.lengths.1 += said.len() as u64;
        Ok(())
    }

    /// The lengths of both files.
    pub fn lengths(&self) -> (u64, u64) {
        self.lengths
    }

    /// Makes both files outlive a power cut, as the journal that counts them is about to.
    ///
    /// # Errors
    /// The disk.
    pub fn sync(&mut self) -> Result<(), ImportError> {
        if self.is_synced {
            return Ok(());
        }
        if let Some((lines, outcomes)) = &self.files {
            let synced = lines.sync_data().and_then(|()| outcomes.sync_data());
            synced.map_err(|source| ImportError::disk(&self.state.path(LINES), source))?;
        }
        self.is_synced = true;
        Ok(())
    }

    /// Where the lines will lie, and where their outcomes, when something was rejected.
    pub fn paths(&self) -> Option<(PathBuf, PathBuf)> {
        let outcomes = if self.reservation.is_through() {
            self.state.path(OUTCOMES)
        } else {
            outcomes_path(&self.path)
        };
        (self.lengths != (0, 0)).then(|| (self.path.clone(), outcomes))
    }

    /// Where lines that were rejected so far stand, when there are any.
    pub fn so_far(&self) -> Option<(PathBuf, PathBuf)> {
        let paths = (self.state.path(LINES), self.state.path(OUTCOMES));
        (self.lengths != (0, 0)).then_some(paths)
    }

    /// Ends both files and puts them where they belong.
    ///
    /// # Errors
    /// Something else is there by now; the disk.
    pub fn deliver(&mut self, request: &Request) -> Result<(), ImportError> {
        self.sync()?;
        self.files = None;
        let through = self.reservation.release();
        deliver::deliver(&self.state, request, through)
    }

    /// Gives the name up that was kept for them: the import was ended early.
    ///
    /// # Errors
    /// The disk.
    pub fn give_up(&mut self, request: &Request) -> Result<(), ImportError> {
        self.sync()?;
        self.reservation.release();
        deliver::give_up(request)
    }

    fn open(&mut self) -> Result<(), ImportError> {
        let open = |name, length| {
            let file = self.state.log_at(name, length);
            file.map_err(|source| ImportError::disk(&self.state.path(name), source))
        };
        let files = (
            open(LINES, self.lengths.0)?,
            open(OUTCOMES, self.lengths.1)?,
        );
        self.files = Some(files);
        Ok(())
    }
}

/// The line to try again. A resource of a Bundle may stand on many lines there, but not here; where it has a name of its
/// own, it stays in a Bundle, with that name, since others point there.
pub fn line_of(item: &Item, text: &[u8], full_url: Option<&str>) -> Vec<u8> {
    if item.action == Action::Delete {
        return format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"request":{{"method":"DELETE","url":{}}}}}]}}"#,
            quoted(&item.url)
        )
        .into_bytes();
    }
    let text = on_one_line(item, text);
    match full_url {
        _ if item.is_entry => in_bundle("batch", "", &text, ""),
        Some(url) => {
            let head = format!(r#"{{"fullUrl":{},"resource":"#, quoted(url));
            in_bundle("searchset", &head, &text, "}")
        }
        None => text,
    }
}

/// A Bundle of one entry. A `searchset` may have entries without a `request` (FHIR R4, bdl-3).
fn in_bundle(kind: &str, head: &str, text: &[u8], end: &str) -> Vec<u8> {
    let begin = format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{head}"#);
    [begin.as_bytes(), text, end.as_bytes(), b"]}"].concat()
}

fn on_one_line(item: &Item, text: &[u8]) -> Vec<u8> {
    if item.unsent.is_some() {
        // It may be no JSON at all.
        let plain = |byte: &u8| match byte {
            b'\n' | b'\r' => b' ',
            other => *other,
        };
        return text.iter().map(plain).collect();
    }
    match std::str::from_utf8(text) {
        Ok(words) if words.contains(['\n', '\r']) => json::compact(words).into_bytes(),
        _ => text.to_owned(),
    }
}
