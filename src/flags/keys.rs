//! How a key is read: flags of those who sign in with it and of `keys`. A new flag is a row here, and its [`Key`].

use super::flag::Flag;
use crate::profile::Key;

/// The flags, in the order of `medplum help options`.
pub const FLAGS: &[Flag] = &[
    Flag::path(
        Key::KeyPassphraseFile,
        "key-passphrase-file",
        "File that holds the passphrase of an encrypted key [env: MEDPLUM_KEY_PASSPHRASE has the passphrase itself]",
    ),
    Flag::text(
        Key::KeyId,
        "key-id",
        "KID",
        "Key id of the private key [default: the JWK's, else its thumbprint]",
    ),
    Flag::text(
        Key::Algorithm,
        "algorithm",
        "ALG",
        "Signature of assertions: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, HS256, HS384, HS512 [default: by the key]",
    ),
];
