//! Answers that are no success, with the server's own words: OperationOutcome, OAuth or cloud JSON, text, HTML or nothing.

use std::fmt;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::{Answer, beginning};
use crate::auth::AuthError;
use crate::exit::{FAILED, NOT_ALLOWED, NOT_FOUND, USAGE, Verdict};
use crate::http::{HttpError, Response};
use crate::{secret, words};

/// The longest body in which words are looked for as JSON: built, it takes up to sixty times its length.
const LARGEST_PARSED: usize = 512 << 10;
/// As many issues of an outcome are shown.
const MOST_ISSUES: usize = 20;
/// Issue codes that say "this time", not "never" (FHIR R4, issue-type, children of `transient`).
const TRANSIENT: [&str; 7] = [
    "transient",
    "lock-error",
    "no-store",
    "exception",
    "timeout",
    "incomplete",
    "throttled",
];

/// Where JSON that is neither OAuth's nor FHIR's has its words: Google, AWS, RFC 9457, Apigee, JSON:API, Spring.
const GATEWAYS: [&str; 14] = [
    "/error/message",
    "/message",
    "/Message",
    "/detail",
    "/title",
    "/fault/faultstring",
    "/errors/0/detail",
    "/errors/0/message",
    "/errors/0/title",
    "/errors/0",
    "/errorMessage",
    "/error_message",
    "/reason",
    "/description",
];

/// What can go wrong between a request and a good answer.
#[derive(Debug, thiserror::Error)]
pub enum FhirError {
    #[error("`{text}` makes no URL: {reason}")]
    BadUrl { text: String, reason: String },
    #[error(transparent)]
    Refused(Box<Refusal>),
    #[error(
        "{0}\nThe request was repeated after a failure, so it may have been done by an earlier try."
    )]
    MaybeDone(Box<Refusal>),
    #[error("{from} redirects to {to}, which was not followed: {reason}")]
    Redirect {
        from: String,
        to: String,
        reason: String,
    },
    #[error("the answer of {url} is not {wanted}: {found}")]
    NotFhir {
        url: String,
        wanted: &'static str,
        found: String,
    },
    #[error("the pages of the search lead in a circle at {url}")]
    Loop { url: String },
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Auth(#[from] AuthError),
}

impl Verdict for FhirError {
    fn verdict(&self) -> (u8, Option<String>) {
        match self {
            Self::BadUrl { .. } => (USAGE, None),
            Self::Refused(refusal) | Self::MaybeDone(refusal) => match refusal.status.as_u16() {
                401 => (NOT_ALLOWED, Some("`medplum doctor` with the same profile (-p NAME) finds out why; a login is renewed with `medplum login`".into())),
                403 => (NOT_ALLOWED, Some("the server knows the client but does not allow this: check its scopes".into())),
                404 | 410 => (NOT_FOUND, None),
                _ => (FAILED, None),
            },
            Self::Redirect { .. } => (
                FAILED,
                Some("check the base URL and --fhir-url-path (a slash at its end stays), and that no sign-in page stands before the server".into()),
            ),
            Self::Loop { .. } => (FAILED, None),
            Self::NotFhir { .. } => (FAILED, Some("check the base URL and --fhir-url-path: another program may answer there".into())),
            Self::Http(error) => error.verdict(),
            Self::Auth(error) => error.verdict(),
        }
    }
}

/// A status that is no success, and why.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub method: Method,
    pub url: Url,
    pub status: StatusCode,
    /// The server's words, one line per issue.
    pub words: Vec<String>,
    /// Whether an OperationOutcome says that the same may work later.
    pub is_transient: bool,
    /// Whether the body was an OperationOutcome.
    pub is_outcome: bool,
    /// Whether the body was a web page, which is not the server's own word.
    pub is_page: bool,
    /// The body, for output that was asked for whatever the status.
    pub body: Bytes,
}

