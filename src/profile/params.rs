//! Parameters that a server wants beside those of the standards, as a setting: one `name=value` a line.

use super::{Key, ProfileError};
use crate::secret::{MASK, Secret, mask_tokens};

/// A parameter and its value.
pub type Param = (String, String);

/// What proves something in a token request, or decides what it is: only this program says it.
const OF_TOKEN_REQUESTS: [&str; 18] = [
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "assertion",
    "code",
    "code_verifier",
    "redirect_uri",
    "refresh_token",
    "device_code",
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "username",
    "password",
    "scope",
];

/// The same of an authorization request. Without its state, challenge, nonce and audience a login would prove nothing.
const OF_AUTHORIZATION_REQUESTS: [&str; 14] = [
    "response_type",
    "response_mode",
    "client_id",
    "client_secret",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "aud",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
    "dpop_jkt",
];

/// Parameters that choose a server, a page or a person and open nothing: those of the standards, of Keycloak, Auth0, Google,
/// Microsoft. Whatever else somebody sends along may be a secret.
const HARMLESS: [&str; 24] = [
    "access_type",
    "acr_values",
    "audience",
    "claims_locales",
    "connection",
    "display",
    "domain_hint",
    "hd",
    "identity_provider",
    "idp",
    "idp_hint",
    "include_granted_scopes",
    "kc_action",
    "kc_idp_hint",
    "login_hint",
    "max_age",
    "organization",
    "prompt",
    "realm",
    "requested_token_use",
    "resource",
    "tenant",
    "tenant_id",
    "ui_locales",
];

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim().is_empty())
}

/// Whether what a line says may be seen.
fn is_harmless(line: &str) -> bool {
    line.split_once('=')
        .is_some_and(|(name, value)| HARMLESS.contains(&name.trim()) && mask_tokens(value) == value)
}

/// Whether one of the values may be a secret.
pub(super) fn hold_secret(text: &str) -> bool {
    lines(text).any(|line| !is_harmless(line))
}

/// Has the values that may be secrets masked in all output from here on.
pub(super) fn hide(text: &str) {
    for line in lines(text).filter(|line| !is_harmless(line)) {
        let _ = Secret::new(line.split_once('=').map_or(line, |(_, value)| value));
    }
}

/// The parameters, with what may be a secret masked.
pub(super) fn shown(text: &str) -> String {
    let line = |line| match str::split_once(line, '=') {
        Some(_) if is_harmless(line) => line.to_owned(),
        Some((name, _)) => format!("{}={MASK}", name.trim()),
        None => MASK.to_owned(),
    };
    lines(text).map(line).collect::<Vec<_>>().join("\n")
}

/// Reads the setting.
///
/// # Errors
/// A line is no `name=value`, or names a parameter that only this program sets.
pub(super) fn read(key: Key, text: &str) -> Result<Vec<Param>, ProfileError> {
    let reserved: &[&str] = match key {
        Key::TokenParams => &OF_TOKEN_REQUESTS,
        _ => &OF_AUTHORIZATION_REQUESTS,
    };
    lines(text)
        .map(|line| {
            let name = line.split('=').next().unwrap_or_default().trim();
            // Never the value: it may be a secret of somebody's making.
            let bad = |reason: &str| ProfileError::BadSetting {
                key,
                value: name.to_owned(),
                reason: reason.to_owned(),
            };
            let (_, value) = line
                .split_once('=')
                .filter(|_| !name.is_empty())
                .ok_or_else(|| bad("write it as NAME=VALUE"))?;
            match name {
                "scope" => Err(bad("set it with --scope")),
                name if reserved.contains(&name) => {
                    Err(bad("this program sets it, since a sign-in rests on it"))
                }
                name => Ok((name.to_owned(), value.to_owned())),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_that_are_known_to_open_nothing_are_shown() {
        let text = "audience=https://api.example\napi_key=hidden-value\nresource=eyJhbGciOiJSUzM4NCJ9.eyJz.c2ln\nodd";
        assert_eq!(
            shown(text),
            format!("audience=https://api.example\napi_key={MASK}\nresource={MASK}\n{MASK}")
        );
        assert!(hold_secret(text) && !hold_secret("audience=a\nprompt=login"));
    }

    #[test]
    fn what_proves_something_is_not_to_be_overridden() {
        let params = read(Key::TokenParams, "audience=https://api.example/?a=b\n\nx=").unwrap();
        let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            params,
            [of("audience", "https://api.example/?a=b"), of("x", "")]
        );
        for name in OF_TOKEN_REQUESTS {
            assert!(
                read(Key::TokenParams, &format!("{name}=x")).is_err(),
                "{name}"
            );
        }
        for name in OF_AUTHORIZATION_REQUESTS {
            assert!(
                read(Key::AuthorizeParams, &format!("{name}=x")).is_err(),
                "{name}"
            );
        }
        for text in ["audience", "=x", " = "] {
            assert!(read(Key::TokenParams, text).is_err(), "{text}");
        }
    }
}
