//! What lies in `DIR/.medplum-export/`: `job.json` (request, phase, status URL), `plan.N.ndjson` (what the manifest lists
//! and where each file goes), `done.ndjson` (a line for each file that has its final name) and `ours.ndjson` (the same for
//! what else we made). Each is private; the first is replaced whole, the others only grow.

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::bulk::digest::Digest;
use crate::bulk::export::layout;
use crate::bulk::export::manifest::{Listed, ManifestFile};
use crate::bulk::export::options::Style;
use crate::bulk::export::sink::outcomes::Outcomes;
use crate::place::lines::read_line;
use crate::place::{self, Place, Version};
use crate::words;

/// The version of the files here.
pub const VERSION: u32 = 3;
/// The oldest that an unfinished export is gone on with.
pub const OLDEST: u32 = 2;

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
    /// It was given up: what it brought stays until the next export is complete.
    Cancelled,
}

/// What `job.json` holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    pub version: u32,
    /// FHIR base and parameters: another request is another job.
    pub request: Value,
    #[serde(default)]
    pub style: Style,
    pub phase: Phase,
    /// The instant at which the export was begun, in UTC.
    pub started: Option<String>,
    /// What the log calls this export, however often it is gone on with.
    #[serde(default)]
    pub export_id: Option<String>,
    pub status_url: Option<Url>,
    /// The earliest time that any page or reading of the manifest gave: nothing later is in all files.
    pub transaction_time: Option<String>,
    /// The server's clock when the job was asked for, as an instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<String>,
    /// The time of the last reading of the manifest, as it stands there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading_time: Option<String>,
    /// The number of the last reading that was another one than those before.
    #[serde(default)]
    pub reading: u32,
    /// The plan that counts; none before there is one, and in versions before 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanOf>,
    /// What the manifest says of itself.
    #[serde(default)]
    pub manifest: About,
    /// The export that is given up for this one, until the server has ended its job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Box<Self>>,
}

impl State {
    /// An export that begins now.
    pub fn begun_now(request: Value, style: Style) -> Self {
        Self {
            version: VERSION,
            request,
            style,
            phase: Phase::KickingOff,
            started: Some(format!("{:.0}", jiff::Timestamp::now())),
            export_id: Some(new_export_id()),
            status_url: None,
            transaction_time: None,
            asked_at: None,
            reading_time: None,
            reading: 0,
            plan: None,
            manifest: About::default(),
            before: None,
        }
    }

    /// One of which nothing is known any more: what it recorded of its files is all that is left.
    pub fn lost() -> Self {
        Self {
            phase: Phase::Cancelled,
            ..Self::begun_now(Value::Null, Style::default())
        }
    }

    /// Whether the lists beside it are of this export.
    pub fn has_lists(&self) -> bool {
        matches!(self.phase, Phase::Fetching | Phase::Done | Phase::Cancelled)
    }

    /// The jobs at the server that were given up for this one.
    pub fn jobs_before(&self) -> Vec<Url> {
        let mut urls = Vec::new();
        let mut state = self.before.as_deref();
        while let Some(before) = state {
            urls.extend(before.status_url.clone());
            state = before.before.as_deref();
        }
        // The same job may be gone on with under its status URL.
        urls.retain(|url| Some(url) != self.status_url.as_ref());
        urls
    }

    /// The job that runs at the server, as far as is known.
    pub fn job_at_the_server(&self) -> Option<&Url> {
        let before = self.before.as_ref();
        self.status_url
            .as_ref()
            .or_else(|| before.and_then(|before| before.job_at_the_server()))
    }
}

/// The plan that counts, and how many entries it has: one that is shorter was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanOf {
    pub generation: u32,
    pub lines: usize,
}

/// What is kept of a manifest beside its files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct About {
    pub request: Option<String>,
    pub requires_access_token: bool,
}

/// A file of the manifest and its place below the export's folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Planned {
    pub file: ManifestFile,
    pub path: PathBuf,
    /// The reading of the manifest that its bytes must be of, or of a later one.
    #[serde(default)]
    pub reading: u32,
    /// The server listed it, and lists it no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vanished: bool,
}

/// The same with what two readings are compared by.
#[derive(Debug, Deserialize)]
pub struct Entry {
    pub file: Listed,
    #[serde(default)]
    pub vanished: bool,
}

impl Planned {
    /// Whether what was recorded is what this entry wants.
    pub fn accepts(&self, done: &Done) -> bool {
        !self.vanished && done.reading >= self.reading
    }
}