impl Refusal {
    /// Reads the answer's body and finds the words in it.
    pub async fn read(method: Method, answer: Response) -> Self {
        let Response {
            status,
            headers,
            url,
            body,
        } = answer;
        let (body, problem) = match beginning::of(body, beginning::FOR_WORDS).await {
            Ok(body) => (body, None),
            Err(error) => (Bytes::new(), Some(error.to_string())),
        };
        let mut refusal = Self::of_answer(Answer {
            method,
            status,
            headers,
            url,
            body,
        });
        refusal.words.extend(problem);
        refusal
    }

    /// The words in an answer, else in its challenge.
    pub fn of_answer(answer: Answer) -> Self {
        let (content_type, challenge) = (
            answer.header(CONTENT_TYPE).unwrap_or_default().to_owned(),
            answer.header(WWW_AUTHENTICATE).map(words::shortened),
        );
        let mut refusal = Self::of(
            answer.method,
            answer.url,
            answer.status,
            &content_type,
            answer.body,
        );
        if refusal.words.is_empty() {
            refusal.words.extend(challenge);
        }
        refusal
    }

    /// A refusal from the parts of an answer.
    pub fn of(
        method: Method,
        url: Url,
        status: StatusCode,
        content_type: &str,
        body: Bytes,
    ) -> Self {
        let is_small = body.len() <= LARGEST_PARSED;
        let json: Option<Value> = is_small
            .then(|| serde_json::from_slice(&body).ok())
            .flatten();
        let begins = String::from_utf8_lossy(&body[..body.len().min(64)]);
        let is_page = json.is_none() && words::is_html(content_type, &begins);
        let is_outcome = json.as_ref().is_some_and(is_outcome);
        let (words, is_transient) = match &json {
            Some(json) if is_outcome => (outcome_words(json), is_transient(json)),
            Some(json) => (json_words(json, body.len()).into_iter().collect(), false),
            None if body.len() > LARGEST_PARSED => {
                let length = words::number_of(body.len(), "byte");
                let kind = words::shortened(content_type);
                (vec![format!("an answer of {length} ({kind})")], false)
            }
            None => (
                words::of_text(content_type, &body).into_iter().collect(),
                false,
            ),
        };
        Self {
            method,
            url,
            status,
            words,
            is_transient,
            is_outcome,
            is_page,
            body,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} answered {}",
            self.method,
            secret::url_for_people(&self.url),
            self.status
        )?;
        match self.words.as_slice() {
            [] => Ok(()),
            [one] => write!(f, ": {one}"),
            several => {
                for words in several.iter().take(MOST_ISSUES) {
                    write!(f, "\n  {words}")?;
                }
                match several.len().saturating_sub(MOST_ISSUES) {
                    0 => Ok(()),
                    more => write!(f, "\n  and {more} more"),
                }
            }
        }
    }
}

impl std::error::Error for Refusal {}

/// Whether a value is an OperationOutcome.
pub fn is_outcome(json: &Value) -> bool {
    json.get("resourceType").and_then(Value::as_str) == Some("OperationOutcome")
}

/// One line for each issue: severity, code, details, diagnostics and where (FHIR R4, OperationOutcome).
pub fn outcome_words(outcome: &Value) -> Vec<String> {
    let Some(issues) = outcome.get("issue").and_then(Value::as_array) else {
        return Vec::new();
    };
    issues
        .iter()
        .map(|issue| {
            let text = |pointer: &str| issue.pointer(pointer).and_then(Value::as_str);
            let word = |pointer, else_word| words::shortened(text(pointer).unwrap_or(else_word));
            let (severity, code) = (word("/severity", "error"), word("/code", "unknown"));
            let mut line = format!("{severity} ({code})");
            let mut said = Vec::new();
            let details = [
                "/details/text",
                "/details/coding/0/display",
                "/details/coding/0/code",
                "/diagnostics",
            ];
            for part in details.into_iter().filter_map(text) {
                let part = words::shortened(part);
                if !part.is_empty() && !said.contains(&part) {
                    said.push(part);
                }
            }
            if !said.is_empty() {
                line = format!("{line} {}", said.join(" - "));
            }
            let place = issue
                .get("expression")
                .or_else(|| issue.get("location"))
                .and_then(Value::as_array);
            if let Some(place) = place
                .and_then(|place| place.first())
                .and_then(Value::as_str)
            {
                line = format!("{line} [at {}]", words::shortened(place));
            }
            line
        })
        .collect()
}

