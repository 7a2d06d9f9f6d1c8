//! `medplum put|patch URL BODY`, and what post shares with them

use bytes::Bytes;
use clap::Args;
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue, IF_MATCH};

use super::{AnswerArgs, body, condition};
use crate::context::Context;
use crate::exit::Failure;
use crate::fhir::{Client, FHIR_JSON, TokenRule, with_body};
use crate::http::Request;
use crate::profile::Key;

const JSON_PATCH: &str = "application/json-patch+json";

/// What writes have in common
#[derive(Args, Debug)]
pub struct WriteArgs {
    /// Relative to the FHIR base, as for get
    url: String,
    /// JSON, @FILE, or - for stdin
    body: String,
    /// Value of the Prefer header, such as return=minimal
    #[arg(long, value_name = "PREFERENCE")]
    prefer: Option<String>,
    #[command(flatten)]
    pub(super) answer: AnswerArgs,
}

/// Replace a resource, or create it with this id
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum put -p example Patient/123 @patient.json --if-match 'W/\"3\"'")]
pub struct PutArgs {
    #[command(flatten)]
    write: WriteArgs,
    /// Replace only this version, such as 3 or 'W/"3"'
    #[arg(long, value_name = "ETAG", value_parser = condition::etag)]
    if_match: Option<HeaderValue>,
}

/// Change a resource: a JSON Patch array, or FHIR Parameters
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum patch -p example Patient/123 \\\n\
        \x20     '[{\"op\": \"replace\", \"path\": \"/active\", \"value\": false}]'")]
pub struct PatchArgs {
    #[command(flatten)]
    write: WriteArgs,
    /// Change only this version, such as 3 or 'W/"3"'
    #[arg(long, value_name = "ETAG", value_parser = condition::etag)]
    if_match: Option<HeaderValue>,
}

pub async fn put(context: &Context, args: PutArgs) -> anyhow::Result<()> {
    send(context, Method::PUT, &args.write, args.if_match).await
}

pub async fn patch(context: &Context, args: PatchArgs) -> anyhow::Result<()> {
    send(context, Method::PATCH, &args.write, args.if_match).await
}

async fn send(
    context: &Context,
    method: Method,
    args: &WriteArgs,
    if_match: Option<HeaderValue>,
) -> anyhow::Result<()> {
    let (client, mut request) = prepare(context, method.clone(), args)?;
    if let Some(version) = if_match {
        request = request.header(IF_MATCH, version);
    }
    let answer = client.read(request, TokenRule::OwnOrigins).await?;
    super::show(context, &args.answer, answer)
}

/// Client and request; the body is read and checked before any server hears of it.
pub(super) fn prepare(
    context: &Context,
    method: Method,
    args: &WriteArgs,
) -> anyhow::Result<(Client, Request)> {
    let given = context.globals.settings.get(Key::Headers);
    let own_type = given.unwrap_or_default().lines().any(|header| {
        header
            .split(':')
            .next()
            .is_some_and(|name| name.trim().eq_ignore_ascii_case("content-type"))
    });
    let body = body::read(&args.body, !own_type)?;
    let content_type = match method {
        Method::PATCH if !own_type => patch_type(&body)?,
        _ => FHIR_JSON,
    };
    let client = context.fhir()?;
    let mut request = with_body(
        Request::new(method, client.url(&args.url)?),
        body,
        content_type,
    );
    if let Some(preference) = &args.prefer {
        request = request.header(
            HeaderName::from_static("prefer"),
            value("--prefer", preference)?,
        );
    }
    Ok((client, request))
}

/// An array is a JSON Patch (RFC 6902); Parameters are a FHIRPath Patch. Servers take nothing else as FHIR JSON, and one
/// that takes a resource here would not merge but replace.
fn patch_type(body: &Bytes) -> Result<&'static str, Failure> {
    match serde_json::from_slice(body) {
        Ok(serde_json::Value::Array(_)) => Ok(JSON_PATCH),
        Ok(json) if json.get("resourceType").is_some_and(|kind| kind == "Parameters") => {
            Ok(FHIR_JSON)
        }
        _ => Err(Failure::usage(
            "the body is no patch that FHIR knows as JSON: neither a list nor a Parameters resource",
        )
        .hint(
            "write a JSON Patch ([{\"op\": \"replace\", \"path\": \"/active\", \"value\": true}]), a FHIRPath Patch \
             ({\"resourceType\": \"Parameters\", …}), or say what else it is, such as \
             -H 'Content-Type: application/merge-patch+json'; nothing was sent",
        )),
    }
}

fn value(flag: &str, text: &str) -> Result<HeaderValue, Failure> {
    text.parse()
        .map_err(|_| Failure::usage(format!("`{text}` cannot be the value of {flag}")))
}
