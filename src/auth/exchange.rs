//! The one token request: a form POST, no redirects, and every answer a server may give to it.

use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use url::Url;

use super::assertion::Clock;
use super::authorization;
use super::dpop::{MOST_NONCES, Prover};
use super::endpoints::Endpoint;
use super::refusal::refusal;
use super::request::TokenRequest;
use super::token_answer::TokenAnswer;
use super::whole::Whole;
use super::{AuthError, Token};
use crate::http::Http;
use crate::http::limit;
use crate::http::retry::{self, Retry};
use crate::profile::Param;
use crate::secret::{self, Secret};

const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A server's clock that differs by more is not gone by: an assertion made by it would be good in years to come.
const LARGEST_CORRECTION: Duration = Duration::from_secs(24 * 3600);

/// Sends token requests until one is answered for good; each try is made anew, so that an assertion is never reused.
/// `params` go along with each.
///
/// # Errors
/// [`AuthError::Refused`] with the server's words; network failures.
pub(super) async fn exchange(
    http: &Http,
    at: &Endpoint,
    params: &[Param],
    make: impl Fn(Clock) -> Result<TokenRequest, AuthError>,
) -> Result<Token, AuthError> {
    rotating(http, at, params, make).await.0
}

/// The same, with the refresh token that came: where they rotate it is the only one that is good from then on, whatever
/// came along with it.
pub(super) async fn rotating(
    http: &Http,
    at: &Endpoint,
    params: &[Param],
    make: impl Fn(Clock) -> Result<TokenRequest, AuthError>,
) -> (Result<Token, AuthError>, Option<Secret>) {
    let mut tries = Tries {
        http,
        at,
        clock: Clock::default(),
        retry: Retry::new(http.network.retries, LONGEST_WAIT),
        started: Instant::now(),
        doubts_refusal: true,
        nonces: 0,
        rotated: None,
    };
    let token = loop {
        let request = match make(tries.clock) {
            Ok(request) => request.with_params(params),
            Err(error) => break Err(error),
        };
        if let Some(token) = tries.once(request).await.transpose() {
            break token;
        }
    };
    (token, tries.rotated)
}

/// The tries of one exchange, and what they have used up.
struct Tries<'a> {
    http: &'a Http,
    at: &'a Endpoint,
    /// The clock that assertions are made by: the one here, until the server shows another.
    clock: Clock,
    retry: Retry,
    started: Instant,
    /// Whether a refused assertion is still given the benefit of the doubt.
    doubts_refusal: bool,
    nonces: u32,
    /// The refresh token of a good answer.
    rotated: Option<Secret>,
}

/// What a token endpoint answered, and when.
struct Answer {
    said: TokenAnswer,
    headers: HeaderMap,
    /// When the server says that it was.
    date: Option<SystemTime>,
    moved_to: Option<Url>,
    received: Timestamp,
}

/// What of a request is needed to judge its answer.
struct Sent {
    signed: Option<String>,
    prover: Option<Prover>,
    is_repeatable: bool,
}

