//! Why a login on another device came to nothing, and what to try then.

use std::time::Duration;

use crate::exit::{FAILED, NETWORK, NOT_ALLOWED, USAGE, Verdict};
use crate::foreign::Foreign;

/// Why a login on another device came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    #[error("{server} names no device authorization endpoint")]
    NotOffered { server: String },
    #[error("{url} answered without a code: {found}")]
    NoCode { url: String, found: String },
    #[error("the sign-in was refused{}", .0.as_ref().map(|words| format!(": {words}")).unwrap_or_default())]
    Denied(Option<Foreign>),
    #[error("the code has expired before anybody signed in")]
    Expired,
    #[error("nobody signed in within {} s", .0.as_secs())]
    TooLate(Duration),
}

impl Verdict for DeviceError {
    fn verdict(&self) -> (u8, Option<String>) {
        match self {
            Self::NotOffered { .. } => (
                USAGE,
                Some("name it with --device-authorization-url, or sign in with --auth-type authorization-code".into()),
            ),
            Self::NoCode { .. } => (FAILED, Some("check --device-authorization-url".into())),
            Self::Denied(_) => (NOT_ALLOWED, None),
            Self::Expired | Self::TooLate(_) => (NETWORK, Some("run the same command again for a new code".into())),
        }
    }
}
