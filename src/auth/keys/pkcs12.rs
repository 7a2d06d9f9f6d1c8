//! PKCS#12 files (RFC 7292), as Windows, Java and vendors' portals hand out keys with their certificates.

use std::path::Path;

use p12_keystore::error::Error;
use p12_keystore::{CertificateBag, Pkcs12Archive};

use super::{Key, KeyError, Passphrase, pem};

/// What a file holds, as DER.
pub(super) struct Contents {
    /// Private keys as PKCS#8, each with its certificate and those above it.
    pub(super) keys: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
}

/// Whether bytes are such a file: a SEQUENCE that begins with the version 3.
pub(super) fn is(bytes: &[u8]) -> bool {
    // `30 80` and `30 8n …`: files of Java and Windows are longer than 127 bytes.
    let [0x30, length, rest @ ..] = bytes else {
        return false;
    };
    let skipped = usize::from(length & 0x7f);
    *length >= 0x80
        && rest
            .get(skipped..)
            .is_some_and(|rest| rest.starts_with(&[2, 1, 3]))
}

/// The private keys of a file.
///
/// # Errors
/// It does not open, is damaged, or holds no key that can be used.
pub(super) fn read(
    path: &Path,
    bytes: &[u8],
    passphrase: &Passphrase,
) -> Result<Vec<Key>, KeyError> {
    let contents = open(path, bytes, passphrase)?;
    contents
        .keys
        .iter()
        .map(|(key, _)| pem::pkcs8_private(path, key))
        .collect()
}

/// Opens a file: with an empty passphrase, else with the one there is.
///
/// # Errors
/// It does not open, is damaged, or holds no private key.
pub(super) fn open(
    path: &Path,
    bytes: &[u8],
    passphrase: &Passphrase,
) -> Result<Contents, KeyError> {
    let archive = match Pkcs12Archive::from_pkcs12(bytes, "") {
        Ok(archive) => archive,
        Err(error) if is_about_passphrase(&error) => {
            let passphrase = passphrase.of(path)?;
            Pkcs12Archive::from_pkcs12(bytes, passphrase.expose())
                .map_err(|error| key_error(path, &error))?
        }
        Err(error) => return Err(key_error(path, &error)),
    };
    if archive.keys.is_empty() {
        return Err(unusable(path, "it is a PKCS#12 file without a private key"));
    }
    let one = archive.keys.len() == 1;
    let keys = archive
        .keys
        .iter()
        .map(|key| {
            let id = key.local_key_id.as_ref().map(AsRef::as_ref);
            let key = key.key.as_der().to_vec();
            (key, chain(&archive.certs, id, one))
        })
        .collect();
    Ok(Contents { keys })
}

/// The certificate of a key and those that issued it, in that order. Without an id the only key has the first one.
fn chain(certs: &[CertificateBag], id: Option<&[u8]>, is_only_key: bool) -> Vec<Vec<u8>> {
    let own = certs
        .iter()
        .find(|cert| id.is_some() && cert.local_key_id.as_deref() == id)
        .or_else(|| certs.first().filter(|_| is_only_key));
    let Some(own) = own else { return Vec::new() };
    let mut chain = vec![&own.cert];
    while let Some(issuer) = certs.iter().map(|bag| &bag.cert).find(|cert| {
        let last = chain[chain.len() - 1];
        cert.subject() == last.issuer() && !chain.contains(cert)
    }) {
        chain.push(issuer);
    }
    chain.iter().map(|cert| cert.as_der().to_vec()).collect()
}

/// Whether another passphrase may help. Files without a MAC tell by what comes out.
fn is_about_passphrase(error: &Error) -> bool {
    matches!(
        error,
        Error::MacError(_) | Error::UnpadError | Error::Pkcs5Error(_) | Error::DerError(_)
    )
}

fn key_error(path: &Path, error: &Error) -> KeyError {
    let path = path.to_owned();
    match error {
        Error::MacError(_) | Error::UnpadError | Error::Pkcs5Error(_) => {
            KeyError::WrongPassphrase { path }
        }
        Error::UnsupportedEncryptionScheme | Error::UnsupportedMacAlgorithm => {
            KeyError::UnknownEncryption { path }
        }
        _ => unusable(
            &path,
            "it is a PKCS#12 file that is damaged or holds what is not supported",
        ),
    }
}

fn unusable(path: &Path, reason: &str) -> KeyError {
    KeyError::Unusable {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_told_apart() {
        assert!(is(&[0x30, 0x82, 0x0a, 0x0b, 2, 1, 3, 0x30]));
        assert!(is(&[0x30, 0x80, 2, 1, 3]));
        for other in [
            &b""[..],
            b"0",
            b"{",
            b"-----BEGIN ",
            &[0x30, 0x82, 1],
            &[0x30, 3, 2, 1, 3],
        ] {
            assert!(!is(other));
        }
        let damaged = [&[0x30, 0x82, 0, 4, 2, 1, 3][..], b"x"].concat();
        assert!(open(Path::new("x"), &damaged, &Passphrase::default()).is_err());
    }
}
