//! The scope that a token is asked for with.

use super::super::discovery::Found;
use super::super::scope;
use super::super::way::Method;
use super::TokenSource;
use crate::profile::{Profile, ProfileError};

impl TokenSource {
    /// The profile with the scope that is asked for, which tells its tokens from others in the cache: by what is
    /// remembered of the server, since nobody is to be asked to find a token.
    ///
    /// # Errors
    /// The profile cannot be read.
    pub fn scoped(&self) -> Result<Profile, ProfileError> {
        let mut profile = self.profile.clone();
        if profile.token_url.is_none() {
            profile.scope = self.scope_by(self.remembered()?.as_ref());
        }
        Ok(profile)
    }

    /// The scope to ask for: a client by itself that names none asks for the smallest that serves, of those that the
    /// server lists (SMART wants one from backend services); one that is named is spelled as the server spells it.
    pub(super) fn scope_by(&self, found: Option<&Found>) -> Option<String> {
        let is_of_a_system = matches!(&self.method, Method::Grant(grant) if grant.is_of_a_system());
        match (&self.profile.scope, found.filter(|_| is_of_a_system)) {
            (Some(asked), Some(found)) => Some(scope::translated(asked, &found.capabilities)),
            (None, Some(found)) => scope::smallest(self.profile.asks.writes, &found.system_scopes),
            (asked, None) => asked.clone(),
        }
    }

    pub(super) fn say_scope(&self, asked: Option<&str>) {
        match (&self.profile.scope, asked) {
            (None, Some(scope)) => self.http.trace.notice(&format!(
                "No scope is set, so {scope} is asked for (--scope names another)"
            )),
            (Some(set), Some(spelled)) if set != spelled => {
                scope::say_spelling(&self.http, spelled);
            }
            _ => {}
        }
    }
}
