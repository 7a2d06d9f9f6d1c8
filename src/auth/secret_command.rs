//! `--client-secret-command`: a program that prints the client secret, once a process.

use std::borrow::Cow;

use tokio::sync::Mutex;

use super::program::{self, ProgramError};
use crate::profile::{CommandLine, Profile};
use crate::secret::Secret;

/// What the program of this process printed.
static PRINTED: Mutex<Option<(CommandLine, Secret)>> = Mutex::const_new(None);

/// The profile with its client secret, which a program prints if the profile says so.
///
/// # Errors
/// The program cannot be run, failed, or printed no secret.
pub(super) async fn with_secret(profile: &Profile) -> Result<Cow<'_, Profile>, ProgramError> {
    let Some(command) = &profile.client_secret_command else {
        return Ok(Cow::Borrowed(profile));
    };
    let mut printed = PRINTED.lock().await;
    let known = printed
        .as_ref()
        .filter(|(of, _)| of == command)
        .map(|(_, secret)| secret.clone());
    let secret = if let Some(secret) = known {
        secret
    } else {
        let secret = run(command).await?;
        *printed = Some((command.clone(), secret.clone()));
        secret
    };
    let mut profile = profile.clone();
    profile.client_secret = Some(secret);
    Ok(Cow::Owned(profile))
}

async fn run(command: &CommandLine) -> Result<Secret, ProgramError> {
    let printed = program::output(command, None).await?;
    secret_in(printed).map_err(|what| ProgramError::BadOutput {
        program: command.program().to_owned(),
        what,
    })
}

/// The secret in what was printed, without the newline at its end; else what is wrong with it.
fn secret_in(printed: Vec<u8>) -> Result<Secret, String> {
    let text = String::from_utf8(printed).map_err(|_| "something that is not UTF-8 text")?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err("nothing".into());
    }
    if text.contains(['\n', '\r', '\0']) {
        return Err("several lines, where the client secret alone was expected".into());
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_newline_at_the_end_is_not_of_the_secret_and_more_is_refused() {
        for (printed, secret) in [("s 1\n", "s 1"), ("s1", "s1"), (" s1 \r\n", " s1 ")] {
            assert_eq!(secret_in(printed.into()).unwrap().expose(), secret);
        }
        for printed in ["", "\n", "s1\nlogin: me\n", "s1\n\n"] {
            assert!(secret_in(printed.into()).is_err(), "{printed:?}");
        }
    }
}
