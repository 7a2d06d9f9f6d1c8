//! What can be said of a source of tokens before anything is asked for.

use super::super::way::{Method, Way};
use super::TokenSource;
use crate::profile::GivenToken;

impl TokenSource {
    /// How requests are authorized.
    pub fn way(&self) -> Way {
        self.method.way()
    }

    /// The name of the way in use, for people.
    pub fn describe(&self) -> &'static str {
        self.way().name()
    }

    /// Whether requests go out without credentials because none are configured.
    pub fn is_anonymous(&self) -> bool {
        self.way() == Way::Anonymous
    }

    /// Whether every request goes out with the same credential, also after the server refused it.
    pub fn is_fixed(&self) -> bool {
        match &self.method {
            Method::Given(GivenToken::Value(_)) | Method::Basic => true,
            Method::Given(GivenToken::File(_) | GivenToken::Command(_))
            | Method::Anonymous
            | Method::Login
            | Method::LoggedOut(_)
            | Method::Grant(_) => false,
        }
    }

    /// Whether tokens come from the token endpoint by the client's own credentials.
    pub fn has_grant(&self) -> bool {
        matches!(self.way(), Way::Grant(_))
    }

    /// Whether the way in has tokens at all.
    pub fn has_tokens(&self) -> bool {
        matches!(
            self.way(),
            Way::StoredLogin | Way::LoggedOut(_) | Way::Grant(_)
        )
    }

    /// Whether a login is stored for this server.
    pub fn is_login(&self) -> bool {
        self.way() == Way::StoredLogin
    }

    /// The way of signing in, whether a login is stored just now or not.
    pub fn kind(&self) -> &'static str {
        match self.way() {
            Way::StoredLogin | Way::LoggedOut(_) => "login",
            way => way.name(),
        }
    }

    /// The project and the member that a stored login to Medplum names.
    pub fn login_names(&self) -> Vec<String> {
        let login = match &self.method {
            Method::Login => self.cache.read(&self.profile, true).ok().flatten(),
            _ => None,
        };
        let context = login.map(|login| login.context).unwrap_or_default();
        let named = ["project", "profile"].into_iter();
        named
            .filter_map(|name| Some(context.get(name)?.get("reference")?.as_str()?.to_owned()))
            .collect()
    }
}
