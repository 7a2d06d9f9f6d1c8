//! What the result of a finished job says of itself. A status of 200 says only that there is a result.

use reqwest::StatusCode;
use serde_json::Value;

use super::error::{is_outcome, outcome_words};
use crate::words;

/// How deep a result is searched: a batch-response (R5 async) holds a Bundle that may hold another one.
const DEEPEST: usize = 4;
/// As many of the parts that failed are put into words.
const MOST_WORDS: usize = 10;

/// What a result says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobResult {
    /// The job was done, as far as the result says.
    Done,
    /// All of it failed, in the server's words.
    Failed(Vec<String>),
    /// A part of it failed, in the server's words.
    Partial(Vec<String>),
    /// It says nothing of the job: empty, a web page, no JSON. The words say what came instead.
    Silent(String),
}

impl JobResult {
    /// Reads a result's body.
    pub fn of(status: StatusCode, content_type: &str, body: &[u8]) -> Self {
        let text = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
        if text.trim_ascii().is_empty() {
            return match status {
                StatusCode::NO_CONTENT => Self::Done,
                _ => Self::Silent("nothing".into()),
            };
        }
        if let Ok(json @ Value::Object(_)) = serde_json::from_slice(text) {
            return of_object(&json, DEEPEST);
        }
        let words = words::of_text(content_type, text);
        Self::Silent(words.unwrap_or_else(|| "something that is not JSON".into()))
    }

    /// The words of what failed.
    pub fn words(&self) -> &[String] {
        match self {
            Self::Failed(words) | Self::Partial(words) => words,
            Self::Silent(words) => std::slice::from_ref(words),
            Self::Done => &[],
        }
    }
}

/// Whether an issue of an OperationOutcome says that something was not done.
pub fn has_errors(outcome: &Value) -> bool {
    let issues = outcome.get("issue").and_then(Value::as_array);
    issues.into_iter().flatten().any(|issue| {
        let severity = issue.get("severity").and_then(Value::as_str);
        matches!(severity, Some("error" | "fatal"))
    })
}

fn of_object(json: &Value, depth: usize) -> JobResult {
    if depth == 0 {
        return JobResult::Done;
    }
    let text = |name: &str| json.get(name).and_then(Value::as_str);
    if is_outcome(json) {
        return if has_errors(json) {
            JobResult::Failed(outcome_words(json))
        } else {
            JobResult::Done
        };
    }
    match text("resourceType") {
        Some("AsyncJob") => of_async_job(json, depth),
        Some("Bundle") => of_bundle(json, depth),
        Some("Parameters") => of_parameters(json, depth),
        Some(_) => JobResult::Done,
        None => of_plain(json),
    }
}

/// Medplum's AsyncJob; its `output` may hold the reason.
fn of_async_job(job: &Value, depth: usize) -> JobResult {
    let status = job.get("status").and_then(Value::as_str);
    let output = || match job.get("output") {
        Some(output @ Value::Object(_)) => of_object(output, depth - 1),
        _ => JobResult::Done,
    };
    match status {
        Some("completed") => output(),
        Some(status @ ("error" | "cancelled")) => {
            let mut words = vec![format!("AsyncJob {status}")];
            words.extend_from_slice(output().words());
            JobResult::Failed(words)
        }
        other => JobResult::Silent(format!(
            "an AsyncJob with the status `{}`",
            words::shortened(other.unwrap_or_default())
        )),
    }
}

/// A batch-response is as good as its entries (R5, async bundle pattern); other Bundles are data.
fn of_bundle(bundle: &Value, depth: usize) -> JobResult {
    let kind = bundle.get("type").and_then(Value::as_str);
    if !matches!(kind, Some("batch-response" | "transaction-response")) {
        return JobResult::Done;
    }
    let entries = bundle.get("entry").and_then(Value::as_array);
    let entries = entries.map(Vec::as_slice).unwrap_or_default();
    let failed: Vec<String> = entries
        .iter()
        .enumerate()
        .filter_map(|(at, entry)| Some(format!("entry {}: {}", at + 1, of_entry(entry, depth)?)))
        .collect();
    sorted(failed, entries.len())
}

/// Why one entry failed, if it did: by its status, or by an outcome that says so beside a good one.
fn of_entry(entry: &Value, depth: usize) -> Option<String> {
    let status = entry.pointer("/response/status").and_then(Value::as_str);
    let status = status.map(str::trim).unwrap_or_default();
    let code = status.split_whitespace().next()?.parse::<u16>().ok();
    let is_bad = code.is_none_or(|code| code > 399);
    let outcome = entry.pointer("/response/outcome");
    let mut words: Vec<String> = [outcome, entry.get("resource")]
        .into_iter()
        .flatten()
        .filter_map(|said| match of_object(said, depth - 1) {
            JobResult::Done => None,
            result => Some(result.words().join("; ")),
        })
        .collect();
    if is_bad {
        words.insert(0, words::shortened(status));
    }
    (!words.is_empty()).then(|| words.join(" - "))
}

fn of_parameters(parameters: &Value, depth: usize) -> JobResult {
    let list = parameters.get("parameter").and_then(Value::as_array);
    let failed = list
        .into_iter()
        .flatten()
        .filter_map(|parameter| parameter.get("resource"))
        .filter_map(|resource| match of_object(resource, depth - 1) {
            JobResult::Failed(words) => Some(words),
            _ => None,
        });
    match failed.flatten().collect::<Vec<_>>() {
        words if words.is_empty() => JobResult::Done,
        words => JobResult::Failed(words),
    }
}

