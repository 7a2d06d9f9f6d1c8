//! `medplum whoami`

use clap::Args;
use jiff::{SignedDuration, Timestamp, Unit};
use serde_json::{Map, Value};

use crate::auth::{AuthError, Token};
use crate::context::Context;
use crate::fhir::Client;
use crate::output::Format;

/// Show the server, the login and how long it is good
#[derive(Args, Debug)]
pub struct WhoamiArgs {}

pub async fn run(context: &Context, _args: WhoamiArgs) -> anyhow::Result<()> {
    let client = context.fhir()?;
    let token = match client.tokens.token().await {
        Ok(token) => Some(token),
        Err(AuthError::NoLogin { .. }) if !client.tokens.is_anonymous() => None,
        Err(error) => {
            if matches!(error, AuthError::NoLogin { .. } | AuthError::Expired { .. }) {
                context.output.line("Not logged in")?;
            }
            return Err(error.into());
        }
    };
    let facts = facts(&client, token.as_ref());
    if context.output.format == Some(Format::Json) {
        let object: Map<String, Value> = facts
            .iter()
            .map(|(name, value)| (name.to_lowercase(), value.as_str().into()))
            .collect();
        return context.output.json(&Value::Object(object).to_string());
    }
    let width = facts
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or_default()
        + 2;
    for (name, value) in facts {
        context
            .output
            .line(&format!("{:<width$}{value}", format!("{name}:")))?;
    }
    Ok(())
}

/// Medplum's own lines first, on a Medplum login; then what is true of any server.
fn facts(client: &Client, token: Option<&Token>) -> Vec<(&'static str, String)> {
    let profile = &client.profile;
    let mut facts = vec![("Server", profile.base_url.to_string())];
    let context = token.map(|token| &token.context);
    let named = |key: &str| {
        let value = context?.get(key)?;
        let text = |field: &str| value.get(field).and_then(Value::as_str);
        let name = text("display")
            .or_else(|| text("reference"))
            .or_else(|| value.as_str())?;
        Some(match text("reference") {
            Some(reference) if reference != name => format!("{name} ({reference})"),
            _ => name.to_owned(),
        })
    };
    if let Some(project) = named("project") {
        facts.push(("Profile", named("profile").unwrap_or_default()));
        facts.push(("Project", project));
    }
    facts.push(("FHIR", profile.fhir_base.to_string()));
    facts.push(("Auth", client.tokens.describe().to_owned()));
    if let Some(id) = &profile.client_id {
        facts.push(("Client", id.clone()));
    }
    if let Some(asked) = &profile.scope {
        facts.push(("Asked", asked.clone()));
    }
    if let Some(granted) = token.and_then(|token| token.scope.clone()) {
        facts.push(("Granted", granted));
    }
    for (key, name) in [("patient", "Patient"), ("encounter", "Encounter")] {
        if let Some(value) = named(key) {
            facts.push((name, value));
        }
    }
    if let Some((_, until)) = token.and_then(|token| token.lifetime) {
        facts.push(("Expires", expiry(until)));
    }
    facts
}

fn expiry(until: Timestamp) -> String {
    let left = until
        .duration_since(Timestamp::now())
        .max(SignedDuration::ZERO);
    let until = until.round(Unit::Second).unwrap_or(until);
    format!("{until} (in {} s)", left.as_secs())
}
