//! Keys as JWK and JWKS (RFC 7517, RFC 7518 §6).

use std::path::Path;

use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use aws_lc_rs::signature::EcdsaKeyPair;
use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use pkcs1::der::asn1::UintRef;
use pkcs1::der::{Decode, Encode};
use serde_json::{Map, Value};

use super::public::encode;
use super::{Curve, Key, KeyError, PublicKey, pem};
use crate::profile::Algorithm;

/// RFC 7515 has no padding; some tools write it all the same.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The keys of a JWK or JWKS. In a set, keys that cannot sign are passed over (RFC 7517 §5).
///
/// # Errors
/// A key cannot be used, or no key is left.
pub(super) fn read(path: &Path, text: &str) -> Result<Vec<Key>, KeyError> {
    let json: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
        // The parser's own message could repeat a value.
        let (line, column) = (error.line(), error.column());
        unusable(
            path,
            &format!("it is no JSON object: line {line}, column {column}"),
        )
    })?;
    let Some(keys) = json.get("keys") else {
        return Ok(vec![key(path, &json)?]);
    };
    let entries = keys
        .as_array()
        .ok_or_else(|| unusable(path, "its `keys` is no list"))?;
    let mut keys = Vec::new();
    let mut passed_over = None;
    for entry in entries.iter().filter_map(Value::as_object) {
        match (not_for_signing(entry), key(path, entry)) {
            (None, read) => keys.push(read?),
            (Some(_), Err(error)) => {
                passed_over.get_or_insert(error);
            }
            (Some(_), Ok(_)) => {}
        }
    }
    if keys.is_empty() {
        return Err(passed_over.unwrap_or_else(|| unusable(path, "the set in it is empty")));
    }
    Ok(keys)
}

/// Why a JWK is not one to sign with, by what it says of itself.
fn not_for_signing(jwk: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    match text("kty") {
        Some("RSA" | "EC") => {}
        Some("oct") => return Some("it is a symmetric key (kty oct)".into()),
        Some(kty) => {
            return Some(format!(
                "its key type {kty} is not supported; RSA and EC are"
            ));
        }
        None => return Some("it has no `kty`".into()),
    }
    if let Some(usage) = text("use").filter(|usage| *usage != "sig") {
        return Some(format!("it is not for signing (use {usage})"));
    }
    let operations = jwk.get("key_ops").and_then(Value::as_array);
    let signs = |operation: &Value| matches!(operation.as_str(), Some("sign" | "verify"));
    if operations.is_some_and(|operations| !operations.iter().any(signs)) {
        return Some("it is not for signing (key_ops)".into());
    }
    let algorithm = text("alg")?;
    let is_known = Algorithm::ALL.iter().any(|(name, _)| *name == algorithm);
    (!is_known).then(|| format!("its algorithm {algorithm} is not supported"))
}

fn key(path: &Path, jwk: &Map<String, Value>) -> Result<Key, KeyError> {
    if let Some(reason) = not_for_signing(jwk) {
        return Err(unusable(path, &reason));
    }
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let jwk_of = Jwk { path, jwk };
    let mut key = match text("kty") {
        Some("RSA") => jwk_of.rsa()?,
        _ => jwk_of.ec()?,
    };
    key.kid = text("kid").filter(|kid| !kid.is_empty()).map(str::to_owned);
    key.algorithm = text("alg").and_then(|name| name.parse().ok());
    Ok(key)
}

/// A JWK while it is read.
struct Jwk<'a> {
    path: &'a Path,
    jwk: &'a Map<String, Value>,
}

