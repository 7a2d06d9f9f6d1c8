//! The signature algorithms of assertions (RFC 7518 §3.1), as `--algorithm` names them.

use std::fmt;
use std::str::FromStr;

use super::{Key, ProfileError};

/// How an assertion is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    /// RSASSA-PSS; servers that keep to FAPI take no other with RSA keys.
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    /// With the client secret instead of a key; for `jwt-bearer` and `client_secret_jwt`.
    Hs256,
    /// As HS256, for `client_secret_jwt` alone.
    Hs384,
    /// As HS256, for `client_secret_jwt` alone.
    Hs512,
}

impl Algorithm {
    /// All of them, as JWS headers spell them.
    pub const ALL: [(&'static str, Self); 11] = [
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("HS256", Self::Hs256),
        ("HS384", Self::Hs384),
        ("HS512", Self::Hs512),
    ];

    /// Whether a secret signs with it instead of a key.
    pub fn is_of_secret(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }

    /// The spelling of JWS headers.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, algorithm)| *algorithm == self)
            .map_or("", |(name, _)| name)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        Self::ALL
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text))
            .map(|(_, algorithm)| *algorithm)
            .ok_or_else(|| ProfileError::BadSetting {
                key: Key::Algorithm,
                value: text.to_owned(),
                reason: format!("known are {}", Self::ALL.map(|(name, _)| name).join(", ")),
            })
    }
}