/// A result of no resource type: a manifest whose `error` lists files, or a status that servers make up.
fn of_plain(json: &Value) -> JobResult {
    let status = json.get("status").and_then(Value::as_str);
    let has_failed = status.is_some_and(|status| {
        let status = status.to_ascii_lowercase();
        [
            "failed",
            "failure",
            "error",
            "cancelled",
            "canceled",
            "aborted",
        ]
        .contains(&&*status)
    });
    let said = match json.get("error") {
        Some(Value::String(text)) if !text.trim().is_empty() => Some(words::shortened(text)),
        Some(error @ Value::Object(_)) => {
            let message = error.get("message").and_then(Value::as_str);
            Some(message.map_or_else(|| words::shortened(&error.to_string()), words::shortened))
        }
        _ => None,
    };
    if has_failed || said.is_some() {
        let mut words: Vec<String> = status.map(words::shortened).into_iter().collect();
        words.extend(said);
        return JobResult::Failed(words);
    }
    let files = json.get("error").and_then(Value::as_array);
    let failed: Vec<String> = files.into_iter().flatten().filter_map(error_file).collect();
    if failed.is_empty() {
        return JobResult::Done;
    }
    JobResult::Partial(few(failed))
}

/// An entry of the `error` list, unless it says that nothing is in its file (`count` 0, as LinuxForHealth does).
fn error_file(entry: &Value) -> Option<String> {
    let count = entry.get("count").and_then(Value::as_u64);
    let url = entry.get("url").and_then(Value::as_str).unwrap_or_default();
    let url = url::Url::parse(url).map_or_else(
        |_| words::shortened(url),
        |url| crate::secret::url_for_people(&url),
    );
    match count {
        Some(0) => None,
        Some(count) => Some(format!("{} in {url}", words::number_of(count, "error"))),
        None => Some(format!("errors in {url}")),
    }
}

/// All that failed is a failure; some of several a partial one.
fn sorted(failed: Vec<String>, of: usize) -> JobResult {
    match failed.len() {
        0 => JobResult::Done,
        all if all == of => JobResult::Failed(few(failed)),
        _ => JobResult::Partial(few(failed)),
    }
}

fn few(mut words: Vec<String>) -> Vec<String> {
    let more = words.len().saturating_sub(MOST_WORDS);
    words.truncate(MOST_WORDS);
    if more > 0 {
        words.push(format!("and {more} more"));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> JobResult {
        JobResult::of(StatusCode::OK, "application/json", body.as_bytes())
    }

    #[test]
    fn what_says_failure_with_a_200_is_a_failure() {
        for body in [
            r#"{"status":"failed","error":"no such bucket"}"#,
            r#"{"resourceType":"OperationOutcome","issue":[{"severity":"fatal","code":"exception"}]}"#,
            r#"{"resourceType":"AsyncJob","status":"error"}"#,
            r#"{"resourceType":"AsyncJob","status":"cancelled"}"#,
            r#"{"resourceType":"Bundle","type":"batch-response","entry":[{"response":{"status":"404 Not Found"}}]}"#,
            r#"{"resourceType":"Bundle","type":"batch-response","entry":[{"response":{"status":"200"},
               "resource":{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid"}]}}]}"#,
            r#"{"resourceType":"Parameters","parameter":[{"name":"outcome","resource":
               {"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid"}]}}]}"#,
        ] {
            assert!(
                matches!(of(body), JobResult::Failed(words) if !words.is_empty()),
                "{body}"
            );
        }
        for body in [
            r#"{"resourceType":"Bundle","type":"batch-response","entry":[{"response":{"status":"404"}},{"response":{"status":"201"}}]}"#,
            r#"{"output":[],"error":[{"type":"OperationOutcome","url":"https://h.example/e?sig=x","count":2}]}"#,
            r#"{"output":[],"error":[{"type":"OperationOutcome","url":"https://h.example/e"}]}"#,
        ] {
            let JobResult::Partial(words) = of(body) else {
                panic!("{body}")
            };
            assert!(
                !words.is_empty() && !words[0].contains("sig=x"),
                "{words:?}"
            );
        }
        for body in [
            "",
            "  ",
            "<html><title>Sign in</title></html>",
            "ok",
            "[]",
            "null",
            r#"{"resourceType":"AsyncJob","status":"active"}"#,
        ] {
            assert!(matches!(of(body), JobResult::Silent(_)), "{body}");
        }
    }

    #[test]
    fn what_says_no_failure_is_none() {
        for body in [
            r#"{"output":[],"error":[{"type":"OperationOutcome","url":"https://h.example/e","count":0}]}"#,
            r#"{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational"}]}"#,
            r#"{"resourceType":"AsyncJob","status":"completed"}"#,
            r#"{"resourceType":"Bundle","type":"batch-response","entry":[{"response":{"status":"200 OK"}}]}"#,
            r#"{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"OperationOutcome",
               "issue":[{"severity":"error","code":"invalid"}]}}]}"#,
            r#"{"resourceType":"Patient"}"#,
            r#"{"error":[],"status":"ok"}"#,
            r#"{"error":"","done":1.0}"#,
        ] {
            assert_eq!(of(body), JobResult::Done, "{body}");
        }
        assert_eq!(
            JobResult::of(StatusCode::NO_CONTENT, "", b""),
            JobResult::Done
        );
    }

    proptest::proptest! {
        #[test]
        fn no_result_makes_it_panic(text in "\\PC{0,200}") {
            let _ = of(&text);
        }
    }
}
