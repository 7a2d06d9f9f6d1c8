//! The public part of a key: what it is, what it can sign with, its thumbprint, its JWK members.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::profile::Algorithm;

/// A public key as JWK spells it: unsigned big-endian numbers, those of a curve in its full width.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    Ec {
        curve: Curve,
        x: Vec<u8>,
        y: Vec<u8>,
    },
}

/// The curves of ES256 and ES384.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    P256,
    P384,
}

impl Curve {
    pub(super) const ALL: [Self; 2] = [Self::P256, Self::P384];

    /// The name in a JWK's `crv`.
    pub fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
        }
    }

    /// How many bytes a coordinate has.
    pub(super) fn width(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }
}

impl PublicKey {
    /// An RSA key; zeros in front do not count (RFC 7518 §2, Base64urlUInt).
    pub(super) fn rsa(n: &[u8], e: &[u8]) -> Self {
        Self::Rsa {
            n: without_zeros(n).to_vec(),
            e: without_zeros(e).to_vec(),
        }
    }

    /// A point as SEC1 writes it uncompressed: 4, x, y.
    pub(super) fn from_point(curve: Curve, point: &[u8]) -> Option<Self> {
        let (form, coordinates) = point.split_first()?;
        (*form == 4 && coordinates.len() == 2 * curve.width()).then(|| {
            let (x, y) = coordinates.split_at(curve.width());
            Self::Ec {
                curve,
                x: x.to_vec(),
                y: y.to_vec(),
            }
        })
    }

    /// What it is, for people: `RSA 2048 bits`, `EC P-384`.
    pub fn describe(&self) -> String {
        match self {
            Self::Rsa { .. } => format!("RSA {} bits", self.bits()),
            Self::Ec { curve, .. } => format!("EC {}", curve.name()),
        }
    }

    /// The length of an RSA modulus or of a coordinate, in bits.
    pub fn bits(&self) -> usize {
        match self {
            Self::Rsa { n, .. } => {
                let unused = n.first().map_or(0, |first| first.leading_zeros() as usize);
                n.len() * 8 - unused
            }
            Self::Ec { curve, .. } => curve.width() * 8,
        }
    }

    /// What it can sign with, the usual one first: SMART asks for RS384 and ES384.
    pub fn algorithms(&self) -> &'static [Algorithm] {
        match self {
            Self::Rsa { .. } => &[
                Algorithm::Rs384,
                Algorithm::Rs256,
                Algorithm::Rs512,
                Algorithm::Ps256,
                Algorithm::Ps384,
                Algorithm::Ps512,
            ],
            Self::Ec {
                curve: Curve::P256, ..
            } => &[Algorithm::Es256],
            Self::Ec {
                curve: Curve::P384, ..
            } => &[Algorithm::Es384],
        }
    }

    /// The thumbprint of RFC 7638: SHA-256 over the required members in alphabetical order, without spaces.
    pub fn thumbprint(&self) -> String {
        let mut members: Vec<(String, Value)> = self.members().into_iter().collect();
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        let text = Value::Object(members.into_iter().collect()).to_string();
        encode(digest(&SHA256, text.as_bytes()).as_ref())
    }

    /// The members that make it up (RFC 7518 §6.2.1, §6.3.1).
    pub fn members(&self) -> Map<String, Value> {
        let pairs = match self {
            Self::Rsa { n, e } => vec![("kty", "RSA".into()), ("n", encode(n)), ("e", encode(e))],
            Self::Ec { curve, x, y } => vec![
                ("kty", "EC".into()),
                ("crv", curve.name().into()),
                ("x", encode(x)),
                ("y", encode(y)),
            ],
        };
        pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Value::String(value)))
            .collect()
    }
}

/// Base64url without padding.
pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_the_one_of_rfc_7638() {
        // RFC 7638 §3.1
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCi\
                 FV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgn\
                 Yb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqb\
                 w0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let key = PublicKey::rsa(&URL_SAFE_NO_PAD.decode(n).unwrap(), &[0, 1, 0, 1]);
        assert_eq!(
            key.thumbprint(),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
        assert_eq!(key.describe(), "RSA 2048 bits");
    }
}
