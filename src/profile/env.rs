//! Settings from environment variables.

use super::{Key, ProfileError, Settings};

/// What the process's environment says.
///
/// # Errors
/// [`ProfileError::BadVariable`]: one that is set must not count as unset.
pub fn from_process() -> Result<Settings, ProfileError> {
    let mut settings = Settings::default();
    for key in Key::ALL {
        settings.set(*key, variable(key.variable())?);
    }
    Ok(settings)
}

/// A variable that is set and not empty.
///
/// # Errors
/// [`ProfileError::BadVariable`].
pub fn variable(name: &'static str) -> Result<Option<String>, ProfileError> {
    match std::env::var_os(name).filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => value
            .into_string()
            .map(Some)
            .map_err(|_| ProfileError::BadVariable(name)),
    }
}
