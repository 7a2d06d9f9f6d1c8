//! The file that `--output` names.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::place;

/// Writes an output, whole and private where it is a plain file: an answer may hold health data.
pub(super) fn write(path: &Path, contents: &[u8]) -> anyhow::Result<()> {
    let result = place::output::write(path, contents);
    result.with_context(|| format!("cannot write {}", path.display()))
}

/// Writes an output in pieces; a plain file gets its name when all is there.
pub(super) struct OutputFile {
    output: place::output::Output,
    path: PathBuf,
}

impl OutputFile {
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let output = place::output::Output::open(path);
        Ok(Self {
            output: output.with_context(|| format!("cannot write {}", path.display()))?,
            path: path.to_owned(),
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.output
            .write_all(bytes)
            .with_context(|| format!("cannot write {}", self.path.display()))
    }

    pub(super) fn finish(self) -> anyhow::Result<()> {
        self.output
            .finish()
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}
