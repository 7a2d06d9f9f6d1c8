//! The names of a profile file's parts; each holds JSON in a string.

/// The settings.
pub(super) const OPTIONS: &str = "options";
/// The Medplum CLI's current login.
pub const ACTIVE_LOGIN: &str = "activeLogin";
/// The Medplum CLI's list of logins.
pub const LOGINS: &str = "logins";
/// This program's tokens.
pub const TOKENS: &str = "tokens";
/// What discovery found.
pub const DISCOVERY: &str = "discovery";
/// That the secrets are in the keyring.
pub(super) const KEYRING: &str = "keyring";
