//! What can be wrong with a key; every message names the file.

use std::path::{Path, PathBuf};

use super::super::program::ProgramError;
use crate::exit::{FAILED, USAGE, Verdict};
use crate::foreign::Foreign;
use crate::profile::Algorithm;
use crate::secret;

/// As much of a path is shown (`PATH_MAX` of Linux).
const LONGEST_PATH: usize = 4096;

/// Why a key cannot be used. No message holds anything of the key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot read the key file {}: {reason}", shown(path))]
    Unreadable { path: PathBuf, reason: String },
    #[error("cannot write the key file {}: {reason}", shown(path))]
    Unwritable { path: PathBuf, reason: String },
    #[error("cannot write the key file {}: there is no such folder", shown(path))]
    NoFolder { path: PathBuf },
    #[error("{} exists already, and keys are never overwritten", shown(path))]
    Exists { path: PathBuf },
    #[error(
        "{} holds no key: neither PEM, nor a JWK, nor a JWKS, nor PKCS#12",
        shown(path)
    )]
    NoKey { path: PathBuf },
    #[error("{} cannot be used as a key: {reason}", shown(path))]
    Unusable { path: PathBuf, reason: String },
    #[error(
        "{} holds a public key only; the private part is needed to sign",
        shown(path)
    )]
    Public { path: PathBuf },
    #[error(
        "the RSA key in {} has {bits} bits; at least 2048 are needed",
        shown(path)
    )]
    TooShort { path: PathBuf, bits: usize },
    #[error(
        "the key in {} is {key}, which cannot sign with {algorithm}; it can with {}",
        shown(path),
        names(usable)
    )]
    WrongAlgorithm {
        path: PathBuf,
        key: String,
        algorithm: Algorithm,
        usable: &'static [Algorithm],
    },
    #[error("{} holds several private keys: {}", shown(path), kids.join(", "))]
    Several { path: PathBuf, kids: Vec<String> },
    #[error("{} holds no key `{kid}`; it holds {}", shown(path), kids.join(", "))]
    UnknownKid {
        path: PathBuf,
        kid: String,
        kids: Vec<String>,
    },
    #[error("the key in {} is encrypted and no passphrase is at hand", shown(path))]
    Encrypted { path: PathBuf },
    #[error("the key in {} does not open with this passphrase", shown(path))]
    WrongPassphrase { path: PathBuf },
    #[error(
        "the key in {} is encrypted in a way that is not supported; PBES2 with AES or 3DES is",
        shown(path)
    )]
    UnknownEncryption { path: PathBuf },
    #[error("cannot read the passphrase of the key from {}: {reason}", shown(path))]
    PassphraseFile { path: PathBuf, reason: String },
    #[error("where the path of a key file was expected stands a key itself")]
    NoPath,
    #[error("the assertion cannot be signed: {0}")]
    Signing(String),
    #[error(transparent)]
    SignCommand(#[from] ProgramError),
    #[error("--sign-command needs {0}")]
    SignCommandNeeds(&'static str),
}

impl Verdict for KeyError {
    fn verdict(&self) -> (u8, Option<String>) {
        let hint = match self {
            Self::Encrypted { .. } => {
                Some("give it with --key-passphrase-file FILE or MEDPLUM_KEY_PASSPHRASE".to_owned())
            }
            Self::Several { .. } | Self::UnknownKid { .. } => {
                Some("name one of them with --key-id".into())
            }
            Self::UnknownEncryption { path } => Some(format!(
                "rewrite it with `openssl pkcs8 -topk8 -in {} -out NEW`",
                shown(path)
            )),
            Self::NoKey { .. } | Self::TooShort { .. } => {
                Some("make a new key with `medplum keys generate --out FILE`".into())
            }
            Self::NoPath => Some(
                "write the key into a file that only you can read, and name that file with --private-key-path".into(),
            ),
            Self::Signing(_) | Self::Unwritable { .. } => return (FAILED, None),
            Self::SignCommand(error @ (ProgramError::Failed { .. } | ProgramError::BadOutput { .. })) => {
                let hint = "run it by itself: the text that it is to sign comes on stdin, and on stdout it must print the \
                            signature and nothing else";
                return (error.verdict().0, Some(hint.into()));
            }
            Self::SignCommand(error) => return error.verdict(),
            Self::SignCommandNeeds(_) => Some(
                "its public key as --private-key-path FILE says both, and checks the signatures"
                    .into(),
            ),
            _ => None,
        };
        (USAGE, hint)
    }
}

/// A path as it may be shown: one line, and no key that stands in its place.
fn shown(path: &Path) -> Foreign {
    let text = path.to_string_lossy();
    if secret::is_key(&text) {
        return Foreign::from("(a key in place of a path)");
    }
    Foreign::up_to(LONGEST_PATH, &text)
}

fn names(algorithms: &[Algorithm]) -> String {
    let names: Vec<&str> = algorithms.iter().map(|one| one.name()).collect();
    names.join(", ")
}
