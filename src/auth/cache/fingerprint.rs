//! What is kept of the credentials that a token was got with: what other ones do not match, and nothing can be read from.

use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::profile::{AuthType, ExchangeSettings, GivenToken, Profile};
use crate::secret::Secret;

/// The fingerprint of a profile's credentials: HMAC-SHA-256 under a salt of its own, so that the file does not tell whether
/// two profiles have one secret.
pub(super) fn of(profile: &Profile) -> String {
    salted(profile, &new_salt())
}

/// Whether a stored fingerprint is the one of this profile.
pub(super) fn is_of(stored: &str, profile: &Profile) -> bool {
    stored
        .split_once('.')
        .and_then(|(salt, _)| URL_SAFE_NO_PAD.decode(salt).ok())
        .is_some_and(|salt| salted(profile, &salt) == stored)
}

fn new_salt() -> [u8; 16] {
    let mut salt = [0; 16];
    // A salt is no secret; without randomness it is just the same one again.
    let _ = rand::fill(&mut salt);
    salt
}

fn salted(profile: &Profile, salt: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, salt));
    for value in proofs(profile) {
        // The length keeps two values apart from one that is both.
        let length = value.as_ref().map_or(u64::MAX, |value| value.len() as u64);
        context.update(&length.to_be_bytes());
        context.update(value.unwrap_or_default().as_bytes());
    }
    let parts = [salt, context.sign().as_ref()].map(|part| URL_SAFE_NO_PAD.encode(part));
    parts.join(".")
}

/// What proves the client or says whose token it is, in an order that stays.
fn proofs(profile: &Profile) -> Vec<Option<String>> {
    let path = |path: &Option<std::path::PathBuf>| Some(path.as_ref()?.to_str()?.to_owned());
    // A command stands for what it prints: it must not run to find a token.
    let mut proofs = vec![match &profile.client_secret_command {
        Some(command) => Some(format!("command {command}")),
        None => exposed(profile.client_secret.as_ref()),
    }];
    proofs.push(path(&profile.private_key_path));
    if let Some(command) = &profile.sign_command {
        proofs.push(Some(format!("sign {command}")));
    }
    proofs.push(profile.key_id.clone());
    if profile.auth_type == Some(AuthType::JwtBearer) {
        // There these say whose token it is.
        proofs.extend([profile.issuer.clone(), profile.subject.clone()]);
    }
    if profile.client_cert.is_some() {
        proofs.push(path(&profile.client_cert));
    }
    if profile.private_key.is_some() {
        proofs.push(exposed(profile.private_key.as_ref()));
    }
    if profile.client_assertion.is_some() {
        proofs.push(given(profile.client_assertion.as_ref()));
    }
    if profile.auth_type == Some(AuthType::TokenExchange) {
        proofs.extend(of_exchange(&profile.exchange));
    }
    proofs
}

fn of_exchange(exchange: &ExchangeSettings) -> [Option<String>; 6] {
    [
        given(exchange.subject.as_ref()),
        given(exchange.actor.as_ref()),
        exchange.subject_type.clone(),
        exchange.actor_type.clone(),
        exchange.requested_type.clone(),
        exchange.resource.clone(),
    ]
}

/// A file and a command stand for what they give: it is a new token now and then, of the same subject.
fn given(token: Option<&GivenToken>) -> Option<String> {
    Some(match token? {
        GivenToken::Value(token) => token.expose().to_owned(),
        GivenToken::File(path) => path.to_str()?.to_owned(),
        GivenToken::Command(command) => format!("command {command}"),
    })
}

fn exposed(secret: Option<&Secret>) -> Option<String> {
    Some(secret?.expose().to_owned())
}
