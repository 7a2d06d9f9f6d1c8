//! One proxy: its URL, and the variable that names it.

use std::ffi::OsString;

use url::Url;

use crate::secret::Secret;

/// The port of SOCKS (RFC 1928 §3).
const SOCKS_PORT: u16 = 1080;
/// The most that a user or a password may have in SOCKS (RFC 1929 §2).
const LONGEST_SOCKS_NAME: usize = 255;

/// One proxy, and the variable that names it.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// The variable as it is spelled in the environment.
    pub variable: &'static str,
    pub(super) url: Url,
}

impl Proxy {
    /// The proxy for people: its address, without user and password.
    pub fn address(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or_default();
        format!("{}://{host}:{port}", self.url.scheme())
    }

    /// Whether its URL has a user.
    pub fn has_user(&self) -> bool {
        !self.url.username().is_empty()
    }

    /// Whether it forwards connections of any kind (RFC 1928).
    pub fn is_socks(&self) -> bool {
        self.url.scheme().starts_with("socks")
    }
}

/// A variable that names no proxy that can be used, and why.
#[derive(Clone, Debug)]
pub(super) struct Unusable {
    pub(super) variable: &'static str,
    pub(super) reason: String,
}

impl Unusable {
    fn new(variable: &'static str, reason: impl Into<String>) -> Self {
        Self {
            variable,
            reason: reason.into(),
        }
    }
}

/// What a variable says.
pub(super) type Named = Result<Proxy, Unusable>;

/// A proxy's URL; `host:port` is taken for `http://host:port`, as everywhere.
pub(super) fn parse(variable: &'static str, text: &OsString) -> Named {
    let Some(text) = text.to_str().map(str::trim) else {
        return Err(Unusable::new(variable, "it is not UTF-8 text"));
    };
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    // The text may hold a password: no message repeats it.
    let mut url = Url::parse(&whole)
        .ok()
        .filter(Url::has_host)
        .ok_or_else(|| Unusable::new(variable, "it is no URL of a proxy"))?;
    if let Some(password) = url.password() {
        hide(url.username(), password);
    }
    match url.scheme() {
        "http" | "https" => {}
        "socks5" | "socks5h" => {
            let is_long = |text: &str| plain(text).len() > LONGEST_SOCKS_NAME;
            if is_long(url.username()) || url.password().is_some_and(is_long) {
                let reason = "its user or its password is longer than SOCKS allows";
                return Err(Unusable::new(variable, reason));
            }
            if url.port().is_none() {
                let _ = url.set_port(Some(SOCKS_PORT));
            }
        }
        scheme => {
            let reason = format!(
                "{scheme}:// is no kind of proxy that is supported; http://, https://, socks5:// and socks5h:// are"
            );
            return Err(Unusable::new(variable, reason));
        }
    }
    Ok(Proxy { variable, url })
}

/// Has the password masked in all output, as it stands in the URL and as it goes out.
fn hide(user: &str, password: &str) {
    let _ = Secret::new(password);
    let _ = Secret::new(plain(password));
    let _ = Secret::basic(&plain(user), &plain(password));
}

/// Without percent encoding.
fn plain(text: &str) -> String {
    let pair = format!("x={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(pair.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}
