//! What is imported: files, folders, patterns, an export's folder, stdin; and the pieces that each holds.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::bulk::export::layout;
use crate::bulk::import::ImportError;
use crate::bulk::import::read::asked::Asked;
use crate::bulk::import::read::input::Input;
use crate::bulk::import::read::{bundle, export, pattern};
use crate::place::{self, Place};

const NDJSON: [&str; 4] = [".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz"];
const JSON: [&str; 2] = [".json", ".json.gz"];
/// Names of what is left out of a folder that are told.
const MOST_NAMED: usize = 5;

/// Every input that the given names stand for, in their order. Names are relative to `folder`.
///
/// # Errors
/// A name that stands for nothing, a folder without data, a pattern that cannot be read.
pub fn list(
    names: &[PathBuf],
    folder: Option<&Path>,
    own: &[PathBuf],
    asked: Asked,
    notice: &mut dyn FnMut(&str),
) -> Result<Vec<Input>, ImportError> {
    let mut inputs: Vec<Input> = Vec::new();
    for name in names {
        if name.as_os_str() == "-" {
            inputs.push(Input::stdin());
            continue;
        }
        let path = folder.map_or_else(|| name.clone(), |folder| folder.join(name));
        if place::is_folder(&path) {
            inputs.extend(of_folder(&path, own, notice)?);
        } else if place::leads_somewhere(&path) {
            inputs.push(Input::of(path)?);
        } else {
            inputs.extend(of_pattern(&path, own)?);
        }
    }
    none_twice(&inputs)?;
    for input in &mut inputs {
        input.asked = asked;
        if !input.is_ndjson {
            let file = input.open().and_then(bundle::holds_lines);
            input.is_ndjson = file.map_err(|error| input.error(error))?;
        }
    }
    Ok(inputs)
}

/// Makes sure that no file is imported twice, however it is spelled.
fn none_twice(inputs: &[Input]) -> Result<(), ImportError> {
    let (mut seen, mut files) = (HashMap::new(), HashMap::new());
    for input in inputs {
        let place = input
            .path
            .as_ref()
            .map(|path| place::real(path).unwrap_or_else(|_| path.clone()));
        let found = input.found();
        let linked = found.and_then(|found| files.insert(found, input.name()));
        let Some(first) = seen.insert(place, input.name()).or(linked) else {
            continue;
        };
        let name = input.name();
        return Err(ImportError::BadRequest(if first == name {
            format!("{name} is named twice")
        } else {
            format!("{name} is {first}, which is named already")
        }));
    }
    Ok(())
}

fn of_pattern(path: &Path, own: &[PathBuf]) -> Result<Vec<Input>, ImportError> {
    let missing = || ImportError::BadRequest(format!("there is no {}", path.display()));
    let (folder, found) = pattern::named_by(path)?.ok_or_else(missing)?;
    let paths = found
        .into_iter()
        .filter(|path| place::is_file(path) && !is_own(path, own));
    let inputs = paths.map(|path| Input::within(&folder, path));
    let inputs = inputs.collect::<Result<Vec<Input>, _>>()?;
    if inputs.is_empty() {
        Err(missing())
    } else {
        Ok(inputs)
    }
}

/// A folder's data: what its manifest lists, else its files by name and then those of `deleted`.
fn of_folder(
    folder: &Path,
    own: &[PathBuf],
    notice: &mut dyn FnMut(&str),
) -> Result<Vec<Input>, ImportError> {
    if let Some(inputs) = export::of_manifest(folder, notice)? {
        return Ok(inputs);
    }
    let is_export = export::is_export(folder, notice)?;
    let (mut paths, mut left_out) = of_names(folder, own, is_export)?;
    if let Some(at) = left_out.iter().position(|name| name == "deleted/") {
        let (deleted, others) = of_names(&folder.join("deleted"), own, true)?;
        paths.extend(deleted);
        left_out.splice(at..=at, others.iter().map(|name| format!("deleted/{name}")));
    }
    let names = some_of(&left_out);
    match (paths.is_empty(), left_out.is_empty()) {
        (false, true) => {}
        (false, false) => notice(&format!("Left out of {}: {names}", folder.display())),
        (true, is_empty) => {
            let but = if is_empty {
                String::new()
            } else {
                format!(", only {names}")
            };
            return Err(ImportError::BadRequest(format!(
                "{} holds no data files{but}",
                folder.display()
            )));
        }
    }
    let inputs = paths.into_iter();
    inputs.map(|path| Input::within(folder, path)).collect()
}

/// The data files of a folder and the names of what else it holds, in order.
fn of_names(
    folder: &Path,
    own: &[PathBuf],
    is_export: bool,
) -> Result<(Vec<PathBuf>, Vec<String>), ImportError> {
    let problem = |source| ImportError::Input {
        name: folder.display().to_string(),
        source,
    };
    let (mut paths, mut left_out) = (Vec::new(), Vec::new());
    for entry in Place::new(folder).names().map_err(problem)? {
        let path = folder.join(&entry.name);
        let name = entry.name.to_string_lossy().into_owned();
        let is_about = name == layout::MANIFEST
            || is_export && [layout::LOG, layout::ATTACHMENT_INDEX].contains(&name.as_str())
            || is_own(&path, own);
        if name.starts_with('.') || is_about {
            continue;
        }
        let lower = name.to_ascii_lowercase();
        let has = |suffixes: &[&str]| suffixes.iter().any(|suffix| lower.ends_with(suffix));
        // An export holds NDJSON; what else lies there is about it.
        let is_data = has(&NDJSON) || !is_export && has(&JSON);
        if place::is_folder(&path) {
            left_out.push(format!("{name}/"));
        } else if is_data && place::is_file(&path) {
            paths.push(path);
        } else {
            left_out.push(name);
        }
    }
    paths.sort();
    left_out.sort();
    Ok((paths, left_out))
}

/// The first few names, and how many more there are.
fn some_of(names: &[String]) -> String {
    let (shown, rest) = names.split_at(names.len().min(MOST_NAMED));
    match rest.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Whether a file is one that this import writes: its rejects and what the server said to them.
fn is_own(path: &Path, own: &[PathBuf]) -> bool {
    own.iter().any(|other| place::is_same(path, other))
}
