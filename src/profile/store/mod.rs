//! Profile files in `~/.medplum`, in the Medplum CLI's format: a flat JSON object of strings.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

mod moves;
mod names;
mod rights;
mod save;
mod write;

use super::ProfileError;
pub use super::file::ProfileFile;
use super::file::read_file;
use super::held::Place;
pub use super::parts::{ACTIVE_LOGIN, DISCOVERY, LOGINS, TOKENS};
use crate::files::{self, Lock};
pub use names::check_name;
use save::{absolute, save};

/// The folder of profiles.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    /// Whether the folder is this program's own, `~/.medplum`, and no other one that a variable names.
    is_own: bool,
    mended: Arc<Mutex<Vec<Mended>>>,
}

/// A file or folder that others could read.
#[derive(Debug)]
pub struct Mended {
    pub path: PathBuf,
    /// Why they still can.
    pub problem: Option<String>,
}

impl Store {
    /// The folder named by `MEDPLUM_CONFIG_DIR`, else `~/.medplum`.
    ///
    /// # Errors
    /// [`ProfileError::NoHome`] when there is neither.
    pub fn open() -> Result<Self, ProfileError> {
        let named = std::env::var_os("MEDPLUM_CONFIG_DIR").filter(|dir| !dir.is_empty());
        let is_own = named.is_none();
        let folder = match named {
            Some(folder) => PathBuf::from(folder),
            None => dirs::home_dir()
                .ok_or(ProfileError::NoHome)?
                .join(".medplum"),
        };
        Ok(Self {
            folder,
            is_own,
            mended: Arc::default(),
        })
    }

