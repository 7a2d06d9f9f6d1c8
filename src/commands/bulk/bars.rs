//! What a person sees of a running export: a status line on a terminal, plain lines elsewhere.

use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use url::Url;

use crate::bulk::export::{ExportedFile, FailedFile, Observer};
use crate::fhir::asynchronous::Progress;
use crate::output::{Format, Output};
use crate::words::{self, number_of, size, time};

/// Without a terminal the same words are not repeated more often.
const QUIET_TIME: Duration = Duration::from_secs(300);

/// Renders an export's events.
#[derive(Debug)]
pub(super) struct Bars {
    output: Output,
    /// When the files were listed: the wait before that says nothing of how fast they come.
    listed: OnceLock<Instant>,
    status_url: Mutex<Option<Url>>,
    last_words: Mutex<Option<(String, Instant)>>,
    files: AtomicUsize,
    done: AtomicUsize,
    bytes: AtomicU64,
}

impl Bars {
    pub(super) fn new(output: Output) -> Self {
        Self {
            output,
            listed: OnceLock::new(),
            status_url: Mutex::default(),
            last_words: Mutex::default(),
            files: AtomicUsize::default(),
            done: AtomicUsize::default(),
            bytes: AtomicU64::default(),
        }
    }

    /// The job at the server, once there is one.
    pub(super) fn status_url(&self) -> Option<Url> {
        self.status_url.lock().ok()?.clone()
    }

    fn draw_files(&self) {
        if !self.output.progress.is_visible() {
            return;
        }
        let bytes = self.bytes.load(Ordering::Relaxed);
        let per_second = bytes * 1000
            / u64::try_from(self.listed.get_or_init(Instant::now).elapsed().as_millis())
                .unwrap_or(u64::MAX)
                .max(1);
        self.output.progress.say(&format!(
            "{} of {} files, {}, {}/s",
            self.done.load(Ordering::Relaxed),
            self.files.load(Ordering::Relaxed),
            size(bytes),
            size(per_second),
        ));
    }

    fn say_once(&self, words: &str) {
        let Ok(mut last) = self.last_words.lock() else {
            return;
        };
        let news = last
            .as_ref()
            .is_none_or(|(said, at)| said != words || at.elapsed() > QUIET_TIME);
        if news {
            self.output.note(words);
            *last = Some((words.to_owned(), Instant::now()));
        }
    }
}

impl Observer for Bars {
    fn in_series(&self, since: Option<&str>, folder: &Path) {
        let since = since.unwrap_or("the beginning (the first export of the series)");
        self.output
            .note(&format!("Since: {since}, into {}", folder.display()));
    }

    fn started(&self, status_url: &Url) {
        let shown = without_user(status_url);
        self.output.note(&format!("Status URL: {shown}"));
        if let Ok(mut slot) = self.status_url.lock() {
            *slot = Some(status_url.clone());
        }
    }

    fn polled(&self, progress: &Progress) {
        let words = progress.words.as_deref().unwrap_or("In progress");
        if self.output.progress.is_visible() && !progress.failed {
            self.output.progress.say(&format!(
                "{words} ({} so far, next look in {})",
                time(progress.elapsed),
                time(progress.next_poll_in)
            ));
        } else {
            self.say_once(words);
        }
    }

    fn listed(&self, files: usize, transaction_time: Option<&str>) {
        let _ = self.listed.set(Instant::now());
        self.files.store(files, Ordering::Relaxed);
        let of = transaction_time
            .map(|time| format!(", as of {time}"))
            .unwrap_or_default();
        self.output.note(&format!(
            "The server lists {}{of}",
            number_of(files, "file")
        ));
        self.draw_files();
    }

    fn received(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.draw_files();
    }

    fn file_retried(&self, _url: &Url, reason: &str, wait: Duration) {
        self.output
            .note(&format!("Trying again in {}: {reason}", time(wait)));
    }

    fn file_done(&self, file: &ExportedFile) {
        self.done.fetch_add(1, Ordering::Relaxed);
        if self.output.format != Some(Format::Json) {
            // A reader that went away is noticed by the summary; the files are what counts.
            let _ = self
                .output
                .line(&format!("{} is created", file.path.display()));
        }
        self.draw_files();
    }

    fn file_failed(&self, failure: &FailedFile) {
        let resource_type = failure.resource_type.as_deref().unwrap_or("file");
        let resource_type = words::shortened(resource_type);
        self.output.warn(&format!(
            "{resource_type} {} ({}) is missing: {}",
            failure.url,
            failure.path.file_name().unwrap_or_default().display(),
            failure.reason
        ));
    }

    fn notice(&self, text: &str) {
        self.output.note(text);
    }

    fn warning(&self, text: &str) {
        self.output.warn(text);
    }
}

/// A URL as a person may need it again, without who asks: a password may stand there.
pub(super) fn without_user(url: &Url) -> Url {
    let mut shown = url.clone();
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown
}
