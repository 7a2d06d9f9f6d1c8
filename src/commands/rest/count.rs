//! `medplum count`: how many resources of each type there are.

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::searched;
use crate::auth::discovery::document::Statement;
use crate::context::Context;
use crate::exit::{Failure, PARTIAL};
use crate::fhir::{Client, FhirError, TokenRule};
use crate::foreign::Foreign;
use crate::http::Request;
use crate::output::{Format, table};

/// Requests under way at a time.
const AT_A_TIME: usize = 8;

/// Count resources by type
///
/// Without types, those that the server says it has. A type that the server refuses, or gives no number of, is listed with
/// the reason, and the exit code is 5.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum count -p example\n\
        \x20 medplum count -p example Patient Observation -o json")]
pub struct CountArgs {
    /// Types to count [default: all that can be searched]
    #[arg(value_name = "TYPE")]
    types: Vec<String>,
    /// Leave out types without resources
    #[arg(long)]
    some: bool,
}

/// What was found of a type.
struct Row {
    name: String,
    found: Result<u64, String>,
}

pub async fn run(context: &Context, args: CountArgs) -> anyhow::Result<()> {
    if let Some(wrong) = args.types.iter().find(|name| !searched::is_type(name)) {
        let words = format!("`{wrong}` is no type of resources");
        return Err(Failure::usage(words).into());
    }
    let client = context.fhir()?;
    let types = if args.types.is_empty() {
        types_of(&client).await?
    } else {
        args.types
    };
    let mut rows = all(&client, &types).await?;
    let refused = rows.iter().filter(|row| row.found.is_err()).count();
    rows.retain(|row| !args.some || row.found != Ok(0));
    show(context, &rows)?;
    if refused == 0 {
        return Ok(());
    }
    let words = format!("{refused} of {} types were not counted", types.len());
    Err(Failure::new(PARTIAL, words).into())
}

/// The types that a server says can be searched (FHIR R4, CapabilityStatement). One that names no interactions says nothing.
async fn types_of(client: &Client) -> anyhow::Result<Vec<String>> {
    let request = Request::new(Method::GET, client.url("metadata")?);
    let answer = client
        .read(request, TokenRule::OwnOrigins)
        .await?
        .checked()?;
    let statement: Statement = serde_json::from_slice(&answer.body).unwrap_or_default();
    let resources = statement
        .rest
        .0
        .into_iter()
        .flat_map(|rest| rest.resource.0);
    let searched = resources.filter(|resource| {
        let names = resource.interaction.as_ref();
        names.is_none_or(|names| {
            names
                .0
                .iter()
                .any(|name| name.code.get() == Some("search-type"))
        })
    });
    let mut types: Vec<String> = searched
        .filter_map(|resource| resource.kind.get().map(str::to_owned))
        .filter(|name| searched::is_type(name))
        .collect();
    types.sort_unstable();
    types.dedup();
    if types.is_empty() {
        return Err(Failure::new(
            crate::exit::FAILED,
            "the server's CapabilityStatement names no type that can be searched",
        )
        .hint("name the types: medplum count Patient Observation")
        .into());
    }
    Ok(types)
}

/// Asks for each, some at a time.
///
/// # Errors
/// What stops all of them: no token, or nobody answers.
async fn all(client: &Client, types: &[String]) -> anyhow::Result<Vec<Row>> {
    let mut tasks = JoinSet::new();
    let mut waiting = types.iter().cloned().enumerate();
    let mut rows: Vec<(usize, Row)> = Vec::with_capacity(types.len());
    loop {
        while tasks.len() < AT_A_TIME
            && let Some((at, name)) = waiting.next()
        {
            let client = client.clone();
            tasks.spawn(async move { (at, one(&client, name).await) });
        }
        let Some(ended) = tasks.join_next().await else {
            break;
        };
        let (at, row) = ended?;
        rows.push((at, row?));
    }
    rows.sort_unstable_by_key(|(at, _)| *at);
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

async fn one(client: &Client, name: String) -> Result<Row, FhirError> {
    let url = client.url(&format!("{name}?_summary=count"))?;
    let answer = client
        .read(Request::new(Method::GET, url), TokenRule::OwnOrigins)
        .await?;
    let found = match answer.checked() {
        Ok(answer) => searched::total(&String::from_utf8_lossy(&answer.body))
            .ok_or_else(|| "the server gives no number".to_owned()),
        // Of all types the token is the same: it is not good.
        Err(FhirError::Refused(refusal)) if refusal.status.as_u16() == 401 => {
            return Err(FhirError::Refused(refusal));
        }
        Err(FhirError::Refused(refusal)) => {
            let said = refusal
                .words
                .first()
                .map(|words| format!(": {}", Foreign::new(words)));
            Err(format!("{}{}", refusal.status, said.unwrap_or_default()))
        }
        Err(error) => return Err(error),
    };
    Ok(Row { name, found })
}

fn show(context: &Context, rows: &[Row]) -> anyhow::Result<()> {
    let value = |row: &Row| match &row.found {
        Ok(number) => json!({"type": row.name, "count": number}),
        Err(reason) => json!({"type": row.name, "count": Value::Null, "reason": reason}),
    };
    match context.output.format_for_lists() {
        Format::Json => {
            let all: Vec<Value> = rows.iter().map(value).collect();
            context.output.json(&Value::Array(all).to_string())
        }
        Format::Ndjson => rows
            .iter()
            .try_for_each(|row| context.output.line(&value(row).to_string())),
        Format::Table => {
            let rows: Vec<Vec<String>> = rows
                .iter()
                .map(|row| match &row.found {
                    Ok(number) => vec![row.name.clone(), number.to_string(), String::new()],
                    Err(reason) => vec![row.name.clone(), "-".to_owned(), reason.clone()],
                })
                .collect();
            context
                .output
                .line(&table::render(&["type", "count", "reason"], &rows))
        }
    }
}
