//! What is known here of a login: server, scopes, who signed in, and how long it is good.

use jiff::{SignedDuration, Timestamp, Unit};
use serde_json::Value;

use crate::auth::grant::authorization_code::DEFAULT_SCOPE;
use crate::auth::{Token, id_token, scope};
use crate::fhir::Client;
use crate::foreign::Foreign;

/// The most of a list of scopes that is shown.
const LONGEST_SCOPE: usize = 10_000;

/// Medplum's own lines first, on a Medplum login; then what is true of any server.
pub(super) fn of(client: &Client, token: Option<&Token>) -> Vec<(&'static str, String)> {
    let profile = &client.profile;
    let is_login = client.tokens.is_login();
    let mut facts = vec![("Server", profile.base_url.to_string())];
    let project = token.and_then(|token| named(token, "project"));
    if let (Some(token), Some(project)) = (token, &project) {
        facts.push(("Profile", named(token, "profile").unwrap_or_default()));
        facts.push(("Project", project.clone()));
    }
    facts.push(("FHIR", profile.fhir_base.to_string()));
    facts.push(("Auth", client.tokens.describe().to_owned()));
    let client_id = match &profile.client_id {
        None if is_login => profile.login_client_id(),
        id => id.as_deref(),
    };
    if let Some(id) = client_id {
        facts.push(("Client", id.to_owned()));
    }
    let asked = match &profile.scope {
        None if is_login => Some(DEFAULT_SCOPE),
        scope => scope.as_deref(),
    };
    if let Some(asked) = asked {
        facts.push(("Asked", asked.to_owned()));
    }
    let Some(token) = token else { return facts };
    if let Some(granted) = &token.scope {
        facts.push((
            "Granted",
            Foreign::up_to(LONGEST_SCOPE, granted).to_string(),
        ));
    }
    let missing = asked.map(|asked| scope::missing(asked, token));
    if let Some(missing) = missing.filter(|missing| !missing.is_empty()) {
        facts.push(("Missing", missing.join(" ")));
    }
    if let Some(user) = user(token, project.is_some()) {
        facts.push(("User", user));
    }
    for (key, name) in [("patient", "Patient"), ("encounter", "Encounter")] {
        if let Some(value) = named(token, key) {
            facts.push((name, value));
        }
    }
    if let Some(key) = &token.bound_to {
        facts.push(("Bound", format!("to the key {} (DPoP)", key.thumbprint())));
    }
    if let Some((_, until)) = token.lifetime {
        facts.push(("Expires", expiry(until, token.refresh_token.is_some())));
    }
    facts
}

/// A reference or a plain value of the token answer.
fn named(token: &Token, key: &str) -> Option<String> {
    let value = token.context.get(key)?;
    let text = |field: &str| value.get(field).and_then(Value::as_str);
    let name = text("display")
        .or_else(|| text("reference"))
        .or_else(|| value.as_str())?;
    let shown = Foreign::new(name);
    Some(match text("reference") {
        Some(reference) if reference != name => format!("{shown} ({})", Foreign::new(reference)),
        _ => shown.to_string(),
    })
}

/// Who signed in: as the id_token says it, else as the token answer does.
fn user(token: &Token, is_medplum: bool) -> Option<String> {
    let identity = token.context.get(id_token::IDENTITY);
    let claim = |name: &str| {
        identity?
            .get(name)?
            .as_str()
            .filter(|text| !text.is_empty())
    };
    let name = claim("name")
        .or(claim("preferred_username"))
        .or(claim("email"));
    let reference = claim("fhirUser").or(claim("profile")).or(claim("sub"));
    match (name, reference) {
        (Some(name), Some(reference)) => {
            let (name, reference) = (Foreign::new(name), Foreign::new(reference));
            Some(format!("{name} ({reference})"))
        }
        (Some(only), None) | (None, Some(only)) => Some(Foreign::new(only).to_string()),
        (None, None) if is_medplum => None,
        (None, None) => named(token, "fhirUser").or_else(|| named(token, "profile")),
    }
}

fn expiry(until: Timestamp, is_renewable: bool) -> String {
    let left = until
        .duration_since(Timestamp::now())
        .max(SignedDuration::ZERO);
    let until = until.round(Unit::Second).unwrap_or(until);
    let then = if is_renewable { ", then renewed" } else { "" };
    format!("{until} (in {} s{then})", left.as_secs())
}
