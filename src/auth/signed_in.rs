//! A login that the server granted to a person.

use super::Token;
use super::discovery::Found;
use crate::profile::Profile;

/// A login that the server granted; nothing is stored yet.
#[derive(Debug)]
pub struct SignedIn {
    pub token: Token,
    /// The profile with the client that was signed in with.
    pub profile: Profile,
    /// What discovery found on the way, to be kept with the login.
    pub found: Option<Found>,
    /// The scopes that were asked for and not granted.
    pub missing_scopes: Vec<String>,
}
