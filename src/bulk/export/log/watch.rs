//! The events of an export that are written to its log before whoever watches it hears of them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use url::Url;

use super::{Log, detail};
use crate::bulk::export::error::BulkError;
use crate::bulk::export::event::{ExportedFile, FailedFile, Observer};
use crate::bulk::export::manifest::{Group, ManifestFile};
use crate::fhir::FhirError;
use crate::fhir::asynchronous::{AsyncError, Progress};

/// An observer that writes the log and passes everything on.
pub struct Logged {
    log: Arc<Log>,
    inner: Arc<dyn Observer>,
}

impl Logged {
    /// Writes to this log and passes on to this observer.
    pub fn new(log: Arc<Log>, inner: Arc<dyn Observer>) -> Self {
        Self { log, inner }
    }
}

impl Log {
    /// A file is asked for.
    pub(super) fn requested(&self, file: &ManifestFile, path: &Path) {
        let path = self.lock().relative(path);
        self.event(
            "download_request",
            &json!({
                "fileUrl": detail::file_url(file.link.as_str()),
                "itemType": item_type(file.group),
                "resourceType": file.resource_type,
                "_path": path,
            }),
        );
    }

    /// A file is here.
    pub(super) fn landed(&self, file: &ManifestFile, exported: &ExportedFile) {
        let mut inner = self.lock();
        let path = inner.relative(&exported.path);
        if inner.seen.is_complete(&path) {
            inner.add(
                "download_complete",
                &json!({
                    "fileUrl": detail::file_url(file.link.as_str()),
                    "resourceCount": exported.resources,
                    "fileSize": exported.bytes,
                    "_path": path,
                }),
            );
        }
    }

    fn failed(&self, failure: &FailedFile, wait: Option<Duration>) {
        let path = self.lock().relative(&failure.path);
        let mut detail = Map::from_iter([(
            "fileUrl".to_owned(),
            Value::from(detail::file_url(&failure.url)),
        )]);
        if let Value::Object(error) = detail::error(failure.code, &Value::Null, &failure.reason) {
            detail.extend(error);
        }
        let wait = wait.and_then(|wait| u64::try_from(wait.as_millis()).ok());
        let cause = match failure.code {
            Some(_) => "status",
            None if failure.is_content => "content",
            None => "connection",
        };
        detail.insert("_cause".to_owned(), cause.into());
        detail.insert("_retryIn".to_owned(), json!(wait));
        detail.insert("_path".to_owned(), path.into());
        self.event("download_error", &detail.into());
    }

    fn polled(&self, progress: &Progress) {
        let words = progress.words.as_deref().unwrap_or_default();
        if progress.failed {
            self.event(
                "status_error",
                &detail::error(progress.code, &Value::Null, words),
            );
        } else {
            let asked = progress.asked.map(|asked| asked.as_secs().to_string());
            let said = progress.words.as_deref().map(detail::without_queries);
            let detail = json!({"body": null, "xProgress": said, "retryAfter": asked});
            self.event("status_progress", &detail);
        }
        self.flush();
    }

    /// What stopped the run. A file that is missing stops nothing, and being interrupted is no error.
    pub fn stopped(&self, error: &BulkError) {
        if !self.lock().is_accepted {
            return;
        }
        let refusal = match error {
            BulkError::Interrupted { .. } => return,
            BulkError::Async(
                AsyncError::Failed(refusal)
                | AsyncError::Gone(refusal)
                | AsyncError::Fhir(FhirError::Refused(refusal)),
            ) => Some(refusal),
            _ => None,
        };
        let (code, body) = match refusal {
            Some(refusal) => (Some(refusal.status.as_u16()), detail::body(&refusal.body)),
            None => (None, Value::Null),
        };
        let id = match error {
            BulkError::Async(_) | BulkError::Manifest(_) => "status_error",
            _ => "client_error",
        };
        self.event(id, &detail::error(code, &body, &error.to_string()));
        self.flush();
    }
}

/// The list a file stands in, as the manifest calls it.
fn item_type(group: Group) -> &'static str {
    match group {
        Group::Output => "output",
        Group::Deleted => "deleted",
        Group::Error => "error",
    }
}

impl Observer for Logged {
    fn in_series(&self, since: Option<&str>, folder: &Path) {
        self.inner.in_series(since, folder);
    }

    fn started(&self, status_url: &Url) {
        self.inner.started(status_url);
    }

    fn polled(&self, progress: &Progress) {
        self.log.polled(progress);
        self.inner.polled(progress);
    }

    fn listed(&self, files: usize, transaction_time: Option<&str>) {
        self.inner.listed(files, transaction_time);
    }

    fn received(&self, bytes: u64) {
        self.inner.received(bytes);
    }

    fn file_requested(&self, file: &ManifestFile, path: &Path) {
        self.log.requested(file, path);
    }

    fn file_try_failed(&self, failure: &FailedFile, wait: Option<Duration>) {
        self.log.failed(failure, wait);
        self.log.flush();
    }

    fn file_landed(&self, file: &ManifestFile, exported: &ExportedFile) {
        self.log.landed(file, exported);
    }

    fn batch_landed(&self) {
        self.log.flush();
        if let Some(error) = self.log.trouble() {
            self.inner.warning(&super::cannot_be_written(&error));
        }
    }

    fn file_retried(&self, url: &Url, reason: &str, wait: Duration) {
        self.inner.file_retried(url, reason, wait);
    }

    fn file_done(&self, file: &ExportedFile) {
        self.inner.file_done(file);
    }

    fn file_failed(&self, failure: &FailedFile) {
        self.inner.file_failed(failure);
    }

    fn notice(&self, text: &str) {
        self.inner.notice(text);
    }

    fn warning(&self, text: &str) {
        self.inner.warning(text);
    }
}