    /// A store in another folder.
    #[cfg(test)]
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self {
            folder,
            is_own: true,
            mended: Arc::default(),
        }
    }

    /// What the group of a shared folder may do with its files.
    fn group(&self) -> u32 {
        if self.is_own {
            0
        } else {
            rights::of_group(&self.folder)
        }
    }

    /// The file of a profile.
    ///
    /// # Errors
    /// [`ProfileError::BadName`].
    pub fn path(&self, name: &str) -> Result<PathBuf, ProfileError> {
        check_name(name)?;
        Ok(self.folder.join(format!("{name}.json")))
    }

    /// Reads a profile; `None` when there is none of that name.
    ///
    /// # Errors
    /// The name is bad, the file is unreadable or broken, or the keyring that holds its secrets is out of reach.
    pub fn read(&self, name: &str) -> Result<Option<ProfileFile>, ProfileError> {
        let path = self.path(name)?;
        let Some(mut file) = self.read_public(name)? else {
            return Ok(None);
        };
        while let Some(marker) = file.marker.clone() {
            let failure = match marker.fill(&mut file.keys) {
                Ok(true) => return Ok(Some(file)),
                Ok(false) => ProfileError::NotInKeyring(name.to_owned()),
                Err(error) => error,
            };
            // Another process may have put a new entry in the old one's place in the meantime.
            file = match read_file(&path)? {
                None => return Ok(None),
                Some(file) if file.marker == Some(marker) => return Err(failure),
                Some(file) => file,
            };
        }
        Ok(Some(file))
    }

    /// Reads what stands in a profile's file, without asking the keyring.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn read_public(&self, name: &str) -> Result<Option<ProfileFile>, ProfileError> {
        let path = self.path(name)?;
        let file = read_file(&path)?;
        // Somebody else's file in a folder that a variable names is no profile, whatever it is called.
        if self.is_own || file.as_ref().is_some_and(ProfileFile::is_profile) {
            self.mend(&path);
        }
        Ok(file)
    }

    /// Changes a profile under its lock: reads it afresh, lets `change` edit it, and replaces the file whole.
    /// Nothing is written when `change` left it as it was.
    ///
    /// # Errors
    /// The file is broken (and stays as it is) or cannot be written, or `change` refused.
    pub fn update<T, E: From<ProfileError>>(
        &self,
        name: &str,
        change: impl FnOnce(&mut ProfileFile) -> Result<T, E>,
    ) -> Result<T, E> {
        self.update_in(name, None, change)
    }

    /// The same, and from now on the secrets are at `place`.
    ///
    /// # Errors
    /// As [`Store::update`], or the keyring is out of reach; nothing is changed then. Secrets that are missing in the
    /// keyring are no error here: storing others in their place is how a person gets out of that.
    pub fn update_in<T, E: From<ProfileError>>(
        &self,
        name: &str,
        place: Option<Place>,
        change: impl FnOnce(&mut ProfileFile) -> Result<T, E>,
    ) -> Result<T, E> {
        let path = self.path(name)?;
        let _lock = self.lock(name)?;
        let before = match self.read(name) {
            Err(ProfileError::NotInKeyring(_)) if place.is_some() => self.read_public(name)?,
            read => read?,
        };
        let before = before.unwrap_or_default();
        let mut file = before.clone();
        file.place = place.unwrap_or(before.place);
        let result = change(&mut file)?;
        // Asked for the keyring, also what another program left in the file goes there.
        if before != file || place == Some(Place::Keyring) {
            save(&path, name, &before, &file)?;
        }
        Ok(result)
    }

    /// Removes a profile with its tokens, those in the keyring first. The target of a symlink stays, and is returned.
    ///
    /// # Errors
    /// [`ProfileError::Unknown`], or the file or the keyring's entry cannot be removed.
    pub fn remove(&self, name: &str) -> Result<Option<PathBuf>, ProfileError> {
        let path = self.path(name)?;
        if path.symlink_metadata().is_err() {
            return Err(self.unknown(name));
        }
        let _lock = self.lock(name)?;
        if let Ok(Some(ProfileFile {
            marker: Some(marker),
            ..
        })) = read_file(&path)
        {
            marker.forget(&absolute(&path))?;
        }
        let target = write::target(&path);
        let stays = (target != path && target.exists()).then_some(target);
        fs::remove_file(&path).map_err(|source| ProfileError::File {
            action: "remove",
            path,
            source,
        })?;
        if self.is_in_use(name) {
            self.use_none()?;
        }
        Ok(stays)
    }

    /// Makes sure that a profile can be written, before anything is asked of a server or a person: a login that cannot
    /// be kept is lost.
    ///
    /// # Errors
    /// Its lock cannot be taken or its folder not be written.
    pub fn check_writable(&self, name: &str) -> Result<(), ProfileError> {
        let path = self.path(name)?;
        let _lock = self.lock(name)?;
        write::try_out(&path, name).map_err(|source| ProfileError::File {
            action: "write",
            path,
            source,
        })
    }

    /// What was found to be readable by others since this was asked last.
    pub fn take_mended(&self) -> Vec<Mended> {
        let mut mended = self
            .mended
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        std::mem::take(&mut mended)
    }

    /// Takes the rights of others off a profile and its folder. A folder that a variable names may be anything, a home
    /// among them: it stays as it is, and its group keeps what the folder gives it.
    fn mend(&self, file: &Path) {
        let folder = self.is_own.then_some(self.folder.as_path());
        for path in folder.into_iter().chain([file]) {
            let problem = match rights::close(path, self.group()) {
                Ok(true) => None,
                // Nobody can mend what is mounted so, and Kubernetes and Docker mount secrets so.
                Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => continue,
                Err(error) if error.kind() != io::ErrorKind::NotFound => Some(error.to_string()),
                Ok(false) | Err(_) => continue,
            };
            let path = path.to_owned();
            if let Ok(mut mended) = self.mended.lock()
                && mended.iter().all(|known| known.path != path)
            {
                mended.push(Mended { path, problem });
            }
        }
    }

    /// The lock held while one process asks for a token, so that others wait and use what it got.
    pub fn token_lock_path(&self, name: &str) -> PathBuf {
        let path = self.folder.join(".locks").join(format!("{name}.token"));
        // Where it cannot be made, taking it says so.
        let _ = self.make_lock(&path);
        path
    }

    fn lock(&self, name: &str) -> Result<Lock, ProfileError> {
        let path = self.folder.join(".locks").join(format!("{name}.lock"));
        let lock = self.hold(&path)?;
        write::sweep(&self.folder.join(format!("{name}.json")), name);
        Ok(lock)
    }

    fn hold(&self, path: &Path) -> Result<Lock, ProfileError> {
        let error = |source| ProfileError::File {
            action: "lock",
            path: path.to_owned(),
            source,
        };
        files::create_private_dir(&self.folder).map_err(error)?;
        self.make_lock(path).map_err(error)?;
        Lock::exclusive(path, "to write the profile").map_err(error)
    }

    /// Makes a lock's file, which the others of a shared folder can take too.
    fn make_lock(&self, path: &Path) -> io::Result<()> {
        let group = self.group();
        if group == 0 || path.exists() {
            return Ok(());
        }
        let folder = files::folder_of(path);
        if !folder.exists() {
            files::create_private_dir(&folder)?;
            rights::open_to_group(&folder, group)?;
        }
        match fs::File::create_new(path) {
            Ok(_) => rights::open_to_group(path, group),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Key, Settings};
    use super::*;

    fn settings(pairs: &[(Key, &str)]) -> Settings {
        let mut settings = Settings::default();
        for (key, value) in pairs {
            settings.set(*key, Some((*value).to_owned()));
        }
        settings
    }

    #[test]
    fn foreign_keys_and_options_survive_and_tokens_go_with_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path().join("new"));
        let path = store.path("x").unwrap();
        fs::create_dir(folder.path().join("new")).unwrap();
        fs::write(
            &path,
            r#"{"other":"1","options":"{\"name\":\"x\",\"foreign\":7}","tokens":"[]"}"#,
        )
        .unwrap();
        let set = |pairs: &[(Key, &str)], merge| {
            store
                .update("x", |file| {
                    file.set_settings("x", &settings(pairs), merge);
                    Ok::<_, ProfileError>(())
                })
                .unwrap();
            fs::read_to_string(&path).unwrap()
        };
        let text = set(&[(Key::Scope, "a")], false);
        assert!(text.contains("tokens") && text.contains("foreign") && text.contains("other"));
        let text = set(&[(Key::BaseUrl, "https://h.example")], true);
        assert!(!text.contains("tokens") && text.contains("scope"), "{text}");
        assert!(!set(&[(Key::BaseUrl, "https://h.example")], false).contains("scope"));
    }
}
