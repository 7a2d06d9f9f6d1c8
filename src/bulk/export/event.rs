//! What an export tells those who watch it, and what came of it in the end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use url::Url;

use super::manifest::{Group, ManifestFile};
use super::sink::outcomes::Outcomes;
use crate::bulk::digest::Digest;
use crate::fhir::asynchronous::Progress;

/// What happens while an export runs.
pub trait Observer: Send + Sync {
    /// An export of a series begins, or goes on, in this folder.
    fn in_series(&self, since: Option<&str>, folder: &Path);
    /// The server accepted the job.
    fn started(&self, status_url: &Url);
    /// One poll was answered.
    fn polled(&self, progress: &Progress);
    /// The manifest is complete.
    fn listed(&self, files: usize, transaction_time: Option<&str>);
    /// More bytes of some file are on disk.
    fn received(&self, bytes: u64);
    /// A file could not be fetched and is tried again.
    fn file_retried(&self, url: &Url, reason: &str, wait: Duration);
    /// A file is asked for; its final name is this.
    fn file_requested(&self, _file: &ManifestFile, _path: &Path) {}
    /// A try to fetch a file failed; the next one comes after this wait, if there is one.
    fn file_try_failed(&self, _failure: &FailedFile, _wait: Option<Duration>) {}
    /// A file is durable and has its final name, in the folder that the export grows in.
    fn file_landed(&self, _file: &ManifestFile, _exported: &ExportedFile) {}
    /// The files of a batch have landed.
    fn batch_landed(&self) {}
    /// A file is complete, checked and has its final name.
    fn file_done(&self, file: &ExportedFile);
    /// A file is missing for good.
    fn file_failed(&self, failure: &FailedFile);
    /// Something a person wants to know.
    fn notice(&self, text: &str);
    /// Something that may be wrong, although all goes on.
    fn warning(&self, text: &str);
}

/// A file that is on disk, complete and checked.
#[derive(Clone, Debug)]
pub struct ExportedFile {
    pub path: PathBuf,
    pub group: Group,
    pub resource_type: Option<String>,
    /// How many resources are in it; `None` when nobody has counted them (`--no-verify`).
    pub resources: Option<u64>,
    /// Bytes on disk.
    pub bytes: u64,
    /// Of its lines; `None` when nobody made one (`--checksum none`, `--no-verify`).
    pub digest: Option<Digest>,
    /// The entity tag the server gave.
    pub etag: Option<String>,
    /// Problems that the server reports inside its outcome files, by severity.
    pub outcomes: Outcomes,
}

/// A file that is not on disk.
#[derive(Clone, Debug)]
pub struct FailedFile {
    pub url: String,
    /// The name it would have.
    pub path: PathBuf,
    /// The status of the answer, when there was one that was refused.
    pub code: Option<u16>,
    /// Whether bytes came that are not what was promised.
    pub is_content: bool,
    pub group: Group,
    pub resource_type: Option<String>,
    pub reason: String,
}

/// The files that are here, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub files: usize,
    /// Bytes on disk.
    pub bytes: u64,
    resources: u64,
    /// Whether some `output` file was not counted.
    is_unchecked: bool,
    /// What the outcome files say together.
    pub outcomes: Outcomes,
}

impl Tally {
    /// Counts a file.
    pub fn add(&mut self, file: &ExportedFile) {
        self.files += 1;
        self.bytes += file.bytes;
        self.outcomes.add(&file.outcomes);
        if file.group == Group::Output {
            self.resources += file.resources.unwrap_or_default();
            self.is_unchecked |= file.resources.is_none();
        }
    }

    /// The resources in `output` files; `None` when some of those were not counted.
    pub fn resources(&self) -> Option<u64> {
        (!self.is_unchecked).then_some(self.resources)
    }
}

/// A file that is missing, by its place in the plan.
#[derive(Clone, Debug)]
pub struct Missing {
    pub at: usize,
    /// The status of the answer, when there was one that was refused.
    pub code: Option<u16>,
    /// Whether bytes came that are not what was promised.
    pub is_content: bool,
    pub reason: Arc<str>,
}

/// What came of an export.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    pub here: Tally,
    /// In manifest order.
    pub failed: Vec<Missing>,
    /// Where the files are.
    pub folder: PathBuf,
    pub transaction_time: Option<String>,
    /// What came of the attachments, when they were asked for.
    pub attachments: Option<Attachments>,
    pub elapsed: Duration,
}

impl Summary {
    /// Whether nothing is missing.
    pub fn is_whole(&self) -> bool {
        let attachments = self.attachments.as_ref();
        self.failed.is_empty() && attachments.is_none_or(|attachments| attachments.missing == 0)
    }
}

/// What came of the attachments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachments {
    /// Those that are here, fetched now or before.
    pub here: u64,
    /// Bytes fetched by this run.
    pub bytes: u64,
    /// Of another type, larger than wanted, or without a web address.
    pub left_out: u64,
    pub missing: u64,
}
