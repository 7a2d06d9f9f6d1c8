//! What of a profile the `.env` file of the working folder says: somebody else may have written it, and may have the user's
//! own credentials reach one server for another.

use std::collections::BTreeSet;

use super::{Key, Layer};

/// What a `.env` file has a part in.
#[derive(Clone, Debug, Default)]
pub struct OfFolder {
    said: BTreeSet<Key>,
    /// The key or certificate in use that is not the file's own.
    lent: Option<Key>,
}

impl OfFolder {
    /// Takes down which layer each setting in use is from, and a key that is not of the file.
    pub(super) fn new(
        in_use: impl IntoIterator<Item = (Key, Layer)>,
        not_its_own: Option<Key>,
    ) -> Self {
        let said = in_use
            .into_iter()
            .filter(|(_, layer)| *layer == Layer::EnvFile);
        Self {
            said: said.map(|(key, _)| key).collect(),
            lent: not_its_own,
        }
    }

    /// Whether the value in use of a setting is the file's.
    pub fn says(&self, key: Key) -> bool {
        self.said.contains(&key)
    }

    /// A key or certificate in use that the file's author may not have: what the user typed, stored or exported, or a
    /// file of the folder, of which the `.env` names no more than the path.
    pub fn lent(&self) -> Option<Key> {
        self.lent
    }
}
