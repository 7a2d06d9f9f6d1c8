//! Keys that clients sign with: read from PEM, JWK and JWKS files, made anew, and shown by their public part alone.

mod armor;
pub mod certificate;
mod error;
pub mod file;
pub mod generate;
mod jwk;
mod passphrase;
mod pem;
mod pkcs12;
mod public;
pub mod published;
mod select;
mod sign_command;
mod signature;

use jsonwebtoken::EncodingKey;
use serde_json::{Map, Value};

use crate::profile::Algorithm;
pub use error::KeyError;
pub use passphrase::{Passphrase, Prompt};
pub use public::{Curve, PublicKey};
pub use select::{public, select};
pub use sign_command::SignCommand;

/// One key of a file.
#[derive(Clone)]
pub struct Key {
    pub public: PublicKey,
    /// The private part, absent from a public key.
    private: Option<Private>,
    /// The key id that the file gives it.
    kid: Option<String>,
    /// The algorithm that the file gives it (RFC 7517 §4.4).
    algorithm: Option<Algorithm>,
}

/// A private key as DER: PKCS#1 for RSA, PKCS#8 for EC.
#[derive(Clone)]
struct Private(Vec<u8>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("kid", &self.kid())
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl Key {
    /// A public key, or one whose private part is `private`.
    fn new(public: PublicKey, private: Option<Vec<u8>>) -> Self {
        Self {
            public,
            private: private.map(Private),
            kid: None,
            algorithm: None,
        }
    }

    /// The key's id: the file's, else its thumbprint (RFC 7638).
    pub fn kid(&self) -> String {
        self.kid.clone().unwrap_or_else(|| self.public.thumbprint())
    }

    /// The same key with another id.
    #[must_use]
    pub fn with_kid(mut self, kid: Option<&str>) -> Self {
        if let Some(kid) = kid {
            self.kid = Some(kid.to_owned());
        }
        self
    }

    /// Whether it can sign.
    pub fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// The algorithm it signs with unless told otherwise: the file's, else the usual one for its type.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
            .unwrap_or_else(|| self.public.algorithms()[0])
    }

    /// The private part as the signing function takes it.
    pub(super) fn encoding_key(&self) -> Option<EncodingKey> {
        let der = &self.private.as_ref()?.0;
        Some(match self.public {
            PublicKey::Rsa { .. } => EncodingKey::from_rsa_der(der),
            PublicKey::Ec { .. } => EncodingKey::from_ec_der(der),
        })
    }

    /// The key as a server may see it: nothing but public members, whatever the file held (RFC 7517 §4, RFC 7518 §6).
    pub fn public_jwk(&self, algorithm: Option<Algorithm>) -> Map<String, Value> {
        let mut jwk = self.public.members();
        jwk.insert("kid".into(), self.kid().into());
        jwk.insert("use".into(), "sig".into());
        let algorithm = algorithm.unwrap_or_else(|| self.algorithm());
        jwk.insert("alg".into(), algorithm.name().into());
        jwk
    }
}
