//! What can be wrong with a profile or its settings, and what to try then.

use std::path::PathBuf;

use super::Key;
use crate::exit::{FAILED, NETWORK, USAGE, Verdict};

/// What can be wrong with a profile or its settings.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    #[error("Profile \"{0}\" does not exist")]
    Unknown(String),
    #[error("there is a profile \"{0}\" already")]
    Exists(String),
    #[error(
        "`{0}` is not a profile name: letters, digits, `-`, `_`, `.` and `@` make one, and it does not start with a dot"
    )]
    BadName(String),
    #[error("the profile file {} is broken ({reason}); it was left as it is", path.display())]
    Broken { path: PathBuf, reason: String },
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("`{value}` cannot be used as {}: {reason}", .key.json())]
    BadSetting {
        key: Key,
        value: String,
        reason: String,
    },
    #[error("`{0}` is not a header; write -H 'Name: value'")]
    BadHeader(String),
    #[error("cannot read the client secret from {}: {reason}", path.display())]
    SecretFile { path: PathBuf, reason: String },
    #[error("the .env file here cannot be used: {0}")]
    EnvFile(String),
    #[error("the variable {0} is set to something that is not UTF-8 text")]
    BadVariable(&'static str),
    #[error("the keyring of this system cannot be used: {0}")]
    Keyring(String),
    #[error(
        "the keyring does not have the secrets of profile \"{0}\": its entry was removed or is of another machine"
    )]
    NotInKeyring(String),
    #[error("no home directory is known, so there is no place for profiles")]
    NoHome,
}

impl Verdict for ProfileError {
    fn verdict(&self) -> (u8, Option<String>) {
        match self {
            Self::Unknown(_) => (
                USAGE,
                Some("see `medplum profile list`, or make it with `medplum profile set`".into()),
            ),
            Self::Exists(_) => (
                USAGE,
                Some("choose another name, or replace it with --force".into()),
            ),
            Self::Broken { .. } => (
                USAGE,
                Some("mend the file, or take it away and set the profile anew".into()),
            ),
            Self::BadName(_)
            | Self::BadSetting { .. }
            | Self::BadHeader(_)
            | Self::SecretFile { .. } => (USAGE, None),
            Self::EnvFile(_) => (
                USAGE,
                Some("mend it or move it away, or leave it unread with --no-env-file".into()),
            ),
            Self::BadVariable(name) => (
                USAGE,
                Some(format!("set it anew, or take it away with `unset {name}`")),
            ),
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::TimedOut => (
                NETWORK,
                Some("end the other process, or wait longer for it with --timeout SECONDS".into()),
            ),
            Self::File { .. } => (FAILED, None),
            Self::Keyring(_) => (
                USAGE,
                Some(
                    "unlock it, or start one such as gnome-keyring or KWallet; where there is none, keep the secrets in \
                     the profile file with --store file, or have a program print the secret with --client-secret-command"
                        .into(),
                ),
            ),
            Self::NotInKeyring(name) => (
                USAGE,
                Some(format!(
                    "let the profile begin without them: `medplum profile set {name} --store keyring` (or file), then give \
                     them again with `medplum profile set {name} --update …` or `medplum login -p {name}`"
                )),
            ),
            Self::NoHome => (USAGE, Some("set HOME or MEDPLUM_CONFIG_DIR".into())),
        }
    }
}
