//! `DIR/log.ndjson`: what happened, in the bulk export logging format, version 2. Lines are only ever added.
//!
//! The events and their fields are those that smart-fetch and the SMART bulk data client write; a field of our own
//! begins with an underscore. What is not known is `null`. No query string, token or secret is in it.

pub(super) mod detail;
pub mod read;
mod watch;

use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::event::Summary;
use super::kickoff::Kickoff;
use super::layout::LOG as NAME;
use super::manifest::Manifest;
use super::state::{Job, Phase};
use crate::fhir::{Answer, Client};
use crate::place::{self, Place, There};
use read::CLIENT;
pub use read::is_ours;
pub use watch::Logged;

/// Lines wait in memory until there are this many bytes of them, or a batch of files landed.
const MOST_WAITING: usize = 64 << 10;

/// The log of one export.
#[derive(Debug)]
pub struct Log {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    export_id: String,
    waiting: Vec<u8>,
    file: Option<File>,
    /// Whether this run has written a line.
    has_begun: bool,
    /// Whether the server has a job: before that, what goes wrong is no event of an export.
    is_accepted: bool,
    seen: Seen,
    trouble: Option<io::Error>,
    /// It cannot be written: the export goes on without it.
    is_off: bool,
}

/// What earlier runs wrote of the same export.
#[derive(Debug, Default)]
struct Seen {
    once: HashSet<String>,
    /// The hashes of the paths of files whose end is written.
    complete: HashSet<u64>,
    hashes: RandomState,
}

impl Seen {
    /// Takes note that the end of a file is written; whether it was not before.
    fn is_complete(&mut self, path: &str) -> bool {
        self.complete.insert(self.hashes.hash_one(path))
    }
}

