//! What the export made in its folder, as it was recorded before it got its name: only that may be replaced or removed.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::document::{self, Made, State};
use crate::bulk::digest::{Algorithm, Digest};
use crate::bulk::export::layout;
use crate::place::{self, Place, There};

impl Made {
    /// Whether a file is this one: its version says so, or else its contents do. Without either, as with a file of
    /// version 0.1 that nobody checked, its length has to do.
    pub fn is_at(&self, path: &Path) -> bool {
        let Ok(There::Plain(there)) = There::at(path) else {
            return false;
        };
        if self.version == Some(there) {
            return true;
        }
        match (self.digest, self.version) {
            (Some(digest), _) => has_lines(path, there.bytes == self.bytes, digest),
            (None, None) => there.bytes == self.bytes,
            (None, Some(_)) => false,
        }
    }
}

/// Whether the lines of a file have this digest.
pub(super) fn has_lines(path: &Path, has_length: bool, digest: Digest) -> bool {
    has_length
        && digest_of(path, is_packed(path), digest.algorithm).is_ok_and(|found| found == digest)
}

/// Whether a file of ours is packed.
pub(super) fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|name| name == "gz")
}

/// The digest of a file, or of what is packed in it.
pub(super) fn digest_of(path: &Path, is_packed: bool, algorithm: Algorithm) -> io::Result<Digest> {
    let file = place::open_plain(path)?;
    let mut reader: Box<dyn Read> = if is_packed {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let (mut digest, mut buffer) = (algorithm.begin(), vec![0; 256 << 10]);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(digest.finish()),
            Ok(read) => digest.feed(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What version 0.1 made beside the files of the manifest, and did not record: told by what is in it.
pub(super) fn of_version_0_1(folder: &Path, state: &State) -> Vec<Made> {
    let made = |path: &str, bytes| Made {
        path: path.into(),
        bytes,
        version: None,
        digest: None,
    };
    let (mut all, files) = (Vec::new(), Place::new(folder));
    let length = |name: &str| match There::at(&files.path(name)) {
        Ok(There::Plain(version)) => Some(version.bytes),
        _ => None,
    };
    if let Some(bytes) = length(layout::MANIFEST) {
        let read = document::read_json::<Value>(&files, layout::MANIFEST);
        let manifest = read.ok().flatten().unwrap_or_default();
        let time = manifest["transactionTime"].as_str();
        if manifest["output"].is_array() && time == state.transaction_time.as_deref() {
            all.push(made(layout::MANIFEST, bytes));
        }
    }
    if !state.style.has_attachment_files() {
        return all;
    }
    let Some(bytes) = length(layout::ATTACHMENT_INDEX) else {
        return all;
    };
    let Ok(Some(index)) = files.open(layout::ATTACHMENT_INDEX) else {
        return all;
    };
    all.push(made(layout::ATTACHMENT_INDEX, bytes));
    for line in BufReader::new(index).split(b'\n').map_while(Result::ok) {
        let entry = serde_json::from_slice::<Value>(&line).unwrap_or_default();
        if let (Some(path), Some(bytes)) = (entry["path"].as_str(), entry["bytes"].as_u64())
            && path.starts_with(layout::ATTACHMENTS)
        {
            all.push(made(path, bytes));
        }
    }
    all
}
