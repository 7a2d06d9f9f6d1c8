//! What the result of a finished job, or an answer, says of itself. A status of 200 says only that there is one.

mod list;
mod plain;
mod resource;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use serde_json::value::RawValue;
use url::Url;

use super::Answer;
use crate::words;
use resource::Resource;
pub use resource::has_errors;

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
        let text = without_mark(body);
        if text.trim_ascii().is_empty() {
            return match status {
                StatusCode::NO_CONTENT => Self::Done,
                _ => Self::Silent("nothing".into()),
            };
        }
        match Resource::read(text) {
            Some(resource) if resource.is_fhir() => resource.judge(DEEPEST),
            Some(_) => plain::judge(text),
            None => {
                let words = words::of_text(content_type, text);
                Self::Silent(words.unwrap_or_else(|| "something that is not JSON".into()))
            }
        }
    }

    /// Reads the answer to a request that was done at once. What is no FHIR, or the resource itself that the URL names, is
    /// not the server's word on the request. A web page is no answer to a write: a sign-in page stands before the server.
    pub fn of_answer(answer: &Answer) -> Self {
        let kind = answer.header(CONTENT_TYPE).unwrap_or_default();
        let is_page = kind.trim_start().starts_with("text/html");
        if is_page && answer.method != Method::GET && !is_operation(&answer.url) {
            let words = words::of_text(kind, &answer.body).unwrap_or_default();
            return Self::Failed(vec![format!("it is a web page ({words})")]);
        }
        match Resource::read(without_mark(&answer.body)) {
            Some(resource) if resource.is_fhir() && !is_named(&resource.kind, &answer.url) => {
                resource.judge(DEEPEST)
            }
            _ => Self::Done,
        }
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

fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body)
}

/// Whether a URL names a type of resource, and no operation on it: what lies there is data, whatever it says.
fn is_named(kind: &str, url: &Url) -> bool {
    let mut parts = url.path_segments().into_iter().flatten();
    !is_operation(url) && parts.any(|part| part == kind)
}

fn is_operation(url: &Url) -> bool {
    let last = url.path().rsplit('/').next();
    last.is_some_and(|last| last.starts_with('$'))
}

/// What failed among many parts, in few words.
#[derive(Debug, Default)]
struct Failures {
    words: Vec<String>,
    failed: usize,
    all: usize,
}

impl Failures {
    fn count(&mut self, problem: Option<String>) {
        self.all += 1;
        if let Some(words) = problem {
            self.failed += 1;
            if self.words.len() < MOST_WORDS {
                self.words.push(words);
            }
        }
    }

    /// The words of those that failed.
    fn into_words(mut self) -> Vec<String> {
        let more = self.failed - self.words.len();
        if more > 0 {
            self.words.push(format!("and {more} more"));
        }
        self.words
    }

    /// All that failed is a failure; some of several a partial one.
    fn judge(self) -> JobResult {
        match self.failed {
            0 => JobResult::Done,
            all if all == self.all => JobResult::Failed(self.into_words()),
            _ => JobResult::Partial(self.into_words()),
        }
    }
}

/// The text of a JSON string, or of what stands in its place.
fn text_of(value: Option<&RawValue>) -> String {
    let text = value.map(RawValue::get).unwrap_or_default();
    serde_json::from_str(text).unwrap_or_else(|_| text.to_owned())
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

    #[test]
    fn an_answer_is_judged_unless_it_is_what_its_url_names() {
        let outcome = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid"}]}"#;
        let stored = r#"{"resourceType":"Bundle","type":"batch-response","entry":[{"response":{"status":404}}]}"#;
        for (url, body, is_done) in [
            ("https://h/fhir/Patient", outcome, false),
            ("https://h/fhir", stored, false),
            ("https://h/fhir/OperationOutcome/1", outcome, true),
            ("https://h/fhir/OperationOutcome/$validate", outcome, false),
            ("https://h/fhir/Bundle", stored, true),
            ("https://h/fhir/Patient", r#"{"status":"error"}"#, true),
            ("https://h/fhir/Patient", "no JSON", true),
        ] {
            let answer = Answer {
                method: reqwest::Method::POST,
                status: StatusCode::OK,
                headers: reqwest::header::HeaderMap::new(),
                url: Url::parse(url).unwrap(),
                body: body.into(),
            };
            assert_eq!(
                JobResult::of_answer(&answer) == JobResult::Done,
                is_done,
                "{url}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_result_makes_it_panic(text in "\\PC{0,200}") {
            let _ = of(&text);
        }
    }
}
