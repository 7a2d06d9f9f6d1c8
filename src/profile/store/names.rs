//! The names of profiles: which there are, what makes one, and which of them somebody may have meant.

use std::fs;
use std::io;

use super::Store;
use crate::profile::ProfileError;

impl Store {
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

    /// That there is no profile of this name, and which ones are called nearly so.
    pub fn unknown(&self, name: &str) -> ProfileError {
        let mut near = self.names().unwrap_or_default();
        near.retain(|other| other != name && is_near(name, other));
        ProfileError::Unknown {
            name: name.to_owned(),
            near,
        }
    }
}

/// Whether somebody who typed one name may have meant another.
fn is_near(typed: &str, other: &str) -> bool {
    let (typed, other) = (typed.to_lowercase(), other.to_lowercase());
    let length = typed.chars().count().max(other.chars().count());
    strsim::osa_distance(&typed, &other) <= (length / 3).min(2)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_may_have_been_meant_are_near() {
        for (typed, other, is) in [
            ("exmaple", "example", true),
            ("Example", "example", true),
            ("exampl", "example", true),
            ("prod", "prd", true),
            ("prod", "test", false),
            ("qa", "qb", false),
            ("sandbox", "production", false),
        ] {
            assert_eq!(is_near(typed, other), is, "{typed} {other}");
        }
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
