//! What can be said of a source of tokens before anything is asked for.

use serde_json::{Map, Value};

use super::super::id_token::IDENTITY;
use super::super::way::{Method, Way};
use super::TokenSource;
use crate::profile::{AuthType, GivenToken};

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

    /// Whose the requests are, as far as that can be told beside the client: the project and the member that a login to
    /// Medplum names, who signed in elsewhere, the user that an assertion speaks for, the program that makes the token. Of a token that
    /// is given nothing can be told: the next one may be the same user's.
    pub fn whose(&self) -> Vec<String> {
        let profile = &self.profile;
        match &self.method {
            Method::Login => {
                let login = self.cache.read(profile, true).ok().flatten();
                login
                    .map(|login| of_login(&login.context))
                    .unwrap_or_default()
            }
            Method::Grant(grant) => match grant.auth_type() {
                AuthType::JwtBearer => [&profile.issuer, &profile.subject]
                    .into_iter()
                    .map(|name| name.clone().unwrap_or_default())
                    .collect(),
                AuthType::TokenExchange => {
                    profile.exchange.subject.iter().filter_map(maker).collect()
                }
                _ => Vec::new(),
            },
            Method::Given(given) => maker(given).into_iter().collect(),
            Method::Anonymous | Method::Basic | Method::LoggedOut(_) => Vec::new(),
        }
    }
}

/// Who signed in, by what the login's answer said.
fn of_login(context: &Map<String, Value>) -> Vec<String> {
    let text = |value: Option<&Value>| Some(value?.as_str()?.to_owned());
    let reference = |name: &str| text(context.get(name)?.get("reference"));
    let identity = |name: &str| text(context.get(IDENTITY)?.get(name));
    let named = ["project", "profile"].into_iter().filter_map(reference);
    let signed_in = ["iss", "sub"].into_iter().filter_map(identity);
    named
        .chain(signed_in)
        .chain(text(context.get("patient")))
        .collect()
}

/// What makes a token that somebody else made. A file may be another one each night, of the same user.
fn maker(given: &GivenToken) -> Option<String> {
    match given {
        GivenToken::Command(command) => Some(command.to_string()),
        GivenToken::Value(_) | GivenToken::File(_) => None,
    }
}
