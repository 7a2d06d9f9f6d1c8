//! The login in a profile file, as the Medplum CLI has it there too.

use serde_json::{Map, Value, json};

use super::super::Token;
use super::entries::{access_token_of, from_entry, put_entries, put_token, token_entries};
use crate::profile::Profile;
use crate::profile::login::StoredLogin;
use crate::profile::store::{ACTIVE_LOGIN, LOGINS, ProfileFile};
use crate::secret::Secret;

/// Puts a token into a file as its login, for this program and for the Medplum CLI.
pub fn put_login(file: &mut ProfileFile, profile: &Profile, token: &Token) {
    if let Some(before) = stored_login(file) {
        // The login that this one replaces leaves no refresh token behind.
        let mut entries = token_entries(file);
        entries.retain(|entry| access_token_of(entry) != Some(before.access_token.expose()));
        put_entries(file, entries);
    }
    put_token(file, profile, token);
    let mut login = Map::new();
    login.insert("accessToken".into(), token.access_token.expose().into());
    if let Some(refresh_token) = &token.refresh_token {
        login.insert("refreshToken".into(), refresh_token.expose().into());
    }
    for key in ["project", "profile"] {
        if let Some(value) = token.context.get(key) {
            login.insert(key.into(), value.clone());
        }
    }
    let login = Value::Object(login);
    file.set_json(LOGINS, &json!([login]));
    file.set_json(ACTIVE_LOGIN, &login);
}

/// Whether the stored login was got from the server in use, for the client that the profile names now. Of a login that
/// the Medplum CLI stored, only the profile knows.
pub(super) fn login_is_of(file: &ProfileFile, profile: &Profile) -> bool {
    StoredLogin::of(file).is_some_and(|login| {
        let client = login.client_id.as_deref();
        (client.is_none() || client == profile.login_client_id())
            && login.is_for(
                &profile.base_url,
                &profile.fhir_base,
                profile.is_profiles_server,
            )
    })
}

/// The login as the Medplum CLI stores it. When this program stored it too, the better known one.
pub(super) fn stored_login(file: &ProfileFile) -> Option<Token> {
    let login = file.json(ACTIVE_LOGIN)?;
    let Value::Object(login) = login else {
        return None;
    };
    let access_token = login.get("accessToken")?.as_str()?;
    let known = token_entries(file)
        .iter()
        .find(|entry| access_token_of(entry) == Some(access_token))
        .and_then(from_entry);
    known.or_else(|| {
        let mut token = Token::opaque(Secret::new(access_token));
        token.refresh_token = login
            .get("refreshToken")
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .map(Secret::new);
        for key in ["project", "profile"] {
            if let Some(value) = login.get(key) {
                token.context.insert(key.into(), value.clone());
            }
        }
        Some(token)
    })
}
