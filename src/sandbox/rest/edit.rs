//! One place in a JSON text found and changed; the rest stays as it is written.

use std::borrow::Cow;
use std::result::Result;

use serde_json::value::RawValue;

use crate::fhir::object::Object;

#[derive(Clone, Copy)]
pub(super) enum Edit<'a> {
    Add(&'a str),
    Replace(&'a str),
    Remove,
}

/// The text at a path.
pub(super) fn at<'a>(text: &'a str, path: &[String]) -> Result<&'a str, String> {
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

pub(super) fn edit(text: &str, path: &[String], change: Edit) -> Result<String, String> {
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
) -> Result<String, String> {
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

fn members<'a>(text: &'a str, step: &str) -> Result<Vec<(String, &'a RawValue)>, String> {
    let members: std::collections::HashMap<String, &RawValue> =
        serde_json::from_str(text).map_err(|_| missing(step))?;
    Ok(members.into_iter().collect())
}

fn missing(step: &str) -> String {
    format!("there is no {step}")
}
