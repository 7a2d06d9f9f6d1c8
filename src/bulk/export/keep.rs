//! `DIR/manifest.json`: the manifest as it is kept for reading, with each file's place here, and no query strings.

use std::io::BufWriter;
use std::path::Path;

use serde_json::{Value, json};

use super::error::BulkError;
use super::layout::MANIFEST;
use super::manifest::Group;
use super::state::{Job, Planned};

/// Writes it for a job whose manifest is known. A file that is missing has no `path`; `complete` says whether none is,
/// attachments that were asked for included.
///
/// # Errors
/// Another file has its name; the disk.
pub fn write(job: &mut Job, is_complete: bool) -> Result<(), BulkError> {
    let list = |group| {
        let files = job.planned.iter();
        files
            .filter(|planned| planned.file.group == group)
            .map(|planned| entry(job, planned))
            .collect::<Vec<_>>()
    };
    let about = &job.state.manifest;
    let mut manifest = json!({
        "complete": is_complete,
        "transactionTime": job.state.transaction_time,
        "requiresAccessToken": about.requires_access_token,
    });
    if let Some(request) = &about.request {
        // A parameter may be a secret, and the server repeats it.
        let shown = url::Url::parse(request).map(|url| crate::secret::url_for_people(&url));
        manifest["request"] = shown.unwrap_or_else(|_| request.clone()).into();
    }
    for (name, group) in [
        ("output", Group::Output),
        ("deleted", Group::Deleted),
        ("error", Group::Error),
    ] {
        manifest[name] = list(group).into();
    }
    let mut draft = job.draft()?;
    serde_json::to_writer_pretty(BufWriter::new(draft.as_file_mut()), &manifest)
        .map_err(|error| BulkError::disk(&job.folder().join(MANIFEST), error.into()))?;
    job.put(MANIFEST, draft)
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
        if let Some(resources) = file.counted() {
            entry["resources"] = resources.into();
        }
        entry["bytes"] = file.bytes.into();
        if let Some(sha256) = file.sha256 {
            entry["sha256"] = sha256.into();
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