impl Jwk<'_> {
    fn rsa(&self) -> Result<Key, KeyError> {
        let (n, e) = (self.number("n")?, self.number("e")?);
        if !self.jwk.contains_key("d") {
            return Ok(Key::new(PublicKey::rsa(&n, &e), None));
        }
        if self.jwk.contains_key("oth") {
            return Err(unusable(
                self.path,
                "it is an RSA key of more than two primes",
            ));
        }
        let names = ["d", "p", "q", "dp", "dq", "qi"];
        let numbers = names
            .iter()
            .map(|name| self.number(name))
            .collect::<Result<Vec<_>, _>>()?;
        let damaged = || unusable(self.path, "its RSA numbers cannot be used");
        let number = |at: usize| UintRef::new(&numbers[at]).map_err(|_| damaged());
        let der = pkcs1::RsaPrivateKeyRef {
            modulus: UintRef::new(&n).map_err(|_| damaged())?,
            public_exponent: UintRef::new(&e).map_err(|_| damaged())?,
            private_exponent: number(0)?,
            prime1: number(1)?,
            prime2: number(2)?,
            exponent1: number(3)?,
            exponent2: number(4)?,
            coefficient: number(5)?,
            other_prime_infos: None,
        }
        .to_der()
        .map_err(|_| damaged())?;
        pem::rsa_private(self.path, &der)
    }

    fn ec(&self) -> Result<Key, KeyError> {
        let name = self
            .jwk
            .get("crv")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let curve = Curve::ALL.into_iter().find(|curve| curve.name() == name);
        let curve = curve.ok_or_else(|| {
            unusable(
                self.path,
                &format!("its curve {name} is not supported; P-256 and P-384 are"),
            )
        })?;
        let mut point = vec![4];
        for name in ["x", "y"] {
            point.extend(self.coordinate(curve, name)?);
        }
        if !self.jwk.contains_key("d") {
            let public = PublicKey::from_point(curve, &point);
            return public
                .map(|public| Key::new(public, None))
                .ok_or_else(|| unusable(self.path, "its x and y cannot be used"));
        }
        let private = self.coordinate(curve, "d")?;
        EcdsaKeyPair::from_private_key_and_public_key(pem::signing(curve), &private, &point)
            .ok()
            .and_then(|pair| pem::from_pair(curve, &pair))
            .ok_or_else(|| {
                unusable(
                    self.path,
                    "its d does not belong to its x and y, or they are on no curve",
                )
            })
    }

    /// A number in the full width of its curve, also when zeros in front were left out.
    fn coordinate(&self, curve: Curve, name: &str) -> Result<Vec<u8>, KeyError> {
        let bytes = self.number(name)?;
        let missing = curve.width().checked_sub(bytes.len());
        let missing =
            missing.ok_or_else(|| unusable(self.path, &format!("its `{name}` is too long")))?;
        Ok([vec![0; missing], bytes].concat())
    }

    fn number(&self, name: &str) -> Result<Vec<u8>, KeyError> {
        let text = self.jwk.get(name).and_then(Value::as_str);
        let text = text.ok_or_else(|| unusable(self.path, &format!("its JWK has no `{name}`")))?;
        BASE64URL
            .decode(text)
            .ok()
            .filter(|bytes| !bytes.is_empty())
            .ok_or_else(|| unusable(self.path, &format!("its `{name}` is not base64url")))
    }
}

/// A private key as JWK, for a file of its own; `None` for a public key.
pub(super) fn private(key: &Key) -> Option<Map<String, Value>> {
    let der = &key.private.as_ref()?.0;
    let mut jwk = key.public_jwk(None);
    let mut add = |name: &str, bytes: &[u8]| jwk.insert(name.to_owned(), encode(bytes).into());
    match &key.public {
        PublicKey::Rsa { .. } => {
            let numbers = pkcs1::RsaPrivateKeyRef::from_der(der).ok()?;
            add("d", numbers.private_exponent.as_bytes());
            add("p", numbers.prime1.as_bytes());
            add("q", numbers.prime2.as_bytes());
            add("dp", numbers.exponent1.as_bytes());
            add("dq", numbers.exponent2.as_bytes());
            add("qi", numbers.coefficient.as_bytes());
        }
        PublicKey::Ec { curve, .. } => {
            let pair = EcdsaKeyPair::from_pkcs8(pem::signing(*curve), der).ok()?;
            let number: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().ok()?;
            add("d", number.as_ref());
        }
    }
    Some(jwk)
}

fn unusable(path: &Path, reason: &str) -> KeyError {
    KeyError::Unusable {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}
