//! What an import did so far, on disk, so that `--resume` goes on where a kill or a lost server ended it.
//!
//! `.medplum-import/` holds `request.json` (what is imported and how) and `journal.ndjson`, which only grows: a line
//! before a POST goes out, and a line for what was settled. Rejects are written before the line that counts them, and
//! cut back to the length that the last line names, so that nothing is lost or stands there twice.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::bulk::import::intervals::Intervals;
use crate::bulk::import::read::input::Input;
use crate::bulk::import::settle::rejects;
use crate::bulk::import::settle::report::{ByType, Report};
use crate::bulk::import::{ImportError, Options};
use crate::files::{self, Lock};

/// The folder of the state, inside the working folder.
pub const FOLDER: &str = ".medplum-import";
const REQUEST: &str = "request.json";
const VERSION: u32 = 1;

/// A line of the journal.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// Sent, with no answer yet; only what must not be sent twice.
    #[serde(rename = "s", skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<(u64, u64)>,
    /// Not sent after all.
    #[serde(rename = "b", skip_serializing_if = "Vec::is_empty")]
    pub back: Vec<(u64, u64)>,
    /// Settled.
    #[serde(rename = "d", skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<(u64, u64)>,
    #[serde(rename = "t", skip_serializing_if = "BTreeMap::is_empty")]
    pub types: ByType,
    /// The lengths of the rejects files, when they grew.
    #[serde(rename = "r", skip_serializing_if = "Option::is_none")]
    pub rejects: Option<(u64, u64)>,
    /// Where references lead, learned from answers.
    #[serde(rename = "m", skip_serializing_if = "Vec::is_empty")]
    pub learned: Vec<(String, String)>,
}

/// What is imported and how; another request is another import.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    version: u32,
    server: String,
    settings: BTreeMap<String, String>,
    /// Name, size and time of change of each file.
    files: Vec<(String, u64, u64)>,
    pub rejects: PathBuf,
    /// The report, once all is settled.
    pub finished: Option<Report>,
    /// Whether what is left of the rejects has yet to take the place of those that were read.
    #[serde(default)]
    is_unplaced: bool,
}

impl Request {
    /// The request of these options.
    ///
    /// # Errors
    /// A file cannot be looked at.
    pub fn new(server: &str, options: &Options, inputs: &[Input]) -> Result<Self, ImportError> {
        let mut files = Vec::new();
        for input in inputs {
            let Some(path) = &input.path else { continue };
            let (size, time) = size_and_time(path).map_err(|source| ImportError::Input {
                name: input.name(),
                source,
            })?;
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            files.push((path.display().to_string(), size, time));
        }
        let templates: Vec<&str> = options
            .templates
            .iter()
            .map(crate::bulk::import::order::matching::Template::as_text)
            .collect();
        let settings = [
            ("--method", options.method.name().to_owned()),
            ("--bundle", options.bundle.name().to_owned()),
            ("--match", templates.join(" ")),
            (
                "--order",
                if options.ordered { "auto" } else { "given" }.to_owned(),
            ),
            (
                "--add-extensions-for-missing-values",
                options.add_extensions.to_string(),
            ),
        ];
        Ok(Self {
            version: VERSION,
            server: server.to_owned(),
            settings: settings
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            files,
            rejects: std::path::absolute(&options.rejects)
                .unwrap_or_else(|_| options.rejects.clone()),
            finished: None,
            is_unplaced: false,
        })
    }

    /// Puts what is left of the rejects into its place, and takes that file for the one that was imported.
    fn place(&mut self, folder: &Path) -> io::Result<()> {
        let is_none = self
            .finished
            .as_ref()
            .is_none_or(|report| report.rejects.is_none());
        rejects::take_place(folder, &self.rejects, is_none)?;
        for (name, size, time) in &mut self.files {
            if let Ok((new_size, new_time)) = size_and_time(Path::new(name)) {
                (*size, *time) = (new_size, new_time);
            }
        }
        self.is_unplaced = false;
        write_request(&folder.join(REQUEST), self)
    }

