//! An access token with what is known of it. Tokens are opaque: nothing is read out of them.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use url::Url;

use super::AuthError;
use super::dpop::BoundKey;
use crate::secret::{self, Secret};

/// A server that names no lifetime is taken to mean this one.
const UNKNOWN_LIFETIME: SignedDuration = SignedDuration::from_secs(300);

/// What an answer says that is kept by itself; the rest is context.
const KNOWN: [&str; 6] = [
    "access_token",
    "refresh_token",
    "token_type",
    "expires_in",
    "scope",
    "id_token",
];

/// A token and what the answer that brought it said.
#[derive(Clone, Debug)]
pub struct Token {
    pub access_token: Secret,
    pub refresh_token: Option<Secret>,
    /// When it was issued and until when it is good; `None` when only the server knows.
    pub lifetime: Option<(Timestamp, Timestamp)>,
    /// Whether the answer said how long it is good; else `lifetime` is a guess.
    pub lifetime_is_stated: bool,
    /// The scope granted, when the server said.
    pub scope: Option<String>,
    /// What else the answer held: `project`, `profile`, `patient`, `encounter` and the like.
    pub context: Map<String, Value>,
    /// Who signed in, as the server states it to this client alone; checked once and not kept.
    pub id_token: Option<Secret>,
    /// The key that must sign along with it; `None` for a bearer token.
    pub bound_to: Option<BoundKey>,
}

impl Token {
    /// A token of which nothing is known.
    pub fn opaque(access_token: Secret) -> Self {
        Self {
            access_token,
            refresh_token: None,
            lifetime: None,
            lifetime_is_stated: false,
            scope: None,
            context: Map::new(),
            id_token: None,
            bound_to: None,
        }
    }

    /// Reads a token answer (RFC 6749 §5.1), forgiving what servers get wrong: `expires_in` as a string or with a
    /// fraction (BCDA), a missing `token_type`. `None` when there is no access token in it.
    pub fn from_answer(answer: &Map<String, Value>, now: Timestamp) -> Option<Self> {
        let text = |key: &str| {
            answer
                .get(key)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        let seconds = answer.get("expires_in").and_then(|value| match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        });
        let stated = seconds
            .filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
            .and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok());
        let lifetime = stated.unwrap_or(UNKNOWN_LIFETIME);
        Some(Self {
            access_token: Secret::new(text("access_token")?),
            refresh_token: text("refresh_token").map(Secret::new),
            lifetime: now.checked_add(lifetime).ok().map(|until| (now, until)),
            lifetime_is_stated: stated.is_some(),
            id_token: text("id_token").map(Secret::new),
            scope: text("scope").map(secret::mask),
            bound_to: None,
            context: answer
                .iter()
                .filter(|(key, _)| !KNOWN.contains(&key.as_str()))
                .map(|(key, value)| (key.clone(), masked(value)))
                .collect(),
        })
    }

    /// Notes the key it was asked for with.
    ///
    /// # Errors
    /// [`AuthError::NotBound`] when the server gave another kind of token (RFC 9449 §5): a bearer token is good for
    /// whoever gets hold of it.
    pub(super) fn bind(
        &mut self,
        key: BoundKey,
        url: &Url,
        token_type: Option<&str>,
    ) -> Result<(), AuthError> {
        if !token_type.is_some_and(|kind| kind.eq_ignore_ascii_case("DPoP")) {
            return Err(AuthError::NotBound {
                url: secret::url_for_people(url),
                token_type: token_type.unwrap_or("unknown").into(),
            });
        }
        self.bound_to = Some(key);
        Ok(())
    }

    /// Whether it is good for another request: a tenth of its life, at most 30 s, is left to the journey.
    pub fn is_fresh(&self) -> bool {
        self.is_fresh_at(Timestamp::now())
    }

    /// Whether its time is over, as far as is known.
    pub fn has_expired(&self) -> bool {
        self.lifetime
            .is_some_and(|(_, until)| until <= Timestamp::now())
    }

    fn is_fresh_at(&self, now: Timestamp) -> bool {
        let Some((issued, until)) = self.lifetime else {
            return true;
        };
        let margin = (until.duration_since(issued) / 10).min(SignedDuration::from_secs(30));
        // A token from the future was issued by a clock that has been set back.
        issued.duration_since(now) < SignedDuration::from_secs(60)
            && until.duration_since(now) > margin
    }

    /// Takes over what a refreshed token's answer left out (RFC 6749 §6).
    pub fn keep_from(&mut self, before: &Self) {
        if self.refresh_token.is_none() {
            self.refresh_token.clone_from(&before.refresh_token);
        }
        if self.scope.is_none() {
            self.scope.clone_from(&before.scope);
        }
        for (key, value) in &before.context {
            self.context
                .entry(key.clone())
                .or_insert_with(|| value.clone());
        }
    }
}

/// A value as it is kept: a later command shows it and no longer knows the secret that a server may have put into it.
fn masked(value: &Value) -> Value {
    match value {
        Value::String(text) => secret::mask(text).into(),
        Value::Array(values) => values.iter().map(masked).collect(),
        Value::Object(members) => {
            let members = members.iter();
            let members = members.map(|(name, value)| (name.clone(), masked(value)));
            Value::Object(members.collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(answer: &str) -> Option<Token> {
        Token::from_answer(
            &serde_json::from_str(answer).unwrap(),
            "2026-11-22T10:00:00Z".parse().unwrap(),
        )
    }

    #[test]
    fn a_lifetime_is_read_as_number_or_string_and_assumed_short_when_absent() {
        for (answer, until) in [
            (
                r#"{"access_token":"t","expires_in":1200}"#,
                "2026-11-22T10:20:00Z",
            ),
            (
                r#"{"access_token":"t","expires_in":"1200"}"#,
                "2026-11-22T10:20:00Z",
            ),
            (
                r#"{"access_token":"t","expires_in":60.5}"#,
                "2026-11-22T10:01:00.5Z",
            ),
            (
                r#"{"access_token":"t","expires_in":"soon"}"#,
                "2026-11-22T10:05:00Z",
            ),
            (
                r#"{"access_token":"t","expires_in":1e300}"#,
                "2026-11-22T10:05:00Z",
            ),
            (r#"{"access_token":"t"}"#, "2026-11-22T10:05:00Z"),
        ] {
            assert_eq!(
                token(answer).unwrap().lifetime.unwrap().1,
                until.parse().unwrap(),
                "{answer}"
            );
        }
        assert!(token(r#"{"error":"x"}"#).is_none());
        assert!(token(r#"{"access_token":""}"#).is_none());
    }

    #[test]
    fn short_tokens_are_usable_and_all_are_renewed_early() {
        let short = token(r#"{"access_token":"t","expires_in":60}"#).unwrap();
        assert!(short.is_fresh_at("2026-11-22T10:00:53Z".parse().unwrap()));
        assert!(!short.is_fresh_at("2026-11-22T10:00:55Z".parse().unwrap()));
        let long = token(r#"{"access_token":"t","expires_in":3600}"#).unwrap();
        assert!(!long.is_fresh_at("2026-11-22T10:59:35Z".parse().unwrap()));
        assert!(!long.is_fresh_at("2026-11-22T08:00:00Z".parse().unwrap()));
    }
}
