//! One read: a search for a single resource, or what the user named.

use reqwest::Method;
use serde_json::Value;

use super::{Ending, Examination, Trouble, done, skipped};
use crate::auth::Way;
use crate::auth::discovery::document::Resource;
use crate::exit;
use crate::fhir::{Answer, FhirError, TokenRule};
use crate::http::Request;

pub(super) async fn check(examination: &mut Examination<'_>) -> Ending {
    let client = examination.client;
    let target = match (examination.reading, searchable(examination)) {
        (Some(named), _) => named.to_owned(),
        (None, Some(kind)) => format!("{kind}?_count=1"),
        (None, None) => {
            return Ok(skipped(
                "the server offers no search that the scope allows; name what to read with --read Patient/ID",
            ));
        }
    };
    let is_guess = examination.reading.is_none() && offered(examination).is_none();
    let url = client.url(&target).map_err(|error| Trouble::of(&error))?;
    if !client.is_own(&url) {
        let what = format!("{target} is not on the server of this profile");
        return Err(Trouble::new(exit::USAGE, what));
    }
    let answer = client
        .read(Request::new(Method::GET, url), TokenRule::OwnOrigins)
        .await
        .and_then(Answer::checked);
    let answer = match answer {
        Ok(answer) => answer,
        Err(FhirError::Refused(refusal))
            if is_guess && matches!(refusal.status.as_u16(), 404 | 405 | 501) =>
        {
            return Ok(skipped(format!(
                "the server has no search {target} (status {}); name what to read with --read Patient/ID",
                refusal.status
            )));
        }
        Err(error) => return Err(trouble(examination, &error)),
    };
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match json.get("resourceType").and_then(Value::as_str) {
        Some(kind) => Ok(done(format!("GET {target} gives a {kind}"))),
        None => Err(Trouble::new(
            exit::FAILED,
            format!("GET {target} gives no FHIR resource"),
        )),
    }
}

/// A type that the token may read and the server searches; Patient where it can be.
fn searchable(examination: &Examination<'_>) -> Option<String> {
    let asked = examination.client.profile.scope.as_deref();
    let granted = examination
        .token
        .as_ref()
        .and_then(|token| token.scope.as_deref());
    let scope = granted.or(asked).unwrap_or_default();
    let allowed: Vec<&str> = scope.split_whitespace().filter_map(readable).collect();
    let may = |kind: &str| allowed.is_empty() || allowed.contains(&"*") || allowed.contains(&kind);
    let Some(offered) = offered(examination) else {
        let first = if may("Patient") {
            "Patient"
        } else {
            allowed.first()?
        };
        return Some(first.to_owned());
    };
    let mut kinds: Vec<&str> = offered
        .iter()
        .filter(|resource| searches(resource))
        .filter_map(|resource| resource.kind.get())
        .filter(|kind| may(kind))
        .collect();
    kinds.sort_by_key(|kind| *kind != "Patient");
    kinds.first().map(|kind| (*kind).to_owned())
}

/// The types that the CapabilityStatement lists, if it lists any.
fn offered<'a>(examination: &'a Examination<'_>) -> Option<&'a [Resource]> {
    let statement = examination.metadata.as_ref()?.statement.as_ref()?;
    let list = &statement.rest.0.first()?.resource.0;
    (!list.is_empty()).then_some(list)
}

fn searches(resource: &Resource) -> bool {
    let Some(interactions) = &resource.interaction else {
        return true;
    };
    let mut codes = interactions.0.iter().map(|one| one.code.get());
    codes.any(|code| code == Some("search-type"))
}

/// The type of a scope that allows to search (SMART App Launch 2.2, scopes).
fn readable(scope: &str) -> Option<&str> {
    let (level, rest) = scope.split_once('/')?;
    let (kind, rights) = rest.split_once('.')?;
    let rights = rights.split('?').next()?;
    let reads = matches!(rights, "read" | "*") || rights.contains('s');
    (["system", "user", "patient"].contains(&level) && reads).then_some(kind)
}

fn trouble(examination: &Examination<'_>, error: &FhirError) -> Trouble {
    let trouble = Trouble::of(error);
    let FhirError::Refused(refusal) = error else {
        return trouble;
    };
    let tokens = &examination.client.tokens;
    match (refusal.status.as_u16(), tokens.way()) {
        (401, Way::Anonymous) => trouble.because(
            "no credentials are configured, and the server wants some: see `medplum help auth`",
        ),
        (401, Way::Basic) => trouble.perhaps(vec![
            "wrong client secret (the password)".into(),
            "wrong client id (the user)".into(),
            "the server takes no HTTP Basic: choose another --auth-type".into(),
        ]),
        (401, Way::GivenToken) => trouble.perhaps(vec![
            "the access token has expired".into(),
            "the access token is for another server".into(),
        ]),
        (401, _) => trouble.perhaps(vec![
            "the token endpoint and the FHIR server do not belong together: check --token-url"
                .into(),
            "the token is for another audience than this FHIR server: check --audience and --scope"
                .into(),
        ]),
        (403, _) if examination.client.profile.scope.is_none() => trouble.perhaps(vec![
            "no scope was asked for and the token allows nothing: set --scope".into(),
            "the client is registered without this right".into(),
        ]),
        (403, _) => trouble.perhaps(vec![
            "the client is registered without this right".into(),
            "the server wants the client mapped to a user or group that may read".into(),
        ]),
        _ => trouble,
    }
}
