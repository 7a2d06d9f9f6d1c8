//! The key that signs: usable, of an algorithm that the server takes, and published where the profile says.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use url::Url;

use super::causes::{Finding, Rank};
use super::{Ending, Examination, Passed, Trouble, fetch, skipped};
use crate::auth::Way;
use crate::auth::keys::PublicKey;
use crate::profile::AuthType;
use crate::secret;

pub(super) async fn check(examination: &mut Examination<'_>) -> Ending {
    let tokens = &examination.client.tokens;
    let key = tokens.signing_key().await.map_err(|error| {
        let cause = error.to_string();
        Trouble::of(&error).because(cause)
    })?;
    let Some(key) = key else {
        let reason = format!("no key is needed for auth: {}", tokens.describe());
        return Ok(skipped(reason));
    };
    let kid = key.kid.as_deref().unwrap_or("none");
    let Some(public) = &key.public else {
        let detail = format!("the client secret signs with {}", key.algorithm);
        examination.key = Some(key);
        return Ok(super::done(detail));
    };
    let mut detail = vec![format!(
        "{} signs with {}, kid {kid}",
        public.describe(),
        key.algorithm
    )];
    let algorithm = key.algorithm.name();
    let is_assertion = tokens.way() == Way::Grant(AuthType::JwtAssertion);
    if is_assertion
        && let Some(taken) = &examination
            .document
            .token_endpoint_auth_signing_alg_values_supported
            .0
        && !taken.is_empty()
        && !taken.iter().any(|taken| taken == algorithm)
    {
        let text = format!(
            "algorithm: the assertion is signed with {algorithm}, and the server takes {}; use a key or --algorithm \
             that fits",
            taken.join(", ")
        );
        examination
            .findings
            .push(Finding::new(Rank::Algorithm, text));
    }
    if let Some(url) = examination.client.profile.key_url.clone() {
        match published(examination, &url, kid, public).await {
            Ok(words) => detail.push(words),
            Err(Published::Wrong(text)) => {
                detail.push(format!("not as published at {url}"));
                examination.findings.push(Finding::new(Rank::KeySet, text));
            }
            Err(Published::Unknown(reason)) => examination.notes.push(format!(
                "the key URL {url} cannot be read from here ({reason}); the server must be able to"
            )),
        }
    }
    examination.key = Some(key);
    Ok(Passed::Done(detail))
}

/// Why a key set does not vouch for the key.
enum Published {
    /// It was read and the key is not in it.
    Wrong(String),
    /// It could not be read, which proves nothing.
    Unknown(String),
}

/// Looks the key up as a server does: exactly one with this `kid` and `kty` (SMART App Launch 2.2).
async fn published(
    examination: &Examination<'_>,
    url: &str,
    kid: &str,
    public: &PublicKey,
) -> Result<String, Published> {
    let unknown = |reason: String| Published::Unknown(reason);
    let parsed = Url::parse(url).map_err(|error| unknown(error.to_string()))?;
    let shown = secret::url_for_people(&parsed);
    let (status, json) = fetch::key_set(examination.client, parsed)
        .await
        .map_err(|error| unknown(error.to_string()))?;
    if !status.is_success() {
        return Err(unknown(format!("status {status}")));
    }
    let Some(keys) = json.as_ref().and_then(|json| json.get("keys")?.as_array()) else {
        return Err(Published::Wrong(format!(
            "key set: {shown} holds no JWKS, so the server finds no key there"
        )));
    };
    let kid_of = |key: &Value| key.get("kid").and_then(Value::as_str).map(str::to_owned);
    let named: Vec<&Value> = keys
        .iter()
        .filter(|key| kid_of(key).as_deref() == Some(kid))
        .collect();
    let twin = keys.iter().find(|key| is_same(public, key));
    Err(Published::Wrong(match (named.as_slice(), twin) {
        ([only], _) if is_same(public, only) => {
            return Ok(format!("published at {shown}"));
        }
        ([_, _, ..], _) => format!("key set: {shown} holds several keys with the id {kid}"),
        ([only], _) => {
            let kty = only.get("kty").and_then(Value::as_str).unwrap_or("none");
            format!(
                "key set: the key {kid} at {shown} is another one (kty {kty}) than the one that signs here ({}, \
                 thumbprint {}); publish this one with `medplum keys jwks FILE`",
                public.describe(),
                public.thumbprint()
            )
        }
        ([], Some(twin)) => {
            let name = kid_of(twin).unwrap_or_else(|| "none".to_owned());
            format!(
                "key set: the key is at {shown} under the id {name}, but the assertion says {kid}: set --key-id {name}"
            )
        }
        ([], None) => {
            let there: Vec<String> = keys.iter().filter_map(kid_of).collect();
            let there = if there.is_empty() {
                "none".to_owned()
            } else {
                there.join(", ")
            };
            format!(
                "key set: the key {kid} that signs here is not at {shown}, only: {there}; publish it with \
                 `medplum keys jwks FILE`"
            )
        }
    }))
}

/// Whether a JWK is this key; zeros in front of a number do not count (RFC 7518 §2).
fn is_same(public: &PublicKey, jwk: &Value) -> bool {
    let number = |text: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Some(bytes[zeros..].to_vec())
    };
    public.members().iter().all(|(name, own)| {
        let (Some(own), Some(theirs)) = (own.as_str(), jwk.get(name).and_then(Value::as_str))
        else {
            return false;
        };
        match name.as_str() {
            "kty" | "crv" => own == theirs,
            _ => number(own) == number(theirs),
        }
    })
}
