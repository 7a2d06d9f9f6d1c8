//! Where the endpoints are that get something of ours, and which may have it: the client's proof, a token, a code.
//!
//! A token URL that the user set pins them all. Else discovery names the token endpoint, which may be on another server
//! than FHIR is. Every other endpoint that discovery names must have the origin of the token endpoint: the FHIR server
//! says where they are, but they are not its own to give away. https never leads to http.

use url::{Host, Url};

use super::AuthError;
use super::discovery::Found;
use crate::profile::{ClientAuth, Key, Layer, Profile, ProfileError, urls};
use crate::secret;

/// A URL that may have the client's proof, a token or a code. Only [`Endpoints`] makes one, so that what is used is
/// what was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// The URL.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

/// The endpoints of a profile's authorization server.
#[derive(Clone, Debug)]
pub struct Endpoints {
    token: Endpoint,
    /// The one that the user named.
    device: Option<Endpoint>,
    /// The page that the user named.
    authorize: Option<Url>,
    found: Option<Found>,
}

impl Endpoints {
    /// The endpoints that the user set and discovery found.
    ///
    /// # Errors
    /// A URL is not https although the FHIR server is, or no web address; there is no token endpoint.
    pub fn of(profile: &Profile, found: Option<Found>) -> Result<Self, AuthError> {
        let token = match (&profile.token_url, &found) {
            (Some(set), _) => usable(profile, Key::TokenUrl, set)?,
            (None, Some(found)) => usable(profile, Key::TokenUrl, &found.token_url)?,
            (None, None) => {
                return Err(super::discovery::DiscoveryError::NothingFound {
                    server: profile.fhir_base.to_string(),
                    gaps: vec!["it was not asked".into()],
                    is_strange: false,
                }
                .into());
            }
        };
        refuse_to_lend(profile, &token)?;
        let device = profile.device_authorization_url.as_ref();
        let device = device.map(|url| of_one_server(profile, url, &token));
        let authorize = profile.authorize_url.as_ref();
        let authorize = authorize.map(|url| usable(profile, Key::AuthorizeUrl, url));
        Ok(Self {
            token: Endpoint(token),
            device: device.transpose()?.map(Endpoint),
            authorize: authorize.transpose()?,
            found,
        })
    }

    /// The token endpoint for a client that proves itself in this way; clients that show a certificate may have one of
    /// their own (RFC 8705 §5).
    pub fn token(&self, way: ClientAuth) -> Endpoint {
        let alias = self
            .theirs()
            .and_then(|found| found.mtls_token_url.as_ref());
        match self.trusted(alias.filter(|_| way == ClientAuth::Certificate)) {
            Some(alias) => alias,
            None => self.token.clone(),
        }
    }

    /// A token endpoint for clients with a certificate that is named and not used, since it is on another server.
    pub fn passed_over(&self, way: ClientAuth) -> Option<&Url> {
        let alias = self.theirs()?.mtls_token_url.as_ref()?;
        (way == ClientAuth::Certificate && self.trusted(Some(alias)).is_none()).then_some(alias)
    }

    /// The URL of the token endpoint, by which it is known.
    pub fn token_url(&self) -> &Url {
        self.token.url()
    }

    /// Where a device asks for a code.
    pub fn device(&self) -> Option<Endpoint> {
        let named = || self.trusted(self.found.as_ref()?.device_url.as_ref());
        self.device.clone().or_else(named)
    }

    /// Where tokens are given back.
    pub fn revocation(&self) -> Option<Endpoint> {
        self.trusted(self.found.as_ref()?.revocation_url.as_ref())
    }

    /// Where a token is asked about.
    pub fn introspection(&self) -> Option<Endpoint> {
        self.trusted(self.found.as_ref()?.introspection_url.as_ref())
    }

    /// Where the person who signed in is described.
    pub fn userinfo(&self) -> Option<Endpoint> {
        self.trusted(self.found.as_ref()?.userinfo_url.as_ref())
    }

    /// Where an authorization request is left before the person comes.
    pub fn pushed(&self) -> Option<Endpoint> {
        self.trusted(self.found.as_ref()?.pushed_url.as_ref())
    }

