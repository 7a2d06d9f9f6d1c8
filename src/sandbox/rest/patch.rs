//! JSON Patch on text (RFC 6902): what is not patched keeps its digits.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::answer::{Answer, Result, bad_request};
use super::edit::{Edit, at, edit};
use crate::words;

#[derive(Deserialize)]
struct Operation<'a> {
    #[serde(borrow)]
    op: Cow<'a, str>,
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(borrow, default)]
    from: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
}

/// The text after all operations.
pub(super) fn apply(text: &str, patch: &str) -> Result<String> {
    let operations: Vec<Operation> = serde_json::from_str(patch).map_err(|error| {
        let what = words::of_json(&error);
        bad_request(&format!("the body is no JSON Patch: {what}"))
    })?;
    let mut text = text.to_owned();
    for (index, operation) in operations.iter().enumerate() {
        text = perform(&text, operation).map_err(|words| {
            let words = format!("operation {} ({}): {words}", index + 1, operation.op);
            Answer::outcome(422, "processing", &words)
        })?;
    }
    Ok(text)
}

fn perform(text: &str, operation: &Operation) -> std::result::Result<String, String> {
    let path = pointer(&operation.path)?;
    let value = || operation.value.map(RawValue::get).ok_or("it has no value");
    let from = || pointer(operation.from.as_deref().ok_or("it has no from")?);
    match operation.op.as_ref() {
        "add" => edit(text, &path, Edit::Add(value()?)),
        "replace" => edit(text, &path, Edit::Replace(value()?)),
        "remove" => edit(text, &path, Edit::Remove),
        "copy" => edit(text, &path, Edit::Add(at(text, &from()?)?)),
        "move" => edit(
            &edit(text, &from()?, Edit::Remove)?,
            &path,
            Edit::Add(at(text, &from()?)?),
        ),
        "test" => {
            let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
            if read(at(text, &path)?) == read(value()?) {
                return Ok(text.to_owned());
            }
            Err(format!("{} has another value", operation.path))
        }
        _ => Err("there is no such operation".to_owned()),
    }
}

/// The steps of a JSON Pointer (RFC 6901).
fn pointer(text: &str) -> std::result::Result<Vec<String>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let steps = text
        .strip_prefix('/')
        .ok_or_else(|| format!("{text} is no JSON Pointer"))?;
    let unescaped = |step: &str| step.replace("~1", "/").replace("~0", "~");
    Ok(steps.split('/').map(unescaped).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"a":1.00,"list":[{"b":2.50},3],"~/":"x"}"#;

    #[test]
    fn operations_change_their_place_only() {
        for (patch, changed) in [
            (
                r#"{"op":"add","path":"/c","value":7.0}"#,
                r#"{"a":1.00,"list":[{"b":2.50},3],"~/":"x","c":7.0}"#,
            ),
            (
                r#"{"op":"add","path":"/list/-","value":4}"#,
                r#"{"a":1.00,"list":[{"b":2.50},3,4],"~/":"x"}"#,
            ),
            (
                r#"{"op":"add","path":"/list/0","value":4}"#,
                r#"{"a":1.00,"list":[4,{"b":2.50},3],"~/":"x"}"#,
            ),
            (
                r#"{"op":"replace","path":"/list/0/b","value":2.5}"#,
                r#"{"a":1.00,"list":[{"b":2.5},3],"~/":"x"}"#,
            ),
            (
                r#"{"op":"remove","path":"/list/1"}"#,
                r#"{"a":1.00,"list":[{"b":2.50}],"~/":"x"}"#,
            ),
            (
                r#"{"op":"remove","path":"/~0~1"}"#,
                r#"{"a":1.00,"list":[{"b":2.50},3]}"#,
            ),
            (
                r#"{"op":"move","from":"/a","path":"/d"}"#,
                r#"{"list":[{"b":2.50},3],"~/":"x","d":1.00}"#,
            ),
            (
                r#"{"op":"copy","from":"/list/0/b","path":"/a"}"#,
                r#"{"a":2.50,"list":[{"b":2.50},3],"~/":"x"}"#,
            ),
            (r#"{"op":"test","path":"/a","value":1.0}"#, TEXT),
        ] {
            assert_eq!(
                apply(TEXT, &format!("[{patch}]")).unwrap(),
                changed,
                "{patch}"
            );
        }
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for (patch, status) in [
            (r#"[{"op":"test","path":"/a","value":2}]"#, 422),
            (r#"[{"op":"replace","path":"/nothing","value":2}]"#, 422),
            (r#"[{"op":"remove","path":"/list/2"}]"#, 422),
            (r#"[{"op":"add","path":"/list/9","value":1}]"#, 422),
            (r#"[{"op":"add","path":"/a/b","value":1}]"#, 422),
            (r#"[{"op":"add","path":"/c"}]"#, 422),
            (r#"[{"op":"sing","path":"/a"}]"#, 422),
            (r#"{"op":"remove","path":"/a"}"#, 400),
        ] {
            assert_eq!(apply(TEXT, patch).unwrap_err().status, status, "{patch}");
        }
    }
}
