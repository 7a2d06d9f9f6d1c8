//! A result of no resource type: a manifest whose `error` lists files, or a status that servers make up.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::list::each;
use super::{Failures, JobResult, text_of};
use crate::words;

/// Words of servers for a job that was not done.
const FAILED: [&str; 6] = [
    "failed",
    "failure",
    "error",
    "cancelled",
    "canceled",
    "aborted",
];

#[derive(Deserialize)]
struct Plain<'a> {
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow, default)]
    count: Option<&'a RawValue>,
    #[serde(borrow, default)]
    url: Option<&'a RawValue>,
}

/// Reads what is JSON, but no resource.
pub(super) fn judge(text: &[u8]) -> JobResult {
    let Ok(plain) = serde_json::from_slice::<Plain>(text) else {
        return JobResult::Silent("JSON that cannot be read".into());
    };
    let is_text = |value: &&RawValue| value.get().starts_with('"');
    let status = plain
        .status
        .filter(is_text)
        .map(|status| text_of(Some(status)));
    let has_failed = |status: &String| FAILED.contains(&&*status.to_ascii_lowercase());
    let said = plain.error.and_then(error_words);
    if status.as_ref().is_some_and(has_failed) || said.is_some() {
        let mut words: Vec<String> = status
            .as_deref()
            .map(words::shortened)
            .into_iter()
            .collect();
        words.extend(said);
        return JobResult::Failed(words);
    }
    let mut failures = Failures::default();
    each(plain.error, |entry| {
        if let Some(words) = error_file(entry) {
            failures.count(Some(words));
        }
    });
    if failures.failed == 0 {
        return JobResult::Done;
    }
    JobResult::Partial(failures.into_words())
}

/// An `error` that is words, or an object with a message.
fn error_words(error: &RawValue) -> Option<String> {
    let text = error.get();
    if text.starts_with('"') {
        let text = text_of(Some(error));
        return (!text.trim().is_empty()).then(|| words::shortened(&text));
    }
    let said = serde_json::from_str::<Said>(text)
        .ok()
        .filter(|_| text.starts_with('{'))?;
    Some(match said.message {
        Some(message) => words::shortened(&text_of(Some(message))),
        None => words::shortened(text),
    })
}

/// An entry of the `error` list, unless it says that nothing is in its file (`count` 0, as LinuxForHealth does).
fn error_file(entry: &RawValue) -> Option<String> {
    let file = serde_json::from_str::<File>(entry.get()).ok();
    let (count, url) = file.map_or((None, None), |file| (file.count, file.url));
    let count = count.and_then(|count| count.get().parse::<u64>().ok());
    let url = text_of(url);
    let url = url::Url::parse(&url).map_or_else(
        |_| words::shortened(&url),
        |url| crate::secret::url_for_people(&url),
    );
    match count {
        Some(0) => None,
        Some(count) => Some(format!("{} in {url}", words::number_of(count, "error"))),
        None => Some(format!("errors in {url}")),
    }
}
