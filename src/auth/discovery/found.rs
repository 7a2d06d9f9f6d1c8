//! What discovery found, and how it is kept in the profile file.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use url::Url;

use super::document::{Document, Text};
use crate::profile::Profile;

/// What was found is asked for again when it is older than this.
const LONGEST_LIFE: SignedDuration = SignedDuration::from_hours(24);
/// As many scopes are kept.
const MOST_SCOPES: usize = 500;

/// What a server says of its endpoints. What a client may send there is for [`super::super::Endpoints`] to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub token_url: Url,
    pub authorize_url: Option<Url>,
    /// Where tokens are given back (RFC 7009).
    pub revocation_url: Option<Url>,
    /// Where a device asks for a code (RFC 8628 §4).
    pub device_url: Option<Url>,
    /// Where a token is asked about (RFC 7662).
    pub introspection_url: Option<Url>,
    /// Where the person who signed in is described (OpenID Connect Core §5.3).
    pub userinfo_url: Option<Url>,
    /// Where an authorization request is left before the person comes (RFC 9126).
    pub pushed_url: Option<Url>,
    /// The token endpoint for clients that show a certificate (RFC 8705 §5).
    pub mtls_token_url: Option<Url>,
    /// Who signs id_tokens, to the letter.
    pub issuer: Option<String>,
    /// Whether an answer of the authorize endpoint names the issuer (RFC 9207 §3).
    pub names_issuer: bool,
    /// Whether authorization requests must be left there before (RFC 9126 §5).
    pub wants_pushed: bool,
    /// How clients may prove themselves (RFC 8414 §2); empty when the server does not say.
    pub client_auth: Vec<String>,
    /// The scopes for clients by themselves.
    pub system_scopes: Vec<String>,
    pub capabilities: Vec<String>,
    pub found_at: Timestamp,
    /// Whether it comes from the profile file, not from the server just now.
    pub is_remembered: bool,
}

impl Found {
    /// A token endpoint of which nothing else is known.
    pub fn at(token_url: Url) -> Self {
        Self {
            token_url,
            authorize_url: None,
            revocation_url: None,
            device_url: None,
            introspection_url: None,
            userinfo_url: None,
            pushed_url: None,
            mtls_token_url: None,
            issuer: None,
            names_issuer: false,
            wants_pushed: false,
            client_auth: Vec::new(),
            system_scopes: Vec::new(),
            capabilities: Vec::new(),
            found_at: Timestamp::now(),
            is_remembered: false,
        }
    }

    /// What a document says; `None` when it names no token endpoint. Relative URLs are resolved against `base`.
    pub fn from_document(document: &Document, base: &Url) -> Option<Self> {
        let mut found = Self::at(url_of(base, &document.token_endpoint)?);
        found.fill(document, base);
        let url = |text| url_of(base, text);
        found.authorize_url = url(&document.authorization_endpoint);
        found.mtls_token_url = url(&document.mtls_endpoint_aliases.token_endpoint);
        found.issuer = document.issuer.get().map(str::to_owned);
        let texts = |list: &super::document::Texts| list.0.clone().unwrap_or_default();
        found.client_auth = texts(&document.token_endpoint_auth_methods_supported);
        found.capabilities = texts(&document.capabilities);
        let mut scopes = texts(&document.scopes_supported);
        scopes.retain(|scope| scope.starts_with("system/"));
        scopes.truncate(MOST_SCOPES);
        found.system_scopes = scopes;
        Some(found)
    }

    /// Takes what was not found before from another document of the same authorization server.
    pub fn fill(&mut self, document: &Document, base: &Url) {
        for (known, named) in [
            (&mut self.revocation_url, &document.revocation_endpoint),
            (
                &mut self.device_url,
                &document.device_authorization_endpoint,
            ),
            (
                &mut self.introspection_url,
                &document.introspection_endpoint,
            ),
            (&mut self.userinfo_url, &document.userinfo_endpoint),
            (
                &mut self.pushed_url,
                &document.pushed_authorization_request_endpoint,
            ),
        ] {
            if known.is_none() {
                *known = url_of(base, named);
            }
        }
        self.names_issuer |= document.authorization_response_iss_parameter_supported.0;
        self.wants_pushed |= document.require_pushed_authorization_requests.0;
    }

