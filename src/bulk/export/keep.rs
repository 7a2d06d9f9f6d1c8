//! `DIR/manifest.json`: the manifest as it is kept for reading, with each file's place here, and no query strings.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::ser::{Error, Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Map, Value, json};

use super::error::BulkError;
use super::layout::{ATTACHMENT_INDEX, MANIFEST};
use super::manifest::Group;
use super::state::{Job, Planned};
use crate::bulk::digest::Algorithm;

/// The lists, by the names they have there.
const LISTS: [(&str, Group); 3] = [
    ("output", Group::Output),
    ("deleted", Group::Deleted),
    ("error", Group::Error),
];

/// Writes it for a job whose manifest is known. A file that is missing has no `path`; `complete` says whether none is,
/// attachments that were asked for included.
///
/// # Errors
/// Another file has its name; the disk.
pub fn write(job: &mut Job, is_complete: bool) -> Result<(), BulkError> {
    let mut draft = job.draft()?;
    let mut writer = BufWriter::with_capacity(64 << 10, &mut draft);
    let written = serde_json::to_writer_pretty(&mut writer, &Kept { job, is_complete });
    let written = written
        .map_err(io::Error::from)
        .and_then(|()| writer.flush());
    drop(writer);
    written.map_err(|error| BulkError::disk(&job.folder().join(MANIFEST), error))?;
    job.put(MANIFEST, draft)
}

/// The manifest of a job, which is written as a stream.
struct Kept<'a> {
    job: &'a Job,
    is_complete: bool,
}

impl Serialize for Kept<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let state = &self.job.state;
        let mut manifest = serializer.serialize_map(None)?;
        manifest.serialize_entry("complete", &self.is_complete)?;
        manifest.serialize_entry("transactionTime", &state.transaction_time)?;
        let required = state.manifest.requires_access_token;
        manifest.serialize_entry("requiresAccessToken", &required)?;
        if let Some(request) = &state.manifest.request {
            // A parameter may be a secret, and the server repeats it.
            let shown = url::Url::parse(request).map(|url| crate::secret::url_for_people(&url));
            manifest.serialize_entry("request", shown.as_ref().unwrap_or(request))?;
        }
        // A list that is cut or emptied later is told by its length.
        manifest.serialize_entry("listed", &lengths(self.job).map_err(S::Error::custom)?)?;
        for (name, group) in LISTS {
            let job = self.job;
            manifest.serialize_entry(name, &List { job, group })?;
        }
        if self.job.state.style.has_attachment_files()
            && let Some(index) = self.job.record_of(Path::new(ATTACHMENT_INDEX))
        {
            let digest = index.digest.map(|digest| digest.as_json());
            let index = json!({"path": ATTACHMENT_INDEX, "bytes": index.bytes, "digest": digest});
            manifest.serialize_entry("attachments", &index)?;
        }
        manifest.end()
    }
}

/// How many files stand in each of its lists.
fn lengths(job: &Job) -> Result<Value, BulkError> {
    let mut lengths = LISTS.map(|(name, _)| (name.to_owned(), 0_u64));
    for planned in job.each() {
        let group = planned?.file.group;
        for ((_, length), (_, of)) in lengths.iter_mut().zip(LISTS) {
            *length += u64::from(of == group);
        }
    }
    let members = lengths.into_iter();
    let members = members.map(|(name, length)| (name, Value::from(length)));
    Ok(members.collect::<Map<_, _>>().into())
}

/// One of its lists.
struct List<'a> {
    job: &'a Job,
    group: Group,
}

impl Serialize for List<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for planned in self.job.each() {
            let planned = planned.map_err(S::Error::custom)?;
            if planned.file.group == self.group {
                list.serialize_element(&entry(self.job, &planned))?;
            }
        }
        list.end()
    }
}

fn entry(job: &Job, planned: &Planned) -> Value {
    let mut url = planned.file.link.url();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let mut entry = json!({"type": planned.file.resource_type, "url": url.as_str()});
    if let Some(count) = planned.file.count {
        entry["count"] = count.into();
    }
    if let Some(file) = job.exported(planned) {
        entry["path"] = slashed(&planned.path).into();
        if let Some(resources) = file.resources {
            entry["resources"] = resources.into();
        }
        entry["bytes"] = file.bytes.into();
        if let Some(digest) = file.digest {
            entry["digest"] = digest.as_json();
            // Where readers of older folders look for it.
            if digest.algorithm == Algorithm::Sha256 {
                entry["sha256"] = digest.hex().into();
            }
        }
    }
    entry
}

/// A path below the folder, with `/` on every system.
fn slashed(path: &Path) -> String {
    let parts: Vec<_> = path
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    parts.join("/")
}