impl Log {
    /// Opens the log of an export in its folder, and mends what a kill left of the last line. Nothing is written yet,
    /// and nothing fails: a log that cannot be had is switched off.
    pub fn open(folder: &Path, export_id: &str) -> Self {
        let mut inner = Inner {
            folder: absolute(folder),
            export_id: export_id.to_owned(),
            waiting: Vec::new(),
            file: None,
            has_begun: false,
            is_accepted: false,
            seen: Seen::default(),
            trouble: None,
            is_off: false,
        };
        if let Err(error) = inner.mend() {
            inner.fail(error);
        }
        Self {
            inner: Mutex::new(inner),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder is another one from now on.
    pub fn moved(&self, folder: &Path) {
        let mut inner = self.lock();
        inner.folder = absolute(folder);
    }

    /// Writes what waits and closes the file, so that its folder can be renamed.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.flush();
        inner.file = None;
    }

    /// Writes what waits.
    pub fn flush(&self) {
        self.lock().flush();
    }

    /// Writes what waits and has the disk keep it.
    pub fn sync(&self) {
        let mut inner = self.lock();
        inner.flush();
        if let Some(Err(error)) = inner.file.as_ref().map(File::sync_data) {
            inner.fail(error);
        }
    }

    /// What is wrong with the log, once.
    pub fn trouble(&self) -> Option<io::Error> {
        self.lock().trouble.take()
    }

    /// The server answered the kick-off.
    pub fn kicked_off(&self, client: &Client, kickoff: &Kickoff, answer: &Answer) {
        self.lock().is_accepted = answer.status == StatusCode::ACCEPTED;
        self.once("kickoff", || detail::kickoff(client, kickoff, Some(answer)));
        self.flush();
    }

    /// The server accepted the kick-off and has something to say of it.
    pub fn remarked(&self, answer: &Answer) {
        self.event(
            "_kickoff_outcome",
            &json!({"body": detail::body(&answer.body)}),
        );
        self.flush();
    }

    /// Writes what a kill kept an earlier run from writing.
    pub fn catch_up(&self, client: &Client, kickoff: &Kickoff, job: &Job, is_adopted: bool) {
        if job.state.phase == Phase::KickingOff && !is_adopted {
            return;
        }
        self.lock().is_accepted = true;
        if !is_adopted {
            self.once("kickoff", || detail::kickoff(client, kickoff, None));
        }
        let known = job.each().map_while(Result::ok);
        for planned in known.take_while(|_| !job.done.is_empty()) {
            if let Some(file) = job.exported(&planned) {
                self.landed(&planned.file, &file);
            }
        }
        self.flush();
    }

    /// A page of the manifest came.
    pub fn page(&self, number: usize, page: &Manifest) {
        if !self.has("manifest_complete") {
            let [output, deleted, error] = page.counts;
            self.event(
                "status_page_complete",
                &json!({
                    "transactionTime": page.transaction_time, "outputFileCount": output,
                    "deletedFileCount": deleted, "errorFileCount": error, "_page": number,
                }),
            );
        }
    }

    /// The manifest is whole.
    pub fn manifest(&self, pages: usize, manifest: &Manifest) {
        let time = &manifest.transaction_time;
        let [output, deleted, error] = manifest.counts;
        self.once("status_complete", || json!({"transactionTime": time}));
        self.once("manifest_complete", || {
            json!({
                "transactionTime": time, "totalOutputFileCount": output, "totalDeletedFileCount": deleted,
                "totalErrorFileCount": error, "totalManifests": pages,
            })
        });
        self.flush();
    }

    /// All files are here. The time is that since the export was begun, in milliseconds.
    pub fn complete(&self, summary: &Summary, begun: Option<&str>) {
        let begun = begun.and_then(|text| text.parse::<jiff::Timestamp>().ok());
        let duration = begun.map(|begun| jiff::Timestamp::now().duration_since(begun));
        self.once("export_complete", || {
            json!({
                "files": summary.here.files,
                "resources": summary.here.resources(),
                "bytes": summary.here.bytes,
                "attachments": null,
                "duration": duration.map(|duration| duration.as_millis().max(0)),
            })
        });
        self.sync();
    }

    fn has(&self, id: &str) -> bool {
        self.lock().seen.once.contains(id)
    }

    /// An event that an export has only one of.
    fn once(&self, id: &str, detail: impl FnOnce() -> Value) {
        let is_new = self.lock().seen.once.insert(id.to_owned());
        if is_new {
            self.event(id, &detail());
        }
    }

    fn event(&self, id: &str, detail: &Value) {
        self.lock().add(id, detail);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Inner {
    /// Cuts off what is no line at the end, and learns what was written of this export.
    fn mend(&mut self) -> io::Result<()> {
        let path = self.folder.join(NAME);
        match There::at(&path)? {
            There::Nothing => return Ok(()),
            // A FIFO would never give its end.
            There::Other => return Err(place::not_plain()),
            There::Plain(_) if !is_ours(&self.folder) => {
                return Err(io::Error::other("it is not of an export"));
            }
            There::Plain(_) => {}
        }
        let file = place::open_plain(&path)?;
        let length = file.metadata()?.len();
        let mut good = 0;
        read::events(BufReader::new(file), |event, end| {
            good = end;
            if event.export_id != self.export_id {
                return;
            }
            let path = event.detail.get("_path").and_then(Value::as_str);
            match (event.id.as_str(), path) {
                ("download_complete", Some(path)) => {
                    self.seen.is_complete(path);
                }
                ("kickoff" | "status_complete" | "manifest_complete" | "export_complete", _) => {
                    self.seen.once.insert(event.id);
                }
                _ => {}
            }
        })?;
        if good < length {
            Place::new(&self.folder).log_at(NAME, good)?;
        }
        Ok(())
    }

    fn add(&mut self, id: &str, detail: &Value) {
        if self.is_off {
            return;
        }
        let mut line = json!({
            "exportId": self.export_id,
            "timestamp": format!("{:.3}", jiff::Timestamp::now()),
            "eventId": id,
            "eventDetail": detail,
        });
        if !std::mem::replace(&mut self.has_begun, true) {
            line["_client"] = CLIENT.into();
            line["_clientVersion"] = env!("CARGO_PKG_VERSION").into();
        }
        let line = detail::without_secrets(&line.to_string());
        self.waiting.extend_from_slice(line.as_bytes());
        self.waiting.push(b'\n');
        if self.waiting.len() > MOST_WAITING {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.waiting.is_empty() || self.is_off {
            return;
        }
        let waiting = std::mem::take(&mut self.waiting);
        let result = self.opened().and_then(|file| file.write_all(&waiting));
        if let Err(error) = result {
            self.fail(error);
        }
    }

    fn opened(&mut self) -> io::Result<&mut File> {
        if let Some(ref mut file) = self.file {
            return Ok(file);
        }
        let file = Place::new(&self.folder).log(NAME)?;
        Ok(self.file.insert(file))
    }

    fn fail(&mut self, error: io::Error) {
        self.is_off = true;
        self.file = None;
        self.waiting = Vec::new();
        self.trouble = Some(error);
    }

    /// A path below the folder, with `/` on every system.
    fn relative(&self, path: &Path) -> String {
        let below = path.strip_prefix(&self.folder).unwrap_or(path);
        let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
        parts.join("/")
    }
}

fn absolute(folder: &Path) -> PathBuf {
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

/// What is said of a log that cannot be written.
pub(super) fn cannot_be_written(error: &io::Error) -> String {
    format!("{NAME} cannot be written, so the export goes on without it: {error}")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn lines(folder: &Path) -> Vec<Value> {
        let text = fs::read_to_string(folder.join(NAME)).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_what_was_said_once_is_not_said_again() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(folder.path(), "a");
        log.manifest(1, &Manifest::default());
        drop(log);
        let path = folder.path().join(NAME);
        let whole = fs::read(&path).unwrap();
        for torn in [
            &b"{\"exportId\":\"a\",\"time"[..],
            b"\0\0\0\0",
            b"{}",
            b"\n\n",
        ] {
            fs::write(&path, [&whole, torn].concat()).unwrap();
            let log = Log::open(folder.path(), "a");
            log.manifest(1, &Manifest::default());
            log.event("status_progress", &json!({}));
            drop(log);
            let lines = lines(folder.path());
            let ids: Vec<_> = lines.iter().map(|line| &line["eventId"]).collect();
            assert_eq!(
                ids,
                ["status_complete", "manifest_complete", "status_progress"]
            );
        }
        assert!(is_ours(folder.path()));
        let log = Log::open(folder.path(), "b");
        log.manifest(1, &Manifest::default());
        drop(log);
        assert_eq!(lines(folder.path()).len(), 5, "another export has its own");
    }

    #[test]
    fn a_log_that_cannot_be_written_says_so_once_and_stays_off() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(NAME)).unwrap();
        let log = Log::open(folder.path(), "a");
        log.manifest(1, &Manifest::default());
        assert!(log.trouble().is_some());
        log.manifest(1, &Manifest::default());
        assert!(log.trouble().is_none());
    }
}
