//! New keys, as PKCS#8 PEM or as JWK.

use std::fmt::Write as _;
use std::path::Path;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::EcdsaKeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Curve, Key, KeyError, jwk, pem};
use crate::files;
use crate::place::output::{self, Named};

/// The kinds of keys that SMART asks servers to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RSA with 3072 bits.
    Rs384,
    /// EC on P-384.
    Es384,
}

/// A key that is in no file yet.
#[derive(Debug)]
pub struct NewKey {
    pub key: Key,
    pkcs8: Vec<u8>,
}

impl NewKey {
    /// Makes a key for a file that is not there yet.
    ///
    /// # Errors
    /// There is a file at `path` already, or the system has no randomness to give.
    pub fn generate(kind: Kind, path: &Path) -> Result<Self, KeyError> {
        let path = path.to_owned();
        // A symlink is not followed, as it may be somebody's who wants to choose where the key lies.
        if !is_through(&path) && path.symlink_metadata().is_ok() {
            return Err(KeyError::Exists { path });
        }
        if !files::folder_of(&path).is_dir() {
            return Err(KeyError::NoFolder { path });
        }
        let failed = || KeyError::Unwritable {
            path: path.clone(),
            reason: "the key could not be made".into(),
        };
        let pkcs8 = match kind {
            Kind::Rs384 => {
                let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa3072).map_err(|_| failed())?;
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| failed())?;
                der.as_ref().to_vec()
            }
            Kind::Es384 => {
                let pair = EcdsaKeyPair::generate(pem::signing(Curve::P384));
                let der = pair
                    .and_then(|pair| pair.to_pkcs8v1())
                    .map_err(|_| failed())?;
                der.as_ref().to_vec()
            }
        };
        Ok(Self {
            key: pem::pkcs8_private(&path, &pkcs8)?,
            pkcs8,
        })
    }

    /// Writes the key to a file that must not be there: for its owner alone, as JWK when its name says so.
    ///
    /// # Errors
    /// The file is there already or cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), KeyError> {
        let text = if is_jwk(path) {
            let jwk = jwk::private(&self.key).map(Value::Object);
            format!("{:#}\n", jwk.unwrap_or_default())
        } else {
            self.pem()
        };
        let written = if is_through(path) {
            output::write(path, text.as_bytes())
        } else {
            files::create(path, text.as_bytes())
        };
        written.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => KeyError::Exists {
                path: path.to_owned(),
            },
            _ => KeyError::Unwritable {
                path: path.to_owned(),
                reason: error.to_string(),
            },
        })
    }

    fn pem(&self) -> String {
        let mut pem = String::new();
        write_pem(&mut pem, "PRIVATE KEY", &self.pkcs8);
        pem
    }
}

/// Adds a block in lines of 64 characters (RFC 7468 §2).
pub(super) fn write_pem(pem: &mut String, label: &str, der: &[u8]) {
    let base64 = STANDARD.encode(der);
    let mut rest = base64.as_str();
    let _ = writeln!(pem, "-----BEGIN {label}-----");
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    let _ = writeln!(pem, "-----END {label}-----");
}

/// Whether a path is a device or a FIFO, which is written through.
fn is_through(path: &Path) -> bool {
    Named::of(path).is_ok_and(|named| named.is_through())
}

/// Whether a file of this name holds JSON.
pub fn is_jwk(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        ["jwk", "json"].contains(&extension.to_string_lossy().to_lowercase().as_str())
    })
}
