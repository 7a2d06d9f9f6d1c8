//! A path as JSON: text where it is text, and what the system has where it is not. Names need not be UTF-8.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Name {
    Text(String),
    OfSystem(OsString),
}

/// As [`serde::Serialize`].
///
/// # Errors
/// The serializer's.
pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    let name = match path.to_str() {
        Some(text) => Name::Text(text.into()),
        None => Name::OfSystem(path.into()),
    };
    name.serialize(serializer)
}

/// As [`serde::Deserialize`].
///
/// # Errors
/// It is no path.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    Ok(match Name::deserialize(deserializer)? {
        Name::Text(text) => text.into(),
        Name::OfSystem(name) => name.into(),
    })
}

/// The same of a path that may be none.
pub mod optional {
    use super::{Deserialize, Deserializer, Path, PathBuf, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Held(#[serde(with = "super")] PathBuf);

    /// As [`serde::Serialize`].
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(
        path: &Option<PathBuf>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        path.as_deref()
            .map(Path::to_owned)
            .map(Held)
            .serialize(serializer)
    }

    /// As [`serde::Deserialize`].
    ///
    /// # Errors
    /// It is no path.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<PathBuf>, D::Error> {
        let held = Option::<Held>::deserialize(deserializer)?;
        Ok(held.map(|Held(path)| path))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Holder(#[serde(with = "super")] PathBuf);

    #[test]
    fn every_name_comes_back_as_it_was() {
        for bytes in [
            &b"a/b.ndjson"[..],
            b"a\xff\n.ndjson",
            b"",
            "\u{fc}".as_bytes(),
        ] {
            let path = PathBuf::from(OsString::from_vec(bytes.to_vec()));
            let text = serde_json::to_string(&Holder(path.clone())).unwrap();
            assert_eq!(serde_json::from_str::<Holder>(&text).unwrap().0, path);
        }
        assert_eq!(
            serde_json::to_string(&Holder("a".into())).unwrap(),
            r#""a""#
        );
    }
}
