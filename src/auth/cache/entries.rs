//! The tokens in a profile file: a list of entries, each with what it is bound to.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::super::Token;
use super::super::dpop::BoundKey;
use super::binding::{binding, is_bound_to};
use super::fingerprint;
use crate::profile::Profile;
use crate::profile::store::{ACTIVE_LOGIN, ProfileFile, TOKENS};
use crate::secret::Secret;

/// Tokens of more clients than this in one profile push the oldest out.
const MOST_TOKENS: usize = 20;

/// Stores a token beside the others, in the place of what it renews.
pub(super) fn put_token(file: &mut ProfileFile, profile: &Profile, token: &Token) {
    let binding = binding(profile);
    let now = Timestamp::now();
    let mut entries = token_entries(file);
    entries.retain(|entry| {
        let expired = from_entry(entry).is_none_or(|old| {
            old.refresh_token.is_none() && old.lifetime.is_some_and(|(_, until)| until < now)
        });
        !expired && !is_bound_to(entry, &binding, profile)
    });
    let mut entry = binding;
    entry.insert("credential".into(), fingerprint::of(profile).into());
    entry.insert("accessToken".into(), token.access_token.expose().into());
    if let Some(refresh_token) = &token.refresh_token {
        entry.insert("refreshToken".into(), refresh_token.expose().into());
    }
    if let Some((issued, until)) = token.lifetime {
        entry.insert("issuedAt".into(), issued.to_string().into());
        entry.insert("expiresAt".into(), until.to_string().into());
    }
    if let Some(key) = &token.bound_to {
        entry.insert("dpopKey".into(), key.text().expose().into());
    }
    if let Some(scope) = &token.scope {
        entry.insert("grantedScope".into(), scope.as_str().into());
    }
    if !token.context.is_empty() {
        entry.insert("context".into(), Value::Object(token.context.clone()));
    }
    entries.push(entry);
    put_entries(file, without_surplus(entries, login_of(file).as_deref()));
}

/// The entries that are kept: expired ones go first, then the oldest, and never the login's, whose key, scope and
/// identity are nowhere else.
fn without_surplus(
    mut entries: Vec<Map<String, Value>>,
    login: Option<&str>,
) -> Vec<Map<String, Value>> {
    let newest = entries.len().saturating_sub(1);
    for only_expired in [true, false] {
        let mut surplus = entries.len().saturating_sub(MOST_TOKENS);
        let mut at = 0;
        entries.retain(|entry| {
            let is_last = at == newest;
            at += 1;
            let is_kept = is_last
                || access_token_of(entry).is_some() && access_token_of(entry) == login
                || only_expired && from_entry(entry).is_some_and(|token| !token.has_expired());
            if is_kept || surplus == 0 {
                return true;
            }
            surplus -= 1;
            false
        });
    }
    entries
}

/// The access token of the login in a file.
fn login_of(file: &ProfileFile) -> Option<String> {
    let login = file.json(ACTIVE_LOGIN)?;
    Some(login.get("accessToken")?.as_str()?.to_owned())
}

/// Replaces the tokens of a file.
pub(super) fn put_entries(file: &mut ProfileFile, entries: Vec<Map<String, Value>>) {
    file.set_json(
        TOKENS,
        &Value::Array(entries.into_iter().map(Value::Object).collect()),
    );
}

/// The access token of an entry.
pub(super) fn access_token_of(entry: &Map<String, Value>) -> Option<&str> {
    entry.get("accessToken").and_then(Value::as_str)
}

/// The tokens of a file as they stand there.
pub(super) fn token_entries(file: &ProfileFile) -> Vec<Map<String, Value>> {
    match file.json(TOKENS) {
        Some(Value::Array(entries)) => entries
            .into_iter()
            .filter_map(|entry| match entry {
                Value::Object(entry) => Some(entry),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The token of this profile, if there is one.
pub(super) fn bound_token(file: &ProfileFile, profile: &Profile) -> Option<Token> {
    let binding = binding(profile);
    token_entries(file)
        .iter()
        .find(|entry| is_bound_to(entry, &binding, profile))
        .and_then(from_entry)
}

/// A token as it stands in a file; `None` when its key is missing.
pub(super) fn from_entry(entry: &Map<String, Value>) -> Option<Token> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let time = |key: &str| text(key).and_then(|text| text.parse::<Timestamp>().ok());
    let bound_to = match entry.get("dpopKey") {
        // Without its key the token is worth nothing.
        Some(key) => Some(BoundKey::parse(key.as_str()?)?),
        None => None,
    };
    Some(Token {
        access_token: Secret::new(text("accessToken")?),
        bound_to,
        refresh_token: text("refreshToken").map(Secret::new),
        lifetime: time("issuedAt").zip(time("expiresAt")),
        lifetime_is_stated: true,
        id_token: None,
        scope: text("grantedScope").map(str::to_owned),
        context: match entry.get("context") {
            Some(Value::Object(context)) => context.clone(),
            _ => Map::new(),
        },
    })
}
