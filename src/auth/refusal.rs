//! A token endpoint that answered without a token, and what it said.

use std::fmt;
use std::time::SystemTime;

use reqwest::StatusCode;
use url::Url;

use super::AuthError;
use super::token_answer::TokenAnswer;
use crate::foreign::Foreign;
use crate::secret;

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
    /// Where it sends its clients instead; what proves the client follows no redirect.
    pub moved_to: Option<Url>,
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
        match &self.moved_to {
            Some(url) => write!(f, "; it leads to {}", secret::url_for_people(url)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for TokenRefusal {}

impl TokenRefusal {
    /// Whether the server's words say of a refresh token that it came a second time (RFC 9700 §4.14.2). Keycloak calls it
    /// stale or speaks of its reuse, as Okta and Auth0 do; others say that it was used.
    pub fn says_used_before(&self) -> bool {
        let words = self
            .words
            .as_ref()
            .map(|words| words.as_str().to_lowercase());
        let is_so = |words: &str| {
            ["stale token", "reuse", "been used", "already used"]
                .iter()
                .any(|part| words.contains(part))
        };
        words.is_some_and(|words| is_so(&words))
    }
}

/// What an answer without a token says.
pub(super) fn refusal(
    url: &Url,
    (date, moved_to): (Option<SystemTime>, Option<Url>),
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
        moved_to,
    }))
}
