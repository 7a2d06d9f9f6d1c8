//! Secrets held in the keyring: which part of a profile goes there, and in which order keyring and file are written.
//!
//! The file then holds a marker that names the keyring's entry. There are two slots for the entry. Whatever changes in
//! the file takes the other slot: first the entry is written, then the file that points to it, and then the old entry
//! goes. So a run that is killed in between leaves the old profile or the new one, never a mixture. Tokens alone change
//! within their slot, which the keyring does whole.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::parts::{ACTIVE_LOGIN, LOGINS, OPTIONS, TOKENS};
use super::{Key, ProfileError, Settings, keyring};
use crate::files;
use crate::secret::Secret;

/// No profile file is larger.
const LARGEST: u64 = 16 << 20;

/// Where a profile's secrets and tokens are at rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// In the profile file, which only its owner can read.
    #[default]
    File,
    /// In the keyring of the operating system.
    Keyring,
}

/// Keys of the file that hold tokens, whole.
const TOKEN_KEYS: [&str; 3] = [TOKENS, ACTIVE_LOGIN, LOGINS];

/// What stands in the file in place of the secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker {
    /// The name of the entries, without their slot.
    id: String,
    /// The slot in use; 0 when there is nothing to hold.
    slot: u8,
    /// What the entry must call itself, so that a file never meets the secrets of another state of the profile.
    version: String,
    /// The profile file that the entries belong to; another one is a copy of it, or its new name.
    owner: PathBuf,
    /// The settings in the entry, so that they can be listed without it.
    pub(super) holds: Vec<String>,
}

/// What an entry of the keyring holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Entry {
    version: String,
    #[serde(flatten)]
    held: Held,
}

/// The secret part of a profile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Held {
    options: Map<String, Value>,
    keys: Map<String, Value>,
}

impl Held {
    /// Whether there is no secret.
    pub(super) fn is_empty(&self) -> bool {
        self.options.is_empty() && self.keys.is_empty()
    }

    fn names(&self) -> Vec<String> {
        self.options.keys().cloned().collect()
    }
}

/// Parts the keys of a profile into what may stand in the file and what may not.
pub(super) fn split(keys: &Map<String, Value>) -> (Map<String, Value>, Held) {
    let mut public = keys.clone();
    let mut held = Held::default();
    for key in TOKEN_KEYS {
        if let Some(value) = public.shift_remove(key) {
            held.keys.insert(key.to_owned(), value);
        }
    }
    if let Some(mut options) = options_of(&public) {
        for &key in Key::ALL {
            let is_secret = options
                .get(key.json())
                .and_then(Value::as_str)
                .map_or(key.is_secret(), |value| Settings::holds_secret(key, value));
            if is_secret && let Some(value) = options.shift_remove(key.json()) {
                held.options.insert(key.json().to_owned(), value);
            }
        }
        if !held.options.is_empty() {
            let text = Value::Object(options).to_string();
            public.insert(OPTIONS.into(), text.into());
        }
    }
    (public, held)
}

/// Puts the secrets back. What stands in the file is newer: the Medplum CLI wrote it.
fn merge(keys: &mut Map<String, Value>, held: Held) {
    for (key, value) in held.keys {
        keys.entry(key).or_insert(value);
    }
    if held.options.is_empty() {
        return;
    }
    let mut options = options_of(keys).unwrap_or_default();
    for (key, value) in held.options {
        options.entry(key).or_insert(value);
    }
    let text = Value::Object(options).to_string();
    keys.insert(OPTIONS.into(), text.into());
}

fn options_of(keys: &Map<String, Value>) -> Option<Map<String, Value>> {
    serde_json::from_str(keys.get(OPTIONS)?.as_str()?).ok()
}

impl Marker {
    /// The marker that stands in a file; `None` when it is none of ours.
    pub(super) fn parse(value: &Value) -> Option<Self> {
        serde_json::from_str(value.as_str()?).ok()
    }

    /// The next marker: a new one for a profile that has none of its own, else the other slot.
    fn next(before: Option<&Self>, name: &str, path: &Path, held: &Held) -> Self {
        let id = before.map_or_else(
            || format!("{name}-{:016x}", fastrand::u64(..)),
            |marker| marker.id.clone(),
        );
        let slot = match before {
            _ if held.is_empty() => 0,
            Some(marker) if marker.slot == 1 => 2,
            _ => 1,
        };
        Self {
            id,
            slot,
            version: format!("{:016x}", fastrand::u64(..)),
            owner: path.to_owned(),
            holds: held.names(),
        }
    }

    fn entry(&self, slot: u8) -> String {
        format!("{}#{slot}", self.id)
    }

    /// Whether the entries belong to the file at `path`: not when that is a copy of the file that they belong to.
    fn is_of(&self, path: &Path) -> bool {
        if self.owner == path {
            return true;
        }
        let owner = files::read_plain_text(&self.owner, LARGEST).unwrap_or_default();
        !owner.contains(&self.id)
    }

