//! A program that gives what nobody types: a secret, a token, a signature. It runs without a shell, for a limited time and
//! with a limited output, knows none of our secrets, and ends with us: what it has started too, unless it has ended itself.

use std::io::IsTerminal;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};

use crate::exit::{NETWORK, NOT_ALLOWED, USAGE, Verdict};
use crate::foreign::Foreign;
use crate::profile::{CommandLine, Key};
use crate::secret::Secret;
use crate::signals;

/// A password or key store may ask a person first.
const LONGEST_RUN: Duration = Duration::from_secs(30);
/// What is in the pipe when the program has ended is there within this time.
const REST: Duration = Duration::from_millis(200);
/// No secret, token or signature is longer.
pub(super) const LARGEST: usize = 64 << 10;

/// Why a program gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
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

impl Verdict for ProgramError {
    fn verdict(&self) -> (u8, Option<String>) {
        match self {
            Self::NotStarted { .. } => (
                USAGE,
                Some("no shell reads it: name a program and its arguments, quoted where they hold spaces".into()),
            ),
            Self::Failed { .. } | Self::BadOutput { .. } => (
                NOT_ALLOWED,
                Some("run the command by itself: it must print what was asked for, and nothing else, on stdout".into()),
            ),
            Self::TooLong { .. } => (
                NETWORK,
                Some("a program that waits for a person gets stdin only at a terminal".into()),
            ),
        }
    }
}

/// What a program prints, which reads `input` on stdin if there is some.
///
/// # Errors
/// It cannot be run, failed, took too long or printed too much.
pub(super) async fn output(
    command: &CommandLine,
    input: Option<&[u8]>,
) -> Result<Vec<u8>, ProgramError> {
    let program = || command.program().to_owned();
    let not_started = |source| ProgramError::NotStarted {
        program: program(),
        source,
    };
    let mut running = Running::start(command, input.is_some()).map_err(not_started)?;
    // Ctrl-C that ends this process ends the program too, wherever this process then stands.
    let _stop = signals::before_the_end(running.stopper());
    let Ok(ended) = tokio::time::timeout(LONGEST_RUN, running.output(input)).await else {
        running.stop();
        // Killed, it ends at once; who looks for it afterwards finds nothing, not even a zombie.
        let _ = running.child.wait().await;
        return Err(ProgramError::TooLong { program: program() });
    };
    let (status, printed, complaint) = ended.map_err(not_started)?;
    // What prints too much may be stopped by it, and its status says less than that.
    if printed.len() > LARGEST {
        return Err(ProgramError::BadOutput {
            program: program(),
            what: format!("more than {} kB", LARGEST >> 10),
        });
    }
    if !status.success() {
        learn(&printed);
        let words = Foreign::some(&String::from_utf8_lossy(&complaint));
        return Err(ProgramError::Failed {
            program: program(),
            status,
            complaint: words.map(|words| format!(": {words}")).unwrap_or_default(),
        });
    }
    Ok(printed)
}

/// Has what was printed masked from here on: a program that fails may have printed the secret, and tell of it in its
/// complaint.
fn learn(printed: &[u8]) {
    let printed = String::from_utf8_lossy(printed);
    let words = printed.split(|c: char| c.is_whitespace() || "\"'{}[],:".contains(c));
    // Shorter words are those of people rather than secrets.
    for word in words.filter(|word| word.len() >= 8) {
        drop(Secret::new(word));
    }
}

/// A program that runs; stopped when it is dropped.
struct Running {
    child: Child,
    /// Whether the program leads a group of its own, so that a stop reaches what it has started too.
    leads: bool,
}

impl Running {
    /// Starts the program, without the secrets that are in the environment of this one.
    fn start(command: &CommandLine, has_input: bool) -> std::io::Result<Self> {
        // At a terminal the program may talk to the person; elsewhere stdin is data of somebody else.
        let person = std::io::stdin().is_terminal();
        let stdin = match person {
            _ if has_input => Stdio::piped(),
            true => Stdio::inherit(),
            false => Stdio::null(),
        };
        let stderr = if person {
            Stdio::inherit()
        } else {
            Stdio::piped()
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
        // A terminal talks to one group only, and the program may have to ask there.
        #[cfg(unix)]
        if !person {
            child.process_group(0);
        }
        Ok(Self {
            child: child.spawn()?,
            leads: !person,
        })
    }

    /// The status, and what stood in both pipes when the program had ended. Something that it started may hold them
    /// open for ever, as the agents of password stores do.
    async fn output(
        &mut self,
        input: Option<&[u8]>,
    ) -> std::io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
        let (stdout, stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let stdin = self.child.stdin.take();
        let (mut printed, mut complaint) = (Vec::new(), Vec::new());
        let status = {
            let talking = async {
                let (one, other, ()) = tokio::join!(
                    read(stdout, &mut printed),
                    read(stderr, &mut complaint),
                    write(stdin, input.unwrap_or_default()),
                );
                one.and(other)
            };
            tokio::pin!(talking);
            tokio::select! {
                said = &mut talking => {
                    said?;
                    self.child.wait().await?
                }
                status = self.child.wait() => {
                    if let Ok(said) = tokio::time::timeout(REST, &mut talking).await {
                        said?;
                    }
                    status?
                }
            }
        };
        Ok((status, printed, complaint))
    }

    /// What stops it, from wherever.
    fn stopper(&self) -> impl Fn() + Send + Sync + 'static {
        let (id, leads) = (self.child.id(), self.leads);
        move || {
            if let Some(id) = id {
                kill(id, leads);
            }
        }
    }

    /// Stops it, and what it has started. One that has ended is left alone: an agent that it started is to stay.
    fn stop(&mut self) {
        if let Some(id) = self.child.id() {
            kill(id, self.leads);
        }
        // It fails for one that has ended.
        let _ = self.child.start_kill();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Ends a process, or the group that it leads.
fn kill(id: u32, leads: bool) {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, kill_process, kill_process_group};

        if let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) {
            // Both fail where it has ended.
            let _ = if leads {
                kill_process_group(id, Signal::KILL)
            } else {
                kill_process(id, Signal::KILL)
            };
        }
    }
    #[cfg(not(unix))]
    let _ = (id, leads);
}

/// All that a program writes, kept up to a size that no secret has.
async fn read(pipe: Option<impl AsyncRead + Unpin>, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    if let Some(pipe) = pipe {
        let mut pipe = pipe.take(LARGEST as u64 + 1);
        while pipe.read_buf(bytes).await? > 0 {}
    }
    Ok(())
}

/// One that does not read all of it says by its output what is wrong.
async fn write(pipe: Option<ChildStdin>, input: &[u8]) {
    if let Some(mut pipe) = pipe {
        let _ = pipe.write_all(input).await;
    }
}
