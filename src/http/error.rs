//! Requests that got no answer, sorted by where they failed: at the proxy, at the server, or on the way back.

use reqwest::StatusCode;
use reqwest::header::SERVER;
use url::Url;

use super::proxy::Proxy;
use crate::exit::{FAILED, NETWORK, USAGE, Verdict};
use crate::secret;

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
        passing: bool,
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
                Some("check the base URL, and HTTPS_PROXY if there is a proxy".into()),
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
            Self::Setup { .. } | Self::Proxy { passing: false, .. } | Self::TooLarge { .. }
        )
    }
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Sorts reqwest's errors by what a caller can do about them.
pub(super) fn from_reqwest(error: reqwest::Error, url: &Url, proxy: Option<&Proxy>) -> HttpError {
    let error = error.without_url();
    if error.is_connect() {
        let text = chain(&error);
        if let Some(proxy) = proxy
            && let Some(error) = of_proxy(proxy, url, &error, &text)
        {
            return error;
        }
        let reason = connection_failure(&error, &text);
        let url = Box::new(url.clone());
        return HttpError::Connect { url, reason };
    }
    let url = Box::new(url.clone());
    if error.is_timeout() {
        return HttpError::Timeout {
            url,
            what: innermost(&error),
        };
    }
    HttpError::Broken {
        url,
        reason: innermost(&error),
    }
}

fn connection_failure(error: &reqwest::Error, chain: &str) -> String {
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

/// A connection that failed at the proxy; `None` when it failed behind it, in TLS with the server.
fn of_proxy(proxy: &Proxy, url: &Url, error: &reqwest::Error, chain: &str) -> Option<HttpError> {
    if proxy.is_socks() {
        return of_socks(proxy, url, error, chain);
    }
    // The words of hyper-util's tunnel, which has no type that can be seen from here.
    if chain.contains("proxy authorization required") {
        return Some(asks_for_password(proxy, url));
    }
    let (reason, passing) = if chain.contains("tunnel error: unsuccessful") {
        let what = if proxy.has_user() {
            "it refuses the user and the password that its URL has, or the server, or cannot reach it"
        } else {
            "it refuses, or cannot reach it"
        };
        (
            format!("does not connect to {}: {what}", origin(url)),
            false,
        )
    } else if error.is_timeout() {
        let reason = format!("makes no connection to {} in time", origin(url));
        (reason, true)
    } else if ["tcp connect error", "dns error", "tunnel error"]
        .iter()
        .any(|words| chain.contains(words))
    {
        let reason = connection_failure(error, chain);
        (format!("cannot be reached: {reason}"), true)
    } else {
        return None;
    };
    Some(at_proxy(proxy, url, reason, passing))
}

/// The same for a SOCKS proxy (RFC 1928 §3, §6), by the words of reqwest and hyper-util.
fn of_socks(proxy: &Proxy, url: &Url, error: &reqwest::Error, chain: &str) -> Option<HttpError> {
    let has = |words: &str| chain.contains(words);
    let server = origin(url);
    if has("error resolving for socks proxy") {
        let reason = format!(
            "is not asked for the name of {server}, which cannot be resolved here ({}); with socks5h:// the proxy resolves it",
            innermost(error)
        );
        return Some(at_proxy(proxy, url, reason, true));
    }
    if error.is_timeout() {
        let reason = format!("makes no connection to {server} in time");
        return Some(at_proxy(proxy, url, reason, true));
    }
    if !has("SOCKS error") {
        return None;
    }
    let (reason, passing) = if has("credentials not accepted") {
        (refused_password(proxy), false)
    } else if has("does not support user/pass") || has("implements authentication incorrectly") {
        // The words of hyper-util for "no acceptable method", whichever was offered.
        let reason = if proxy.has_user() {
            "does not take a user and a password"
        } else {
            "asks for a user and a password"
        };
        (reason.to_owned(), false)
    } else if has("failed to create underlying connection") {
        ("cannot be reached".to_owned(), true)
    } else if has("io error during") || has("failed parsing") {
        let what = "breaks off the connection, or does not speak SOCKS5";
        (what.to_owned(), true)
    } else {
        let why = innermost(error);
        let why = why.trim_start_matches("SOCKS error: ");
        let passing = !has("not allowed") && !has("not supported");
        (format!("does not connect to {server}: {why}"), passing)
    };
    Some(at_proxy(proxy, url, reason, passing))
}

fn at_proxy(proxy: &Proxy, url: &Url, reason: String, passing: bool) -> HttpError {
    HttpError::Proxy {
        address: proxy.address(),
        variable: proxy.variable,
        server: Box::new(url.clone()),
        reason,
        passing,
    }
}

/// Whether the proxy itself answered that it wants another user or password (RFC 9110 §15.5.8). tinyproxy says 401 to a
/// wrong one.
pub(super) fn is_refusal_of_proxy(proxy: &Proxy, answer: &reqwest::Response, url: &Url) -> bool {
    // A SOCKS proxy does not speak HTTP: the answer is the server's.
    if proxy.is_socks() {
        return false;
    }
    let server = answer.headers().get(SERVER);
    match answer.status() {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => true,
        StatusCode::UNAUTHORIZED if url.scheme() == "http" => {
            server.is_some_and(|server| server.as_bytes().starts_with(b"tinyproxy/"))
        }
        _ => false,
    }
}

pub(super) fn asks_for_password(proxy: &Proxy, url: &Url) -> HttpError {
    let reason = if proxy.has_user() {
        refused_password(proxy)
    } else {
        "asks for a user and a password (407)".to_owned()
    };
    at_proxy(proxy, url, reason, false)
}

fn refused_password(proxy: &Proxy) -> String {
    let status = if proxy.is_socks() { "" } else { " (407)" };
    format!("refuses the user and the password that its URL has{status}")
}

/// The last cause of an error, where the operating system or TLS says what happened.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
