//! Proxies that the environment names: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, and `NO_PROXY` for what goes past them.

use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use super::HttpError;
use crate::secret::Secret;

/// One proxy, and the variable that names it.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// The variable as it is spelled in the environment.
    pub variable: &'static str,
    url: Url,
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
}

/// What the environment says of proxies.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    no_proxy: String,
}

impl Proxies {
    /// Reads the environment of this process.
    ///
    /// # Errors
    /// [`HttpError::Setup`] when a variable names no proxy that can be used: without it, requests would go past it.
    pub fn from_environment() -> Result<Self, HttpError> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, HttpError> {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = variable(name).filter(|value| !value.trim().is_empty())?;
                Some((*name, value))
            })
        };
        let proxy = |names: &[&'static str]| {
            first(names)
                .map(|(name, value)| parse(name, &value))
                .transpose()
        };
        // In a CGI program HTTP_PROXY is what the client sent as its header `Proxy` (CVE-2016-5385, "httpoxy").
        let http_names: &[&'static str] = if variable("REQUEST_METHOD").is_some() {
            &["http_proxy"]
        } else {
            &["HTTP_PROXY", "http_proxy"]
        };
        let all = proxy(&["ALL_PROXY", "all_proxy"])?;
        Ok(Self {
            http: proxy(http_names)?.or_else(|| all.clone()),
            https: proxy(&["HTTPS_PROXY", "https_proxy"])?.or(all),
            no_proxy: first(&["NO_PROXY", "no_proxy"])
                .map(|(_, value)| value)
                .unwrap_or_default(),
        })
    }

    /// The proxy that a request to this URL goes through.
    pub fn of(&self, url: &Url) -> Option<&Proxy> {
        let proxy = match url.scheme() {
            "http" => self.http.as_ref(),
            "https" => self.https.as_ref(),
            _ => None,
        }?;
        // The same rules for NO_PROXY as the connection itself follows.
        let uri: http::Uri = url.as_str().parse().ok()?;
        let matcher = Matcher::builder()
            .all("http://proxy.invalid")
            .no(self.no_proxy.as_str())
            .build();
        matcher.intercept(&uri).map(|_| proxy)
    }

    /// A client that goes through these proxies and no others.
    pub(super) fn configure(
        &self,
        mut builder: reqwest::ClientBuilder,
    ) -> Result<reqwest::ClientBuilder, HttpError> {
        builder = builder.no_proxy();
        let exceptions = || reqwest::NoProxy::from_string(&self.no_proxy);
        let refused = |proxy: &Proxy| {
            let variable = proxy.variable;
            move |_| unusable(variable, "it is no URL of a proxy")
        };
        if let Some(proxy) = &self.http {
            let rule = reqwest::Proxy::http(proxy.url.clone()).map_err(refused(proxy))?;
            builder = builder.proxy(rule.no_proxy(exceptions()));
        }
        if let Some(proxy) = &self.https {
            let rule = reqwest::Proxy::https(proxy.url.clone()).map_err(refused(proxy))?;
            builder = builder.proxy(rule.no_proxy(exceptions()));
        }
        Ok(builder)
    }
}

/// A proxy's URL; `host:port` is taken for `http://host:port`, as everywhere.
fn parse(variable: &'static str, text: &str) -> Result<Proxy, HttpError> {
    let text = text.trim();
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    // The text may hold a password: no message repeats it.
    let url = Url::parse(&whole).map_err(|_| unusable(variable, "it is no URL of a proxy"))?;
    if !matches!(url.scheme(), "http" | "https") {
        let reason = format!(
            "{}:// is no kind of proxy that is supported; http:// and https:// are",
            url.scheme()
        );
        return Err(unusable(variable, &reason));
    }
    if let Some(password) = url.password() {
        hide(url.username(), password);
    }
    Ok(Proxy { variable, url })
}

fn unusable(variable: &str, reason: &str) -> HttpError {
    HttpError::Setup {
        what: variable.to_owned(),
        reason: reason.to_owned(),
    }
}

/// Has the password masked in all output, as it stands in the URL and as it goes out.
fn hide(user: &str, password: &str) {
    let plain = |text: &str| {
        let pair = format!("x={}", text.replace('+', "%2B"));
        url::form_urlencoded::parse(pair.as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    let _ = Secret::new(password);
    let _ = Secret::new(plain(password));
    let _ = Secret::basic(&plain(user), &plain(password));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, HttpError> {
        Proxies::from_variables(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn used(variables: &[(&str, &str)], url: &str) -> Option<(&'static str, String)> {
        let proxies = proxies(variables).unwrap();
        let proxy = proxies.of(&url.parse().unwrap())?;
        Some((proxy.variable, proxy.address()))
    }

    #[test]
    fn the_variable_of_the_scheme_goes_before_the_one_for_all() {
        let variables = [
            ("http_proxy", "one.example:3128"),
            ("ALL_PROXY", "https://two.example"),
        ];
        assert_eq!(
            used(&variables, "http://fhir.example/r4"),
            Some(("http_proxy", "http://one.example:3128".into()))
        );
        assert_eq!(
            used(&variables, "https://fhir.example/r4"),
            Some(("ALL_PROXY", "https://two.example:443".into()))
        );
        // An empty variable says nothing.
        let variables = [("HTTPS_PROXY", ""), ("https_proxy", "http://one.example")];
        assert_eq!(
            used(&variables, "https://fhir.example/"),
            Some(("https_proxy", "http://one.example:80".into()))
        );
    }

    #[test]
    fn no_proxy_names_hosts_domains_and_networks() {
        let variables = [
            ("ALL_PROXY", "p.example"),
            ("NO_PROXY", "localhost, .inside.example,10.0.0.0/8"),
        ];
        for past in [
            "http://localhost:80/",
            "https://a.inside.example/",
            "http://10.1.2.3/",
        ] {
            assert_eq!(used(&variables, past), None, "{past}");
        }
        for through in ["http://local.host/", "https://outside.example/"] {
            assert!(used(&variables, through).is_some(), "{through}");
        }
        let everything = [("ALL_PROXY", "p.example"), ("no_proxy", "*")];
        assert_eq!(used(&everything, "https://outside.example/"), None);
    }

    #[test]
    fn a_cgi_program_does_not_take_a_proxy_from_its_client() {
        let variables = [("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "evil.example")];
        assert_eq!(used(&variables, "http://fhir.example/"), None);
        let variables = [("REQUEST_METHOD", "GET"), ("http_proxy", "p.example")];
        assert!(used(&variables, "http://fhir.example/").is_some());
    }

    #[test]
    fn a_value_that_names_no_proxy_is_refused_and_not_repeated() {
        for bad in [
            "http://user:pass word@:80:80",
            "socks5://user:hidden@p.example",
            "ftp://p",
        ] {
            let error = proxies(&[("HTTPS_PROXY", bad)]).unwrap_err().to_string();
            assert!(error.contains("HTTPS_PROXY"), "{error}");
            assert!(
                !error.contains("hidden") && !error.contains("pass word"),
                "{error}"
            );
        }
    }
}
