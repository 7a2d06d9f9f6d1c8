//! A manifest that is another one at each reading.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::bulk::STATUS;
use super::{Answer, Bulk};

/// The time that a page has unless a test gives it another one.
pub const TIME: &str = "2026-01-31T10:00:00.000Z";

/// An entry of a list.
pub fn entry(bulk: &Bulk, resource_type: &str, target: &str) -> Value {
    json!({"type": resource_type, "url": bulk.server.url(target)})
}

/// The same with a count.
pub fn counted(bulk: &Bulk, resource_type: &str, target: &str, count: impl Into<Value>) -> Value {
    let mut entry = entry(bulk, resource_type, target);
    entry["count"] = count.into();
    entry
}

/// A page of a manifest.
pub fn page(time: impl Into<Value>, output: impl IntoIterator<Item = Value>) -> Value {
    let output: Vec<Value> = output.into_iter().collect();
    json!({"transactionTime": time.into(), "requiresAccessToken": true, "output": output, "error": []})
}

/// The status page gives one of these after the other; the last one stays.
pub fn readings(bulk: &Bulk, pages: impl IntoIterator<Item = Value>) {
    let pages: Vec<Value> = pages.into_iter().collect();
    let read = AtomicUsize::new(0);
    bulk.server.guard(move |request| {
        if request.method != "GET" || request.path() != STATUS {
            return None;
        }
        let at = read.fetch_add(1, Ordering::SeqCst).min(pages.len() - 1);
        Some(Answer::new(200, "application/json", pages[at].to_string()))
    });
}

/// Resources of a type, each with an id of its own.
pub fn lines(resource_type: &str, ids: std::ops::Range<usize>) -> String {
    let line =
        |id| json!({"resourceType": resource_type, "id": format!("{id:06}")}).to_string() + "\n";
    ids.map(line).collect()
}
