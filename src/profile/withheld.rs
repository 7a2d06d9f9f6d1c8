//! Credentials that were held back, since they belong to another server.

use std::fmt;

/// Whose they are, and what to do if they are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// Where they stand, and for which server.
    pub owner: String,
    /// The way to use them, as a hint.
    pub remedy: String,
    /// Whether it is a login alone, which a new one replaces.
    pub is_login: bool,
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.owner)
    }
}