fn is_transient(outcome: &Value) -> bool {
    outcome
        .get("issue")
        .and_then(Value::as_array)
        .is_some_and(|issues| {
            issues
                .iter()
                .filter_map(|issue| issue.get("code")?.as_str())
                .any(|code| TRANSIENT.contains(&code))
        })
}

/// OAuth errors, and the shapes cloud gateways answer with. Other members are data, of a patient perhaps, and no words.
fn json_words(json: &Value, length: usize) -> Option<String> {
    let text = |pointer: &str| json.pointer(pointer).and_then(Value::as_str);
    let said = match (text("/error"), text("/error_description")) {
        (Some(error), Some(description)) => Some(format!("{error} - {description}")),
        (Some(error), None) => Some(error.to_owned()),
        _ => GATEWAYS
            .iter()
            .find_map(|pointer| text(pointer))
            .map(str::to_owned),
    };
    match said.or_else(|| json.as_str().map(str::to_owned)) {
        Some(said) => Some(words::shortened(&said)),
        None if json.is_null() => None,
        None => Some(format!(
            "JSON without words for people, {}",
            words::number_of(length, "byte")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(content_type: &str, body: &str) -> String {
        let url = Url::parse("https://h.example/fhir/Patient").unwrap();
        Refusal::of(
            Method::GET,
            url,
            StatusCode::BAD_REQUEST,
            content_type,
            Bytes::copy_from_slice(body.as_bytes()),
        )
        .to_string()
        .replace(
            "GET https://h.example/fhir/Patient answered 400 Bad Request",
            "",
        )
    }

    #[test]
    fn every_shape_of_error_is_put_into_words() {
        let outcome = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid",
            "details":{"text":"Bad name"},"diagnostics":"at 3","expression":["Patient.name"]}]}"#;
        assert_eq!(
            shown("", outcome),
            ": error (invalid) Bad name - at 3 [at Patient.name]"
        );
        assert_eq!(
            shown("", r#"{"error":"invalid_client","error_description":null}"#),
            ": invalid_client"
        );
        assert_eq!(
            shown("", r#"{"error":"e","error_description":"d"}"#),
            ": e - d"
        );
        assert_eq!(
            shown("", r#"{"error":{"message":"gone","code":404}}"#),
            ": gone"
        );
        assert_eq!(shown("", r#"{"message":"Forbidden"}"#), ": Forbidden");
        assert_eq!(
            shown("", r#"{"patient":{"name":"Eve"}}"#),
            ": JSON without words for people, 26 bytes"
        );
        assert_eq!(shown("text/plain", "no such thing"), ": no such thing");
        assert_eq!(
            shown("text/html", "<title>Oops</title>"),
            ": an HTML page, \"Oops\""
        );
        assert_eq!(shown("", ""), "");
    }

    #[test]
    fn an_outcome_is_shown_within_limits_of_length_depth_and_number() {
        let outcome = |issues: usize, words: &str| {
            let issue =
                format!(r#"{{"severity":"error","code":"invalid","diagnostics":"{words}"}}"#);
            let issues = vec![issue; issues].join(",");
            format!(r#"{{"resourceType":"OperationOutcome","issue":[{issues}]}}"#)
        };
        let many = shown("", &outcome(25, "bad"));
        assert_eq!(many.lines().count(), 1 + MOST_ISSUES + 1);
        assert!(many.ends_with("and 5 more"), "{many}");
        let long = shown("application/json", &outcome(1, &"x".repeat(LARGEST_PARSED)));
        assert!(long.contains("an answer of") && long.len() < 200, "{long}");
        let wordy = shown("", &outcome(1, &"x".repeat(100_000)));
        assert!(wordy.len() < 2_000, "{} bytes", wordy.len());
        let deep = "[".repeat(100_000);
        let deep = shown(
            "application/json",
            &format!(r#"{{"resourceType":"OperationOutcome","issue":{deep}"#),
        );
        assert!(deep.len() < 2_000, "{} bytes", deep.len());
    }
}