    /// Whether authorization requests must be left there before.
    pub fn wants_pushed(&self) -> bool {
        self.theirs().is_some_and(|found| found.wants_pushed)
    }

    /// The page where a person signs in. It gets no credential; whether it belongs to the token endpoint is another
    /// question.
    ///
    /// # Errors
    /// It is not https although the FHIR server is.
    pub fn authorize(&self, profile: &Profile) -> Result<Option<Url>, AuthError> {
        let named = || self.found.as_ref()?.authorize_url.as_ref();
        let url = self.authorize.as_ref().or_else(named);
        url.map(|url| usable(profile, Key::AuthorizeUrl, url))
            .transpose()
    }

    /// How clients may prove themselves at the token endpoint; empty when that is not known.
    pub fn client_auth(&self) -> &[String] {
        self.theirs().map_or(&[], |found| &found.client_auth)
    }

    /// Who signs id_tokens and answers of the sign-in page, when the server of the token endpoint in use names itself.
    pub fn issuer(&self) -> Option<&str> {
        self.theirs()?.issuer.as_deref()
    }

    /// Whether an answer of the sign-in page must name the issuer.
    pub fn names_issuer(&self) -> bool {
        self.theirs().is_some_and(|found| found.names_issuer)
    }

    /// What discovery found, whether it is used or not.
    pub fn found(&self) -> Option<&Found> {
        self.found.as_ref()
    }

    /// The same, to be kept.
    pub fn into_found(self) -> Option<Found> {
        self.found
    }

    /// What discovery found about the token endpoint in use.
    fn theirs(&self) -> Option<&Found> {
        let found = self.found.as_ref()?;
        (found.token_url == self.token.0).then_some(found)
    }

    /// An endpoint that discovery named, if it may have what the token endpoint may have.
    fn trusted(&self, url: Option<&Url>) -> Option<Endpoint> {
        url.filter(|url| urls::same_origin(url, &self.token.0))
            .map(|url| Endpoint(url.clone()))
    }
}

/// Whether what is sent to a URL can be read on the way: it is plain http, and not to this machine.
pub fn is_in_the_clear(url: &Url) -> bool {
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback())
        }
        None => false,
    };
    url.scheme() == "http" && !is_here
}

/// With a key that is not its own, a `.env` file that names the FHIR server gets a token of no other server: the key
/// that lies in the folder may be for that other one.
fn refuse_to_lend(profile: &Profile, token: &Url) -> Result<(), AuthError> {
    let names_server = profile.base_from == Layer::EnvFile;
    match profile.of_folder.lent() {
        Some(lent)
            if names_server
                && !profile.pins_token_url()
                && !urls::same_origin(token, &profile.fhir_base) =>
        {
            Err(AuthError::LentTo {
                token: secret::url_for_people(token),
                server: profile.fhir_base.to_string(),
                lent,
            })
        }
        _ => Ok(()),
    }
}

/// The device endpoint. One that a `.env` file names must be of the server of the token endpoint: that one gets the code,
/// which a person made good at the other one.
fn of_one_server(profile: &Profile, url: &Url, token: &Url) -> Result<Url, AuthError> {
    let key = Key::DeviceAuthorizationUrl;
    if profile.of_folder.says(key) && !urls::same_origin(url, token) {
        return Err(AuthError::MixedByFolder {
            key,
            named: secret::url_for_people(url).into(),
            token: secret::url_for_people(token),
        });
    }
    usable(profile, key, url)
}