/// A line of `done.ndjson`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Done {
    pub path: PathBuf,
    /// None when nobody counted them. Version 0.1 wrote 0 for that, too: [`Done::counted`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<u64>,
    pub bytes: u64,
    /// Of its lines; versions that knew SHA-256 alone called it so.
    #[serde(default, alias = "sha256", skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    pub outcomes: Outcomes,
    /// The reading of the manifest that named its link.
    #[serde(default)]
    pub reading: u32,
    /// `None` of a file that version 0.1 fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
}

impl Done {
    /// How many resources are in the file; `None` when nobody has counted them.
    pub fn counted(&self) -> Option<u64> {
        let is_of_0_1 = self.version.is_none();
        self.resources
            .filter(|count| *count > 0 || !is_of_0_1 || self.digest.is_some() || self.bytes == 0)
    }

    /// The file as one that we made.
    pub fn made(&self) -> Made {
        Made {
            path: self.path.clone(),
            bytes: self.bytes,
            version: self.version,
            digest: self.digest,
        }
    }
}

/// An id that no other export has: 128 bits by chance, as a UUID (RFC 9562, version 4).
pub fn new_export_id() -> String {
    let bits = fastrand::u128(..) & !(0xf000 << 64) & !(0b11 << 62) | (0x4000 << 64) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}

/// No document is longer: the manifest of a million files has a third of it.
const LARGEST_DOCUMENT: u64 = 1 << 30;

/// Reads a JSON file as a stream, so that it costs what is kept of it; `None` when it is not there.
///
/// # Errors
/// The disk, or a file that is not what it should be.
pub fn read_json<T: for<'de> Deserialize<'de>>(
    place: &Place,
    name: impl AsRef<Path>,
) -> io::Result<Option<T>> {
    match place.open(name)? {
        Some(file) => serde_json::from_reader(BufReader::new(file.take(LARGEST_DOCUMENT)))
            .map(Some)
            .map_err(words::json_error),
        None => Ok(None),
    }
}

/// A file that we made. A line of `ours.ndjson`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    pub path: PathBuf,
    pub bytes: u64,
    /// `None` of a file that version 0.1 made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Of its lines.
    #[serde(default, alias = "sha256", skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// Gives each line of a file that only grows. A last line that a crash cut is one that was not written.
///
/// # Errors
/// The disk; what `take` says.
pub fn each_line<T: for<'de> Deserialize<'de>>(
    place: &Place,
    name: impl AsRef<Path>,
    mut take: impl FnMut(T) -> io::Result<()>,
) -> io::Result<()> {
    let Some(file) = place.open(name)? else {
        return Ok(());
    };
    let (mut reader, mut line) = (BufReader::new(file), Vec::new());
    while read_line(&mut reader, &mut line)? > 0 {
        if let Ok(read) = serde_json::from_slice(&line) {
            take(read)?;
        }
        line.clear();
    }
    Ok(())
}

/// The state in a folder of states; `None` when there is none.
///
/// # Errors
/// The disk, or what is no state; [`io::ErrorKind::Unsupported`] for one of a newer version, whatever it is like.
pub fn read_state(place: &Place) -> io::Result<Option<State>> {
    let Some(state) = read_json::<Value>(place, layout::JOB)? else {
        return Ok(None);
    };
    match state["version"].as_u64() {
        Some(version) if version > u64::from(VERSION) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!(
                "its state is of version {version}, and this medplum knows it up to version {VERSION}"
            ),
        )),
        _ => serde_json::from_value(state)
            .map(Some)
            .map_err(words::json_error),
    }
}

/// A folder may come from anywhere, and what it says of its files leads nowhere else.
///
/// # Errors
/// The path does, or it lies deeper than any file of an export.
pub fn check_name(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let is_known = folder.as_os_str().is_empty()
        || layout::FOLDERS
            .iter()
            .any(|known| folder == Path::new(known));
    if place::is_name(path) && is_known {
        return Ok(());
    }
    let words = format!("{} lies not in the folder of the export", path.display());
    Err(io::Error::new(io::ErrorKind::InvalidData, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn export_ids_are_uuids_and_differ() {
        let (one, other) = (new_export_id(), new_export_id());
        assert_ne!(one, other);
        assert_eq!((one.len(), &one[14..15]), (36, "4"), "{one}");
        assert!("89ab".contains(&one[19..20]), "{one}");
    }
}