    /// Whether it is to be asked for again: it is old, or of a clock that has been set back.
    pub fn is_old(&self) -> bool {
        let age = Timestamp::now().duration_since(self.found_at);
        age > LONGEST_LIFE || age < -LONGEST_LIFE
    }

    /// The entry in the profile file.
    pub(super) fn to_json(&self, profile: &Profile) -> Value {
        let mut entry = Map::new();
        entry.insert("fhirBase".into(), profile.fhir_base.as_str().into());
        entry.insert("foundAt".into(), self.found_at.to_string().into());
        entry.insert("tokenUrl".into(), self.token_url.as_str().into());
        for (name, url) in [
            ("authorizeUrl", &self.authorize_url),
            ("revocationUrl", &self.revocation_url),
            ("deviceUrl", &self.device_url),
            ("introspectionUrl", &self.introspection_url),
            ("userinfoUrl", &self.userinfo_url),
            ("pushedUrl", &self.pushed_url),
            ("mtlsTokenUrl", &self.mtls_token_url),
        ] {
            if let Some(url) = url {
                entry.insert(name.into(), url.as_str().into());
            }
        }
        if let Some(issuer) = &self.issuer {
            entry.insert("issuer".into(), issuer.as_str().into());
        }
        for (name, flag) in [
            ("namesIssuer", self.names_issuer),
            ("wantsPushed", self.wants_pushed),
        ] {
            if flag {
                entry.insert(name.into(), true.into());
            }
        }
        for (name, list) in [
            ("clientAuth", &self.client_auth),
            ("systemScopes", &self.system_scopes),
            ("capabilities", &self.capabilities),
        ] {
            if !list.is_empty() {
                entry.insert(name.into(), json!(list));
            }
        }
        Value::Object(entry)
    }

    /// What was kept for this FHIR base; `None` when it is of another one.
    pub(super) fn from_json(profile: &Profile, entry: &Value) -> Option<Self> {
        let text = |name: &str| entry.get(name)?.as_str();
        (text("fhirBase")? == profile.fhir_base.as_str()).then_some(())?;
        let url = |name: &str| Url::parse(text(name)?).ok();
        let flag = |name: &str| entry.get(name).and_then(Value::as_bool) == Some(true);
        let texts = |name: &str| {
            let list = entry
                .get(name)
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Some(Self {
            token_url: url("tokenUrl")?,
            authorize_url: url("authorizeUrl"),
            revocation_url: url("revocationUrl"),
            device_url: url("deviceUrl"),
            introspection_url: url("introspectionUrl"),
            userinfo_url: url("userinfoUrl"),
            pushed_url: url("pushedUrl"),
            mtls_token_url: url("mtlsTokenUrl"),
            issuer: text("issuer").map(str::to_owned),
            names_issuer: flag("namesIssuer"),
            wants_pushed: flag("wantsPushed"),
            client_auth: texts("clientAuth"),
            system_scopes: texts("systemScopes"),
            capabilities: texts("capabilities"),
            // Kept by a version that did not note the time.
            found_at: text("foundAt")
                .and_then(|text| text.parse().ok())
                .unwrap_or(Timestamp::UNIX_EPOCH),
            is_remembered: true,
        })
    }
}

/// A URL in a document of a server, absolute or relative to a base (RFC 3986 §5.2). Only the web has endpoints.
pub(super) fn url_of(base: &Url, text: &Text) -> Option<Url> {
    let mut folder = base.clone();
    folder.set_path(&format!("{}/", base.path().trim_end_matches('/')));
    let url = folder.join(text.get()?.trim()).ok()?;
    let is_usable = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none();
    is_usable.then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_endpoints_are_resolved_as_rfc_3986_says() {
        let base = Url::parse("https://h.example/ctx/fhir").unwrap();
        for (text, url) in [
            ("/token", Some("https://h.example/token")),
            ("token", Some("https://h.example/ctx/fhir/token")),
            ("../token", Some("https://h.example/ctx/token")),
            ("//o.example/token", Some("https://o.example/token")),
            ("https://o.example/t", Some("https://o.example/t")),
            ("https://u:p@o.example/t", None),
            ("urn:example", None),
            ("javascript:alert(1)", None),
            ("", None),
        ] {
            let json = serde_json::to_string(text).unwrap();
            let text: Text = serde_json::from_str(&json).unwrap();
            let found = url_of(&base, &text);
            assert_eq!(found.as_ref().map(Url::as_str), url, "{text:?}");
        }
    }
}
