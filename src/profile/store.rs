//! Profile files in `~/.medplum`, in the Medplum CLI's format: a flat JSON object of strings.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};

use super::held::{self, Marker, Place};
use super::{Key, ProfileError, Settings, headers};
use crate::files::{self, Lock};
use crate::secret::Secret;

/// The key that holds the settings, as a JSON string.
pub(super) const OPTIONS: &str = "options";
/// The key that holds the Medplum CLI's current login, as a JSON string.
pub const ACTIVE_LOGIN: &str = "activeLogin";
/// The key that holds the Medplum CLI's list of logins, as a JSON string.
pub const LOGINS: &str = "logins";
/// The key that holds this program's tokens, as a JSON string.
pub const TOKENS: &str = "tokens";
/// The key that holds what discovery found, as a JSON string.
pub const DISCOVERY: &str = "discovery";
/// The key that says that the secrets are in the keyring, as a JSON string.
const KEYRING: &str = "keyring";

/// The folder of profiles.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    mended: Arc<Mutex<Vec<Mended>>>,
}

/// A file or folder that others could read.
#[derive(Debug)]
pub struct Mended {
    pub path: PathBuf,
    /// Why they still can.
    pub problem: Option<String>,
}

/// One profile file as it stands; keys of other programs are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProfileFile {
    /// All keys, those that the keyring holds among them.
    keys: Map<String, Value>,
    place: Place,
    marker: Option<Marker>,
}

impl Store {
    /// The folder named by `MEDPLUM_CONFIG_DIR`, else `~/.medplum`.
    ///
    /// # Errors
    /// [`ProfileError::NoHome`] when there is neither.
    pub fn open() -> Result<Self, ProfileError> {
        let folder = match std::env::var_os("MEDPLUM_CONFIG_DIR").filter(|dir| !dir.is_empty()) {
            Some(folder) => PathBuf::from(folder),
            None => dirs::home_dir()
                .ok_or(ProfileError::NoHome)?
                .join(".medplum"),
        };
        Ok(Self::at(folder))
    }

    /// A store in another folder.
    pub fn at(folder: PathBuf) -> Self {
        Self {
            folder,
            mended: Arc::default(),
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
        self.mend(&path);
        let Some(mut file) = read_file(&path)? else {
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
        self.mend(&path);
        read_file(&path)
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
    /// keyring are no error here: this is the way out of that.
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

    /// Removes a profile with its tokens, those in the keyring first.
    ///
    /// # Errors
    /// [`ProfileError::Unknown`], or the file or the keyring's entry cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), ProfileError> {
        let path = self.path(name)?;
        if !path.exists() {
            return Err(ProfileError::Unknown(name.to_owned()));
        }
        let _lock = self.lock(name)?;
        if let Ok(Some(ProfileFile {
            marker: Some(marker),
            ..
        })) = read_file(&path)
        {
            marker.forget(&absolute(&path))?;
        }
        fs::remove_file(&path).map_err(|source| ProfileError::File {
            action: "remove",
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

    /// Takes the rights of others off a profile and its folder.
    fn mend(&self, file: &Path) {
        for path in [self.folder.as_path(), file] {
            let problem = match files::make_private(path) {
                Ok(true) => None,
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

    /// The names of all profiles, sorted; none when the folder does not exist.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn names(&self) -> Result<Vec<String>, ProfileError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => {
                return Err(ProfileError::File {
                    action: "read",
                    path: self.folder.clone(),
                    source,
                });
            }
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let name = name.strip_suffix(".json")?;
                check_name(name).is_ok().then(|| name.to_owned())
            })
            .collect();
        names.sort();
        Ok(names)
    }

    /// The lock held while one process asks for a token, so that others wait and use what it got.
    pub fn token_lock_path(&self, name: &str) -> PathBuf {
        self.folder.join(".locks").join(format!("{name}.token"))
    }

    fn lock(&self, name: &str) -> Result<Lock, ProfileError> {
        let path = self.folder.join(".locks").join(format!("{name}.lock"));
        let error = |source| ProfileError::File {
            action: "lock",
            path: path.clone(),
            source,
        };
        files::create_private_dir(&self.folder).map_err(error)?;
        Lock::exclusive(&path).map_err(error)
    }
}

/// Profile names are plain names: they become file names.
///
/// # Errors
/// [`ProfileError::BadName`].
pub fn check_name(name: &str) -> Result<(), ProfileError> {
    let plain = !name.is_empty()
        && name.len() <= 100
        && !name.starts_with(['.', '-'])
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || "-_.@+ ".contains(c));
    if plain {
        Ok(())
    } else {
        Err(ProfileError::BadName(name.to_owned()))
    }
}

fn read_file(path: &Path) -> Result<Option<ProfileFile>, ProfileError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(broken(path, "it is not UTF-8 text"));
        }
        Err(source) => {
            return Err(ProfileError::File {
                action: "read",
                path: path.to_owned(),
                source,
            });
        }
    };
    let mut keys: Map<String, Value> = serde_json::from_str(&text).map_err(|error| {
        // serde_json's message quotes no values, only what it expected and where.
        broken(
            path,
            &format!(
                "not a JSON object: line {}, column {}",
                error.line(),
                error.column()
            ),
        )
    })?;
    let marker = match keys.shift_remove(KEYRING) {
        None => None,
        Some(value) => Some(
            Marker::parse(&value)
                .ok_or_else(|| broken(path, &format!("its `{KEYRING}` names no entry")))?,
        ),
    };
    let place = match marker {
        Some(_) => Place::Keyring,
        None => Place::File,
    };
    let file = ProfileFile {
        keys,
        place,
        marker,
    };
    file.options().map_err(|reason| broken(path, &reason))?;
    Ok(Some(file))
}

