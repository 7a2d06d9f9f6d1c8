//! Requests with a token, answers with meaning. One function decides where a token goes.

pub mod accepted;
mod answer;
pub mod asynchronous;
pub mod beginning;
pub mod error;
pub mod id;
pub mod ndjson;
pub mod object;
pub mod page;
pub mod proof;
pub mod raw;
pub mod result;
mod sending;
pub mod severity;
pub mod transaction;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue,
};
use url::Url;

use crate::auth::dpop::MOST_NONCES;
use crate::auth::{AuthError, TokenSource};
use crate::http::retry::{self, Retry};
use crate::http::{Http, HttpError, Request, Response};
use crate::profile::{Profile, urls};
pub use answer::Answer;
pub use error::{FhirError, Refusal};
use sending::{Sending, redirect_target};

/// FHIR's JSON media type (R4 §3.1.0.1).
pub const FHIR_JSON: &str = "application/fhir+json";
/// The most that is read of a refusal, which is for people.
const LARGEST_REFUSAL: usize = 4 << 20;
/// The largest answer read into memory: bundles, outcomes, manifests.
pub const LARGEST_ANSWER: usize = 1 << 30;
/// No wait between tries of one request is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// When a token goes with a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenRule {
    /// To the profile's own origins.
    #[default]
    OwnOrigins,
    /// Wherever the first request goes: a file of a manifest that says `requiresAccessToken`. Not with redirects.
    FirstRequest,
    /// Nowhere.
    Never,
}

/// A FHIR server with a way to sign in.
#[derive(Clone, Debug)]
pub struct Client {
    pub http: Http,
    pub profile: Arc<Profile>,
    pub tokens: Arc<TokenSource>,
    /// Medplum's own servers are told that they may answer with more (`X-Medplum: extended`).
    is_medplum: bool,
}

impl Client {
    /// A client for a resolved profile.
    pub fn new(http: Http, profile: Profile, tokens: TokenSource) -> Self {
        Self {
            is_medplum: urls::is_medplum(&profile.fhir_base),
            http,
            profile: Arc::new(profile),
            tokens: Arc::new(tokens),
        }
    }

    /// Whether the server is known to be a Medplum server.
    pub fn is_medplum(&self) -> bool {
        self.is_medplum
    }

    /// Notes that the server is a Medplum server although its host does not say so (a login told it).
    pub fn set_medplum(&mut self) {
        self.is_medplum = true;
    }

    /// The URL of a request as a user names it.
    ///
    /// # Errors
    /// [`FhirError::BadUrl`].
    pub fn url(&self, text: &str) -> Result<Url, FhirError> {
        let profile = &self.profile;
        let mut url = urls::request_url(
            &profile.base_url,
            &profile.fhir_base,
            profile.fhir_path.as_deref(),
            text,
        )
        .map_err(|error| FhirError::BadUrl {
            text: text.to_owned(),
            reason: error.to_string(),
        })?;
        if !urls::is_absolute(text) && url.path() == profile.fhir_base.path() {
            url.set_path(profile.fhir_root.path());
        }
        Ok(url)
    }

    /// Whether a URL is on one of the profile's own origins.
    pub fn is_own(&self, url: &Url) -> bool {
        self.profile.is_own(url)
    }

    /// Sends a request: token where it belongs, redirects followed by the rules, repeated where that is safe, one
    /// new token after a 401, or after a 403 to an old one. Any final status is an answer.
    ///
    /// # Errors
    /// No answer, or no token.
    pub async fn send(&self, request: Request, rule: TokenRule) -> Result<Response, FhirError> {
        self.send_with(request, rule, self.http.network.retries)
            .await
    }

    /// As [`Client::send`] with another number of retries.
    ///
    /// # Errors
    /// As [`Client::send`].
    // Long because the order of the reasons to send again is the rule.
    pub async fn send_with(
        &self,
        request: Request,
        rule: TokenRule,
        retries: u32,
    ) -> Result<Response, FhirError> {
        let mut retry = Retry::new(retries, LONGEST_WAIT);
        let mut state = Sending::new(request, rule);
        loop {
            let (request, authorization) = self.dressed(&state).await?;
            let idempotent = retry::is_idempotent(&request.method) || is_search(&request);
            let answer = match self.http.send(request).await {
                Ok(answer) => answer,
                Err(error) => {
                    let again = error.was_not_sent() && !error.is_lasting()
                        || idempotent && matches!(error, HttpError::Broken { .. });
                    match again.then(|| retry.wait(None)).flatten() {
                        Some(wait) => {
                            state.repeated |= !error.was_not_sent();
                            self.pause(wait, &error.to_string()).await;
                            continue;
                        }
                        None => return Err(error.into()),
                    }
                }
            };
            // Nothing was done yet, so that also a write is sent again (RFC 9449 §9).
            if authorization
                .as_ref()
                .is_some_and(|sent| sent.wants_nonce(&answer))
                && state.nonces < MOST_NONCES
            {
                state.nonces += 1;
                continue;
            }
            if !state.renewed
                && let Some(refused) = authorization
                && self.tokens.may_be_stale(&refused, answer.status)
                && self.tokens.renew(&refused).await?.is_some()
            {
                state.renewed = true;
                continue;
            }
            if idempotent
                && retry::is_passing(answer.status)
                && let Some(wait) =
                    retry.wait(retry::retry_after(&answer.headers, SystemTime::now()))
            {
                state.repeated = true;
                self.pause(wait, &answer.status.to_string()).await;
                continue;
            }
            if let Some(target) = redirect_target(&answer) {
                state.follow(&answer, target)?;
                continue;
            }
            return if state.repeated {
                state.explain_repeated(answer).await
            } else {
                Ok(answer)
            };
        }
    }

