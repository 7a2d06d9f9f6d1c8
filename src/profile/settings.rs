//! What one layer says, by setting; and how a value is shown.

use std::collections::BTreeMap;

use super::{Key, headers, params};
use crate::secret::{MASK, Secret};

/// What one layer (flags, a profile file, the environment) says; nothing is checked yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<Key, String>);

impl Settings {
    /// The value of a setting, if the layer has one that is not empty.
    pub fn get(&self, key: Key) -> Option<&str> {
        self.0
            .get(&key)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Sets or, with `None`, leaves a setting as it is. Secrets are masked in all output from here on.
    pub fn set(&mut self, key: Key, value: Option<String>) {
        if let Some(value) = value {
            if key.is_secret() {
                let _ = Secret::new(value.as_str());
            }
            match key {
                Key::Headers => headers::hide(&value),
                Key::TokenParams | Key::AuthorizeParams => params::hide(&value),
                _ => {}
            }
            self.0.insert(key, value);
        }
    }

    /// The settings that are there, in the order they are shown.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &str)> {
        self.0.iter().map(|(key, value)| (*key, value.as_str()))
    }

    /// Whether the layer says nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the layer holds anything that proves who the client is.
    pub fn has_credential(&self) -> bool {
        Key::ALL
            .iter()
            .any(|key| key.is_credential() && self.get(*key).is_some())
    }

    /// Whether a value may hold a secret: always one of a secret setting, and headers and parameters when one of them is
    /// not known to be harmless.
    pub fn holds_secret(key: Key, value: &str) -> bool {
        match key {
            Key::Headers => headers::hold_secret(value),
            Key::TokenParams | Key::AuthorizeParams => params::hold_secret(value),
            _ => key.is_secret(),
        }
    }

    /// A value fit to be shown.
    pub fn shown(key: Key, value: &str, show_secrets: bool) -> String {
        if show_secrets {
            value.to_owned()
        } else if key.is_secret() || crate::secret::is_key(value) {
            MASK.to_owned()
        } else {
            match key {
                Key::Headers => headers::shown(value),
                Key::TokenParams | Key::AuthorizeParams => params::shown(value),
                _ => value.to_owned(),
            }
        }
    }
}