    /// What another request has that this one has not, in words.
    fn difference(&self, other: &Self) -> Option<String> {
        if self.version != other.version {
            return Some("another version of medplum began it".into());
        }
        if self.server != other.server {
            return Some(format!("it is for {}", other.server));
        }
        if let Some((name, value)) = other
            .settings
            .iter()
            .find(|(name, value)| self.settings.get(*name) != Some(value))
        {
            return Some(format!("{name} was `{value}`"));
        }
        let names = |request: &Self| -> Vec<String> {
            request.files.iter().map(|file| file.0.clone()).collect()
        };
        if names(self) != names(other) {
            return Some(format!("it imports {}", names(other).join(", ")));
        }
        let changed = self
            .files
            .iter()
            .zip(&other.files)
            .find(|(new, old)| new != old);
        if let Some((file, _)) = changed {
            return Some(format!("{} has changed since", file.0));
        }
        (self.rejects != other.rejects)
            .then(|| format!("--rejects was {}", other.rejects.display()))
    }
}

fn size_and_time(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(path)?;
    let time = metadata
        .modified()?
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Ok((metadata.len(), u64::try_from(time.as_nanos()).unwrap_or(0)))
}

/// The state of one folder, held by this process alone.
#[derive(Debug)]
pub struct State {
    folder: PathBuf,
    request: Request,
    journal: File,
    /// What earlier runs left.
    pub before: Before,
    pub is_resumed: bool,
    _lock: Lock,
}

/// What earlier runs of the same import settled.
#[derive(Debug, Default)]
pub struct Before {
    pub done: Intervals,
    pub lost: Intervals,
    pub types: ByType,
    pub rejects: (u64, u64),
}

/// What opening a state found.
#[derive(Debug)]
pub enum Opened {
    Ready(Box<State>),
    /// `--resume` of an import that ended already.
    Finished(Box<Report>),
}

