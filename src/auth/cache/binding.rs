//! What a stored token is bound to: server, client, scope, audience, and what proved the client when it was got.

use serde_json::{Map, Value, json};

use super::fingerprint;
use crate::profile::{AuthType, Profile};

/// What a token is good for.
pub(super) fn binding(profile: &Profile) -> Map<String, Value> {
    let text = |value: Option<&str>| value.map_or(Value::Null, Value::from);
    let mut binding = Map::new();
    binding.insert("server".into(), profile.fhir_base.as_str().into());
    binding.insert(
        "tokenUrl".into(),
        text(profile.token_url.as_ref().map(url::Url::as_str)),
    );
    binding.insert("clientId".into(), text(profile.client_id.as_deref()));
    binding.insert("scope".into(), text(profile.scope.as_deref()));
    binding.insert("audience".into(), text(profile.audience.as_deref()));
    binding.insert("tokenParams".into(), Value::Null);
    binding.insert(
        "authType".into(),
        text(profile.auth_type.map(AuthType::name)),
    );
    if !profile.asks.token_params.is_empty() {
        binding.insert("tokenParams".into(), json!(profile.asks.token_params));
    }
    binding.insert(
        "dpop".into(),
        if profile.dpop {
            true.into()
        } else {
            Value::Null
        },
    );
    binding
}

/// Whether an entry is of this binding and these credentials.
pub(super) fn is_bound_to(
    entry: &Map<String, Value>,
    binding: &Map<String, Value>,
    profile: &Profile,
) -> bool {
    let same = binding
        .iter()
        .all(|(key, value)| entry.get(key).unwrap_or(&Value::Null) == value);
    let credential = entry.get("credential").and_then(Value::as_str);
    same && credential.is_some_and(|stored| fingerprint::is_of(stored, profile))
}
