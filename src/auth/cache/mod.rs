//! Tokens kept in the profile file, each bound to server, client and scope, so that none is used anywhere else.

mod binding;
mod entries;
mod fingerprint;
mod login;

use std::io::ErrorKind;

use serde_json::{Map, Value};

use super::{AuthError, Token};
use crate::files::Lock;
use crate::profile::store::{ProfileFile, Store};
use crate::profile::{Profile, ProfileError};
use binding::binding;
use entries::{bound_token, from_entry, put_token, token_entries};
pub use login::put_login;
use login::{login_is_of, stored_login};

/// The tokens of one profile file.
#[derive(Clone, Debug)]
pub struct Cache {
    store: Store,
    name: String,
}

impl Cache {
    /// The tokens in profile `name`.
    pub fn new(store: Store, name: &str) -> Self {
        Self {
            store,
            name: name.to_owned(),
        }
    }

    /// The folder of profiles.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The profile the tokens are in.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a login is stored, by this program or by the Medplum CLI.
    pub fn has_login(&self, file: &ProfileFile) -> bool {
        stored_login(file).is_some()
    }

    /// Whether the stored login is one to a Medplum server: only those name a project.
    pub fn login_is_medplum(&self, file: &ProfileFile) -> bool {
        stored_login(file).is_some_and(|login| login.context.contains_key("project"))
    }

    /// The token stored for this profile as it is resolved now, or with `login` the stored login.
    ///
    /// # Errors
    /// The file is broken or cannot be read.
    pub fn read(&self, profile: &Profile, login: bool) -> Result<Option<Token>, ProfileError> {
        let Some(file) = self.store.read(&self.name)? else {
            return Ok(None);
        };
        Ok(if login {
            stored_login(&file).filter(|_| login_is_of(&file, profile))
        } else {
            bound_token(&file, profile)
        })
    }

    /// Every token in the file that was got from this server for this client, the login first.
    ///
    /// # Errors
    /// The file is broken or cannot be read.
    pub fn all_of(&self, profile: &Profile) -> Result<Vec<Token>, ProfileError> {
        let Some(file) = self.store.read(&self.name)? else {
            return Ok(Vec::new());
        };
        let login = self.read(profile, true)?.filter(|_| profile.may_use_login);
        let binding = binding(profile);
        let is_same = |entry: &Map<String, Value>, key| entry.get(key) == binding.get(key);
        let others = token_entries(&file)
            .iter()
            .filter(|entry| is_same(entry, "server") && is_same(entry, "clientId"))
            .filter_map(from_entry)
            .collect::<Vec<_>>();
        let is_login = |token: &Token| {
            login
                .as_ref()
                .is_some_and(|login| login.access_token == token.access_token)
        };
        let others: Vec<Token> = others
            .into_iter()
            .filter(|token| !is_login(token))
            .collect();
        Ok(login.into_iter().chain(others).collect())
    }

    /// Whether the file has tokens beside these that are still good somewhere.
    ///
    /// # Errors
    /// The file is broken or cannot be read.
    pub fn holds_others(&self, than: &[Token]) -> Result<bool, ProfileError> {
        let file = self.store.read(&self.name)?.unwrap_or_default();
        let is_one = |token: &Token| {
            than.iter()
                .any(|other| other.access_token == token.access_token)
        };
        Ok(!still_good(&file).iter().all(is_one))
    }

    /// Takes every token and login out of the file; whether there were any.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn clear(&self) -> Result<bool, ProfileError> {
        if self.store.read(&self.name)?.is_none() {
            return Ok(false);
        }
        self.store.update(&self.name, |file| {
            let before = file.clone();
            file.drop_tokens();
            Ok(before != *file)
        })
    }

    /// Stores a token beside the others; a login is left as it is.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, profile: &Profile, token: &Token) -> Result<(), ProfileError> {
        self.store.update(&self.name, |file| {
            put_token(file, profile, token);
            Ok(())
        })
    }

    /// Puts a renewed token in the place of the login it renews. When another login stands there meanwhile, or none,
    /// the file stays as it is.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn renew_login(
        &self,
        profile: &Profile,
        before: &Token,
        token: &Token,
    ) -> Result<(), ProfileError> {
        self.store.update(&self.name, |file| {
            let still_there =
                stored_login(file).is_some_and(|login| login.access_token == before.access_token);
            if still_there {
                put_login(file, profile, token);
            }
            Ok(())
        })
    }

    /// Waits until no other process asks for a token of this profile. Without a place for locks there is none to
    /// take: each process then asks for itself.
    ///
    /// # Errors
    /// The other process took too long, or something that is no lock has its name.
    pub async fn lock_tokens(&self) -> Result<Option<Lock>, AuthError> {
        let path = self.store.token_lock_path(&self.name);
        let at = path.clone();
        let waiting = tokio::task::spawn_blocking(move || {
            Lock::exclusive(&at, "for a token that is being asked for")
        });
        match waiting.await {
            Ok(Ok(lock)) => Ok(Some(lock)),
            Ok(Err(error))
                if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted) =>
            {
                Err(AuthError::Locked(error.to_string()))
            }
            // Somebody put something else there. Without the lock two commands would renew one login.
            Ok(Err(source))
                if matches!(
                    source.kind(),
                    ErrorKind::InvalidData | ErrorKind::NotADirectory
                ) =>
            {
                let action = "lock";
                Err(ProfileError::File {
                    action,
                    path,
                    source,
                }
                .into())
            }
            _ => Ok(None),
        }
    }
}

/// The tokens in a file, of whatever server, that have not ended yet or can be renewed.
pub fn still_good(file: &ProfileFile) -> Vec<Token> {
    let entries = token_entries(file);
    let all = entries.iter().filter_map(from_entry);
    let all = stored_login(file).into_iter().chain(all);
    all.filter(|token| token.refresh_token.is_some() || !token.has_expired())
        .collect()
}
