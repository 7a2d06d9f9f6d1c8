//! Proxies that the environment names: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, and `NO_PROXY` for what goes past them.

use std::ffi::OsString;
use std::sync::Arc;

use url::Url;

use super::bypass::Bypass;
use super::error::HttpError;
use super::proxy::{Named, Proxy, parse};

/// What the environment says of proxies.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies {
    http: Option<Named>,
    https: Option<Named>,
    bypass: Bypass,
}

impl Proxies {
    /// Reads the environment of this process.
    pub(super) fn from_environment() -> Self {
        Self::from_variables(|name| std::env::var_os(name))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = variable(name)?;
                let is_empty = value.to_string_lossy().trim().is_empty();
                (!is_empty).then_some((*name, value))
            })
        };
        let exceptions = first(&["NO_PROXY", "no_proxy"]).map(|(_, value)| value);
        let bypass = Bypass::parse(&exceptions.unwrap_or_default().to_string_lossy());
        if bypass.is_everything() {
            return Self {
                bypass,
                ..Self::default()
            };
        }
        let proxy = |names: &[&'static str]| first(names).map(|(name, value)| parse(name, &value));
        // In a CGI program HTTP_PROXY is what the client sent as its header `Proxy` (CVE-2016-5385, "httpoxy").
        let http_names: &[&'static str] = if variable("REQUEST_METHOD").is_some() {
            &["http_proxy"]
        } else {
            &["HTTP_PROXY", "http_proxy"]
        };
        let all = proxy(&["ALL_PROXY", "all_proxy"]);
        Self {
            http: proxy(http_names).or_else(|| all.clone()),
            https: proxy(&["HTTPS_PROXY", "https_proxy"]).or(all),
            bypass,
        }
    }

    fn named(&self, url: &Url) -> Option<&Named> {
        let named = match url.scheme() {
            "http" => self.http.as_ref(),
            "https" => self.https.as_ref(),
            _ => None,
        };
        named.filter(|_| !self.bypass.covers(url))
    }

    /// The proxy that a request to this URL goes through.
    pub(super) fn of(&self, url: &Url) -> Option<&Proxy> {
        self.named(url)?.as_ref().ok()
    }

    /// Whether a request to this URL can be sent: a variable that names no proxy must not make it go past one.
    ///
    /// # Errors
    /// [`HttpError::Setup`], which names the variable.
    pub(super) fn check(&self, url: &Url) -> Result<(), HttpError> {
        match self.named(url) {
            Some(Err(unusable)) => Err(HttpError::Setup {
                what: unusable.variable.to_owned(),
                reason: unusable.reason.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// A client that goes through these proxies and no others.
    pub(super) fn configure(
        self: &Arc<Self>,
        builder: reqwest::ClientBuilder,
    ) -> reqwest::ClientBuilder {
        let proxies = Arc::clone(self);
        let rule =
            reqwest::Proxy::custom(move |url| proxies.of(url).map(|proxy| proxy.url.clone()));
        builder.no_proxy().proxy(rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::from_variables(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).into())
        })
    }

    fn used(variables: &[(&str, &str)], url: &str) -> Option<(&'static str, String)> {
        let proxies = proxies(variables);
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
    fn no_proxy_names_what_goes_past() {
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
        // What goes past everything need not be right.
        let everything = [("ALL_PROXY", "ftp://p.example"), ("no_proxy", "*")];
        let outside = "https://outside.example/".parse().unwrap();
        assert!(proxies(&everything).check(&outside).is_ok());
    }

    #[test]
    fn socks_has_a_port_of_its_own() {
        let variables = [("ALL_PROXY", "socks5h://user:pw@p.example")];
        assert_eq!(
            used(&variables, "https://fhir.example/"),
            Some(("ALL_PROXY", "socks5h://p.example:1080".into()))
        );
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
        let long = format!("socks5://{}:hidden@p.example", "x".repeat(256));
        for bad in [
            "http://user:pass word@:80:80",
            "socks4://user:hidden@p.example",
            "ftp://p",
            &long,
        ] {
            let proxies = proxies(&[("HTTPS_PROXY", bad)]);
            let check = |url: &str| proxies.check(&url.parse().unwrap());
            let error = check("https://fhir.example/").unwrap_err().to_string();
            assert!(error.contains("HTTPS_PROXY"), "{error}");
            assert!(
                !error.contains("hidden") && !error.contains("pass word"),
                "{error}"
            );
            // It is no business of requests that would not go through it.
            assert!(check("http://fhir.example/").is_ok() && check("https://localhost/").is_ok());
        }
    }
}
