//! Requests that failed at the proxy, by the words of reqwest and hyper-util: there is no type that can be seen from here.

use reqwest::StatusCode;
use reqwest::header::SERVER;
use url::Url;

use super::error::{HttpError, connection_failure, innermost, origin};
use super::proxy::Proxy;

/// A connection that failed at the proxy; `None` when it failed behind it, in TLS with the server.
pub(super) fn of_proxy(
    proxy: &Proxy,
    url: &Url,
    error: &reqwest::Error,
    chain: &str,
) -> Option<HttpError> {
    if proxy.is_socks() {
        return of_socks(proxy, url, error, chain);
    }
    // The words of hyper-util's tunnel, which has no type that can be seen from here.
    if chain.contains("proxy authorization required") {
        return Some(asks_for_password(proxy, url));
    }
    let (reason, is_passing) = if chain.contains("tunnel error: unsuccessful") {
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
    Some(at_proxy(proxy, url, reason, is_passing))
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
    let (reason, is_passing) = if has("credentials not accepted") {
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
        let is_passing = !has("not allowed") && !has("not supported");
        (format!("does not connect to {server}: {why}"), is_passing)
    };
    Some(at_proxy(proxy, url, reason, is_passing))
}

fn at_proxy(proxy: &Proxy, url: &Url, reason: String, is_passing: bool) -> HttpError {
    HttpError::Proxy {
        address: proxy.address(),
        variable: proxy.variable,
        server: Box::new(url.clone()),
        reason,
        is_passing,
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
