//! Why there is no token, and what to try then.

use reqwest::StatusCode;

use super::browser::BrowserError;
use super::device::DeviceError;
use super::discovery::DiscoveryError;
use super::keys::KeyError;
use super::program::ProgramError;
use super::refusal::TokenRefusal;
use crate::exit::{FAILED, NETWORK, NOT_ALLOWED, USAGE, Verdict};
use crate::foreign::Foreign;
use crate::http::HttpError;
use crate::profile::{AuthType, Key, ProfileError, Withheld, typed};

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error("not logged in to {server}: profile `{profile}` has no credentials and no login")]
    NoLogin { profile: String, server: String },
    #[error("auth type `{}` needs {missing}, which profile `{profile}` does not have", .auth_type.name())]
    Incomplete {
        profile: String,
        auth_type: AuthType,
        missing: &'static str,
    },
    #[error(
        "no credentials were sent to {server}: the ones that are known ({owner}) belong to another server"
    )]
    Withheld { server: String, owner: Withheld },
    #[error("the login of profile `{profile}` has expired and cannot be renewed")]
    Expired { profile: String },
    #[error("the login of profile `{profile}` is over: {refusal}")]
    LoginOver {
        profile: String,
        refusal: Box<TokenRefusal>,
    },
    #[error(
        "the server renewed the login of profile `{profile}` for somebody else, so the new token is not used: {reason}"
    )]
    OfAnother { profile: String, reason: Foreign },
    #[error(transparent)]
    Browser(#[from] BrowserError),
    #[error(transparent)]
    Refused(Box<TokenRefusal>),
    #[error("{url} is not https although the FHIR server is")]
    Insecure { url: String },
    #[error(
        "no token was asked for at {token}: the .env file here names {server}, which would get it, and that is another server, \
         while the key ({}) may be none of that file's",
        .lent.variable()
    )]
    LentTo {
        token: String,
        server: String,
        lent: Key,
    },
    #[error(
        "the .env file here names {named} ({}), which is not of the server of the token endpoint {token}: nothing was sent there",
        .key.variable()
    )]
    MixedByFolder {
        key: Key,
        named: Foreign,
        token: String,
    },
    #[error(
        "nothing was signed: the FHIR server names {token} as its token endpoint, and an assertion with aud {audience} is \
         good at another server, where that one could use it"
    )]
    ForAnother { audience: Foreign, token: String },
    #[error(
        "{url} gave a token of the type `{token_type}`, although one bound to a key was asked for (--dpop)"
    )]
    NotBound { url: String, token_type: Foreign },
    #[error("{url} issued a token of the type {issued}, which is not one for requests")]
    NotForRequests { url: String, issued: Foreign },
    #[error(
        "{url} gave a token of the type `{token_type}`, which is not one that this program can use"
    )]
    UnknownType { url: String, token_type: Foreign },
    #[error(
        "{url} gave a token that no request can carry: it holds characters that no header may have"
    )]
    UnusableToken { url: String },
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error("the login of profile `{profile}` is not bound to a key, which --dpop asks for")]
    LoginNotBound { profile: String },
    #[error("--dpop binds tokens that are asked for, and {way} asks for none")]
    NothingToBind { way: &'static str },
    #[error("no token can be asked for: {0}")]
    Locked(String),
    #[error("the new refresh token could not be stored: {0}")]
    NotStored(ProfileError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Profile(#[from] ProfileError),
}

impl AuthError {
    /// Whether another try may succeed: the token endpoint was out of reach, or out of order.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Http(error) => !error.is_lasting(),
            Self::Refused(refusal) => {
                refusal.status.is_server_error() || refusal.status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Discovery(error) => matches!(error, DiscoveryError::Failed { .. }),
            _ => false,
        }
    }

    /// What to do when a `.env` file or a FHIR server has servers meet that the user did not bring together.
    fn way_to_mean_it(&self) -> Option<String> {
        if let Self::ForAnother { token, .. } = self {
            return Some(format!(
                "if you know that {token} is a token endpoint of that server, say so with --token-url {token}; else name the \
                 right one, or leave --audience out"
            ));
        }
        let (flag, value) = match self {
            Self::LentTo { token, .. } => ("--token-url", token.as_str()),
            Self::MixedByFolder {
                key: Key::Audience,
                named,
                ..
            } => ("--audience", named.as_str()),
            Self::MixedByFolder { named, .. } => ("--device-authorization-url", named.as_str()),
            _ => return None,
        };
        let pinned = match self {
            // An audience is taken beside a token URL that the user named.
            Self::MixedByFolder {
                key: Key::Audience,
                token,
                ..
            } => format!(" --token-url {token}"),
            _ => String::new(),
        };
        Some(format!(
            "if you know both servers and mean it, say so with {flag} {value}{pinned}, or put all of it into a profile; else leave \
             the file unread with --no-env-file"
        ))
    }

    /// Whether it looks as if the token endpoint is no longer where it was.
    pub(super) fn is_of_a_gone_endpoint(&self) -> bool {
        match self {
            Self::Http(error) => matches!(error, HttpError::Connect { .. }),
            Self::Refused(refusal) => {
                refusal.is_page || matches!(refusal.status.as_u16(), 404 | 405 | 410)
            }
            _ => false,
        }
    }
}

/// What to do about a refresh token that came a second time.
fn used_before(profile: &str) -> String {
    format!(
        "{}; a refresh token of this server serves once, so two copies of one profile \
         end each other's login, and if you have no copy, somebody else may have the token",
        log_in_again(profile)
    )
}

fn log_in_again(profile: &str) -> String {
    format!("log in again with `medplum login -p {}`", typed(profile))
}

impl Verdict for AuthError {
    fn verdict(&self) -> (u8, Option<String>) {
        match self {
            Self::NoLogin { profile, .. } => (
                NOT_ALLOWED,
                Some(format!("log in with `medplum login -p {name}`, or give credentials with `medplum profile set {name} --update --client-id … --client-secret …`", name = typed(profile))),
            ),
            Self::Incomplete { auth_type: AuthType::AuthorizationCode | AuthType::DeviceCode, missing: "a client id", .. } => (
                USAGE,
                Some("give the id that the server registered for you with --client-id; a Medplum server of your own may know `medplum-cli`".into()),
            ),
            Self::Incomplete { profile, .. } => (USAGE, Some(format!("add them with `medplum profile set {} --update …`", typed(profile)))),
            Self::Withheld { owner, .. } => (NOT_ALLOWED, Some(owner.remedy.clone())),
            Self::Browser(error) => error.verdict(),
            Self::LoginOver { profile, refusal } if refusal.says_used_before() => (NOT_ALLOWED, Some(used_before(profile))),
            Self::Expired { profile } | Self::LoginOver { profile, .. } | Self::LoginNotBound { profile } | Self::OfAnother { profile, .. } => (NOT_ALLOWED, Some(log_in_again(profile))),
            Self::Refused(refusal) if refusal.moved_to.is_some() => (
                NOT_ALLOWED,
                Some("what proves the client follows no redirect; if that is the right place, name it with --token-url (or --device-authorization-url)".into()),
            ),
            Self::Refused(refusal) => match (refusal.status.as_u16(), &refusal.signed) {
                (500.., _) => (FAILED, None),
                (404 | 405 | 410, _) => (NOT_ALLOWED, Some("check --token-url".into())),
                (_, Some(signed)) => (
                    NOT_ALLOWED,
                    Some(format!(
                        "the assertion said: {signed}; check that the server knows this client and this key \
                         (`medplum keys jwks FILE` prints its public part), that aud is the token URL it goes by \
                         (--audience), and that the clock here is right"
                    )),
                ),
                _ => (NOT_ALLOWED, Some("check client id, client secret, scope and --token-url".into())),
            },
            Self::NotForRequests { .. } => (
                NOT_ALLOWED,
                Some("ask for another one with --requested-token-type access_token".into()),
            ),
            Self::Device(error) => error.verdict(),
            Self::Discovery(error) => error.verdict(),
            Self::UnknownType { .. } | Self::UnusableToken { .. } => (NOT_ALLOWED, Some("check --token-url: another program may answer there".into())),
            Self::NotBound { .. } => (
                NOT_ALLOWED,
                Some(
                    "the server may not know DPoP, or not for this client; do without it with --dpop=false, which `medplum profile \
                     set` keeps"
                        .into(),
                ),
            ),
            Self::NothingToBind { .. } => (USAGE, Some("leave it out with --dpop=false".into())),
            Self::Key(error) => error.verdict(),
            Self::Program(error) => error.verdict(),
            Self::Insecure { .. } => (NOT_ALLOWED, Some("name the right one with --token-url or --authorize-url".into())),
            Self::ForAnother { .. } | Self::LentTo { .. } | Self::MixedByFolder { .. } => (NOT_ALLOWED, self.way_to_mean_it()),
            Self::Locked(_) => (
                NETWORK,
                Some("end the other process, or wait longer for it with --timeout SECONDS".into()),
            ),
            Self::NotStored(error) | Self::Profile(error) => error.verdict(),
            Self::Http(error) => error.verdict(),
        }
    }
}
