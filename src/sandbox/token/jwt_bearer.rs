//! The grant by assertion: a JWT that is signed with the client's secret (RFC 7523 §2.1, §3).

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, get_current_timestamp};
use serde::Deserialize;

use super::super::Asked;
use super::super::answer::Result;
use super::{Form, Granted, client, error};

pub(super) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How far in the future an assertion may end, with what clocks differ.
const LONGEST_SECONDS: u64 = 300 + 60;

#[derive(Deserialize)]
struct Claims {
    exp: u64,
}

pub(super) fn grant(asked: &Asked, form: &Form) -> Result<Granted> {
    let refused = |words: &str| error(400, "invalid_grant", words);
    let assertion = form.get("assertion");
    let assertion =
        assertion.ok_or_else(|| error(400, "invalid_request", "there is no assertion"))?;
    if form.get("client_id").is_some_and(|id| id != client::ID) {
        return Err(error(401, "invalid_client", "client_id is wrong"));
    }
    // Who it is for is the secret's to say: issuer and subject can be anybody.
    let mut rules = Validation::new(Algorithm::HS256);
    rules.set_required_spec_claims(&["exp", "iss", "sub", "aud"]);
    rules.set_audience(&[format!("{}/oauth2/token", asked.base_url)]);
    let key = DecodingKey::from_secret(client::SECRET.as_bytes());
    let token = decode::<Claims>(assertion, &key, &rules)
        .map_err(|problem| refused(&format!("the assertion is not good: {problem}")))?;
    if token.claims.exp > get_current_timestamp() + LONGEST_SECONDS {
        return Err(refused("the assertion is good for more than five minutes"));
    }
    Ok(Granted {
        scope: form.get("scope").map(str::to_owned),
    })
}
