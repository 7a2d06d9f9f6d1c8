//! Who signed in: the claims of an id_token, checked as OpenID Connect Core §3.1.3.7 asks.
//!
//! The signature is not checked: the token comes straight from the token endpoint over TLS, which point 6 there takes
//! in its place. Where the connection proves nothing, nothing is believed of who signed in. Access tokens are another
//! matter: they are opaque and never read.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::secret::Secret;

/// The name under which the claims about the person are kept with the token.
pub const IDENTITY: &str = "identity";
/// The claims that are kept.
const KEPT: [&str; 7] = [
    "sub",
    "iss",
    "fhirUser",
    "profile",
    "name",
    "preferred_username",
    "email",
];
/// Clocks may differ by this much.
const LEEWAY_SECONDS: i64 = 60;

/// What an id_token must agree with.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    pub client_id: &'a str,
    pub nonce: &'a str,
    /// The issuer that discovery named, if it named one.
    pub issuer: Option<&'a str>,
}

/// Checks an id_token and gives the claims about the person.
///
/// # Errors
/// What is wrong with it.
pub fn check(
    token: &Secret,
    expected: Expected<'_>,
    now: Timestamp,
) -> Result<Map<String, Value>, String> {
    let claims = claims(token).ok_or("it is not a JWT")?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let issuer = text("iss").ok_or("it names no issuer")?;
    if let Some(expected) = expected.issuer
        && issuer != expected
    {
        return Err(format!("its issuer is {issuer}, not {expected}"));
    }
    let audiences: Vec<&str> = match claims.get("aud") {
        Some(Value::String(audience)) => vec![audience],
        Some(Value::Array(audiences)) => audiences.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !audiences.contains(&expected.client_id) {
        return Err(format!("it is not for client {}", expected.client_id));
    }
    match text("azp") {
        Some(party) if party != expected.client_id => {
            return Err(format!("it was issued to {party}"));
        }
        None if audiences.len() > 1 => return Err("it is for several clients at once".into()),
        _ => {}
    }
    let expiry = claims
        .get("exp")
        .and_then(Value::as_f64)
        .ok_or("it names no end")?;
    if expiry <= (now.as_second() - LEEWAY_SECONDS) as f64 {
        return Err("it has expired already; is the clock of this machine right?".into());
    }
    if text("nonce") != Some(expected.nonce) {
        return Err("it does not answer this login (its nonce is another one)".into());
    }
    Ok(claims
        .into_iter()
        .filter(|(name, _)| KEPT.contains(&name.as_str()))
        .collect())
}

/// Checks the id_token of a renewed login against the person that the first one named (OpenID Connect Core §12.2).
///
/// # Errors
/// What differs.
pub fn check_renewed(token: &Secret, first: &Map<String, Value>) -> Result<(), String> {
    let claims = claims(token).ok_or("it is not a JWT")?;
    for name in ["iss", "sub"] {
        let (before, now) = (first.get(name), claims.get(name));
        if before.is_some() && before != now {
            let shown = |value: Option<&Value>| match value {
                Some(Value::String(text)) => text.clone(),
                Some(_) => "no text".into(),
                None => "missing".into(),
            };
            return Err(format!(
                "its {name} is {}, and that of the login is {}",
                shown(now),
                shown(before)
            ));
        }
    }
    Ok(())
}

fn claims(token: &Secret) -> Option<Map<String, Value>> {
    let mut parts = token.expose().split('.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then_some(())?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&payload).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check_claims(claims: &Value) -> Result<Map<String, Value>, String> {
        let part = |text: String| URL_SAFE_NO_PAD.encode(text);
        let token = format!("{}.{}.c2ln", part("{}".into()), part(claims.to_string()));
        let expected = Expected {
            client_id: "app",
            nonce: "n-1",
            issuer: Some("https://i.example"),
        };
        check(
            &Secret::public(token),
            expected,
            "2026-11-22T10:00:00Z".parse().unwrap(),
        )
    }

    fn good() -> Value {
        json!({"iss": "https://i.example", "aud": "app", "exp": 1_795_341_600, "nonce": "n-1", "sub": "7",
            "fhirUser": "Practitioner/7", "at_hash": "x"})
    }

    #[test]
    fn a_good_token_tells_who_it_is() {
        let who = check_claims(&good()).unwrap();
        assert_eq!(who["fhirUser"], "Practitioner/7");
        assert!(!who.contains_key("at_hash"));
        let mut of_two = good();
        of_two["aud"] = json!(["app", "other"]);
        assert!(check_claims(&of_two).is_err());
        of_two["azp"] = json!("app");
        assert!(check_claims(&of_two).is_ok());
    }

    #[test]
    fn a_renewed_token_is_of_the_same_person() {
        let token = |claims: Value| {
            let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
            Secret::public(format!("e30.{payload}.c2ln"))
        };
        let first = check_claims(&good()).unwrap();
        // RFC 7519 wants texts; nonce and expiry need not be there again (OpenID Connect Core §12.2).
        for (claims, is_same) in [
            (json!({"iss": "https://i.example", "sub": "7"}), true),
            (json!({"iss": "https://i.example", "sub": "8"}), false),
            (json!({"iss": "https://i.example", "sub": 7}), false),
            (json!({"iss": "https://i.example"}), false),
            (json!({"iss": "https://o.example", "sub": "7"}), false),
        ] {
            let checked = check_renewed(&token(claims.clone()), &first);
            assert_eq!(checked.is_ok(), is_same, "{claims}");
        }
        assert!(check_renewed(&Secret::public("x"), &first).is_err());
        let anybody = Map::new();
        assert!(check_renewed(&token(json!({"sub": "9"})), &anybody).is_ok());
    }

    #[test]
    fn each_claim_is_checked() {
        for (claim, value) in [
            ("iss", json!("https://i.example/")),
            ("iss", json!(null)),
            ("aud", json!("other")),
            ("aud", json!(["other"])),
            ("azp", json!("other")),
            ("exp", json!(1_000_000_000)),
            ("exp", json!(null)),
            ("nonce", json!("n-2")),
            ("nonce", json!(null)),
        ] {
            let mut claims = good();
            claims[claim] = value.clone();
            assert!(check_claims(&claims).is_err(), "{claim} {value}");
        }
        for text in ["", "a.b", "a.!.c", "a.e30.c.d"] {
            let expected = Expected {
                client_id: "app",
                nonce: "n",
                issuer: None,
            };
            assert!(check(&Secret::public(text), expected, Timestamp::now()).is_err());
        }
    }
}
