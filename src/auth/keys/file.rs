//! A key file, whatever form its keys have.

use std::path::Path;

use super::{Key, KeyError, Passphrase, jwk, pem, pkcs12};
use crate::profile::secret_file;

/// The largest file that is read as keys; a set of a hundred RSA keys is smaller.
const LARGEST: u64 = 1 << 20;

/// Reads all keys of a file.
///
/// # Errors
/// The file cannot be read or holds no usable key; an encrypted key does not open.
pub fn read(path: &Path, passphrase: &Passphrase) -> Result<Vec<Key>, KeyError> {
    let bytes = bytes(path)?;
    if pkcs12::is(&bytes) {
        return pkcs12::read(path, &bytes, passphrase);
    }
    parse(path, &String::from_utf8_lossy(&bytes), passphrase)
}

/// Reads all keys of a text; `path` names it.
///
/// # Errors
/// As [`read`].
pub fn parse(path: &Path, text: &str, passphrase: &Passphrase) -> Result<Vec<Key>, KeyError> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.starts_with('{') {
        jwk::read(path, text)
    } else if text.contains("-----BEGIN ") {
        pem::read(path, text, passphrase)
    } else {
        Err(KeyError::NoKey {
            path: path.to_owned(),
        })
    }
}

/// What a file of keys or certificates holds.
///
/// # Errors
/// It cannot be read, or is too large for one.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, KeyError> {
    secret_file::bytes(path, LARGEST).map_err(|error| KeyError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}
