//! `--client-secret-command`: a program that prints the client secret, run without a shell and once a process.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use crate::exit::{NETWORK, NOT_ALLOWED, USAGE, Verdict};
use crate::foreign::Foreign;
use crate::profile::{CommandLine, Key, Profile};
use crate::secret::Secret;

/// A password store may ask a person first.
const LONGEST_RUN: Duration = Duration::from_secs(30);
/// What is in the pipe when the program has ended is there within this time.
const REST: Duration = Duration::from_millis(200);
const LARGEST_SECRET: usize = 64 << 10;

/// What the program of this process printed.
static PRINTED: Mutex<Option<(CommandLine, Secret)>> = Mutex::const_new(None);

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretCommandError {
    #[error("the command `{program}` cannot be started: {source}")]
    NotStarted {
        program: String,
        source: std::io::Error,
    },
    #[error("the command `{program}` failed ({status}){complaint}")]
    Failed {
        program: String,
        status: ExitStatus,
        /// What it wrote to stderr, after a colon.
        complaint: String,
    },
    #[error("the command `{program}` did not end within {} s and was stopped", LONGEST_RUN.as_secs())]
    TooLong { program: String },
    #[error("the command `{program}` printed {what}")]
    BadOutput { program: String, what: String },
}

impl Verdict for SecretCommandError {
    fn verdict(&self) -> (u8, Option<String>) {
        match self {
            Self::NotStarted { .. } => (
                USAGE,
                Some("no shell reads it: name a program and its arguments, quoted where they hold spaces".into()),
            ),
            Self::Failed { .. } | Self::BadOutput { .. } => (
                NOT_ALLOWED,
                Some("run the command by itself: it must print the secret or token, and nothing else, on stdout".into()),
            ),
            Self::TooLong { .. } => (
                NETWORK,
                Some("a program that waits for a person gets stdin only at a terminal".into()),
            ),
        }
    }
}

/// The profile with its client secret, which a program prints if the profile says so.
///
/// # Errors
/// The program cannot be run, failed, or printed no secret.
pub(super) async fn with_secret(profile: &Profile) -> Result<Cow<'_, Profile>, SecretCommandError> {
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

async fn run(command: &CommandLine) -> Result<Secret, SecretCommandError> {
    let printed = output(command).await?;
    secret_in(printed).map_err(|what| SecretCommandError::BadOutput {
        program: command.program().to_owned(),
        what,
    })
}

/// What a program prints, up to a size that no secret or token has.
///
/// # Errors
/// It cannot be run or failed.
pub(super) async fn output(command: &CommandLine) -> Result<Vec<u8>, SecretCommandError> {
    let program = command.program().to_owned();
    let mut child = start(command).map_err(|source| SecretCommandError::NotStarted {
        program: program.clone(),
        source,
    })?;
    let id = child.id();
    let Ok(ended) = tokio::time::timeout(LONGEST_RUN, output_of(&mut child)).await else {
        stop(&mut child, id).await;
        return Err(SecretCommandError::TooLong { program });
    };
    let (status, printed, complaint) = ended.map_err(|source| SecretCommandError::NotStarted {
        program: program.clone(),
        source,
    })?;
    // What prints too much may be stopped by it, and its status says less than that.
    if !status.success() && printed.len() <= LARGEST_SECRET {
        return Err(SecretCommandError::Failed {
            program,
            status,
            complaint: shown(&complaint),
        });
    }
    Ok(printed)
}

/// Starts the program, without the secrets that are in the environment of this one.
fn start(command: &CommandLine) -> std::io::Result<Child> {
    // At a terminal the program may talk to the person; elsewhere stdin is data of somebody else.
    let person = std::io::stdin().is_terminal();
    let (stdin, stderr) = if person {
        (Stdio::inherit(), Stdio::inherit())
    } else {
        (Stdio::null(), Stdio::piped())
    };
    let mut child = Command::new(command.program());
    child
        .args(command.arguments())
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(stderr)
        .kill_on_drop(true);
    for variable in Key::secret_variables() {
        child.env_remove(variable);
    }
    // A group of its own, so that a stop reaches what it has started too. A terminal, however, talks to one group only.
    #[cfg(unix)]
    if !person {
        child.process_group(0);
    }
    child.spawn()
}

/// Stops the program and, where it has a group of its own, what it has started.
async fn stop(child: &mut Child, id: Option<u32>) {
    #[cfg(unix)]
    if let Some(group) = id
        .and_then(|id| i32::try_from(id).ok())
        .and_then(rustix::process::Pid::from_raw)
    {
        // It fails where there is no such group.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = id;
    let _ = child.kill().await;
}

/// The status, and what stood in both pipes when the program had ended. Something that it started may hold them open
/// for ever, as the agents of password stores do.
async fn output_of(child: &mut Child) -> std::io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut printed, mut complaint) = (Vec::new(), Vec::new());
    let status = {
        let reading =
            async { tokio::join!(read(stdout, &mut printed), read(stderr, &mut complaint)) };
        tokio::pin!(reading);
        tokio::select! {
            (one, other) = &mut reading => {
                one.and(other)?;
                child.wait().await?
            }
            status = child.wait() => {
                if let Ok((one, other)) = tokio::time::timeout(REST, &mut reading).await {
                    one.and(other)?;
                }
                status?
            }
        }
    };
    Ok((status, printed, complaint))
}

/// All that a program writes, kept up to a size that no secret has.
async fn read(pipe: Option<impl AsyncRead + Unpin>, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    if let Some(pipe) = pipe {
        let mut pipe = pipe.take(LARGEST_SECRET as u64 + 1);
        while pipe.read_buf(bytes).await? > 0 {}
    }
    Ok(())
}

/// The secret in what was printed, without the newline at its end; else what is wrong with it.
fn secret_in(printed: Vec<u8>) -> Result<Secret, String> {
    if printed.len() > LARGEST_SECRET {
        return Err(format!("more than {} kB", LARGEST_SECRET >> 10));
    }
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

fn shown(complaint: &[u8]) -> String {
    let words = Foreign::some(&String::from_utf8_lossy(complaint));
    words.map(|words| format!(": {words}")).unwrap_or_default()
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
