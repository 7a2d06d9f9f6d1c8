//! `--sign-command`: a program that signs with a key that never comes here (AWS and GCP KMS, Azure Key Vault, PKCS#11).

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::{Key, KeyError, PublicKey, signature};
use crate::profile::{Algorithm, CommandLine, Key as Setting};
use crate::words;

/// A key store may ask a person for a PIN or a touch.
const LONGEST_RUN: Duration = Duration::from_secs(30);
const LARGEST_OUTPUT: u64 = 64 << 10;

/// What signs elsewhere, and what is known of its key.
#[derive(Clone, Debug)]
pub struct SignCommand {
    command: CommandLine,
    pub algorithm: Algorithm,
    pub kid: String,
    pub public: Option<PublicKey>,
}

impl SignCommand {
    /// A program with the algorithm and the key id that are set, else those of its public key.
    ///
    /// # Errors
    /// One of the two is known from nowhere; the key cannot sign with the algorithm.
    pub fn of(
        command: &CommandLine,
        public: Option<Key>,
        kid: Option<&str>,
        algorithm: Option<Algorithm>,
    ) -> Result<Self, KeyError> {
        let algorithm = algorithm
            .or_else(|| public.as_ref().map(Key::algorithm))
            .ok_or(KeyError::SignCommandNeeds("--algorithm"))?;
        if algorithm.is_of_secret() {
            return Err(KeyError::SignCommandNeeds(
                "an --algorithm of a key pair: RS256, RS384, RS512, ES256 or ES384",
            ));
        }
        let kid = kid
            .map(str::to_owned)
            .or_else(|| public.as_ref().map(Key::kid))
            .ok_or(KeyError::SignCommandNeeds("--key-id"))?;
        let public = public.map(|key| key.public);
        if public
            .as_ref()
            .is_some_and(|key| !key.algorithms().contains(&algorithm))
        {
            return Err(KeyError::SignCommandNeeds(
                "an --algorithm that its public key (--private-key-path) can sign with",
            ));
        }
        Ok(Self {
            command: command.clone(),
            algorithm,
            kid,
            public,
        })
    }

    /// The signature of a text, checked by its length, and by the public key when that is known.
    ///
    /// # Errors
    /// The program cannot be run, failed, took too long, or printed something else.
    pub fn sign(&self, text: &[u8]) -> Result<Vec<u8>, KeyError> {
        // Requests are made where nothing can wait; this thread may, and the others go on.
        let run = || tokio::runtime::Handle::current().block_on(self.run(text));
        let printed = tokio::task::block_in_place(run)?;
        let signature = signature::read(self.algorithm, self.public.as_ref(), &printed)
            .map_err(|what| self.failed(format!("printed {what}")))?;
        if let Some(public) = &self.public
            && !signature::is_of(public, self.algorithm, text, &signature)
        {
            let problem = format!(
                "printed a signature that the public key does not know: another key, another algorithm than {}, or a \
                 digest signed in place of the text",
                self.algorithm
            );
            return Err(self.failed(problem));
        }
        Ok(signature)
    }

    fn failed(&self, problem: impl Into<String>) -> KeyError {
        KeyError::SignCommand {
            program: self.command.program().to_owned(),
            problem: problem.into(),
        }
    }

    async fn run(&self, text: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut command = Command::new(self.command.program());
        command
            .args(self.command.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // Our own secrets are none of its business.
        for setting in Setting::ALL.iter().filter(|setting| setting.is_secret()) {
            command.env_remove(setting.variable());
        }
        let not_started =
            |error: std::io::Error| self.failed(format!("cannot be started: {error}"));
        let mut child = command.spawn().map_err(not_started)?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let write = async move {
            // One that does not read all of it says by its output what is wrong.
            if let Some(mut stdin) = stdin {
                let _ = stdin.write_all(text).await;
            }
        };
        let ended = async {
            let ((), status, printed, complaint) =
                tokio::join!(write, child.wait(), all_of(stdout), all_of(stderr));
            Ok::<(ExitStatus, Vec<u8>, Vec<u8>), std::io::Error>((status?, printed?, complaint?))
        };
        let Ok(ended) = tokio::time::timeout(LONGEST_RUN, ended).await else {
            let problem = format!(
                "did not end within {} s and was stopped",
                LONGEST_RUN.as_secs()
            );
            return Err(self.failed(problem));
        };
        let (status, printed, complaint) = ended.map_err(not_started)?;
        if !status.success() {
            let complaint = words::of_text("", &complaint);
            let complaint = complaint.map_or_else(String::new, |words| format!(": {words}"));
            return Err(self.failed(format!("failed ({status}){complaint}")));
        }
        Ok(printed)
    }
}

/// What a program writes, up to a size that no signature has.
async fn all_of(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(LARGEST_OUTPUT).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}
