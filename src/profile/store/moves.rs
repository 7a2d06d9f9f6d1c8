//! Profiles copied, renamed and chosen.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::save::{absolute, save};
use super::{Store, check_name};
use crate::files::{self, Lock};
use crate::profile::ProfileError;
use crate::profile::file::{ProfileFile, read_file};

/// The file that names the profile in use. It begins with a dot, since the Medplum CLI lists every other name.
const IN_USE: &str = ".in-use";
/// It holds nothing but a name.
const LONGEST_NAME: u64 = 4096;

impl Store {
    /// Copies settings and secrets to another name. Logins and tokens stay: of two that renew one login, the server
    /// ends both.
    ///
    /// # Errors
    /// There is no such profile, or another one of the new name that may not be replaced.
    pub fn copy(&self, from: &str, to: &str, replace: bool) -> Result<(), ProfileError> {
        self.put_as(from, to, replace, true)
    }

    /// Gives a profile another name, with its login and tokens; whoever asks for a token of either waits meanwhile.
    ///
    /// # Errors
    /// As [`Store::copy`].
    pub fn rename(&self, from: &str, to: &str, replace: bool) -> Result<(), ProfileError> {
        let was_in_use = self.is_in_use(from);
        let _tokens = both(from, to, |name| self.hold(&self.token_lock_path(name)))?;
        self.put_as(from, to, replace, false)?;
        if was_in_use {
            self.use_profile(to)?;
        }
        Ok(())
    }

    fn put_as(
        &self,
        from: &str,
        to: &str,
        replace: bool,
        copies: bool,
    ) -> Result<(), ProfileError> {
        let (old, new) = (self.path(from)?, self.path(to)?);
        if from == to {
            return Err(ProfileError::Exists(to.to_owned()));
        }
        let _locks = both(from, to, |name| self.lock(name))?;
        let file = self.read(from)?.filter(ProfileFile::has_options);
        let mut file = file.ok_or_else(|| self.unknown(from))?;
        let before = read_file(&new)?;
        if before.is_some() && !replace {
            return Err(ProfileError::Exists(to.to_owned()));
        }
        let own = file.marker.take();
        file.set_name(to);
        if copies {
            file.drop_tokens();
        }
        save(&new, to, &before.unwrap_or_default(), &file)?;
        if copies {
            return Ok(());
        }
        if let Some(marker) = own {
            marker.forget(&absolute(&old))?;
        }
        fs::remove_file(&old).map_err(|source| ProfileError::File {
            action: "remove",
            path: old,
            source,
        })
    }

    /// The profile that is used when none is named, if one was chosen.
    ///
    /// # Errors
    /// What names it cannot be read, or holds no name.
    pub fn in_use(&self) -> Result<Option<String>, ProfileError> {
        let path = self.folder.join(IN_USE);
        let text = match files::read_plain_text(&path, LONGEST_NAME) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let reason = error.to_string();
                return Err(ProfileError::NoChoice { path, reason });
            }
            Err(source) => return Err(failed("read", path, source)),
        };
        let name = text.trim_end();
        if check_name(name).is_err() {
            let reason = "it holds no name of a profile".to_owned();
            return Err(ProfileError::NoChoice { path, reason });
        }
        Ok(Some(name.to_owned()))
    }

    /// Whether this profile is the one in use, as far as that can be told.
    pub(super) fn is_in_use(&self, name: &str) -> bool {
        self.in_use()
            .is_ok_and(|used| used.as_deref() == Some(name))
    }

    /// Has a profile used when none is named.
    ///
    /// # Errors
    /// There is no such profile, or the choice cannot be written.
    pub fn use_profile(&self, name: &str) -> Result<(), ProfileError> {
        let file = self.read_public(name)?;
        if !file.is_some_and(|file| file.has_options()) {
            return Err(self.unknown(name));
        }
        let path = self.folder.join(IN_USE);
        files::replace(&path, format!("{name}\n").as_bytes())
            .and_then(|()| super::rights::open_to_group(&path, self.group()))
            .map_err(|source| failed("write", path, source))
    }

    /// Goes back to the profile `default` when none is named.
    ///
    /// # Errors
    /// The choice cannot be taken away.
    pub fn use_none(&self) -> Result<(), ProfileError> {
        let path = self.folder.join(IN_USE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", path, error))
            }
            _ => Ok(()),
        }
    }
}

fn failed(action: &'static str, path: PathBuf, source: io::Error) -> ProfileError {
    ProfileError::File {
        action,
        path,
        source,
    }
}

/// Locks for two names, always in the same order, so that two processes do not wait for each other.
fn both(
    one: &str,
    other: &str,
    lock: impl Fn(&str) -> Result<Lock, ProfileError>,
) -> Result<(Lock, Lock), ProfileError> {
    let first = lock(one.min(other))?;
    Ok((first, lock(one.max(other))?))
}
