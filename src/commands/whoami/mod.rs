//! `medplum whoami`

mod login;

use clap::Args;
use serde_json::{Map, Value};

use crate::auth::AuthError;
use crate::auth::introspection::{self, Answered, Said};
use crate::context::Context;
use crate::fhir::{Client, TokenRule};
use crate::foreign::Foreign;
use crate::http::Request;
use crate::output::Format;

/// Show the server, the login and how long it is good
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum whoami -p example")]
pub struct WhoamiArgs {}

pub async fn run(context: &Context, _args: WhoamiArgs) -> anyhow::Result<()> {
    let client = context.fhir()?;
    let token = match client.tokens.token().await {
        Ok(token) => Some(token),
        // Basic credentials are no login, and no token either.
        Err(AuthError::NoLogin { .. })
            if !client.tokens.is_anonymous() && !client.tokens.has_tokens() =>
        {
            None
        }
        Err(error) => {
            if matches!(error, AuthError::NoLogin { .. } | AuthError::Expired { .. }) {
                context.output.line("Not logged in")?;
            }
            return Err(error.into());
        }
    };
    let mut facts = login::of(&client, token.as_ref());
    let mut refused = None;
    if let Some(token) = &token {
        add_said(&mut facts, &client.tokens.ask_about(token).await);
    } else {
        let (checked, error) = check_basic(&client).await?;
        facts.push(("Checked", checked));
        refused = error;
    }
    if context.output.format == Some(Format::Json) {
        let object: Map<String, Value> = facts
            .iter()
            .map(|(name, value)| (name.to_lowercase(), value.as_str().into()))
            .collect();
        context.output.json(&Value::Object(object).to_string())?;
        return refused.map_or(Ok(()), Err);
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
            .report(&format!("{:<width$}{value}", format!("{name}:")))?;
    }
    refused.map_or(Ok(()), Err)
}

/// The server's own word on the token and on who signed in.
fn add_said(facts: &mut Vec<(&'static str, String)>, said: &Said) {
    match &said.introspection {
        Answered::Said(said) => facts.push(("Introspection", introspection::as_line(said))),
        Answered::Failed(why) => facts.push(("Introspection", format!("failed: {why}"))),
        Answered::NotOffered => {}
    }
    match &said.userinfo {
        Answered::Said(said) => {
            let text = |name: &str| said.get(name).and_then(Value::as_str);
            let who: Vec<String> = ["name", "email", "fhirUser", "sub"]
                .iter()
                .filter_map(|name| Some(format!("{name} {}", Foreign::new(text(name)?).as_str())))
                .collect();
            facts.push(("Userinfo", who.join(", ")));
        }
        Answered::Failed(why) => facts.push(("Userinfo", format!("failed: {why}"))),
        Answered::NotOffered => {}
    }
    // What stands above is then what was said when the token came, or nobody's word at all.
    if let Some(why) = said.unknown() {
        facts.push(("Checked", format!("not checked: {why}")));
    }
}

/// Whether the server takes id and secret of HTTP Basic, and the error when it does not: nothing here says whether they
/// are right. The number of patients is the smallest thing that a server tells to nobody else.
async fn check_basic(client: &Client) -> anyhow::Result<(String, Option<anyhow::Error>)> {
    let url = client.url("Patient?_summary=count")?;
    let request = Request::new(reqwest::Method::GET, url);
    let answer = match client.read_once(request, TokenRule::OwnOrigins).await {
        Ok(answer) => answer,
        Err(error) => {
            return Ok((
                Foreign::new(&error.to_string()).to_string(),
                Some(error.into()),
            ));
        }
    };
    let status = answer.status;
    Ok(match (status, answer.checked()) {
        (reqwest::StatusCode::UNAUTHORIZED, Err(error)) => (
            "the server refuses id and secret".to_owned(),
            Some(error.into()),
        ),
        _ => (
            format!("the server does not refuse id and secret ({status})"),
            None,
        ),
    })
}
