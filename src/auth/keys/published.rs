//! A published key set beside the keys that should be in it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::{Curve, Key, PublicKey};
use crate::words;

/// The members of private and symmetric keys (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// What a published set says of the keys that should be in it.
#[derive(Debug)]
pub struct Comparison {
    /// What differs, a sentence for each.
    pub differences: Vec<String>,
    /// The ids of published keys that hold more than their public part.
    pub exposed: Vec<String>,
}

/// Compares; `None` when the text is no key set.
pub fn compare(keys: &[Key], set: &[u8]) -> Option<Comparison> {
    let set: Value = serde_json::from_slice(set).ok()?;
    let published: Vec<&Map<String, Value>> = set
        .get("keys")?
        .as_array()?
        .iter()
        .map(Value::as_object)
        .collect::<Option<_>>()?;
    let mut differences: Vec<String> = keys
        .iter()
        .filter_map(|key| difference(key, &published))
        .collect();
    for (at, jwk) in published.iter().enumerate() {
        let kid = kid(jwk);
        if keys.iter().all(|key| key.kid() != kid) {
            let words = format!("`{kid}` is published and in none of these files");
            differences.push(words);
        } else if published[..at].iter().any(|other| self::kid(other) == kid) {
            differences.push(format!("`{kid}` is published twice"));
        }
    }
    let exposed = published
        .iter()
        .filter(|jwk| PRIVATE.iter().any(|member| jwk.contains_key(*member)))
        .map(|jwk| kid(jwk))
        .collect();
    Some(Comparison {
        differences,
        exposed,
    })
}

/// How one key differs from what is published under its id.
fn difference(key: &Key, published: &[&Map<String, Value>]) -> Option<String> {
    let own = key.kid();
    let Some(jwk) = published.iter().find(|jwk| kid(jwk) == own) else {
        let elsewhere = published
            .iter()
            .find(|jwk| public(jwk).as_ref() == Some(&key.public));
        return Some(match elsewhere {
            Some(jwk) => format!("`{own}` is published as `{}`", kid(jwk)),
            None => format!("`{own}` is not published"),
        });
    };
    let text = |member: &str| jwk.get(member).and_then(Value::as_str);
    let members = key.public.members();
    let expected = |member: &str| members.get(member).and_then(Value::as_str);
    for member in ["kty", "crv"] {
        if text(member) != expected(member) {
            return Some(format!(
                "`{own}` has another `{member}`: {} is published, {} is here",
                words::shortened(text(member).unwrap_or("none")),
                expected(member).unwrap_or("none")
            ));
        }
    }
    if public(jwk).as_ref() != Some(&key.public) {
        return Some(format!(
            "`{own}` is published with another key under its id"
        ));
    }
    let algorithms = key.public.algorithms();
    if let Some(alg) = text("alg")
        && algorithms.iter().all(|algorithm| algorithm.name() != alg)
    {
        let alg = words::shortened(alg);
        return Some(format!(
            "`{own}` is published for {alg}, which it cannot sign with"
        ));
    }
    if text("use").is_some_and(|usage| usage != "sig") {
        return Some(format!("`{own}` is published for another `use` than sig"));
    }
    None
}

fn kid(jwk: &Map<String, Value>) -> String {
    let kid = jwk.get("kid").and_then(Value::as_str);
    words::shortened(kid.unwrap_or("(no kid)"))
}

/// The key that a JWK is, whatever zeros its numbers begin with.
fn public(jwk: &Map<String, Value>) -> Option<PublicKey> {
    let text = |member: &str| jwk.get(member)?.as_str();
    let number = |member: &str| {
        let text = text(member)?.trim_end_matches('=');
        URL_SAFE_NO_PAD.decode(text).ok()
    };
    match text("kty")? {
        "RSA" => Some(PublicKey::rsa(&number("n")?, &number("e")?)),
        "EC" => {
            let curve = Curve::ALL
                .into_iter()
                .find(|curve| text("crv") == Some(curve.name()))?;
            let point = [vec![4], number("x")?, number("y")?].concat();
            PublicKey::from_point(curve, &point)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::super::generate::{Kind, NewKey};
    use super::*;

    fn key(kid: &str) -> Key {
        let new = NewKey::generate(Kind::Es384, Path::new("new-key")).unwrap();
        new.key.with_kid(Some(kid))
    }

    fn said(keys: &[Key], set: &[Value]) -> (Vec<String>, Vec<String>) {
        let found = compare(keys, json!({"keys": set}).to_string().as_bytes()).unwrap();
        (found.differences, found.exposed)
    }

    #[test]
    fn each_difference_is_named() {
        let (one, two) = (key("one"), key("two"));
        let keys = [one.clone(), two.clone()];
        let jwk = |key: &Key| Value::Object(key.public_jwk(None));
        let changed = |key: &Key, member: &str, value: &str| {
            let mut jwk = key.public_jwk(None);
            jwk.insert(member.into(), value.into());
            Value::Object(jwk)
        };
        assert_eq!(said(&keys, &[jwk(&two), jwk(&one)]), (vec![], vec![]));
        for (set, words) in [
            (vec![jwk(&one)], "`two` is not published"),
            (
                vec![jwk(&one), changed(&two, "kid", "2")],
                "`two` is published as `2`",
            ),
            (
                vec![jwk(&one), changed(&one, "kid", "two")],
                "another key under its id",
            ),
            (
                vec![jwk(&one), changed(&two, "crv", "P-256")],
                "another `crv`",
            ),
            (
                vec![jwk(&one), changed(&two, "kty", "RSA")],
                "another `kty`",
            ),
            (
                vec![jwk(&one), changed(&two, "alg", "RS384")],
                "cannot sign with",
            ),
            (
                vec![jwk(&one), changed(&two, "use", "enc")],
                "another `use`",
            ),
            (
                vec![jwk(&one), jwk(&two), jwk(&key("x"))],
                "`x` is published and in none",
            ),
            (
                vec![jwk(&one), jwk(&two), jwk(&two)],
                "`two` is published twice",
            ),
        ] {
            let (differences, _) = said(&keys, &set);
            assert!(
                differences.iter().any(|one| one.contains(words)),
                "{words}: {differences:?}"
            );
        }
        let (_, exposed) = said(&keys, &[jwk(&one), changed(&two, "d", "secret")]);
        assert_eq!(exposed, ["two"]);
        for no_set in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[1]}"#] {
            assert!(compare(&keys, no_set.as_bytes()).is_none());
        }
    }
}
