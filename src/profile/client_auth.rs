//! How a client proves itself at the token endpoint: the values of `--client-auth`.

use std::str::FromStr;

use super::{Key, ProfileError};

/// One way to prove who the client is (RFC 6749 §2.3, RFC 7523 §2.2, RFC 8705 §2); never two at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// The secret in the Basic header, id and secret form-encoded first (RFC 6749 §2.3.1).
    Header,
    /// The same without the encoding, for servers that do not decode.
    Raw,
    /// The secret in the form body.
    Post,
    /// An assertion signed with the secret.
    SecretJwt,
    /// An assertion signed with the private key.
    PrivateKeyJwt,
    /// The certificate of the TLS connection.
    Certificate,
    /// A public client: it only names itself.
    Public,
}

impl ClientAuth {
    /// All ways: as the command line spells them, and as servers advertise them (RFC 8414 §2).
    pub const ALL: [(&'static str, &'static str, Self); 7] = [
        ("header", "client_secret_basic", Self::Header),
        ("raw", "client_secret_basic", Self::Raw),
        ("post", "client_secret_post", Self::Post),
        ("client_secret_jwt", "client_secret_jwt", Self::SecretJwt),
        ("private_key_jwt", "private_key_jwt", Self::PrivateKeyJwt),
        ("tls_client_auth", "tls_client_auth", Self::Certificate),
        ("none", "none", Self::Public),
    ];

    /// The spelling of the command line.
    pub fn name(self) -> &'static str {
        self.entry().0
    }

    /// The spelling of discovery documents.
    pub fn method(self) -> &'static str {
        self.entry().1
    }

    /// Whether a server that advertises these takes it.
    pub fn is_among(self, advertised: &[String]) -> bool {
        let is_one = |name: &str| advertised.iter().any(|method| method == name);
        is_one(self.method()) || self == Self::Certificate && is_one("self_signed_tls_client_auth")
    }

    /// Whether it needs the client's secret.
    pub fn uses_secret(self) -> bool {
        matches!(
            self,
            Self::Header | Self::Raw | Self::Post | Self::SecretJwt
        )
    }

    fn entry(self) -> &'static (&'static str, &'static str, Self) {
        let index = Self::ALL.iter().position(|(_, _, way)| *way == self);
        &Self::ALL[index.unwrap_or_default()]
    }
}

impl FromStr for ClientAuth {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        Self::ALL
            .iter()
            .find(|(name, method, _)| *name == text || *method == text)
            .map(|(_, _, way)| *way)
            .ok_or_else(|| ProfileError::BadSetting {
                key: Key::ClientAuth,
                value: text.to_owned(),
                reason: format!(
                    "known are {}",
                    Self::ALL.map(|(name, _, _)| name).join(", ")
                ),
            })
    }
}
