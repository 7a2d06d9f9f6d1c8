//! Requests that failed, sorted by where: at the proxy, at the server, or on the way back.

use url::Url;

use super::error::{HttpError, chain, connection_failure, innermost};
use super::error_of_proxy::of_proxy;
use super::proxy::Proxy;

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
