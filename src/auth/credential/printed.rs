//! What a program prints that gives tokens: the token alone, or JSON as gcloud, az, Vault, kubectl plugins and GitHub's
//! OIDC endpoint write it. The token itself is opaque: only the JSON around it says when it ends.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::secret::Secret;

/// How long a token serves of which nothing is known; a 401 asks for another one at once.
const UNKNOWN: SignedDuration = SignedDuration::from_mins(5);
/// Tokens that end later than this are asked for anew all the same.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

const TOKENS: [&str; 6] = [
    "access_token",
    "accessToken",
    "token",
    "id_token",
    "client_token",
    "value",
];
/// Seconds that are left.
const SECONDS: [&str; 3] = ["expires_in", "expiresIn", "lease_duration"];
/// The moment, as seconds since 1970 or as a date. `expires_on` stands first: az writes `expiresOn` in local time.
const MOMENTS: [&str; 8] = [
    "expires_on",
    "expiry",
    "token_expiry",
    "expires_at",
    "expiresAt",
    "expirationTimestamp",
    "expiresOn",
    "expiration",
];
/// Objects that the token stands in: gcloud config-helper, kubectl plugins, Vault.
const INSIDE: [&str; 4] = ["credential", "status", "auth", "data"];

/// A token and how long it serves.
#[derive(Clone, Debug)]
pub(super) struct Printed {
    pub(super) token: Secret,
    until: Timestamp,
}

impl Printed {
    /// Reads what a program printed.
    ///
    /// # Errors
    /// What is wrong with it, in words that hold nothing of it.
    pub(super) fn read(printed: Vec<u8>, now: Timestamp) -> Result<Self, String> {
        let text = String::from_utf8(printed).map_err(|_| "something that is not UTF-8 text")?;
        let text = text.trim();
        if text.is_empty() {
            return Err("nothing".into());
        }
        let (token, life) = if text.starts_with('{') {
            let object: Map<String, Value> =
                serde_json::from_str(text).map_err(|_| "JSON that cannot be read")?;
            let object = holder(&object).ok_or("a JSON object without a token")?;
            let token = token_of(object).unwrap_or_default();
            (token.to_owned(), life(object, now).unwrap_or(UNKNOWN))
        } else {
            (text.to_owned(), UNKNOWN)
        };
        if token.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("several words or lines, where a token alone was expected".into());
        }
        // The last tenth is left to clocks that differ and requests that take their time.
        let used = life.min(LONGEST).checked_mul(9).unwrap_or(LONGEST) / 10;
        Ok(Self {
            token: Secret::new(token),
            until: now.checked_add(used).unwrap_or(now),
        })
    }

    /// Whether it serves another request.
    pub(super) fn is_good(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

fn holder(object: &Map<String, Value>) -> Option<&Map<String, Value>> {
    if token_of(object).is_some() {
        return Some(object);
    }
    INSIDE
        .iter()
        .filter_map(|name| object.get(*name)?.as_object())
        .find(|inner| token_of(inner).is_some())
}

fn token_of(object: &Map<String, Value>) -> Option<&str> {
    TOKENS
        .iter()
        .filter_map(|name| object.get(*name)?.as_str())
        .find(|token| !token.is_empty())
}

/// How long the token serves, as far as the object says.
fn life(object: &Map<String, Value>, now: Timestamp) -> Option<SignedDuration> {
    let seconds = SECONDS.iter().find_map(|name| number(object.get(*name)?));
    if let Some(seconds) = seconds {
        return SignedDuration::try_from_secs_f64(seconds).ok();
    }
    MOMENTS
        .iter()
        .find_map(|name| moment(object.get(*name)?))
        .map(|until| until.duration_since(now))
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn moment(value: &Value) -> Option<Timestamp> {
    if let Some(seconds) = number(value) {
        return Timestamp::from_duration(SignedDuration::try_from_secs_f64(seconds).ok()?).ok();
    }
    let text = value.as_str()?.trim();
    text.parse().ok().or_else(|| {
        let local: DateTime = text.parse().ok()?;
        Some(local.to_zoned(TimeZone::system()).ok()?.timestamp())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-28T12:00:00Z".parse().unwrap()
    }

    /// The token, and the seconds that it serves.
    fn read(text: &str) -> Result<(String, i64), String> {
        let printed = Printed::read(text.into(), now())?;
        let seconds = printed.until.duration_since(now()).as_secs();
        Ok((printed.token.expose().to_owned(), seconds))
    }

    #[test]
    fn tokens_are_read_as_programs_print_them() {
        for (text, token, seconds) in [
            ("ya29.plain\n", "ya29.plain", 270),
            (r#"{"access_token":"t","expires_in":100}"#, "t", 90),
            (r#"{"access_token":"t","expires_in":"100"}"#, "t", 90),
            (
                r#"{"credential":{"access_token":"t","token_expiry":"2026-11-28T12:10:00Z"}}"#,
                "t",
                540,
            ),
            (
                r#"{"accessToken":"t","expiresOn":"1999-01-01 00:00:00.000000","expires_on":1795867800}"#,
                "t",
                540,
            ),
            (
                r#"{"kind":"ExecCredential","status":{"token":"t","expirationTimestamp":"2026-11-28T12:10:00Z"}}"#,
                "t",
                540,
            ),
            (r#"{"data":{"token":"t"},"lease_duration":0}"#, "t", 270),
            (
                r#"{"auth":{"client_token":"t","lease_duration":1000}}"#,
                "t",
                900,
            ),
            (r#"{"value":"t","count":1}"#, "t", 270),
            (r#"{"token":"t","expires_in":1e300}"#, "t", 270),
            (r#"{"token":"t","expires_in":1e9}"#, "t", 77760),
        ] {
            assert_eq!(read(text), Ok((token.to_owned(), seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_in_words_that_hold_nothing_of_it() {
        for text in [
            "",
            " \n",
            "{}",
            "{\"a\":",
            "two words",
            "one\ntwo",
            r#"{"token":"two words"}"#,
        ] {
            let reason = read(text).unwrap_err();
            assert!(!reason.contains("two words or"), "{reason}");
        }
        assert!(
            !Printed::read(b"{\"token\":\"t\",\"expires_in\":-5}".to_vec(), now())
                .unwrap()
                .is_good(now())
        );
    }
}
