//! A request on its way: what became of its tries, and where it may be redirected.

use reqwest::Method;
use reqwest::header::{IF_MATCH, LOCATION};
use url::Url;

use super::TokenRule;
use super::error::{FhirError, Refusal};
use crate::http::{Request, Response};
use crate::profile::urls;
use crate::secret;

const MOST_REDIRECTS: usize = 10;

/// A request on its way through tries and redirects.
pub(super) struct Sending {
    pub(super) request: Request,
    pub(super) rule: TokenRule,
    pub(super) redirects: usize,
    /// Whether a new token was asked for.
    pub(super) renewed: bool,
    /// Whether an earlier try may have reached the server.
    pub(super) repeated: bool,
    /// How often the server wanted another nonce.
    pub(super) nonces: u32,
}

impl Sending {
    pub(super) fn new(request: Request, rule: TokenRule) -> Self {
        Self {
            request,
            rule,
            redirects: 0,
            renewed: false,
            repeated: false,
            nonces: 0,
        }
    }

    /// Takes the redirect, or says why not (RFC 9110 §15.4).
    pub(super) fn follow(&mut self, answer: &Response, target: Url) -> Result<(), FhirError> {
        let refuse = |reason: &str| FhirError::Redirect {
            from: secret::url_for_people(&answer.url),
            to: secret::url_for_people(&target),
            reason: reason.to_owned(),
        };
        self.redirects += 1;
        if self.redirects > MOST_REDIRECTS {
            return Err(refuse("it redirects without end"));
        }
        if answer.url.scheme() == "https" && target.scheme() != "https" {
            return Err(refuse("it leads from https to http"));
        }
        let reading = matches!(self.request.method, Method::GET | Method::HEAD);
        if !reading {
            may_be_written_to(answer, &target).map_err(refuse)?;
        }
        if !urls::same_origin(&self.request.url, &target) {
            // Headers of this one request may hold credentials of the first server's.
            for name in ["authorization", "cookie"] {
                self.request.headers.remove(name);
            }
        }
        self.request.url = target;
        Ok(())
    }

    /// After a repeated DELETE or conditional PUT, "not there" or "another version" may mean that the first try did it.
    pub(super) async fn explain_repeated(&self, answer: Response) -> Result<Response, FhirError> {
        let method = &self.request.method;
        let conditional = self.request.headers.contains_key(IF_MATCH);
        let done = match answer.status.as_u16() {
            404 | 410 => *method == Method::DELETE,
            412 => matches!(*method, Method::PUT | Method::DELETE),
            // Some servers say so when another version is there than the one that was named.
            409 => *method == Method::PUT && conditional,
            _ => false,
        };
        if !done {
            return Ok(answer);
        }
        Err(FhirError::MaybeDone(Box::new(
            Refusal::read(method.clone(), answer).await,
        )))
    }
}

/// Whether a write may be sent again to where it is redirected; else why not. A 303 names where to read on and says nothing
/// of the write (RFC 9110 §15.4.4): a sign-in page is often what is there. After a 301 or 302 clients have made GET of a
/// POST, so that nobody knows what is meant, but for a slash that was missing.
fn may_be_written_to(answer: &Response, target: &Url) -> Result<(), &'static str> {
    let same_server = urls::same_origin(&answer.url, target);
    match answer.status.as_u16() {
        307 | 308 if same_server => Ok(()),
        307 | 308 => Err("data is not sent again to another server"),
        301 | 302 if same_server && is_only_a_slash_more(&answer.url, target) => Ok(()),
        303 => Err("it does not say whether the write was done, which it may have been"),
        _ => Err("a redirected write is not repeated"),
    }
}

fn is_only_a_slash_more(from: &Url, to: &Url) -> bool {
    to.path().strip_suffix('/') == Some(from.path()) && to.query() == from.query()
}

pub(super) fn redirect_target(answer: &Response) -> Option<Url> {
    if !matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    answer.url.join(answer.header(LOCATION)?).ok()
}