/// A URL of the web, and https when the FHIR server is.
fn usable(profile: &Profile, key: Key, url: &Url) -> Result<Url, AuthError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ProfileError::BadSetting {
            key,
            value: secret::url_for_people(url),
            reason: "only http and https URLs can be used".into(),
        }
        .into());
    }
    if profile.fhir_base.scheme() == "https" && url.scheme() != "https" {
        return Err(AuthError::Insecure {
            url: secret::url_for_people(url),
        });
    }
    Ok(url.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Settings;
    use crate::profile::resolve::{Layers, resolve};

    const FHIR: &str = "https://fhir.example/r4";
    const TOKEN: &str = "https://id.example/token";

    fn profile(pairs: &[(Key, &str)]) -> Profile {
        let mut flags = Settings::default();
        flags.set(Key::BaseUrl, Some(FHIR.into()));
        for (key, value) in pairs {
            flags.set(*key, Some((*value).to_owned()));
        }
        let layers = Layers {
            flags,
            ..Layers::default()
        };
        resolve("x", &layers).unwrap()
    }

    /// A server that names this URL for everything but its token endpoint.
    fn found(token: &str, others: &str) -> Found {
        let url = |text: &str| Some(Url::parse(text).unwrap());
        let mut found = Found::at(Url::parse(token).unwrap());
        found.revocation_url = url(others);
        found.device_url = url(others);
        found.introspection_url = url(others);
        found.userinfo_url = url(others);
        found.pushed_url = url(others);
        found.mtls_token_url = url(others);
        found
    }

    fn given(endpoints: &Endpoints) -> Vec<String> {
        let alias = endpoints.token(ClientAuth::Certificate);
        let named = [
            endpoints.revocation(),
            endpoints.device(),
            endpoints.introspection(),
            endpoints.userinfo(),
            endpoints.pushed(),
            Some(alias).filter(|alias| alias.url() != endpoints.token_url()),
        ];
        let named = named.into_iter().flatten();
        named.map(|endpoint| endpoint.url().to_string()).collect()
    }

    #[test]
    fn only_the_server_of_the_token_endpoint_may_have_what_is_ours() {
        for (others, are_used) in [
            ("https://id.example/x", true),
            ("https://id.example:443/x", true),
            ("https://id.example:8443/x", false),
            ("http://id.example/x", false),
            ("https://fhir.example/x", false),
            ("https://evil.example/x", false),
        ] {
            let of_discovery = Endpoints::of(&profile(&[]), Some(found(TOKEN, others))).unwrap();
            let expected = if are_used { 6 } else { 0 };
            assert_eq!(given(&of_discovery).len(), expected, "{others}");
            let set = profile(&[(Key::TokenUrl, TOKEN)]);
            let pinned = Endpoints::of(&set, Some(found(TOKEN, others))).unwrap();
            assert_eq!(given(&pinned).len(), expected, "{others}");
            // A server that names another token endpoint speaks of other clients, too.
            let elsewhere = found("https://evil.example/token", others);
            let pinned = Endpoints::of(&set, Some(elsewhere)).unwrap();
            assert_eq!(pinned.token_url().as_str(), TOKEN);
            let expected = if are_used { 5 } else { 0 };
            assert_eq!(given(&pinned).len(), expected, "{others}");
        }
    }

    #[test]
    fn plain_http_is_in_the_clear_unless_it_stays_on_this_machine() {
        for (url, is) in [
            ("http://h.example/", true),
            ("http://192.0.2.2:19210/", true),
            ("http://[2001:db8::1]/", true),
            ("http://localhost.example/", true),
            ("https://h.example/", false),
            ("http://localhost:1/", false),
            ("http://fhir.localhost/", false),
            ("http://127.1.2.3/", false),
            ("http://[::1]:80/", false),
            ("http://[::ffff:127.0.0.1]/", false),
        ] {
            assert_eq!(is_in_the_clear(&Url::parse(url).unwrap()), is, "{url}");
        }
    }

    #[test]
    fn https_leads_to_no_http() {
        let plain = "http://localhost/x";
        for key in [
            Key::TokenUrl,
            Key::AuthorizeUrl,
            Key::DeviceAuthorizationUrl,
        ] {
            let set = profile(&[(key, plain)]);
            let endpoints = Endpoints::of(&set, Some(found(TOKEN, TOKEN)));
            assert!(
                matches!(endpoints, Err(AuthError::Insecure { .. })),
                "{key:?}"
            );
        }
        let named = Endpoints::of(&profile(&[]), Some(found(plain, TOKEN)));
        assert!(matches!(named, Err(AuthError::Insecure { .. })));
    }
}
