//! Tokens and assertions that somebody else made: given as they are, in a file, or printed by a program.

mod printed;

use std::borrow::Cow;

use jiff::Timestamp;
use tokio::sync::Mutex;

use super::AuthError;
use super::program::{self, ProgramError};
use crate::profile::{AuthType, CommandLine, GivenToken, Key, Profile, ProfileError, secret_file};
use crate::secret::Secret;
use printed::Printed;

/// What the programs of this process printed, as long as it is good.
static KNOWN: Mutex<Vec<(CommandLine, Printed)>> = Mutex::const_new(Vec::new());

/// The token that a setting gives now. With `refused`, another one than this if there is one.
///
/// # Errors
/// A file cannot be read, or a program gives no token.
pub(super) async fn token(
    key: Key,
    given: &GivenToken,
    refused: Option<&Secret>,
) -> Result<Secret, AuthError> {
    let GivenToken::Command(command) = given else {
        return Ok(at_hand(key, given)?);
    };
    // Whoever comes second waits, and takes what the first one got.
    let mut known = KNOWN.lock().await;
    let now = Timestamp::now();
    known.retain(|(_, printed)| printed.is_good(now));
    let held = known.iter().find(|(of, _)| of == command);
    if let Some((_, printed)) = held.filter(|(_, printed)| Some(&printed.token) != refused) {
        return Ok(printed.token.clone());
    }
    let printed = Box::pin(ask(command)).await?;
    known.retain(|(of, _)| of != command);
    known.push((command.clone(), printed.clone()));
    Ok(printed.token)
}

async fn ask(command: &CommandLine) -> Result<Printed, ProgramError> {
    let bytes = program::output(command, None).await?;
    Printed::read(bytes, Timestamp::now()).map_err(|what| ProgramError::BadOutput {
        program: command.program().to_owned(),
        what,
    })
}

/// The token of a setting that names no program; a file is read now.
///
/// # Errors
/// [`ProfileError::BadSetting`]; what a program prints has to be asked for before.
pub(super) fn at_hand(key: Key, given: &GivenToken) -> Result<Secret, ProfileError> {
    let bad = |value: String, reason: String| ProfileError::BadSetting { key, value, reason };
    match given {
        GivenToken::Value(token) => Ok(token.clone()),
        GivenToken::File(path) => {
            let shown = || path.display().to_string();
            let text = secret_file::read(path).map_err(|reason| bad(shown(), reason))?;
            match text.expose().trim() {
                "" => Err(bad(shown(), "it is empty".into())),
                token => Ok(Secret::new(token)),
            }
        }
        GivenToken::Command(command) => {
            Err(bad(command.program().to_owned(), "it was not run".into()))
        }
    }
}

/// The profile with what programs print for a token request. An assertion is asked for anew each time, as our own are
/// made anew: a server may take it once.
///
/// # Errors
/// A program cannot be run, failed, or printed no token.
pub(super) async fn filled(profile: Cow<'_, Profile>) -> Result<Cow<'_, Profile>, AuthError> {
    let mut filled = profile;
    if let Some(GivenToken::Command(command)) = &filled.client_assertion {
        let assertion = Box::pin(ask(command)).await?.token;
        filled.to_mut().client_assertion = Some(GivenToken::Value(assertion));
    }
    if filled.auth_type == Some(AuthType::TokenExchange)
        && let Some(given @ GivenToken::Command(_)) = &filled.exchange.subject
    {
        let subject = token(Key::SubjectTokenCommand, given, None).await?;
        filled.to_mut().exchange.subject = Some(GivenToken::Value(subject));
    }
    Ok(filled)
}
