//! What is imported: files, folders, patterns, an export's folder, stdin; and the pieces that each holds.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;

use super::bundle_file::{self, Shape};
use super::{ImportError, line};
use crate::bulk::export::{layout, state};

/// Bytes that are read at a time.
const BUFFER: usize = 256 * 1024;
/// No line may be longer: a resource has to fit into memory.
const LONGEST_LINE: usize = 128 << 20;
/// How gzip begins (RFC 1952 §2.3.1).
const GZIP: &[u8] = b"\x1f\x8b";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const NDJSON: [&str; 4] = [".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz"];
const JSON: [&str; 2] = [".json", ".json.gz"];
/// Names of what is left out of a folder that are told.
const MOST_NAMED: usize = 5;

/// One file, or stdin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// `None` is stdin.
    pub path: Option<PathBuf>,
    /// By its name, or because it holds lines.
    pub is_ndjson: bool,
    pub is_gzip: bool,
    /// Whether each resource becomes a new one, so that an entry's `ifNoneExist` would be lost.
    pub creates_anew: bool,
}

/// What one place in an input holds.
#[derive(Debug)]
pub enum Piece<'a> {
    Resource {
        text: &'a [u8],
        /// Its name within the Bundle it lies in.
        full_url: Option<String>,
    },
    /// A resource to delete, by the URL relative to the FHIR base.
    Deletion { url: String },
    /// Something that cannot be sent, and why.
    Bad { text: &'a [u8], problem: String },
}

impl Input {
    fn of(path: PathBuf) -> Self {
        let extension = |path: &Path| path.extension().unwrap_or_default().to_ascii_lowercase();
        let is_gzip = extension(&path) == "gz";
        let inner = if is_gzip {
            path.with_extension("")
        } else {
            path.clone()
        };
        let is_json = extension(&inner) == "json";
        Self {
            path: Some(path),
            is_ndjson: !is_json,
            is_gzip,
            creates_anew: false,
        }
    }

    /// The input as messages name it.
    pub fn name(&self) -> String {
        self.path
            .as_ref()
            .map_or_else(|| "-".to_owned(), |path| path.display().to_string())
    }

    fn error(&self, source: io::Error) -> ImportError {
        ImportError::Input {
            name: self.name(),
            source,
        }
    }

    fn open(&self) -> io::Result<Box<dyn BufRead>> {
        let Some(path) = &self.path else {
            let mut stdin = BufReader::with_capacity(BUFFER, io::stdin());
            // It has no name that tells; no text begins like that.
            let is_gzip = stdin.fill_buf()?.starts_with(GZIP);
            return Ok(if is_gzip {
                Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(stdin)))
            } else {
                Box::new(stdin)
            });
        };
        let file = BufReader::with_capacity(BUFFER, File::open(path)?);
        Ok(if self.is_gzip {
            Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(file)))
        } else {
            Box::new(file)
        })
    }

    /// Visits the pieces in their order, each with its line (of a Bundle: its entry), from 1.
    ///
    /// # Errors
    /// The input cannot be read, is cut short, or what `visit` says.
    pub fn visit(
        &self,
        visit: &mut dyn FnMut(u64, Piece) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        if self.is_ndjson {
            return self.visit_lines(visit);
        }
        let shape = bundle_file::shape(self.open().map_err(|error| self.error(error))?);
        let reader = self.open().map_err(|error| self.error(error))?;
        match shape.map_err(|error| self.error(error))? {
            Shape::Entries => {
                let problem = |error| self.error(error);
                bundle_file::visit(reader, self.creates_anew, problem, visit)
            }
            Shape::Resource => {
                let mut text = Vec::new();
                let limit = LONGEST_LINE as u64 + 1;
                reader
                    .take(limit)
                    .read_to_end(&mut text)
                    .map_err(|error| self.error(error))?;
                if text.len() > LONGEST_LINE {
                    return Err(self.error(too_long(1)));
                }
                let text = line::trimmed(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text));
                if text.is_empty() {
                    return Ok(());
                }
                visit_resource(1, text, visit)
            }
        }
    }

    fn visit_lines(
        &self,
        visit: &mut dyn FnMut(u64, Piece) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let mut reader = self.open().map_err(|error| self.error(error))?;
        let (mut text, mut number) = (Vec::new(), 0);
        loop {
            text.clear();
            number += 1;
            let limit = LONGEST_LINE as u64 + 1;
            let length = (&mut reader)
                .take(limit)
                .read_until(b'\n', &mut text)
                .map_err(|error| self.error(error))?;
            if length == 0 {
                return Ok(());
            }
            if length > LONGEST_LINE {
                return Err(self.error(too_long(number)));
            }
            let mut line = &text[..];
            if number == 1 {
                line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
            }
            let line = line::trimmed(line);
            if !line.is_empty() {
                visit_resource(number, line, visit)?;
            }
        }
    }
}

fn too_long(line: u64) -> io::Error {
    io::Error::other(format!("line {line} is longer than {LONGEST_LINE} bytes"))
}

/// A whole resource; a transaction of nothing but deletions is what Bulk Data's `deleted` files hold (IG, "deleted").
fn visit_resource(
    number: u64,
    text: &[u8],
    visit: &mut dyn FnMut(u64, Piece) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    if line::quick_type(text) == "Bundle"
        && let Some(deletions) = bundle_file::deletions(text)
    {
        return deletions.into_iter().try_for_each(|deletion| {
            let piece = match deletion {
                Ok(url) => Piece::Deletion { url },
                Err(problem) => Piece::Bad { text, problem },
            };
            visit(number, piece)
        });
    }
    visit(
        number,
        Piece::Resource {
            text,
            full_url: None,
        },
    )
}

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
        let file = input.open().and_then(bundle_file::holds_lines);
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
