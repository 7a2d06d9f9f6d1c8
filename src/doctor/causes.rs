//! Why a token endpoint refuses: what is proved from here, and what looks the same from outside.

use serde_json::Value;

use super::{Examination, environment};
use crate::auth::TokenRefusal;
use crate::auth::grant;
use crate::profile::urls;
use crate::profile::{AuthType, ClientAuth};

/// The longest that an assertion may be good (SMART App Launch 2.2, client-confidential-asymmetric), in seconds.
const LONGEST_ASSERTION: i64 = 300;

/// What kind of fault was proved, the one that explains most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Clock,
    Algorithm,
    Audience,
    TokenUrl,
    KeySet,
    ClientAuth,
}

/// Something proved to be wrong, which explains a refusal.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub rank: Rank,
    pub text: String,
}

impl Finding {
    pub(super) fn new(rank: Rank, text: String) -> Self {
        Self { rank, text }
    }
}

/// What a clock that differs does to the assertion, judged by the server's clock.
pub(super) fn clock(claims: &Value, ahead: i64) -> Option<Finding> {
    let expires = claims.get("exp")?.as_i64()?;
    let issued = claims.get("iat").and_then(Value::as_i64);
    let servers_now = jiff::Timestamp::now().as_second() + ahead;
    let left = expires - servers_now;
    let (minutes, way) = (
        (ahead.abs() + 30) / 60,
        if ahead > 0 { "behind" } else { "ahead of" },
    );
    let clocks = format!("the clock here is {minutes} minutes {way} the server's");
    let what = if left <= 0 {
        format!(
            "the assertion has expired {} s before it arrives (exp)",
            -left
        )
    } else if left > LONGEST_ASSERTION + 30 {
        format!("the assertion expires {left} s ahead (exp), and 300 s are the most")
    } else if issued.is_some_and(|issued| issued > servers_now + 5) {
        "the assertion was issued in the server's future (iat)".to_owned()
    } else {
        return None;
    };
    Some(Finding::new(
        Rank::Clock,
        format!("{clocks}, so by the server's clock {what}: set the clock here"),
    ))
}

/// The cause of a refusal that the server's answer proves by itself.
pub(super) fn stated(examination: &Examination<'_>, refusal: &TokenRefusal) -> Option<String> {
    let profile = &examination.client.profile;
    let words = refusal.words.as_deref().unwrap_or_default();
    if refusal.is_page {
        return Some(format!(
            "the token URL answers with a web page ({words}): it is no token endpoint, or a proxy or firewall answers \
             in its place; check --token-url"
        ));
    }
    match (refusal.status.as_u16(), refusal.code.as_deref()) {
        (404 | 405 | 410, None) => Some(
            "there is no token endpoint at the token URL: check --token-url, or leave it to discovery".into(),
        ),
        (_, Some("invalid_scope")) => Some(match &profile.scope {
            None => "the server wants a scope, and none is asked for: set --scope, such as system/*.read".into(),
            Some(scope) => format!(
                "the scope asked for is not one that the server gives this client: {scope}; ask for less with --scope"
            ),
        }),
        (_, Some("unsupported_grant_type")) => Some(format!(
            "the server has no such grant: auth type {} does not work there; choose another with --auth-type",
            examination.client.tokens.describe()
        )),
        (_, Some("unauthorized_client")) => Some(format!(
            "the server knows the client, but does not allow it auth type {}: it was registered for another one",
            examination.client.tokens.describe()
        )),
        (200..300, _) => Some(
            "the server answers 200, but without an access_token: the token URL is no token endpoint".into(),
        ),
        _ => None,
    }
}

/// What a refusal without a proved cause may come from, the most likely first.
pub(super) fn candidates(examination: &Examination<'_>, refusal: &TokenRefusal) -> Vec<String> {
    let profile = &examination.client.profile;
    let id = profile.client_id.as_deref().unwrap_or("(none)");
    let host = profile.fhir_base.host_str().unwrap_or_default();
    if refusal.status.is_server_error() {
        return vec!["the token endpoint is down or overloaded: try again later".into()];
    }
    let unknown = format!("wrong client id: the server does not know {id} (--client-id)");
    let mut set = match grant::of(profile).map(grant::Grant::auth_type) {
        Some(AuthType::JwtAssertion) => with_key(examination, unknown),
        Some(AuthType::JwtBearer) if !profile.has_private_key() => vec![
            "wrong client secret, which signs the assertion: a typing error, or replaced since"
                .into(),
            unknown,
            subject(examination),
        ],
        Some(AuthType::JwtBearer) => {
            let mut set = with_key(examination, unknown);
            set.insert(1, subject(examination));
            set
        }
        _ => {
            let (here, other) = match profile.client_auth {
                Some(ClientAuth::Post) => ("the form body", "--client-auth header"),
                Some(ClientAuth::Raw) => ("the Basic header as it is", "--client-auth header"),
                Some(ClientAuth::SecretJwt) => ("an assertion's signature", "--client-auth header"),
                _ => ("the Basic header", "--client-auth post"),
            };
            vec![
                "wrong client secret: a typing error, a line end too many, expired or replaced since".into(),
                unknown,
                format!("the secret was sent in {here} and the server wants it elsewhere: try {other}"),
            ]
        }
    };
    if let Some(environment) = environment::of(host) {
        set.insert(
            1,
            format!("the client id belongs to another environment: {environment}"),
        );
    } else {
        set.push(
            "the client belongs to another environment of this vendor (sandbox, production)".into(),
        );
    }
    if urls::is_medplum(&profile.base_url) {
        set.push(
            "the client belongs to a project that was deleted, or is switched off there".into(),
        );
    }
    set.push("the client is not active yet, or was switched off at this site".into());
    set
}

fn subject(examination: &Examination<'_>) -> String {
    let profile = &examination.client.profile;
    let issuer = profile.issuer.as_deref().or(profile.client_id.as_deref());
    format!(
        "the server does not know the subject {} (--subject) or the issuer {} (--issuer)",
        profile.subject.as_deref().unwrap_or("(none)"),
        issuer.unwrap_or("(none)")
    )
}

fn with_key(examination: &Examination<'_>, unknown: String) -> Vec<String> {
    let profile = &examination.client.profile;
    let kid = examination.key.as_ref().and_then(|key| key.kid.as_deref());
    let kid = kid.unwrap_or("(none)");
    let is_epic = environment::is_epic(profile);
    let mut set = vec![
        format!(
            "unknown key: the server has no key with the id {kid} for this client, or another key under that id \
             (`medplum keys jwks FILE` prints what to register; --key-id names the id)"
        ),
        unknown,
        if is_epic {
            "the app or its key has not reached this site yet: Epic takes an hour to two days"
                .to_owned()
        } else {
            "the key was registered a short while ago and the server still has the old set"
                .to_owned()
        },
    ];
    if profile.key_url.is_none() {
        set.push(
            "the server cannot reach the JWKS URL registered for the client, or it is slow".into(),
        );
    }
    let named = examination.named_token_url.is_some();
    if !named || is_epic {
        set.push("aud is not the token URL that the server goes by, behind a proxy for instance (--audience)".into());
    }
    set
}
