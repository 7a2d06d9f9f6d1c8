//! Where the passphrase of an encrypted key comes from; nobody is asked before a key turns out to be encrypted.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::KeyError;
use crate::profile::secret_file;
use crate::secret::Secret;

/// Asks a person.
pub trait Prompt: Debug + Send + Sync {
    /// The passphrase as it was typed; `None` when there is nobody to ask.
    fn passphrase(&self, key: &Path) -> Option<io::Result<String>>;
}

/// The ways to a passphrase, the strongest first.
#[derive(Clone, Debug, Default)]
pub struct Passphrase {
    pub file: Option<PathBuf>,
    pub value: Option<Secret>,
    pub prompt: Option<Arc<dyn Prompt>>,
}

impl Passphrase {
    /// The passphrase of the key in this file.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub(super) fn of(&self, key: &Path) -> Result<Secret, KeyError> {
        if let Some(path) = &self.file {
            return from_file(path);
        }
        if let Some(value) = &self.value {
            return Ok(value.clone());
        }
        let typed = self
            .prompt
            .as_ref()
            .and_then(|prompt| prompt.passphrase(key));
        match typed {
            Some(Ok(typed)) if !typed.is_empty() => Ok(Secret::new(typed)),
            Some(Err(error)) => Err(KeyError::Unusable {
                path: key.to_owned(),
                reason: format!("no passphrase could be read: {error}"),
            }),
            _ => Err(KeyError::Encrypted {
                path: key.to_owned(),
            }),
        }
    }
}

fn from_file(path: &Path) -> Result<Secret, KeyError> {
    let failed = |reason: String| KeyError::PassphraseFile {
        path: path.to_owned(),
        reason,
    };
    secret_file::read(path).map_err(failed)
}
