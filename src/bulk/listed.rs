//! A file that the `manifest.json` of an export lists: where it is, and whether it is what the export wrote. Whoever
//! reads such a folder asks here, to verify it or to import it.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::bulk::digest::{Algorithm, Compared, Digest};
use crate::place;
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
    /// Of its lines, before they were compressed. Whatever stands there is looked at by [`Listed::digests`].
    digest: Option<Value>,
    /// The same, as versions wrote it that knew no other.
    sha256: Option<Value>,
    /// Where it came from, without a query.
    #[serde(default)]
    pub url: String,
}

impl Listed {
    /// A file of which nothing is known but these.
    pub fn of(path: &str, bytes: u64, digest: Option<Digest>) -> Self {
        Self {
            path: Some(path.to_owned()),
            bytes: Some(bytes),
            resources: None,
            digest: digest.map(|digest| digest.as_json()),
            sha256: None,
            url: String::new(),
        }
    }

    /// Where the file is, when that is below the folder: a manifest may come from anywhere.
    ///
    /// # Errors
    /// What is wrong with the path, in words.
    pub fn place(&self, folder: &Path) -> Result<PathBuf, String> {
        let path = self.path.as_deref().ok_or("it never came")?;
        let path = Path::new(path);
        if !place::is_name(path) {
            return Err("its path leads out of the folder".to_owned());
        }
        let file = folder.join(path);
        match place::real_within(&file, folder) {
            Ok(Some(_)) => Ok(file),
            Ok(None) => Err("it is a link that leads out of the folder".to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err("it is not there".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Compares the length alone, which costs nothing.
    ///
    /// # Errors
    /// What differs, in words.
    pub fn check_length(&self, file: &Path) -> Result<u64, String> {
        let there = place::look(file).map_err(|error| error.to_string())?;
        let there = there.ok_or("it is no file")?;
        match self.bytes {
            Some(bytes) if bytes != there.bytes => Err(format!(
                "it has {} bytes, and the manifest says {bytes}",
                there.bytes
            )),
            _ => Ok(there.bytes),
        }
    }

    /// The digests that are promised of its lines.
    ///
    /// # Errors
    /// One cannot be compared, in words: what a manifest promises is never passed over.
    pub fn digests(&self) -> Result<Vec<Digest>, String> {
        let mut digests = Vec::new();
        if let Some(promised) = &self.digest {
            let name = promised["algorithm"].as_str().unwrap_or_default();
            let algorithm = Algorithm::named(name).ok_or_else(|| {
                let name = words::shortened(name);
                format!("the manifest has a digest of it by `{name}`, which is not known here")
            })?;
            digests.push(digest(algorithm, &promised["value"])?);
        }
        if let Some(promised) = &self.sha256 {
            let digest = digest(Algorithm::Sha256, promised)?;
            if !digests.contains(&digest) {
                digests.push(digest);
            }
        }
        Ok(digests)
    }

    /// What is to be compared while its lines are read.
    ///
    /// # Errors
    /// Those of [`Listed::digests`].
    pub fn compared(&self) -> Result<Compared, String> {
        self.digests().map(Compared::with)
    }

    /// Compares how many resources were counted in it.
    ///
    /// # Errors
    /// What differs, in words.
    pub fn check_count(&self, resources: u64) -> Result<(), String> {
        match self.resources {
            Some(promised) if promised != resources => Err(format!(
                "it holds {resources} resources, and the manifest says {promised}"
            )),
            _ => Ok(()),
        }
    }
}

fn digest(algorithm: Algorithm, promised: &Value) -> Result<Digest, String> {
    let hex = promised.as_str().unwrap_or_default();
    Digest::of_hex(algorithm, hex).ok_or_else(|| {
        let shown = words::shortened(&promised.to_string());
        format!("the manifest says that its {algorithm} is {shown}, which cannot be one")
    })
}
