//! The login that a profile file holds, as far as it says for whom it was got: a login belongs to its server.

use serde_json::Value;
use url::Url;

use super::file::ProfileFile;
use super::parts::{ACTIVE_LOGIN, TOKENS};
use super::urls;

/// Whose login is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredLogin {
    /// The FHIR base that it was got for; the Medplum CLI does not say.
    pub server: Option<String>,
    /// The client that it was got by; the Medplum CLI does not say.
    pub client_id: Option<String>,
}

impl StoredLogin {
    /// The login in a file, if there is one.
    pub fn of(file: &ProfileFile) -> Option<Self> {
        let login = file.json(ACTIVE_LOGIN)?;
        let access_token = login.get("accessToken")?.as_str()?;
        let entries = file.json(TOKENS).unwrap_or_default();
        let is_it =
            |entry: &&Value| entry.get("accessToken").and_then(Value::as_str) == Some(access_token);
        let entry = entries
            .as_array()
            .and_then(|entries| entries.iter().find(is_it));
        let text = |key| Some(entry?.get(key)?.as_str()?.to_owned());
        Some(Self {
            server: text("server"),
            client_id: text("clientId"),
        })
    }

    /// Whether it may go to a server. One that names no server is the profile's: `is_profiles` says whether the server
    /// is that one. Another FHIR base below the same base URL is the same server.
    pub fn is_for(&self, base: &Url, fhir_base: &Url, is_profiles: bool) -> bool {
        let Some(server) = &self.server else {
            return is_profiles;
        };
        let Ok(server) = Url::parse(server) else {
            return false;
        };
        let path = base.path().trim_end_matches('/');
        let is_below = urls::same_origin(&server, base)
            && server
                .path()
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        is_below || urls::same_base(&server, fhir_base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_for_the_server_that_it_was_got_from() {
        let url = |text: &str| Url::parse(text).unwrap();
        let login = |server: Option<&str>| StoredLogin {
            server: server.map(str::to_owned),
            client_id: None,
        };
        let base = url("https://h.example/a");
        let fhir = url("https://h.example/a/fhir/R4");
        for (server, fits) in [
            ("https://h.example/a/fhir/R4", true),
            ("https://h.example/a/fhir/R5", true),
            ("https://h.example/a", true),
            ("https://h.example/ab/fhir/R4", false),
            ("https://h.example/b/fhir/R4", false),
            ("http://h.example/a/fhir/R4", false),
            ("https://o.example/a/fhir/R4", false),
            ("nonsense", false),
        ] {
            for is_profiles in [true, false] {
                assert_eq!(
                    login(Some(server)).is_for(&base, &fhir, is_profiles),
                    fits,
                    "{server}"
                );
            }
        }
        assert!(login(None).is_for(&base, &fhir, true));
        assert!(!login(None).is_for(&base, &fhir, false));
    }
}
