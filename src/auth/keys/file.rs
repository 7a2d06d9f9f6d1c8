//! A key file, whatever form its keys have.

use std::path::Path;

use super::{Key, KeyError, Passphrase, armor, jwk, pem, pkcs12};
use crate::profile::secret_file;
use crate::secret;

/// The largest file that is read as keys; a set of a hundred RSA keys is smaller.
const LARGEST: u64 = 1 << 20;

/// Reads all keys of a file, which may be a pipe.
///
/// # Errors
/// The file cannot be read or holds no usable key; an encrypted key does not open.
pub fn read(path: &Path, passphrase: &Passphrase) -> Result<Vec<Key>, KeyError> {
    if secret::is_key(&path.to_string_lossy()) {
        return Err(KeyError::NoPath);
    }
    let bytes = bytes(path)?;
    if pkcs12::is(&bytes) {
        return pkcs12::read(path, &bytes, passphrase);
    }
    parse(path, &text_of(&bytes), passphrase)
}

/// Reads all keys of a text; `path` names it.
///
/// # Errors
/// As [`read`].
pub fn parse(path: &Path, text: &str, passphrase: &Passphrase) -> Result<Vec<Key>, KeyError> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.starts_with('{') {
        jwk::read(path, text)
    } else if armor::is_pem(text) {
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

/// The text of a file; UTF-16 with its mark is what `>` of Windows PowerShell writes.
fn text_of(bytes: &[u8]) -> String {
    let units = |of: fn([u8; 2]) -> u16| {
        let pairs = bytes.chunks_exact(2).skip(1);
        pairs.map(|pair| of([pair[0], pair[1]])).collect::<Vec<_>>()
    };
    match bytes {
        [0xff, 0xfe, ..] => String::from_utf16_lossy(&units(u16::from_le_bytes)),
        [0xfe, 0xff, ..] => String::from_utf16_lossy(&units(u16::from_be_bytes)),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}
