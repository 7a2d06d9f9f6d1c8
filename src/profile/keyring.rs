//! The operating system's keyring: Secret Service on Linux, Keychain on macOS, Credential Manager on Windows.

use std::sync::mpsc;
use std::time::Duration;

use keyring::{Entry, Error};

/// What the entries are filed under.
const SERVICE: &str = "medplum";
/// A locked keyring asks a person for its password, who gets this long.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Why the keyring is of no use now, in words.
pub(super) type Refusal = String;

/// What an entry holds; `None` when there is no such entry.
///
/// # Errors
/// There is no keyring here, or it is locked.
pub(super) fn read(entry: &str) -> Result<Option<Vec<u8>>, Refusal> {
    ask(entry, |entry| match entry.get_secret() {
        Ok(secret) => Ok(Some(secret)),
        Err(Error::NoEntry) => Ok(None),
        Err(error) => Err(error),
    })
}

/// Makes or replaces an entry.
///
/// # Errors
/// As [`read`], or the entry is larger than the keyring takes (2,560 bytes on Windows).
pub(super) fn write(entry: &str, contents: &[u8]) -> Result<(), Refusal> {
    let contents = contents.to_vec();
    ask(entry, move |entry| entry.set_secret(&contents))
}

/// Takes an entry away; one that is not there is no error.
///
/// # Errors
/// As [`read`].
pub(super) fn remove(entry: &str) -> Result<(), Refusal> {
    ask(entry, |entry| match entry.delete_credential() {
        Ok(()) | Err(Error::NoEntry) => Ok(()),
        Err(error) => Err(error),
    })
}

/// Asks on a thread of its own: the Secret Service may wait for a person for ever, and its client blocks.
fn ask<T: Send + 'static>(
    entry: &str,
    question: impl FnOnce(&Entry) -> keyring::Result<T> + Send + 'static,
) -> Result<T, Refusal> {
    let (sender, answer) = mpsc::sync_channel(1);
    let user = entry.to_owned();
    std::thread::Builder::new()
        .name("keyring".into())
        .spawn(move || {
            let result = match Entry::store_status() {
                Ok(()) => Entry::new(SERVICE, &user)
                    .and_then(|entry| question(&entry))
                    .map_err(|error| words(&error)),
                Err(error) => Err(words(error)),
            };
            let _ = sender.send(result);
        })
        .map_err(|error| error.to_string())?;
    answer.recv_timeout(LONGEST_WAIT).unwrap_or_else(|error| {
        Err(match error {
            mpsc::RecvTimeoutError::Timeout => {
                let seconds = LONGEST_WAIT.as_secs();
                format!("it did not answer within {seconds} s; it may be locked")
            }
            mpsc::RecvTimeoutError::Disconnected => "its client broke off".into(),
        })
    })
}

/// An error in words. No variant is shown that holds what an entry holds.
fn words(error: &Error) -> Refusal {
    match error {
        Error::PlatformFailure(reason) if cfg!(target_os = "linux") => {
            format!("no Secret Service answers on this session's D-Bus: {reason}")
        }
        Error::PlatformFailure(reason) => reason.to_string(),
        Error::NoStorageAccess(reason) => format!("it is locked or refused access: {reason}"),
        Error::BadEncoding(_) | Error::BadDataFormat(..) => {
            "the entry is not what this program wrote".into()
        }
        Error::Ambiguous(_) => "it has several entries of the same name".into(),
        other => other.to_string(),
    }
}
