//! What can be wrong with a profile or its settings, and what to try then.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::Key;
use super::typed;
use crate::exit::{FAILED, NETWORK, NOT_ALLOWED, USAGE, Verdict};
use crate::foreign::Foreign;

/// What can be wrong with a profile or its settings.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    #[error("Profile \"{}\" does not exist", Foreign::new(.name))]
    Unknown {
        name: String,
        /// Those that are called nearly so.
        near: Vec<String>,
    },
    #[error("there is a profile \"{}\" already", Foreign::new(.0))]
    Exists(String),
    #[error(
        "`{}` is not a profile name: letters, digits, `-`, `_`, `.` and `@` make one, and it does not start with a dot",
        Foreign::new(.0)
    )]
    BadName(String),
    #[error("the profile file {} is broken ({reason}); it was left as it is", path.display())]
    Broken { path: PathBuf, reason: String },
    #[error("{} does not say which profile is in use: {reason}", path.display())]
    NoChoice { path: PathBuf, reason: String },
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("`{}` cannot be used as {}: {reason}", Foreign::new(.value), .key.json())]
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
    #[error(
        "nothing was sent: the .env file here puts FHIR at {fhir_base} ({}), and credentials and data for {base} belong to another server, or to another path of it",
        Key::FhirUrlPath.variable()
    )]
    LedElsewhere { base: String, fhir_base: String },
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
            Self::Unknown { name, near } if !near.is_empty() => (
                USAGE,
                Some(format!(
                    "did you mean {}? A new one is made with `medplum login -p {} --base-url URL`",
                    near.join(" or "),
                    typed(name)
                )),
            ),
            Self::Unknown { name, .. } => (
                USAGE,
                Some(format!(
                    "see `medplum profile list`, or make it with `medplum profile set {name} --base-url URL …` or `medplum login \
                     -p {name} --base-url URL`",
                    name = typed(name)
                )),
            ),
            Self::NoChoice { .. } => (
                USAGE,
                Some("take that away, then choose a profile with `medplum profile use NAME`, or name one with -p".into()),
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
            Self::LedElsewhere { fhir_base, .. } => (
                NOT_ALLOWED,
                Some(format!(
                    "if you know that server and mean it, name it with --fhir-url-path {fhir_base}; else leave the file unread \
                     with --no-env-file"
                )),
            ),
            Self::BadVariable(name) => (
                USAGE,
                Some(format!("set it anew, or take it away with `unset {name}`")),
            ),
            Self::File { source, .. } if source.kind() == ErrorKind::TimedOut => (
                NETWORK,
                Some("end the other process, or wait longer for it with --timeout SECONDS".into()),
            ),
            Self::File { source, .. } => (FAILED, way_out(source.kind()).map(str::to_owned)),
            Self::Keyring(_) | Self::NotInKeyring(_) => (USAGE, Some(self.way_to_secrets())),
            Self::NoHome => (USAGE, Some("set HOME or MEDPLUM_CONFIG_DIR".into())),
        }
    }
}

impl ProfileError {
    /// What to do about secrets that the keyring does not give.
    fn way_to_secrets(&self) -> String {
        match self {
            Self::NotInKeyring(name) => format!(
                "let the profile begin without them: `medplum profile set {name} --store keyring` (or file), then give \
                 them again with `medplum profile set {name} --update …` or `medplum login -p {name}`",
                name = typed(name)
            ),
            _ => "unlock it, or start one such as gnome-keyring or KWallet; where there is none, keep the secrets in \
                  the profile file with --store file, or have a program print the secret with --client-secret-command"
                .into(),
        }
    }
}

/// What to do about a file of ours that cannot be used.
fn way_out(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::InvalidData
        | ErrorKind::IsADirectory
        | ErrorKind::NotADirectory
        | ErrorKind::AlreadyExists => {
            Some("take away or rename what has that name: this program makes its own")
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Some(
            "make room on that disk, then run the same command again; what was there before is whole",
        ),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Some(
            "give yourself the right to it, or name another folder for profiles with MEDPLUM_CONFIG_DIR",
        ),
        _ => None,
    }
}