impl Tries<'_> {
    /// One try. `None` when another one is to follow.
    async fn once(&mut self, request: TokenRequest) -> Result<Option<Token>, AuthError> {
        let sent = Sent {
            signed: request.signed().map(str::to_owned),
            prover: request.prover().cloned(),
            is_repeatable: request.is_repeatable(),
        };
        if let Some(signed) = &sent.signed {
            self.say(&format!("assertion: {signed}"));
        }
        let Some(answer) = self.send(request, &sent).await? else {
            return Ok(None);
        };
        if self.wants_nonce(&sent, &answer) {
            return Ok(None);
        }
        self.rotated = answer.refresh_token();
        if let Some(token) = answer.token(&sent, self.at)? {
            return Ok(Some(token));
        }
        if self.learns_time(&sent, &answer) || self.doubts(&sent, &answer).await {
            return Ok(None);
        }
        Err(answer.refusal(self.at, sent.signed))
    }

    /// Sends the request; `None` when the endpoint was out of reach or busy and the next try may begin.
    async fn send(
        &mut self,
        request: TokenRequest,
        sent: &Sent,
    ) -> Result<Option<Answer>, AuthError> {
        let mut outgoing = request.into_http(self.at);
        if let Some(prover) = &sent.prover {
            prover.sign_token_request(&mut outgoing)?;
        }
        let answer = match Whole::of(self.http, outgoing).await {
            Ok(answer) => answer,
            Err(error) => {
                let again = !error.is_lasting()
                    && !limit::is_over(&error, self.started)
                    && (sent.is_repeatable || error.was_not_sent());
                return match again.then(|| self.retry.wait(None)).flatten() {
                    Some(wait) => {
                        crate::http::clock::sleep(wait).await;
                        Ok(None)
                    }
                    None => Err(error.into()),
                };
            }
        };
        // What is good once may have been used up before a gateway lost the answer; servers that see it twice end the
        // login (RFC 9700 §4.14.2). Only "too many requests" says that nothing was done.
        let may_repeat = sent.is_repeatable || answer.status == StatusCode::TOO_MANY_REQUESTS;
        if may_repeat
            && retry::is_passing(answer.status)
            && let Some(wait) = self
                .retry
                .wait(retry::retry_after(&answer.headers, SystemTime::now()))
        {
            let wait_ms = wait.as_millis();
            self.say(&format!("token endpoint busy, next try in {wait_ms} ms"));
            crate::http::clock::sleep(wait).await;
            return Ok(None);
        }
        let (date, moved_to) = answer.date_and_target(self.at.url());
        Ok(Some(Answer {
            received: Timestamp::now(),
            said: answer.read(),
            date,
            moved_to,
            headers: answer.headers,
        }))
    }

    /// Whether the same request is wanted again with the nonce that came (RFC 9449 §8).
    fn wants_nonce(&mut self, sent: &Sent, answer: &Answer) -> bool {
        let Some(prover) = &sent.prover else {
            return false;
        };
        let code = answer.said.text("error");
        if !prover.token_endpoint_wants_nonce(self.at.url(), &answer.headers, code)
            || self.nonces >= MOST_NONCES
        {
            return false;
        }
        self.nonces += 1;
        self.say("the token endpoint wants its nonce in the DPoP proof");
        true
    }

    /// An assertion that was refused, by a server whose clock is another one, is made once more by that clock.
    fn learns_time(&mut self, sent: &Sent, answer: &Answer) -> bool {
        let is_refused = matches!(answer.said.status().as_u16(), 400 | 401)
            && matches!(
                answer.said.text("error"),
                Some("invalid_client" | "invalid_grant")
            );
        let Some(date) = answer.date.filter(|_| is_refused && sent.signed.is_some()) else {
            return false;
        };
        let seen = Clock::of(date);
        if self.clock != Clock::default() || !seen.is_another() {
            return false;
        }
        if is_far(date) {
            if self.doubts_refusal {
                self.http.trace.notice(&format!(
                    "The clock here is {}, which is too much to make an assertion by the server's time: set the clock here, \
                     if it is the one that is wrong",
                    seen.describe()
                ));
            }
            return false;
        }
        self.clock = seen;
        self.http.trace.notice(&format!(
            "The clock here is {}, so the assertion is made by the server's time",
            seen.describe()
        ));
        true
    }

    /// Epic refuses good assertions now and then, in the same words as bad ones; a fresh one is taken.
    async fn doubts(&mut self, sent: &Sent, answer: &Answer) -> bool {
        let is_doubtful = std::mem::take(&mut self.doubts_refusal)
            && sent.signed.is_some()
            && answer.said.status() == StatusCode::BAD_REQUEST
            && answer.said.text("error") == Some("invalid_client");
        let Some(wait) = is_doubtful.then(|| self.retry.wait(None)).flatten() else {
            return false;
        };
        self.say("assertion refused, one more try with a fresh one");
        crate::http::clock::sleep(wait).await;
        true
    }

    fn say(&self, text: &str) {
        self.http.trace.line(1, &format!("* {text}"));
    }
}

impl Answer {
    /// The refresh token in a good answer, whatever the access token is.
    fn refresh_token(&self) -> Option<Secret> {
        let text = self.said.text("refresh_token");
        let text = text.filter(|text| self.said.status().is_success() && !text.is_empty());
        text.map(Secret::new)
    }

    /// The token in a good answer; `None` when there is none.
    fn token(&self, sent: &Sent, at: &Endpoint) -> Result<Option<Token>, AuthError> {
        let fields = self.said.fields();
        let fields = fields.filter(|_| self.said.status().is_success());
        let Some(mut token) = fields.and_then(|fields| Token::from_answer(fields, self.received))
        else {
            return Ok(None);
        };
        let url = || secret::url_for_people(at.url());
        let kind = self.said.text("token_type");
        let is = |name: &str| kind.is_some_and(|kind| kind.eq_ignore_ascii_case(name));
        // RFC 8693 §2.2.1: what was issued is no token for requests.
        if is("N_A") {
            return Err(AuthError::NotForRequests {
                url: url(),
                issued: self
                    .said
                    .text("issued_token_type")
                    .unwrap_or("unknown")
                    .into(),
            });
        }
        if let Some(prover) = &sent.prover {
            token.bind(prover.key.clone(), at.url(), kind)?;
        } else if !kind.is_none_or(is_bearer) {
            // RFC 6749 §7.1: a client must not use a token of a type that it does not know.
            return Err(AuthError::UnknownType {
                url: url(),
                token_type: kind.unwrap_or_default().into(),
            });
        }
        if authorization::header("Bearer", &token.access_token).is_err() {
            return Err(AuthError::UnusableToken { url: url() });
        }
        Ok(Some(token))
    }

    fn refusal(&self, at: &Endpoint, signed: Option<String>) -> AuthError {
        let about = (self.date, self.moved_to.clone());
        refusal(at.url(), about, &self.said, signed)
    }
}

/// Whether a time is further from now than a clock is corrected.
fn is_far(time: SystemTime) -> bool {
    let between = time.duration_since(SystemTime::now());
    between.unwrap_or_else(|behind| behind.duration()) > LARGEST_CORRECTION
}

/// Apigee says `BearerToken`.
fn is_bearer(kind: &str) -> bool {
    ["bearer", "bearertoken"]
        .iter()
        .any(|name| kind.eq_ignore_ascii_case(name))
}
