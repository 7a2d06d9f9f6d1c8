//! What an OperationOutcome says: whether it is an error, that nothing was done, how long to wait; and outcomes of our own.

use std::time::Duration;

use serde_json::Value;

use crate::bulk::import::batch::quoted;
use crate::fhir::{Answer, Refusal};
use crate::output::json;

/// Codes of issues that come before anything is done (FHIR R4, issue-type).
const BEFORE_ALL: [&str; 4] = ["structure", "too-long", "too-costly", "throttled"];
/// Words for the same of servers that give all issues one code.
const NOT_PARSED: [&str; 4] = [
    "failed to parse",
    "could not parse",
    "cannot parse",
    "unable to parse",
];
/// The extension in which Medplum says when it takes requests again, in seconds.
const RESET: &str = "rate-limit-reset";

/// Whether a refusal of a whole request says that nothing of it was done.
pub fn nothing_was_done(refusal: &Refusal) -> bool {
    let outcome: Value = serde_json::from_slice(&refusal.body).unwrap_or_default();
    let issues = outcome["issue"].as_array().map_or(&[][..], Vec::as_slice);
    let is_before = |issue: &Value| {
        let code = issue["code"].as_str().unwrap_or_default();
        BEFORE_ALL.contains(&code)
    };
    let words = refusal.words.join(" ").to_lowercase();
    refusal.is_outcome && issues.iter().any(is_before)
        || NOT_PARSED.iter().any(|said| words.contains(said))
}

/// Whether a refusal says that there were too many entries.
pub fn is_about_size(refusal: &Refusal) -> bool {
    let words = refusal.words.join(" ").to_lowercase();
    let names_entries = [
        "entries",
        "entry",
        "bundle",
        "resources",
        "batch",
        "transaction",
    ];
    let names_a_limit = [
        "too many",
        "too large",
        "more than",
        "maximum",
        "exceed",
        "limit",
    ];
    let has = |any: &[&str]| any.iter().any(|word| words.contains(word));
    has(&names_entries) && has(&names_a_limit) && words.chars().any(|c| c.is_ascii_digit())
        || words.contains("too many entries")
}

/// The longest outcome that is built to look into it: that takes up to sixty times its length.
const LONGEST_BUILT: usize = 256 << 10;

/// The words of an OperationOutcome in one line.
pub fn words_in(outcome: &str) -> String {
    if outcome.len() > LONGEST_BUILT {
        return format!("an OperationOutcome of {} bytes", outcome.len());
    }
    serde_json::from_str(outcome)
        .map(|outcome| crate::fhir::error::outcome_words(&outcome).join("; "))
        .unwrap_or_default()
}

/// How long an outcome wants to be waited for.
pub fn wait_of(outcome: &str) -> Option<Duration> {
    if outcome.len() > LONGEST_BUILT || !outcome.contains(RESET) {
        return None;
    }
    let outcome: Value = serde_json::from_str(outcome).ok()?;
    let issues = outcome["issue"].as_array().into_iter().flatten();
    let lists = issues
        .map(|issue| &issue["extension"])
        .chain([&outcome["extension"]]);
    let found = lists
        .filter_map(Value::as_array)
        .flatten()
        .find(|extension| {
            let url = extension["url"].as_str().unwrap_or_default();
            url.ends_with(RESET)
        })?;
    let value = found
        .as_object()?
        .iter()
        .find(|(name, _)| name.starts_with("value"))?
        .1;
    Duration::try_from_secs_f64(value.as_f64()?).ok()
}

/// What a server said in an answer, as an OperationOutcome in JSON.
pub fn outcome_of(answer: Answer) -> String {
    outcome_of_refusal(&Refusal::of_answer(answer))
}

/// What a server said, as an OperationOutcome in JSON.
pub fn outcome_of_refusal(refusal: &Refusal) -> String {
    if refusal.is_outcome
        && let Ok(text) = std::str::from_utf8(&refusal.body)
    {
        return json::compact(text);
    }
    let words = refusal.words.join(" ");
    outcome_of_words(if words.is_empty() {
        refusal.status.canonical_reason().unwrap_or("refused")
    } else {
        &words
    })
}

/// An OperationOutcome of our own.
pub fn outcome_of_words(words: &str) -> String {
    format!(
        r#"{{"resourceType":"OperationOutcome","issue":[{{"severity":"error","code":"processing","diagnostics":{}}}]}}"#,
        quoted(words)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medplums_reset_is_a_wait_in_seconds() {
        let outcome = r#"{"issue":[{"code":"throttled","extension":[{"url":"https://x/rate-limit-reset","valueInteger":7}]}]}"#;
        assert_eq!(wait_of(outcome), Some(Duration::from_secs(7)));
        assert_eq!(wait_of(&outcome.replace('7', "-7")), None);
        assert_eq!(wait_of(r#"{"issue":[]}"#), None);
    }
}
