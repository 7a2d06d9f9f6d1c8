//! Requests that got no answer, or not all of it, and what is said of them.

use url::Url;

use crate::exit::{FAILED, NETWORK, USAGE, Verdict};
use crate::secret;

/// What an exchange is said to be that took all the time that one may take; no flag gives it more.
pub(super) const NOT_WHOLE: &str = "not whole";

/// Requests that got no answer, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("cannot connect to {}: {reason}", origin(url))]
    Connect { url: Box<Url>, reason: String },
    #[error("no answer from {} in time ({what})", secret::url_for_people(url))]
    Timeout { url: Box<Url>, what: String },
    #[error("the connection to {} broke: {reason}", secret::url_for_people(url))]
    Broken { url: Box<Url>, reason: String },
    #[error(
        "the answer of {} cannot be read: {reason}",
        secret::url_for_people(url)
    )]
    Encoding { url: Box<Url>, reason: String },
    #[error(
        "the answer of {} is larger than {limit} bytes",
        secret::url_for_people(url)
    )]
    TooLarge { url: Box<Url>, limit: usize },
    /// The way to the server is shut. Nothing reached the server.
    #[error("the proxy {address} ({variable}) {reason}")]
    Proxy {
        address: String,
        variable: &'static str,
        /// The server that was meant.
        server: Box<Url>,
        reason: String,
        /// Whether another try makes sense: it was out of reach, rather than unwilling.
        is_passing: bool,
    },
    #[error("cannot use {what}: {reason}")]
    Setup { what: String, reason: String },
}

impl Verdict for HttpError {
    fn verdict(&self) -> (u8, Option<String>) {
        match self {
            Self::Connect { reason, .. } if reason.contains("certificate") => (
                NETWORK,
                Some("trust a private certificate authority with --ca-cert FILE".into()),
            ),
            Self::Connect { .. } => (
                NETWORK,
                Some(
                    "check the base URL, and the proxy if there is one (HTTPS_PROXY, HTTP_PROXY)"
                        .into(),
                ),
            ),
            Self::Proxy {
                variable, server, ..
            } => (
                NETWORK,
                Some(format!(
                    "correct {variable}, such as http://USER:PASSWORD@HOST:PORT with special characters in percent encoding, \
                     or name {} in NO_PROXY",
                    server.host_str().unwrap_or_default()
                )),
            ),
            Self::Timeout { what, .. } if what.starts_with(NOT_WHOLE) => (
                NETWORK,
                Some("the server is too slow, or means to hold this up; try again later".into()),
            ),
            Self::Timeout { .. } => (
                NETWORK,
                Some("allow more time with --timeout SECONDS".into()),
            ),
            Self::Broken { .. } => (NETWORK, None),
            Self::Encoding { .. } | Self::TooLarge { .. } => (FAILED, None),
            Self::Setup { .. } => (USAGE, None),
        }
    }
}

impl HttpError {
    /// Whether the request certainly did not reach the server.
    pub fn was_not_sent(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. } | Self::Proxy { .. } | Self::Setup { .. }
        )
    }

    /// Whether the same request would fail in the same way again, whatever the server does.
    pub fn is_lasting(&self) -> bool {
        matches!(
            self,
            Self::Setup { .. }
                | Self::Proxy {
                    is_passing: false,
                    ..
                }
                | Self::TooLarge { .. }
        )
    }
}

pub(super) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

pub(super) fn connection_failure(error: &reqwest::Error, chain: &str) -> String {
    let reason = innermost(error);
    if chain.contains("dns error") {
        format!("the host name cannot be resolved ({reason})")
    } else if error.is_timeout() {
        "it does not answer (connection timed out)".to_owned()
    } else if reason.contains("UnknownIssuer") || reason.contains("BadSignature") {
        // A bad signature: an authority of the same name is trusted, such as the one that was renewed.
        format!(
            "its certificate comes from a certificate authority that is not trusted here ({reason})"
        )
    } else {
        reason
    }
}

/// The last cause of an error, where the operating system or TLS says what happened.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
