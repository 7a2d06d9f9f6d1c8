//! `--sign-command`: a program that signs with a key that never comes here (AWS and GCP KMS, Azure Key Vault, PKCS#11).

use super::super::program::{self, ProgramError};
use super::{Key, KeyError, PublicKey, signature};
use crate::profile::{Algorithm, CommandLine};

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
                "an --algorithm of a key pair: RS256, RS384, RS512, PS256, PS384, PS512, ES256 or ES384",
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
        let signing = program::output(&self.command, Some(text));
        let run = || tokio::runtime::Handle::current().block_on(signing);
        let printed = tokio::task::block_in_place(run)?;
        let signature = signature::read(self.algorithm, self.public.as_ref(), &printed)
            .map_err(|what| self.printed(what))?;
        if let Some(public) = &self.public
            && !signature::is_of(public, self.algorithm, text, &signature)
        {
            let problem = format!(
                "a signature that the public key does not know: another key, another algorithm than {}, or a \
                 digest signed in place of the text",
                self.algorithm
            );
            return Err(self.printed(problem));
        }
        Ok(signature)
    }

    fn printed(&self, what: String) -> KeyError {
        KeyError::SignCommand(ProgramError::BadOutput {
            program: self.command.program().to_owned(),
            what,
        })
    }
}