/// Writes a profile where its secrets are to be. The order is such that a run killed at any point loses nothing: what
/// is new is there before what is old goes.
fn save(
    path: &Path,
    name: &str,
    before: &ProfileFile,
    file: &ProfileFile,
) -> Result<(), ProfileError> {
    let owner = absolute(path);
    if file.place == Place::File {
        write_keys(path, &file.keys)?;
        return match &before.marker {
            Some(marker) => marker.forget(&owner),
            None => Ok(()),
        };
    }
    let (mut public, held) = held::split(&file.keys);
    let in_file = match read_file(path)? {
        Some(file) => file.keys,
        None => Map::new(),
    };
    if public == in_file
        && let Some(marker) = &before.marker
        && marker.replace_held(&owner, &held)?
    {
        return Ok(());
    }
    let marker = Marker::hold(before.marker.as_ref(), name, &owner, &held)?;
    public.insert(KEYRING.into(), marker.to_json());
    write_keys(path, &public)?;
    marker.tidy();
    Ok(())
}

fn write_keys(path: &Path, keys: &Map<String, Value>) -> Result<(), ProfileError> {
    let text = serde_json::to_string_pretty(keys).unwrap_or_default();
    files::replace(path, text.as_bytes()).map_err(|source| ProfileError::File {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn broken(path: &Path, reason: &str) -> ProfileError {
    ProfileError::Broken {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

impl ProfileFile {
    /// Whether there is a profile in the file: `profile remove` of the Medplum CLI leaves the file with its tokens.
    pub fn has_options(&self) -> bool {
        self.keys.contains_key(OPTIONS)
    }

    /// The settings of this program and of the Medplum CLI in the file.
    pub fn settings(&self) -> Settings {
        let options = self.options().unwrap_or_default();
        let mut settings = Settings::default();
        for key in Key::ALL {
            let value = options
                .get(key.json())
                .and_then(Value::as_str)
                .filter(|value| !value.is_empty());
            settings.set(key, value.map(str::to_owned));
        }
        settings
    }

    /// Replaces the settings, or with `merge` adds to them; options of other programs are kept.
    /// Tokens go when they are of another server or client than before.
    pub fn set_settings(&mut self, name: &str, settings: &Settings, merge: bool) {
        let before = self.settings();
        let mut options = self.options().unwrap_or_default();
        options.insert("name".into(), name.into());
        if Key::SECRETS.iter().any(|key| settings.get(*key).is_some()) {
            // A new secret stands in the place of the old one, whichever way each is given.
            for key in Key::SECRETS {
                options.shift_remove(key.json());
            }
        }
        let headers = settings.get(Key::Headers).map(|given| {
            let stored = before.get(Key::Headers).filter(|_| merge);
            headers::merged(stored.unwrap_or_default(), given)
        });
        for key in Key::ALL {
            let value = match key {
                Key::Headers => headers.as_deref(),
                _ => settings.get(key),
            };
            match value {
                Some("") => {
                    options.shift_remove(key.json());
                }
                Some(value) => {
                    options.insert(key.json().into(), value.into());
                }
                None if !merge => {
                    options.shift_remove(key.json());
                }
                None => {}
            }
        }
        let text = serde_json::to_string(&options).unwrap_or_default();
        self.keys.insert(OPTIONS.into(), text.into());
        let after = self.settings();
        let server = [Key::BaseUrl, Key::FhirUrlPath, Key::TokenUrl, Key::ClientId];
        if server.iter().any(|key| before.get(*key) != after.get(*key)) {
            self.drop_tokens();
            self.keys.shift_remove(DISCOVERY);
        }
    }

    /// Where the secrets are.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The settings that the keyring holds, by their names in the file.
    pub fn held(&self) -> &[String] {
        self.marker.as_ref().map_or(&[], |marker| &marker.holds)
    }

    /// Takes every login and token out of the file; the settings stay.
    pub fn drop_tokens(&mut self) {
        for key in [TOKENS, ACTIVE_LOGIN, LOGINS] {
            self.keys.shift_remove(key);
        }
    }

    /// One of the file's JSON-in-a-string values; `None` when absent or not JSON.
    pub fn json(&self, key: &str) -> Option<Value> {
        let value = serde_json::from_str(self.keys.get(key)?.as_str()?).ok()?;
        mask_tokens(&value);
        Some(value)
    }

    /// Sets one of the JSON-in-a-string values.
    pub fn set_json(&mut self, key: &str, value: &Value) {
        self.keys.insert(key.into(), value.to_string().into());
    }

    fn options(&self) -> Result<Map<String, Value>, String> {
        match self.keys.get(OPTIONS) {
            None => Ok(Map::new()),
            Some(Value::String(text)) => serde_json::from_str(text)
                .map_err(|_| format!("its `{OPTIONS}` is not a JSON object in a string")),
            Some(_) => Err(format!("its `{OPTIONS}` is not a string")),
        }
    }
}

/// Has every token in a stored value masked from now on.
fn mask_tokens(value: &Value) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                match field.as_str() {
                    Some(text) if key.ends_with("Token") => drop(Secret::new(text)),
                    _ => mask_tokens(field),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(mask_tokens),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn names_with_separators_are_refused() {
        for name in ["", "..", "../x", "a/b", "a\\b", ".hidden", "a\0b", "-x"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        for name in ["default", "bcda-sandbox", "a.b", "me@work", "Zürich 2"] {
            check_name(name).unwrap();
        }
    }
}
