//! What lies in `DIR/.medplum-export/`: `job.json` (request, phase, status URL), `files.json` (what the manifest lists
//! and where each file goes) and `done.ndjson` (a line for each file that has its final name). Each is private; the
//! first two are replaced whole, the last only grows.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::bulk::export::manifest::ManifestFile;
use crate::bulk::export::options::Style;
use crate::bulk::export::sink::outcomes::Outcomes;

/// The version of the files here.
pub const VERSION: u32 = 2;

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
    pub transaction_time: Option<String>,
    /// What the manifest says of itself.
    #[serde(default)]
    pub manifest: About,
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
}

/// A line of `done.ndjson`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Done {
    pub path: PathBuf,
    pub resources: u64,
    pub bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    pub outcomes: Outcomes,
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

/// Reads a JSON file; `None` when it is not there.
///
/// # Errors
/// The disk, or a file that is not what it should be.
pub fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The files that are done. A last line that a crash cut is one that was not written.
///
/// # Errors
/// The disk.
pub fn read_done(path: &Path) -> io::Result<HashMap<PathBuf, Done>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let lines = text
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Done>(line).ok());
    Ok(lines.map(|done| (done.path.clone(), done)).collect())
}

/// Opens a log to add to, after the last whole line.
///
/// # Errors
/// The disk.
pub fn append(path: &Path) -> io::Result<File> {
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
        io::Write::write_all(&mut file, b"\n")?;
    }
    Ok(file)
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
