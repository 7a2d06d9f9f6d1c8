//! What is imported: files, folders, patterns, an export's folder, stdin; and the pieces that each holds.

use std::collections::HashMap;
use std::fs::{self};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::bulk::export::{layout, state};
use crate::bulk::import::ImportError;
use crate::bulk::import::read::bundle::{self};
use crate::bulk::import::read::input::Input;

const NDJSON: [&str; 4] = [".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz"];
const JSON: [&str; 2] = [".json", ".json.gz"];
/// Names of what is left out of a folder that are told.
const MOST_NAMED: usize = 5;

/// Every input that the given names stand for, in their order. Names are relative to `folder`.
///
/// # Errors
/// A name that stands for nothing, a folder without data, a pattern that cannot be read.
pub fn list(
    names: &[String],
    folder: Option<&Path>,
    own: &[PathBuf],
    creates_anew: bool,
    notice: &mut dyn FnMut(&str),
) -> Result<Vec<Input>, ImportError> {
    let mut inputs: Vec<Input> = Vec::new();
    for name in names {
        if name == "-" {
            inputs.push(Input {
                path: None,
                is_ndjson: true,
                is_gzip: false,
                creates_anew: false,
            });
            continue;
        }
        let path = folder.map_or_else(|| PathBuf::from(name), |folder| folder.join(name));
        if path.is_dir() {
            inputs.extend(of_folder(&path, own, notice)?);
        } else if path.exists() {
            inputs.push(Input::of(path));
        } else {
            inputs.extend(of_pattern(&path, own)?);
        }
    }
    none_twice(&inputs)?;
    for input in inputs.iter_mut().filter(|input| !input.is_ndjson) {
        let file = input.open().and_then(bundle::holds_lines);
        input.is_ndjson = file.map_err(|error| input.error(error))?;
        input.creates_anew = creates_anew;
    }
    Ok(inputs)
}

/// Makes sure that no file is imported twice, however it is spelled.
fn none_twice(inputs: &[Input]) -> Result<(), ImportError> {
    let mut seen = HashMap::new();
    for input in inputs {
        let place = input.path.as_ref().map(|path| {
            let place = fs::canonicalize(path);
            place.unwrap_or_else(|_| path.clone())
        });
        let Some(first) = seen.insert(place, input.name()) else {
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
    let pattern = path.to_str().ok_or_else(missing)?;
    let found = glob::glob(pattern).map_err(|_| missing())?;
    let inputs: Vec<Input> = found
        .filter_map(Result::ok)
        .filter(|path| path.is_file() && !is_own(path, own))
        .map(Input::of)
        .collect();
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
    if let Some(inputs) = of_manifest(folder)? {
        return Ok(inputs);
    }
    let is_export = is_export(folder, notice)?;
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
    Ok(paths.into_iter().map(Input::of).collect())
}

/// Whether a folder is that of an export, which has to be complete.
fn is_export(folder: &Path, notice: &mut dyn FnMut(&str)) -> Result<bool, ImportError> {
    let place = folder.join(layout::STATE);
    if !place.is_dir() {
        return Ok(false);
    }
    let path = place.join("job.json");
    let state =
        state::document::read_json::<state::State>(&path).map_err(|source| ImportError::Input {
            name: path.display().to_string(),
            source,
        })?;
    match state {
        Some(state) if state.phase != state::Phase::Done => Err(ImportError::IncompleteExport {
            folder: folder.to_owned(),
        }),
        None if !place.join(layout::SERIES).exists() => {
            notice(&format!(
                "An export to {} was stopped: what it brought may not be all",
                folder.display()
            ));
            Ok(true)
        }
        _ => Ok(true),
    }
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
    for entry in fs::read_dir(folder).map_err(problem)? {
        let path = entry.map_err(problem)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.into_owned();
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
        if path.is_dir() {
            left_out.push(format!("{name}/"));
        } else if is_data && path.is_file() {
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

/// Whether a file is one that an import writes: rejects and what the server said to them.
fn is_own(path: &Path, own: &[PathBuf]) -> bool {
    let same = |other: &PathBuf| match (fs::canonicalize(path), fs::canonicalize(other)) {
        (Ok(path), Ok(other)) => path == other,
        _ => path == other,
    };
    own.iter().any(same) || path.to_string_lossy().ends_with(".outcomes.ndjson")
}

/// The files that an export's `manifest.json` lists with the paths they have here.
fn of_manifest(folder: &Path) -> Result<Option<Vec<Input>>, ImportError> {
    #[derive(Deserialize)]
    struct Manifest {
        #[serde(default)]
        output: Vec<Listed>,
        #[serde(default)]
        deleted: Vec<Listed>,
    }
    #[derive(Deserialize)]
    struct Listed {
        path: Option<PathBuf>,
    }
    let path = folder.join(layout::MANIFEST);
    let Ok(text) = fs::read(&path) else {
        return Ok(None);
    };
    let Ok(manifest) = serde_json::from_slice::<Manifest>(&text) else {
        return Ok(None);
    };
    let listed = manifest.output.into_iter().chain(manifest.deleted);
    let Some(paths) = listed
        .map(|listed| listed.path)
        .collect::<Option<Vec<PathBuf>>>()
    else {
        return Ok(None);
    };
    for file in &paths {
        if !folder.join(file).is_file() {
            let (file, manifest) = (folder.join(file), path.display());
            return Err(ImportError::BadRequest(format!(
                "{manifest} lists {}, which is not there",
                file.display()
            )));
        }
    }
    if paths.is_empty() {
        return Ok(None);
    }
    Ok(Some(
        paths
            .into_iter()
            .map(|file| Input::of(folder.join(file)))
            .collect(),
    ))
}
