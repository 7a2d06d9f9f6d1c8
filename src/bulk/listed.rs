//! A file that the `manifest.json` of an export lists: where it is, and whether it is what the export wrote. Whoever
//! reads such a folder asks here, to verify it or to import it.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use crate::words;

/// A file that a manifest says is here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Listed {
    /// Its path below the folder; none for a file that never came.
    pub path: Option<String>,
    /// Bytes on disk.
    pub bytes: Option<u64>,
    /// Resources that were counted in it.
    pub resources: Option<u64>,
    /// Of its lines, before they were compressed.
    pub sha256: Option<String>,
    /// Where it came from, without a query.
    #[serde(default)]
    pub url: String,
}

impl Listed {
    /// Where the file is, when that is below the folder: a manifest may come from anywhere.
    ///
    /// # Errors
    /// What is wrong with the path, in words.
    pub fn place(&self, folder: &Path) -> Result<PathBuf, String> {
        let path = self.path.as_deref().ok_or("it never came")?;
        let path = Path::new(path);
        let is_plain = path
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !is_plain || path.as_os_str().is_empty() {
            return Err("its path leads out of the folder".to_owned());
        }
        let place = folder.join(path);
        let real = fs::canonicalize(&place).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "it is not there".to_owned(),
            _ => error.to_string(),
        })?;
        let root = fs::canonicalize(folder).map_err(|error| error.to_string())?;
        if !real.starts_with(root) {
            return Err("it is a link that leads out of the folder".to_owned());
        }
        Ok(place)
    }

    /// Compares the length alone, which costs nothing.
    ///
    /// # Errors
    /// What differs, in words.
    pub fn check_length(&self, place: &Path) -> Result<u64, String> {
        let there = fs::metadata(place).map_err(|error| error.to_string())?;
        if !there.is_file() {
            return Err("it is no file".to_owned());
        }
        match self.bytes {
            Some(bytes) if bytes != there.len() => Err(format!(
                "it has {} bytes, and the manifest says {bytes}",
                there.len()
            )),
            _ => Ok(there.len()),
        }
    }

    /// Compares what was counted and digested of its lines, after they were unpacked.
    ///
    /// # Errors
    /// What differs, in words.
    pub fn check_lines(&self, resources: Option<u64>, sha256: &str) -> Result<(), String> {
        if let (Some(promised), Some(resources)) = (self.resources, resources)
            && promised != resources
        {
            return Err(format!(
                "it holds {resources} resources, and the manifest says {promised}"
            ));
        }
        match &self.sha256 {
            Some(promised) if !promised.eq_ignore_ascii_case(sha256) => Err(format!(
                "its SHA-256 is {sha256}, and the manifest says {}",
                words::shortened(promised)
            )),
            _ => Ok(()),
        }
    }
}
