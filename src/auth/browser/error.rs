//! Why a login by browser came to nothing, and what to try then.

use std::time::Duration;

use crate::exit::{NETWORK, NOT_ALLOWED, USAGE, Verdict};
use crate::foreign::Foreign;

/// Why a login by browser came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum BrowserError {
    #[error("{server} names no authorize URL")]
    NoAuthorizeUrl { server: String },
    #[error(
        "{server} names no place at its own server where authorization requests are left before (PAR)"
    )]
    NotPushed { server: String },
    #[error("port {port} is in use, so nothing can wait for the answer at {callback}")]
    PortInUse { port: u16, callback: String },
    #[error("cannot wait for the answer at {callback}: {reason}")]
    NoListener { callback: String, reason: String },
    #[error("the sign-in was refused: {code}{}", .words.as_ref().map(|words| format!(" - {words}")).unwrap_or_default())]
    Denied {
        code: Foreign,
        words: Option<Foreign>,
    },
    #[error("the answer of the sign-in cannot be used: {0}")]
    BadAnswer(Foreign),
    #[error("nobody signed in within {} s", .0.as_secs())]
    TooLate(Duration),
    #[error("no answer can come: {callback} is not on this machine, and stdin has ended")]
    NoWayBack { callback: String },
    #[error(
        "the address that the browser was sent to was opened twice, so somebody else may have signed in"
    )]
    BegunTwice,
    #[error("the id_token of the server is not good: {0}")]
    IdToken(Foreign),
}

impl Verdict for BrowserError {
    fn verdict(&self) -> (u8, Option<String>) {
        let (code, hint) = match self {
            Self::NoAuthorizeUrl { .. } => (USAGE, "name it with --authorize-url"),
            Self::NotPushed { .. } => (USAGE, "sign in without --par, if the server allows it"),
            Self::PortInUse { .. } => (
                USAGE,
                "end the program there (another login?), or name another port with --callback-url http://localhost:PORT, \
                 as registered with the server; port 0 takes any free one",
            ),
            Self::NoListener { .. } => (
                USAGE,
                "name a callback that this user may listen on with --callback-url, as registered with the server",
            ),
            Self::NoWayBack { .. } => (
                USAGE,
                "paste the address that the browser ended at, or register a callback such as http://localhost:9615",
            ),
            Self::TooLate(_) => (
                NETWORK,
                "run it again; allow more time with --login-timeout, or sign in on another machine with --no-browser",
            ),
            Self::Denied { code, .. } if code == "access_denied" => {
                (NOT_ALLOWED, "run the same command again to sign in")
            }
            Self::Denied { code, .. } if code == "invalid_scope" => {
                (NOT_ALLOWED, "ask for what the server knows with --scope")
            }
            Self::Denied { .. } => (
                NOT_ALLOWED,
                "check --client-id, --scope and --callback-url against what is registered with the server",
            ),
            Self::BegunTwice => (
                NOT_ALLOWED,
                "run the same command again, and open its address once; on a machine with other users, --no-browser shows \
                 the address to you alone",
            ),
            Self::BadAnswer(_) | Self::IdToken(_) => return (NOT_ALLOWED, None),
        };
        (code, Some(hint.to_owned()))
    }
}
