//! One profile file: settings, tokens and what other programs keep there.

use std::io;
use std::path::Path;

use serde_json::{Map, Value};

use super::held::{Marker, Place};
use super::parts::{ACTIVE_LOGIN, DISCOVERY, KEYRING, LOGINS, OPTIONS, TOKENS};
use super::{Key, ProfileError, Settings, headers};
use crate::files;
use crate::secret::Secret;
use crate::words;

/// Twenty tokens with what came along take some hundred kilobytes.
const LARGEST: u64 = 16 << 20;

/// One profile file as it stands; keys of other programs are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProfileFile {
    /// All keys, those that the keyring holds among them.
    pub(super) keys: Map<String, Value>,
    pub(super) place: Place,
    pub(super) marker: Option<Marker>,
}

/// Reads a file as it stands; the keyring is not asked.
///
/// # Errors
/// It cannot be read or is broken.
pub(super) fn read_file(path: &Path) -> Result<Option<ProfileFile>, ProfileError> {
    let text = match files::read_plain_text(path, LARGEST) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(broken(path, &error.to_string()));
        }
        Err(source) => {
            return Err(ProfileError::File {
                action: "read",
                path: path.to_owned(),
                source,
            });
        }
    };
    let mut keys: Map<String, Value> = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|error| {
            let what = words::of_json(&error);
            broken(path, &format!("not a JSON object: {what}"))
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
    let options = file.options().map_err(|reason| broken(path, &reason))?;
    for key in Key::ALL.iter().map(|key| key.json()) {
        // Passed over, a `baseUrl` of this kind would send the secrets beside it to the default server.
        if matches!(options.get(key), Some(Value::Array(_) | Value::Object(_))) {
            return Err(broken(path, &format!("its {key} is no text")));
        }
    }
    Ok(Some(file))
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

    /// Whether the file is a profile's at all: it holds settings or a login.
    pub fn is_profile(&self) -> bool {
        let parts = [OPTIONS, ACTIVE_LOGIN, TOKENS];
        parts.iter().any(|part| self.keys.contains_key(*part))
    }

    /// Has the settings name the profile they are of.
    pub(super) fn set_name(&mut self, name: &str) {
        let mut options = self.options().unwrap_or_default();
        options.insert("name".into(), name.into());
        let text = serde_json::to_string(&options).unwrap_or_default();
        self.keys.insert(OPTIONS.into(), text.into());
    }

    /// The settings of this program and of the Medplum CLI in the file.
    pub fn settings(&self) -> Settings {
        let options = self.options().unwrap_or_default();
        let mut settings = Settings::default();
        for &key in Key::ALL {
            let value = match options.get(key.json()) {
                Some(Value::String(text)) => Some(text.clone()),
                // Whoever edits the file by hand writes `true` without quotes.
                Some(value @ (Value::Bool(_) | Value::Number(_))) => Some(value.to_string()),
                _ => None,
            };
            settings.set(key, value.filter(|value| !value.is_empty()));
        }
        settings
    }

    /// Replaces the settings, or with `merge` adds to them; options of other programs are kept.
    /// Tokens go when they are of another server or client than before.
    pub fn set_settings(&mut self, name: &str, settings: &Settings, merge: bool) {
        let before = self.settings();
        let mut options = self.options().unwrap_or_default();
        options.insert("name".into(), name.into());
        for ways in Key::ALTERNATIVES {
            if ways.iter().any(|key| settings.get(*key).is_some()) {
                // A new secret stands in the place of the old one, whichever way each is given.
                for key in *ways {
                    options.shift_remove(key.json());
                }
            }
        }
        let headers = settings.get(Key::Headers).map(|given| {
            let stored = before.get(Key::Headers).filter(|_| merge);
            headers::merged(stored.unwrap_or_default(), given)
        });
        for &key in Key::ALL {
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
            self.drop_discovery();
        }
        // A client with a certificate has endpoints of its own, which were not asked for before.
        if before.get(Key::ClientCert) != after.get(Key::ClientCert) {
            self.drop_discovery();
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

    /// Whether the logins and tokens of another state of the file are all in it.
    pub fn has_tokens_of(&self, other: &Self) -> bool {
        let keys = [TOKENS, ACTIVE_LOGIN, LOGINS].iter();
        let mut there = keys.filter(|key| other.keys.contains_key(**key));
        there.all(|key| self.keys.get(*key) == other.keys.get(*key))
    }

    /// Forgets where the server's endpoints are.
    pub fn drop_discovery(&mut self) {
        self.keys.shift_remove(DISCOVERY);
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
