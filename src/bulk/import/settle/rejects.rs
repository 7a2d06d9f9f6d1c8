//! What was refused or is unknown: the lines, to be tried again, and beside them what the server said.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::bulk::import::ImportError;
use crate::bulk::import::batch::quoted;
use crate::bulk::import::piece::{Action, Item};
use crate::bulk::import::read::input::Input;
use crate::output::json;

/// The name of the lines' file while the final one is being read.
const NAME: &str = "rejects.ndjson";

/// The two files, made when the first line comes.
#[derive(Debug)]
pub struct Rejects {
    /// Where they lie in the end.
    final_path: PathBuf,
    /// Where they are written: elsewhere when the final file is being read.
    path: PathBuf,
    files: Option<(File, File)>,
    lengths: (u64, u64),
}

/// Where the outcomes of a rejects file stand: `rejects.ndjson` has `rejects.outcomes.ndjson` beside it.
pub fn outcomes_path(rejects: &Path) -> PathBuf {
    let name = rejects
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let name = name.strip_suffix(".ndjson").unwrap_or(&name);
    rejects.with_file_name(OsString::from(format!("{name}.outcomes.ndjson")))
}

impl Rejects {
    /// Rejects that go to `path`, after `lengths` bytes that an earlier run of the same import wrote.
    ///
    /// # Errors
    /// The file holds what another import left, or what is no rejects file is to be replaced.
    pub fn new(
        path: &Path,
        inputs: &[Input],
        state: &Path,
        lengths: (u64, u64),
        is_resumed: bool,
    ) -> Result<Self, ImportError> {
        let is_input = is_among(path, inputs);
        if is_input || !is_resumed {
            check(path, inputs)?;
        }
        let mut rejects = Self {
            final_path: path.to_owned(),
            path: if is_input {
                state.join(NAME)
            } else {
                path.to_owned()
            },
            files: None,
            lengths,
        };
        if !is_resumed && is_input {
            rejects.lengths = (0, 0);
            rejects.discard();
        } else if is_resumed && (rejects.path.exists() || lengths != (0, 0)) {
            rejects.open()?;
        }
        Ok(rejects)
    }

    /// Writes a line and what was said to it. It counts only once the journal names the new lengths.
    ///
    /// # Errors
    /// The disk.
    pub fn add(
        &mut self,
        item: &Item,
        text: &[u8],
        input: &Input,
        status: Option<u16>,
        result: &str,
        outcome: &str,
    ) -> Result<(), ImportError> {
        let (mut line, mut said) = (line_of(item, text), Vec::new());
        line.push(b'\n');
        let id = item.id.as_deref().map_or("null".to_owned(), quoted);
        let status = status.map_or("null".to_owned(), |status| status.to_string());
        writeln!(
            said,
            r#"{{"file":{},"line":{},"type":{},"id":{id},"status":{status},"result":"{result}","outcome":{outcome}}}"#,
            quoted(&input.name()),
            item.line,
            quoted(&item.resource_type),
        )
        .map_err(|source| ImportError::disk(&self.path, source))?;
        if self.files.is_none() {
            self.open()?;
        }
        let Some((lines, outcomes)) = &mut self.files else {
            return Ok(());
        };
        lines
            .write_all(&line)
            .and_then(|()| outcomes.write_all(&said))
            .map_err(|source| ImportError::disk(&self.path, source))?;
        self.lengths.0 += line.len() as u64;
        self.lengths.1 += said.len() as u64;
        Ok(())
    }

    /// The lengths of both files.
    pub fn lengths(&self) -> (u64, u64) {
        self.lengths
    }

    /// Ends both files; where they will lie, when something was rejected.
    ///
    /// # Errors
    /// The disk.
    pub fn end(&mut self) -> Result<Option<PathBuf>, ImportError> {
        if let Some((lines, outcomes)) = self.files.take() {
            lines
                .sync_all()
                .and_then(|()| outcomes.sync_all())
                .map_err(|source| ImportError::disk(&self.final_path, source))?;
        }
        if self.lengths == (0, 0) {
            self.discard();
            return Ok(None);
        }
        Ok(Some(self.final_path.clone()))
    }

    /// Whether they are to take the place of the file that was read.
    pub fn replace_input(&self) -> bool {
        self.path != self.final_path
    }

    /// Where lines that were rejected so far stand, when there are any.
    pub fn so_far(&self) -> Option<PathBuf> {
        (self.lengths != (0, 0)).then(|| self.path.clone())
    }

    fn open(&mut self) -> Result<(), ImportError> {
        let disk = |source| ImportError::disk(&self.path, source);
        self.files = Some((
            open_private(&self.path, self.lengths.0).map_err(disk)?,
            open_private(&outcomes_path(&self.path), self.lengths.1).map_err(disk)?,
        ));
        Ok(())
    }

    fn discard(&self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(outcomes_path(&self.path));
    }
}

/// Whether rejects may go to `path`.
///
/// # Errors
/// The file holds what another import left, or what is no rejects file is to be replaced.
pub fn check(path: &Path, inputs: &[Input]) -> Result<(), ImportError> {
    let outcomes = outcomes_path(path);
    let is_free = if is_among(path, inputs) {
        outcomes.is_file()
    } else {
        is_empty(path) && is_empty(&outcomes)
    };
    let path = path.to_owned();
    is_free
        .then_some(())
        .ok_or(ImportError::RejectsThere { path })
}

/// Puts what is left of a rejects file, which was settled, into its place; nothing left removes it. What a run that was
/// killed did of this is not done again.
///
/// # Errors
/// The disk.
pub fn take_place(state: &Path, final_path: &Path, is_none: bool) -> io::Result<()> {
    let path = state.join(NAME);
    let pairs = [
        (outcomes_path(&path), outcomes_path(final_path)),
        (path, final_path.to_owned()),
    ];
    for (from, to) in pairs {
        let done = if is_none {
            fs::remove_file(&to)
        } else {
            move_file(&from, &to)
        };
        match done {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Moves a file, also to another disk.
fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    if fs::rename(from, to).is_ok() {
        return Ok(());
    }
    crate::files::replace(to, &fs::read(from)?)?;
    fs::remove_file(from)
}

/// The line to try again. A resource of a Bundle may stand on many lines there, but not here.
fn line_of(item: &Item, text: &[u8]) -> Vec<u8> {
    if item.action == Action::Delete {
        return format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"request":{{"method":"DELETE","url":{}}}}}]}}"#,
            quoted(&item.url)
        )
        .into_bytes();
    }
    if item.unsent.is_some() {
        // It may be no JSON at all.
        return text
            .iter()
            .map(|byte| {
                if matches!(byte, b'\n' | b'\r') {
                    b' '
                } else {
                    *byte
                }
            })
            .collect();
    }
    match std::str::from_utf8(text) {
        Ok(words) if words.contains(['\n', '\r']) => json::compact(words).into_bytes(),
        _ => text.to_owned(),
    }
}

/// Opens a private file for adding to it at `length`; what stands behind is cut off.
pub fn open_private(path: &Path, length: u64) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let file = options.open(path)?;
    file.set_len(length)?;
    Ok(file)
}

fn is_empty(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |metadata| metadata.len() == 0)
}

fn is_among(path: &Path, inputs: &[Input]) -> bool {
    let Ok(path) = fs::canonicalize(path) else {
        return false;
    };
    let paths = inputs.iter().filter_map(|input| input.path.as_ref());
    paths
        .filter_map(|path| fs::canonicalize(path).ok())
        .any(|other| other == path)
}
