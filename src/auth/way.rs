//! The ways in which requests are authorized, and the choice between them.

use super::AuthError;
use super::grant::{self, Grant};
use crate::profile::{AuthType, GivenToken, Profile, Withheld};

/// How requests are authorized, for those who must tell the ways apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Nothing is configured: requests go out without credentials.
    Anonymous,
    /// HTTP Basic on every request (RFC 7617).
    Basic,
    /// An access token given by the user.
    GivenToken,
    /// A login stored in the profile file.
    StoredLogin,
    /// A login of this type is wanted, and none is stored.
    LoggedOut(AuthType),
    /// A token from the token endpoint.
    Grant(AuthType),
}

impl Way {
    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "none",
            Self::Basic => "basic",
            Self::GivenToken => "access token",
            Self::StoredLogin => "stored login",
            Self::LoggedOut(auth_type) | Self::Grant(auth_type) => auth_type.name(),
        }
    }
}

/// A way with what it takes, decided once from the profile.
#[derive(Clone, Debug)]
pub(super) enum Method {
    Anonymous,
    Basic,
    Given(GivenToken),
    Login,
    LoggedOut(AuthType),
    Grant(&'static dyn Grant),
}

impl Method {
    /// The one place that decides between auth types. `has_login` says whether a login is stored for this server.
    ///
    /// # Errors
    /// [`AuthError::Incomplete`], [`AuthError::Withheld`] and [`AuthError::NothingToBind`].
    pub(super) fn of(profile: &Profile, has_login: bool) -> Result<Self, AuthError> {
        let has_pair = profile.client_id.is_some() && profile.has_client_secret();
        let method = match (profile.auth_type, &profile.access_token) {
            (Some(AuthType::Basic), _) if has_pair => Self::Basic,
            (Some(auth_type @ AuthType::Basic), _) => {
                let missing = "a client id and a client secret";
                return Err(incomplete(profile, auth_type, missing));
            }
            (None, Some(token)) => Self::Given(token.clone()),
            _ => match (grant::of(profile), &profile.withheld_for) {
                (Some(grant), _) if grant.missing(profile).is_none() => Self::Grant(grant),
                _ if has_login => Self::Login,
                _ if profile.needs_person() => {
                    Self::LoggedOut(profile.auth_type.unwrap_or(AuthType::AuthorizationCode))
                }
                (Some(grant), _) => {
                    let missing = grant.missing(profile).unwrap_or_default();
                    return Err(incomplete(profile, grant.auth_type(), missing));
                }
                (None, Some(owner)) => return Err(withheld(profile, owner)),
                (None, None) => Self::Anonymous,
            },
        };
        let way = match &method {
            Self::Basic => Some("basic"),
            Self::Given(_) => Some("an access token that was given"),
            _ => None,
        };
        match way.filter(|_| profile.dpop) {
            Some(way) => Err(AuthError::NothingToBind { way }),
            None => Ok(method),
        }
    }

    pub(super) fn way(&self) -> Way {
        match self {
            Self::Anonymous => Way::Anonymous,
            Self::Basic => Way::Basic,
            Self::Given(_) => Way::GivenToken,
            Self::Login => Way::StoredLogin,
            Self::LoggedOut(auth_type) => Way::LoggedOut(*auth_type),
            Self::Grant(grant) => Way::Grant(grant.auth_type()),
        }
    }
}

fn incomplete(profile: &Profile, auth_type: AuthType, missing: &'static str) -> AuthError {
    match &profile.withheld_for {
        Some(owner) => withheld(profile, owner),
        None => AuthError::Incomplete {
            profile: profile.name.clone(),
            auth_type,
            missing,
        },
    }
}

fn withheld(profile: &Profile, owner: &Withheld) -> AuthError {
    AuthError::Withheld {
        server: profile.base_url.to_string(),
        owner: owner.clone(),
    }
}