    /// As [`Client::send`], with the whole body; a GET whose body breaks off is repeated too.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn read(&self, request: Request, rule: TokenRule) -> Result<Answer, FhirError> {
        self.read_within(request, rule, LARGEST_ANSWER).await
    }

    /// As [`Client::read`], for a success of at most so many bytes.
    ///
    /// # Errors
    /// As [`Client::send`]; the answer is longer.
    pub async fn read_within(
        &self,
        request: Request,
        rule: TokenRule,
        limit: usize,
    ) -> Result<Answer, FhirError> {
        let mut retry = Retry::new(self.http.network.retries, LONGEST_WAIT);
        loop {
            let method = request.method.clone();
            let Response {
                status,
                headers,
                url,
                body,
            } = self.send(request.clone(), rule).await?;
            let reading = async {
                if status.is_client_error() || status.is_server_error() {
                    beginning::of(body, LARGEST_REFUSAL).await
                } else {
                    body.bytes(limit).await
                }
            };
            match reading.await {
                Ok(body) => {
                    return Ok(Answer {
                        method,
                        status,
                        headers,
                        url,
                        body,
                    });
                }
                Err(error @ (HttpError::Broken { .. } | HttpError::Encoding { .. }))
                    if method == Method::GET =>
                {
                    let Some(wait) = retry.wait(None) else {
                        return Err(error.into());
                    };
                    self.pause(wait, &error.to_string()).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// As [`Client::read`], but never repeated except with a new token.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn read_once(&self, request: Request, rule: TokenRule) -> Result<Answer, FhirError> {
        self.read_once_within(request, rule, LARGEST_ANSWER).await
    }

    /// As [`Client::read_once`], for an answer of at most so many bytes.
    ///
    /// # Errors
    /// As [`Client::send`]; the answer is longer.
    pub async fn read_once_within(
        &self,
        request: Request,
        rule: TokenRule,
        limit: usize,
    ) -> Result<Answer, FhirError> {
        let method = request.method.clone();
        let Response {
            status,
            headers,
            url,
            body,
        } = self.send_with(request, rule, 0).await?;
        let body = body.bytes(limit).await?;
        Ok(Answer {
            method,
            status,
            headers,
            url,
            body,
        })
    }

    /// As [`Client::read_once`], with no more of the body than its words: what follows them is not read.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn read_words(&self, request: Request, rule: TokenRule) -> Result<Answer, FhirError> {
        let method = request.method.clone();
        let answer = self.send_with(request, rule, 0).await?;
        Ok(Answer::beginning(method, answer).await?)
    }

    /// The request as it goes out, with the authorization that was put on it.
    async fn dressed(
        &self,
        state: &Sending,
    ) -> Result<(Request, Option<crate::auth::Authorization>), AuthError> {
        let mut request = state.request.clone();
        let own = self.is_own(&request.url);
        request.shows_certificate = own;
        request
            .headers
            .entry(ACCEPT)
            .or_insert(HeaderValue::from_static(FHIR_JSON));
        request
            .headers
            .entry(ACCEPT_ENCODING)
            .or_insert(HeaderValue::from_static("gzip"));
        if request.body.is_some() {
            request
                .headers
                .entry(CONTENT_TYPE)
                .or_insert(HeaderValue::from_static(FHIR_JSON));
        }
        if own {
            if self.is_medplum {
                request.headers.insert(
                    HeaderName::from_static("x-medplum"),
                    HeaderValue::from_static("extended"),
                );
            }
            for (name, value) in &self.profile.headers {
                request.headers.insert(name.clone(), value.clone());
            }
        }
        let wanted = match state.rule {
            TokenRule::OwnOrigins => own,
            TokenRule::FirstRequest => own || state.redirects == 0,
            TokenRule::Never => false,
        };
        if !wanted || request.headers.contains_key(AUTHORIZATION) {
            return Ok((request, None));
        }
        let authorization = self.tokens.authorization().await?;
        if let Some(authorization) = &authorization {
            authorization.put_on(&mut request)?;
        }
        Ok((request, authorization))
    }

    async fn pause(&self, wait: Duration, reason: &str) {
        self.http.trace.line(
            1,
            &format!("* {reason}: next try in {} ms", wait.as_millis()),
        );
        crate::http::clock::sleep(wait).await;
    }
}

/// A JSON body as a request's.
#[must_use]
pub fn with_body(mut request: Request, body: Bytes, content_type: &'static str) -> Request {
    request.body = Some(body);
    request.header(CONTENT_TYPE, HeaderValue::from_static(content_type))
}

/// Whether a POST changes nothing: a search whose values stand in the body (FHIR R4 §3.1.1.5).
fn is_search(request: &Request) -> bool {
    request.method == Method::POST && request.url.path().ends_with("/_search")
}