    /// Puts the secrets that it stands for among the keys. `false` when the keyring does not have them.
    ///
    /// # Errors
    /// [`ProfileError::Keyring`].
    pub(super) fn fill(&self, keys: &mut Map<String, Value>) -> Result<bool, ProfileError> {
        if self.slot == 0 {
            return Ok(true);
        }
        let bytes = keyring::read(&self.entry(self.slot)).map_err(ProfileError::Keyring)?;
        let entry: Option<Entry> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let Some(entry) = entry.filter(|entry| entry.version == self.version) else {
            return Ok(false);
        };
        for value in entry.held.options.values().filter_map(Value::as_str) {
            let _ = Secret::new(value);
        }
        merge(keys, entry.held);
        Ok(true)
    }

    /// Keeps other secrets under the same marker, when only they changed.
    ///
    /// # Errors
    /// [`ProfileError::Keyring`]; the old ones are then still there.
    pub(super) fn replace_held(&self, path: &Path, held: &Held) -> Result<bool, ProfileError> {
        let stays = self.slot != 0 && !held.is_empty() && self.holds == held.names();
        if stays && self.is_of(path) {
            self.write(held)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Keeps secrets in a slot of their own. The marker goes into the file next; then [`Marker::tidy`].
    ///
    /// # Errors
    /// [`ProfileError::Keyring`]; nothing is changed then.
    pub(super) fn hold(
        before: Option<&Self>,
        name: &str,
        path: &Path,
        held: &Held,
    ) -> Result<Self, ProfileError> {
        let own = before.filter(|marker| marker.is_of(path));
        let marker = Self::next(own, name, path, held);
        if marker.slot != 0 {
            marker.write(held)?;
        }
        Ok(marker)
    }

    fn write(&self, held: &Held) -> Result<(), ProfileError> {
        let entry = Entry {
            version: self.version.clone(),
            held: held.clone(),
        };
        let bytes = serde_json::to_vec(&entry).unwrap_or_default();
        keyring::write(&self.entry(self.slot), &bytes).map_err(ProfileError::Keyring)
    }

    /// Takes the entry of the other slot away, which no file names any more.
    pub(super) fn tidy(&self) {
        for slot in [1, 2].into_iter().filter(|slot| *slot != self.slot) {
            // One that stays is overwritten by the change after next, and removed with the profile.
            let _ = keyring::remove(&self.entry(slot));
        }
    }

    /// Takes both entries away; those of a file that this is a copy of stay.
    ///
    /// # Errors
    /// [`ProfileError::Keyring`].
    pub(super) fn forget(&self, path: &Path) -> Result<(), ProfileError> {
        if !self.is_of(path) {
            return Ok(());
        }
        [1, 2]
            .into_iter()
            .try_for_each(|slot| keyring::remove(&self.entry(slot)).map_err(ProfileError::Keyring))
    }

    /// As it stands in the file.
    pub(super) fn to_json(&self) -> Value {
        serde_json::to_string(self).unwrap_or_default().into()
    }
}

/// Makes sure that there is a keyring to write to, before anything is asked of a server or a person.
///
/// # Errors
/// [`ProfileError::Keyring`].
pub fn check_keyring() -> Result<(), ProfileError> {
    keyring::read("none")
        .map(drop)
        .map_err(ProfileError::Keyring)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_part_holds_no_secret_and_the_parts_make_the_whole() {
        let mut options = Map::new();
        for &key in Key::ALL {
            options.insert(key.json().into(), format!("value-{}", key.json()).into());
        }
        options.insert("foreign".into(), 7.into());
        let mut keys = Map::new();
        keys.insert(
            OPTIONS.into(),
            Value::Object(options.clone()).to_string().into(),
        );
        for key in TOKEN_KEYS.into_iter().chain(["discovery", "other"]) {
            keys.insert(key.into(), format!("value-{key}").into());
        }
        let (mut public, held) = split(&keys);
        let text = Value::Object(public.clone()).to_string();
        for secret in [
            "clientSecret\\",
            "accessToken\\",
            "keyPassphrase\\",
            "value-tokens",
            "Login",
        ] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert!(text.contains("foreign") && text.contains("value-clientSecretFile"));
        merge(&mut public, held);
        assert_eq!(options_of(&public).unwrap(), options);
        assert_eq!(public.len(), keys.len());
    }

    #[test]
    fn headers_are_held_when_one_of_them_is_a_secret() {
        for (headers, is_held) in [("X-Tenant: a", false), ("X-Tenant: a\nX-Api-Key: b", true)] {
            let mut options = Map::new();
            options.insert("headers".into(), headers.into());
            let text = Value::Object(options).to_string();
            let (public, held) = split(&Map::from_iter([(OPTIONS.to_owned(), text.into())]));
            let public = options_of(&public).unwrap();
            assert_eq!(public.contains_key("headers"), !is_held);
            assert_eq!(held.options.contains_key("headers"), is_held);
        }
    }
}
