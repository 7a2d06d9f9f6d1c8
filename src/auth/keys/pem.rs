//! Keys as PEM (RFC 7468): PKCS#1, PKCS#8 plain and encrypted, SEC1, and public keys.

use std::path::Path;

use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair,
};
use pkcs1::der::Decode;
use pkcs8::der::oid::ObjectIdentifier;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef, SubjectPublicKeyInfoRef};

use super::armor::{self, Block};
use super::{Curve, Key, KeyError, Passphrase, PublicKey};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const SHORTEST_RSA: usize = 2048;

/// The keys of a PEM text; certificates and curve parameters beside them are passed over.
///
/// # Errors
/// A key cannot be used.
pub(super) fn read(path: &Path, text: &str, passphrase: &Passphrase) -> Result<Vec<Key>, KeyError> {
    let mut keys: Vec<Key> = Vec::new();
    let blocks = blocks(path, text)?;
    for block in &blocks {
        if block.is_old_encryption {
            return Err(KeyError::UnknownEncryption {
                path: path.to_owned(),
            });
        }
        let key = match block.label.as_str() {
            "RSA PRIVATE KEY" => rsa_private(path, &block.der)?,
            "EC PRIVATE KEY" => ec_private(path, &block.der)?,
            "PRIVATE KEY" => pkcs8_private(path, &block.der)?,
            "ENCRYPTED PRIVATE KEY" => {
                let plain = decrypt(path, &block.der, passphrase)?;
                pkcs8_private(path, &plain)?
            }
            "PUBLIC KEY" => public(path, &block.der)?,
            _ => continue,
        };
        // A private key often comes with its public part in the same file.
        keys.retain(|other| other.is_private() || other.public != key.public);
        if key.is_private() || keys.iter().all(|other| other.public != key.public) {
            keys.push(key);
        }
    }
    if keys.is_empty() {
        let labels: Vec<&str> = blocks.iter().map(|block| block.label.as_str()).collect();
        return Err(unusable(
            path,
            &format!("it holds {} and no key", labels.join(", ")),
        ));
    }
    Ok(keys)
}

/// An RSA key as PKCS#1 DER.
pub(super) fn rsa_private(path: &Path, der: &[u8]) -> Result<Key, KeyError> {
    let key = pkcs1::RsaPrivateKeyRef::from_der(der)
        .map_err(|_| unusable(path, "its RSA private key is damaged"))?;
    let public = PublicKey::rsa(key.modulus.as_bytes(), key.public_exponent.as_bytes());
    let bits = public.bits();
    if bits < SHORTEST_RSA {
        return Err(KeyError::TooShort {
            path: path.to_owned(),
            bits,
        });
    }
    // Checks that the numbers belong together.
    rsa::KeyPair::from_der(der)
        .map_err(|error| unusable(path, &format!("its RSA private key is refused: {error}")))?;
    Ok(Key::new(public, Some(der.to_vec())))
}

/// An EC key as SEC1 or PKCS#8 DER; the curve is the one it fits.
fn ec_private(path: &Path, der: &[u8]) -> Result<Key, KeyError> {
    Curve::ALL
        .iter()
        .find_map(|curve| {
            let pair = EcdsaKeyPair::from_private_key_der(signing(*curve), der).ok()?;
            from_pair(*curve, &pair)
        })
        .ok_or_else(|| {
            unusable(
                path,
                "it is no EC key on the curves P-256 and P-384, or damaged",
            )
        })
}

/// The key that a checked pair makes.
pub(super) fn from_pair(curve: Curve, pair: &EcdsaKeyPair) -> Option<Key> {
    let public = PublicKey::from_point(curve, pair.public_key().as_ref())?;
    let der = pair.to_pkcs8v1().ok()?;
    Some(Key::new(public, Some(der.as_ref().to_vec())))
}

/// How a curve signs.
pub(super) fn signing(curve: Curve) -> &'static EcdsaSigningAlgorithm {
    match curve {
        Curve::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
        Curve::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
    }
}

/// A private key as PKCS#8 DER.
pub(super) fn pkcs8_private(path: &Path, der: &[u8]) -> Result<Key, KeyError> {
    let info = PrivateKeyInfoRef::try_from(der)
        .map_err(|_| unusable(path, "its PKCS#8 private key is damaged"))?;
    match info.algorithm.oid {
        RSA => rsa_private(path, info.private_key.as_bytes()),
        EC => ec_private(path, der),
        other => Err(unusable(path, &not_for_signing(other))),
    }
}

fn public(path: &Path, der: &[u8]) -> Result<Key, KeyError> {
    let damaged = || unusable(path, "its public key is damaged");
    let info = SubjectPublicKeyInfoRef::try_from(der).map_err(|_| damaged())?;
    let bits = info.subject_public_key.as_bytes().ok_or_else(damaged)?;
    let key = match info.algorithm.oid {
        RSA => {
            let key = pkcs1::RsaPublicKeyRef::from_der(bits).map_err(|_| damaged())?;
            PublicKey::rsa(key.modulus.as_bytes(), key.public_exponent.as_bytes())
        }
        EC => Curve::ALL
            .iter()
            .find_map(|curve| PublicKey::from_point(*curve, bits))
            .ok_or_else(|| unusable(path, "it is no EC key on the curves P-256 and P-384"))?,
        other => return Err(unusable(path, &not_for_signing(other))),
    };
    Ok(Key::new(key, None))
}

pub(super) fn decrypt(
    path: &Path,
    der: &[u8],
    passphrase: &Passphrase,
) -> Result<Vec<u8>, KeyError> {
    let info = EncryptedPrivateKeyInfoRef::try_from(der)
        .ok()
        .filter(|info| info.encryption_algorithm.pbes2().is_some())
        .ok_or_else(|| KeyError::UnknownEncryption {
            path: path.to_owned(),
        })?;
    let passphrase = passphrase.of(path)?;
    info.decrypt(passphrase.expose())
        .map(|plain| plain.as_bytes().to_vec())
        .map_err(|_| KeyError::WrongPassphrase {
            path: path.to_owned(),
        })
}

fn not_for_signing(oid: ObjectIdentifier) -> String {
    let name = match oid {
        ED25519 => "an Ed25519 key".to_owned(),
        RSA_PSS => "an RSA-PSS key".to_owned(),
        other => format!("a key of type {other}"),
    };
    format!("it is {name}; RSA, EC P-256 and EC P-384 can be used")
}

fn unusable(path: &Path, reason: &str) -> KeyError {
    KeyError::Unusable {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

/// The blocks of a PEM text.
///
/// # Errors
/// A block is damaged.
pub(super) fn blocks(path: &Path, text: &str) -> Result<Vec<Block>, KeyError> {
    armor::blocks(text).map_err(|reason| unusable(path, &reason))
}
