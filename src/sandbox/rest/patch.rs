//! JSON Patch on text (RFC 6902): what is not patched keeps its digits.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::answer::{Answer, Result, bad_request};
use crate::fhir::object::Object;

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

#[derive(Clone, Copy)]
enum Edit<'a> {
    Add(&'a str),
    Replace(&'a str),
    Remove,
}

/// The text after all operations.
pub(super) fn apply(text: &str, patch: &str) -> Result<String> {
    let operations: Vec<Operation> = serde_json::from_str(patch)
        .map_err(|error| bad_request(&format!("the body is no JSON Patch: {error}")))?;
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

/// The text at a path.
fn at<'a>(text: &'a str, path: &[String]) -> std::result::Result<&'a str, String> {
    let Some((step, rest)) = path.split_first() else {
        return Ok(text);
    };
    if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text) {
        let item = step.parse().ok().and_then(|index: usize| items.get(index));
        return at(item.ok_or_else(|| missing(step))?.get(), rest);
    }
    let members = members(text, step)?;
    let member = members.iter().find(|(name, _)| name == step);
    at(member.ok_or_else(|| missing(step))?.1.get(), rest)
}

fn edit(text: &str, path: &[String], change: Edit) -> std::result::Result<String, String> {
    let Some((step, rest)) = path.split_first() else {
        return match change {
            Edit::Add(value) | Edit::Replace(value) => Ok(value.to_owned()),
            Edit::Remove => Err("all of it cannot go".to_owned()),
        };
    };
    if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text) {
        let items = items.into_iter().map(RawValue::get).collect();
        return edit_array(items, step, rest, change);
    }
    let mut object = Object::parse(text).map_err(|_| missing(step))?;
    let before = object.get(step).map(str::to_owned);
    match (before, change) {
        (None, Edit::Add(value)) if rest.is_empty() => object.set(step, value.to_owned()),
        (None, _) => return Err(missing(step)),
        (Some(_), Edit::Remove) if rest.is_empty() => object.remove(step),
        (Some(before), change) => object.set(step, edit(&before, rest, change)?),
    }
    Ok(object.to_string())
}

fn edit_array(
    items: Vec<&str>,
    step: &str,
    rest: &[String],
    change: Edit,
) -> std::result::Result<String, String> {
    let mut items: Vec<Cow<str>> = items.into_iter().map(Cow::Borrowed).collect();
    let index = match step {
        "-" => Some(items.len()),
        step => step.parse().ok(),
    };
    let index = index.ok_or_else(|| missing(step))?;
    match change {
        Edit::Add(value) if rest.is_empty() && index <= items.len() => {
            items.insert(index, value.into());
        }
        _ if index >= items.len() => return Err(missing(step)),
        Edit::Remove if rest.is_empty() => {
            items.remove(index);
        }
        change => items[index] = edit(&items[index], rest, change)?.into(),
    }
    Ok(format!("[{}]", items.join(",")))
}

fn members<'a>(
    text: &'a str,
    step: &str,
) -> std::result::Result<Vec<(String, &'a RawValue)>, String> {
    let members: std::collections::HashMap<String, &RawValue> =
        serde_json::from_str(text).map_err(|_| missing(step))?;
    Ok(members.into_iter().collect())
}

fn missing(step: &str) -> String {
    format!("there is no {step}")
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
