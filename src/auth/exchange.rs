//! The one token request: a form POST, no redirects, and every answer a server may give to it.

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::assertion::Assertion;
use super::dpop::{MOST_NONCES, Prover};
use super::grant::device_code;
use super::token_answer::{self, TokenAnswer};
use super::{AuthError, Token};
use crate::foreign::Foreign;
use crate::http::retry::{self, Retry};
use crate::http::{Http, Request};
use crate::secret::{self, Secret};

const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What goes to the token endpoint.
#[derive(Clone, Debug, Default)]
pub struct TokenRequest {
    form: Vec<(&'static str, Secret)>,
    pub(super) basic: Option<Secret>,
    /// What the assertion in it says.
    signed: Option<String>,
    /// What the token is to be bound to (RFC 9449).
    dpop: Option<Prover>,
}

impl TokenRequest {
    /// A request for a grant type.
    pub fn new(grant_type: &'static str) -> Self {
        Self::default().with("grant_type", Some(grant_type))
    }

    /// Whether the request may be sent again when its answer was lost. A code or a refresh token is good for one use
    /// only; the client's own credentials just bring another token.
    fn is_repeatable(&self) -> bool {
        let grant_type = self.form.iter().find(|(name, _)| *name == "grant_type");
        grant_type.is_some_and(|(_, value)| {
            !matches!(
                value.expose(),
                "authorization_code" | "refresh_token" | device_code::GRANT_TYPE
            )
        })
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
            self.form.push((name, Secret::public(value)));
        }
        self
    }

    /// Adds a secret parameter.
    #[must_use]
    pub fn with_secret(mut self, name: &'static str, value: Secret) -> Self {
        self.form.push((name, value));
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

    /// What the assertion in it says, when there is one.
    pub(super) fn signed(&self) -> Option<&str> {
        self.signed.as_deref()
    }

    pub(super) fn into_http(self, url: &Url) -> Request {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.form {
            form.append_pair(name, value.expose());
        }
        let mut request = Request::new(Method::POST, url.clone())
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
        request
    }
}

/// A token endpoint that answered, but with no token.
#[derive(Debug)]
pub struct TokenRefusal {
    pub url: Url,
    pub status: StatusCode,
    /// The OAuth error code (RFC 6749 §5.2), when there was one.
    pub code: Option<Foreign>,
    /// The server's own words.
    pub words: Option<Foreign>,
    /// What the assertion sent said, when there was one.
    pub signed: Option<String>,
    /// Whether the answer was a web page.
    pub is_page: bool,
    /// When the server says it answered (RFC 9110 §6.6.1).
    pub date: Option<SystemTime>,
}

impl fmt::Display for TokenRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the token endpoint {} answered {} without a token",
            secret::url_for_people(&self.url),
            self.status
        )?;
        if let Some(code) = &self.code {
            write!(f, ": {code}")?;
        }
        if let Some(words) = &self.words {
            write!(
                f,
                "{} {words}",
                if self.code.is_some() { " -" } else { ":" }
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for TokenRefusal {}

/// Sends token requests until one is answered for good; each try is made anew, so that an assertion is never reused.
///
/// # Errors
/// [`AuthError::Refused`] with the server's words; network failures.
pub async fn exchange(
    http: &Http,
    url: &Url,
    make: impl Fn() -> Result<TokenRequest, AuthError>,
) -> Result<Token, AuthError> {
    let mut retry = Retry::new(http.network.retries, LONGEST_WAIT);
    let mut doubts_refusal = true;
    let mut nonces = 0;
    loop {
        let request = make()?;
        let signed = request.signed.clone();
        if let Some(signed) = &signed {
            http.trace.line(1, &format!("* assertion: {signed}"));
        }
        let repeatable = request.is_repeatable();
        let prover = request.dpop.clone();
        let mut outgoing = request.into_http(url);
        if let Some(prover) = &prover {
            prover.prove_for_token(&mut outgoing)?;
        }
        let answer = match http.send(outgoing).await {
            Ok(answer) => answer,
            Err(error) if !error.is_lasting() && (repeatable || error.was_not_sent()) => {
                match retry.wait(None) {
                    Some(wait) => {
                        tokio::time::sleep(wait).await;
                        continue;
                    }
                    None => return Err(error.into()),
                }
            }
            Err(error) => return Err(error.into()),
        };
        if retry::is_passing(answer.status)
            && let Some(wait) = retry.wait(retry::retry_after(&answer.headers, SystemTime::now()))
        {
            http.trace.line(
                1,
                &format!("* token endpoint busy, next try in {} ms", wait.as_millis()),
            );
            tokio::time::sleep(wait).await;
            continue;
        }
        let now = Timestamp::now();
        let (status, content_type) = (
            answer.status,
            answer.header(CONTENT_TYPE).unwrap_or_default().to_owned(),
        );
        let headers = prover.as_ref().map(|_| answer.headers.clone());
        let date = answer
            .header(DATE)
            .and_then(|date| httpdate::parse_http_date(date).ok());
        let body = answer.body.bytes(token_answer::LARGEST).await?;
        let answer = TokenAnswer::read(status, &content_type, &body);
        let code = answer.code();
        if let (Some(prover), Some(headers)) = (&prover, &headers)
            && prover.token_endpoint_wants_nonce(url, headers, code.as_deref())
            && nonces < MOST_NONCES
        {
            nonces += 1;
            http.trace
                .line(1, "* the token endpoint wants its nonce in the DPoP proof");
            continue;
        }
        if status.is_success()
            && let Some(mut token) = answer
                .fields()
                .and_then(|fields| Token::from_answer(fields, now))
        {
            // RFC 8693 §2.2.1: what was issued is no token for requests.
            let kind = answer.text("token_type");
            if kind.is_some_and(|kind| kind.eq_ignore_ascii_case("N_A")) {
                return Err(AuthError::NotForRequests {
                    url: secret::url_for_people(url),
                    issued: answer.text("issued_token_type").unwrap_or("unknown").into(),
                });
            }
            if let Some(prover) = prover {
                token.bind(prover.key, url, kind)?;
            }
            return Ok(token);
        }
        // Epic refuses good assertions now and then, in the same words as bad ones; a fresh one is taken.
        if std::mem::take(&mut doubts_refusal)
            && signed.is_some()
            && status == StatusCode::BAD_REQUEST
            && code.as_deref() == Some("invalid_client")
            && let Some(wait) = retry.wait(None)
        {
            http.trace
                .line(1, "* assertion refused, one more try with a fresh one");
            tokio::time::sleep(wait).await;
            continue;
        }
        return Err(refusal(url, date, &answer, signed));
    }
}

/// What an answer without a token says.
pub(super) fn refusal(
    url: &Url,
    date: Option<SystemTime>,
    answer: &TokenAnswer,
    signed: Option<String>,
) -> AuthError {
    AuthError::Refused(Box::new(TokenRefusal {
        url: url.clone(),
        status: answer.status(),
        code: answer.code(),
        words: answer.words(),
        signed,
        is_page: answer.is_page(),
        date,
    }))
}