impl State {
    /// Opens the state of the folder that holds `.medplum-import`, or begins a new one.
    ///
    /// # Errors
    /// Another process has it; an unfinished import is there; the disk.
    pub fn open(
        parent: &Path,
        request: Request,
        resume: bool,
        restart: bool,
    ) -> Result<Opened, ImportError> {
        let folder = parent.join(FOLDER);
        let disk = |source| ImportError::disk(&folder, source);
        let lock = Lock::try_exclusive(&folder.join("lock")).map_err(disk)?;
        let lock = lock.ok_or_else(|| ImportError::Busy {
            folder: folder.clone(),
        })?;
        let path = folder.join(REQUEST);
        let found: Option<Request> = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(disk(error)),
        };
        let mut is_resumed = false;
        if let Some(found) = found.filter(|_| !restart) {
            let difference = request.difference(&found);
            match (found.finished, difference) {
                (Some(report), None) if resume => return Ok(Opened::Finished(Box::new(report))),
                (Some(_), _) => {}
                (None, Some(difference)) => return Err(ImportError::Other { folder, difference }),
                (None, None) if !resume => return Err(ImportError::Unfinished { folder }),
                (None, None) => is_resumed = true,
            }
        }
        let journal = folder.join("journal.ndjson");
        if !is_resumed {
            // The journal goes first: with the new request and the old journal, lines would pass for settled.
            match fs::remove_file(&journal) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(disk(error)),
                _ => {}
            }
            write_request(&path, &request).map_err(disk)?;
        }
        let (before, length) = if is_resumed {
            read(&journal).map_err(disk)?
        } else {
            (Before::default(), 0)
        };
        let journal = rejects::open_private(&journal, length).map_err(disk)?;
        Ok(Opened::Ready(Box::new(Self {
            folder,
            request,
            journal,
            before,
            is_resumed,
            _lock: lock,
        })))
    }

    /// Ends what a kill left of an import that was done: rejects that were read are still where they were.
    ///
    /// # Errors
    /// Another process is at it; the disk.
    pub fn complete(parent: &Path) -> Result<(), ImportError> {
        let folder = parent.join(FOLDER);
        let disk = |source| ImportError::disk(&folder, source);
        let unplaced = || -> Option<Request> {
            let text = fs::read(folder.join(REQUEST)).ok()?;
            let request: Request = serde_json::from_slice(&text).ok()?;
            request.is_unplaced.then_some(request)
        };
        if unplaced().is_none() {
            return Ok(());
        }
        let lock = Lock::try_exclusive(&folder.join("lock")).map_err(disk)?;
        let _lock = lock.ok_or_else(|| ImportError::Busy {
            folder: folder.clone(),
        })?;
        unplaced().map_or(Ok(()), |mut request| request.place(&folder).map_err(disk))
    }

    /// Whether an unfinished import of this folder writes its rejects to that file.
    pub fn writes_rejects_to(parent: &Path, rejects: &Path) -> bool {
        let found = fs::read(parent.join(FOLDER).join(REQUEST)).ok();
        let found = found.and_then(|text| serde_json::from_slice::<Request>(&text).ok());
        found.is_some_and(|request| {
            request.finished.is_none()
                && std::path::absolute(rejects).is_ok_and(|path| path == request.rejects)
        })
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
        mut note: impl FnMut(&str, &str) -> io::Result<()>,
    ) -> Result<(), ImportError> {
        if !self.is_resumed {
            return Ok(());
        }
        let path = self.folder.join("journal.ndjson");
        let read = || -> io::Result<()> {
            for line in BufReader::new(File::open(&path)?).split(b'\n') {
                let entry: Entry = serde_json::from_slice(&line?)?;
                for (name, target) in &entry.learned {
                    note(name, target)?;
                }
            }
            Ok(())
        };
        let mut read = read;
        read().map_err(|source| ImportError::disk(&self.folder, source))
    }

    /// Adds a line to the journal.
    ///
    /// # Errors
    /// The disk.
    pub fn record(&mut self, entry: &Entry) -> Result<(), ImportError> {
        let mut line = serde_json::to_vec(entry)
            .map_err(|error| ImportError::disk(&self.folder, error.into()))?;
        line.push(b'\n');
        self.journal
            .write_all(&line)
            .map_err(|source| ImportError::disk(&self.folder, source))
    }

    /// Notes that all is settled; then what is left of rejects that were read takes their place.
    ///
    /// # Errors
    /// The disk.
    pub fn finish(&mut self, report: &Report, replaces_input: bool) -> Result<(), ImportError> {
        let disk = |source| ImportError::disk(&self.folder, source);
        self.request.finished = Some(report.clone());
        self.request.is_unplaced = replaces_input;
        write_request(&self.folder.join(REQUEST), &self.request).map_err(disk)?;
        if replaces_input {
            self.request.place(&self.folder).map_err(disk)?;
        }
        fs::remove_file(self.folder.join("journal.ndjson")).map_err(disk)
    }

    /// Forgets the import: nothing came of it that a resume could go on with.
    pub fn forget(&self) {
        let _ = fs::remove_file(self.folder.join(REQUEST));
        let _ = fs::remove_file(self.folder.join("journal.ndjson"));
    }
}

fn write_request(path: &Path, request: &Request) -> io::Result<()> {
    files::replace(path, &serde_json::to_vec(request)?)
}

/// Reads the journal, and how much of it is good: a kill may have cut its last line.
fn read(path: &Path) -> io::Result<(Before, u64)> {
    let mut before = Before::default();
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((before, 0)),
        file => file?,
    };
    let (mut reader, mut line, mut good) = (BufReader::new(file), Vec::new(), 0);
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line)?;
        let entry = serde_json::from_slice::<Entry>(&line);
        let (true, Ok(entry)) = (line.ends_with(b"\n"), entry) else {
            return Ok((before, good));
        };
        good += length as u64;
        entry
            .sent
            .iter()
            .for_each(|(start, length)| before.lost.add(*start, *length));
        for (start, length) in entry.back.iter().chain(&entry.done) {
            before.lost.remove(*start, *length);
        }
        entry
            .done
            .iter()
            .for_each(|(start, length)| before.done.add(*start, *length));
        for (name, counts) in &entry.types {
            before.types.entry(name.clone()).or_default().add(counts);
        }
        before.rejects = entry.rejects.unwrap_or(before.rejects);
    }
}
