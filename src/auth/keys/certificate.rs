//! What a client shows in TLS: its certificate and key from PEM files, encrypted or not, or from one PKCS#12 file.

use std::path::Path;

use super::{KeyError, Passphrase, file, generate, pem, pkcs12};
use crate::http::ClientCertificate;

/// Reads a certificate and its key, which may stand in the same file.
///
/// # Errors
/// A file cannot be read, or a key does not open.
pub fn read(
    cert: &Path,
    key: Option<&Path>,
    passphrase: &Passphrase,
) -> Result<ClientCertificate, KeyError> {
    let mut text = part(cert, key.is_none(), passphrase)?;
    if let Some(key) = key.filter(|key| *key != cert) {
        text.push(b'\n');
        text.extend(part(key, true, passphrase)?);
    }
    Ok(ClientCertificate::new(cert, text))
}

/// A file as PEM with its keys opened, or without those of a PKCS#12 file when another file has the key.
fn part(path: &Path, with_key: bool, passphrase: &Passphrase) -> Result<Vec<u8>, KeyError> {
    let bytes = file::bytes(path)?;
    if !pkcs12::is(&bytes) {
        return opened(path, &bytes, passphrase);
    }
    let contents = pkcs12::open(path, &bytes, passphrase)?;
    let [(key, chain)] = contents.keys.as_slice() else {
        return Err(KeyError::Unusable {
            path: path.to_owned(),
            reason: "it is a PKCS#12 file with several keys; make one with the key that is meant"
                .into(),
        });
    };
    let mut text = String::new();
    if with_key {
        generate::write_pem(&mut text, "PRIVATE KEY", key);
    }
    for cert in chain {
        generate::write_pem(&mut text, "CERTIFICATE", cert);
    }
    Ok(text.into_bytes())
}

/// A PEM file whose encrypted keys are opened.
fn opened(path: &Path, bytes: &[u8], passphrase: &Passphrase) -> Result<Vec<u8>, KeyError> {
    let mut text = String::new();
    for block in pem::blocks(path, &String::from_utf8_lossy(bytes))? {
        if block.is_old_encryption {
            return Err(KeyError::UnknownEncryption {
                path: path.to_owned(),
            });
        }
        if block.label == "ENCRYPTED PRIVATE KEY" {
            let plain = pem::decrypt(path, &block.der, passphrase)?;
            generate::write_pem(&mut text, "PRIVATE KEY", &plain);
        } else {
            generate::write_pem(&mut text, &block.label, &block.der);
        }
    }
    Ok(text.into_bytes())
}
