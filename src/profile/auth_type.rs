//! How a client proves itself to a server: the values of `--auth-type`.

use std::str::FromStr;

use super::{Key, ProfileError};

/// How a client proves itself to a server: the values of `--auth-type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthType {
    Basic,
    ClientCredentials,
    AuthorizationCode,
    JwtBearer,
    JwtAssertion,
    DeviceCode,
    TokenExchange,
}

impl AuthType {
    /// All types, as they are spelled on the command line.
    pub const ALL: [(&'static str, Self); 7] = [
        ("basic", Self::Basic),
        ("client-credentials", Self::ClientCredentials),
        ("authorization-code", Self::AuthorizationCode),
        ("jwt-bearer", Self::JwtBearer),
        ("jwt-assertion", Self::JwtAssertion),
        ("device-code", Self::DeviceCode),
        ("token-exchange", Self::TokenExchange),
    ];

    /// The spelling of the command line and the profile file.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, auth_type)| *auth_type == self)
            .map_or("", |(name, _)| name)
    }
}

impl FromStr for AuthType {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        Self::ALL
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, auth_type)| *auth_type)
            .ok_or_else(|| ProfileError::BadSetting {
                key: Key::AuthType,
                value: text.to_owned(),
                reason: format!("known are {}", Self::ALL.map(|(name, _)| name).join(", ")),
            })
    }
}
