//! What goes to a token endpoint: a form, the client's proof, and what the token is to be bound to.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde_json::Value;

use super::assertion::Assertion;
use super::dpop::Prover;
use super::endpoints::Endpoint;
use crate::http::Request;
use crate::profile::Param;
use crate::secret::Secret;

/// One request to the token endpoint, or to one beside it.
#[derive(Clone, Debug, Default)]
pub struct TokenRequest {
    form: Vec<(Cow<'static, str>, Secret)>,
    basic: Option<Secret>,
    /// What the assertion in it says.
    signed: Option<String>,
    /// What the token is to be bound to (RFC 9449).
    dpop: Option<Prover>,
    is_good_once: bool,
}

impl TokenRequest {
    /// A request for a grant type.
    pub fn new(grant_type: &'static str) -> Self {
        Self::default().with("grant_type", Some(grant_type))
    }

    /// The same with a code or a refresh token in it, which is good for one use only. The client's own credentials just
    /// bring another token.
    #[must_use]
    pub fn good_once(mut self) -> Self {
        self.is_good_once = true;
        self
    }

    /// A request to an endpoint beside the token endpoint: no grant type.
    pub fn form() -> Self {
        Self::default()
    }

    /// Adds a parameter that is not secret, when there is one.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            // Not `Secret::new`: a scope or grant type must stay readable in messages.
            self.form.push((name.into(), Secret::public(value)));
        }
        self
    }

    /// Adds a secret parameter.
    #[must_use]
    pub fn with_secret(mut self, name: &'static str, value: Secret) -> Self {
        self.form.push((name.into(), value));
        self
    }

    /// Adds what the user wants to go along, and overrides nothing by it.
    #[must_use]
    pub fn with_params(mut self, params: &[Param]) -> Self {
        for (name, value) in params {
            if !self.form.iter().any(|(own, _)| own == name) {
                let value = Secret::public(value.as_str());
                self.form.push((name.clone().into(), value));
            }
        }
        self
    }

    /// Adds parameters that were put together elsewhere.
    #[must_use]
    pub fn with_pairs(mut self, pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let pairs = pairs.into_iter();
        // A state and a nonce are in it, so all of it is kept out of sight.
        self.form
            .extend(pairs.map(|(name, value)| (name.into(), Secret::public(value))));
        self
    }

    /// Adds a signed assertion.
    #[must_use]
    pub fn with_assertion(mut self, name: &'static str, assertion: Assertion) -> Self {
        self.signed = Some(assertion.about);
        self.with_secret(name, assertion.text)
    }

    /// Asks for a token that is bound to a key, when there is one.
    #[must_use]
    pub fn with_dpop(mut self, prover: Option<&Prover>) -> Self {
        self.dpop = prover.cloned();
        self
    }

    /// Header and claims of the assertion in it, as a server reads them; never the signature.
    pub fn assertion(&self) -> Option<(Value, Value)> {
        let is_assertion = |name: &str| matches!(name, "assertion" | "client_assertion");
        let (_, text) = self.form.iter().find(|(name, _)| is_assertion(name))?;
        let mut parts = text.expose().split('.').map(|part| {
            let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
            serde_json::from_slice(&bytes).ok()
        });
        Some((parts.next()??, parts.next()??))
    }

    /// Adds id and secret as HTTP Basic.
    #[must_use]
    pub fn with_basic(mut self, id: &str, secret: &str) -> Self {
        self.basic = Some(Secret::basic(id, secret));
        self
    }

    /// Whether a second request like it does no harm when the answer to the first was lost.
    pub(super) fn is_repeatable(&self) -> bool {
        !self.is_good_once
    }

    /// What the token is to be bound to.
    pub(super) fn prover(&self) -> Option<&Prover> {
        self.dpop.as_ref()
    }

    /// What the assertion in it says, when there is one.
    pub(super) fn signed(&self) -> Option<&str> {
        self.signed.as_deref()
    }

    /// The request as it goes to an endpoint that may have what is in it.
    pub(super) fn into_http(self, at: &Endpoint) -> Request {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.form {
            form.append_pair(name, value.expose());
        }
        let mut request = Request::new(Method::POST, at.url().clone())
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            );
        if let Some(basic) = self.basic
            && let Ok(mut value) = HeaderValue::from_str(&format!("Basic {}", basic.expose()))
        {
            value.set_sensitive(true);
            request.headers.insert(AUTHORIZATION, value);
        }
        request.body = Some(form.finish().into());
        // The endpoint that gets the secret may see the certificate too.
        request.shows_certificate = true;
        request.brings_secret = true;
        request
    }
}
