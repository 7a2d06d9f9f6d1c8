//! `medplum keys …`

mod check;
mod generate;
mod jwks;
mod rotate;
mod show;

use clap::Subcommand;
use serde_json::{Map, Value};

use crate::auth::keys::Key;
use crate::context::Context;
use crate::output::{Format, table};

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    Generate(generate::GenerateArgs),
    Jwks(jwks::JwksArgs),
    Rotate(rotate::RotateArgs),
    Show(show::ShowArgs),
}

pub async fn run(context: &Context, command: KeysCommand) -> anyhow::Result<()> {
    match command {
        KeysCommand::Generate(args) => generate::run(context, &args),
        KeysCommand::Jwks(args) => jwks::run(context, &args).await,
        KeysCommand::Rotate(args) => rotate::run(context, &args),
        KeysCommand::Show(args) => show::run(context, &args),
    }
}

/// What there is to say of a key without showing it.
fn about(key: &Key) -> Map<String, Value> {
    [
        ("kid", key.kid()),
        ("alg", key.algorithm().name().to_owned()),
        ("type", key.public.describe()),
        ("thumbprint", key.public.thumbprint()),
        (
            "part",
            if key.is_private() {
                "private"
            } else {
                "public"
            }
            .to_owned(),
        ),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.into()))
    .collect()
}

/// Prints objects with the same fields: one as an object, several as a list, or all as lines.
fn print(context: &Context, objects: Vec<Map<String, Value>>) -> anyhow::Result<()> {
    let output = &context.output;
    match output.format_for_lists() {
        Format::Ndjson => objects
            .into_iter()
            .try_for_each(|object| output.line(&Value::Object(object).to_string())),
        Format::Json => {
            let mut values: Vec<Value> = objects.into_iter().map(Value::Object).collect();
            let shown = match values.len() {
                1 => values.remove(0),
                _ => Value::Array(values),
            };
            output.json(&shown.to_string())
        }
        Format::Table => {
            let rows: Vec<Vec<String>> = objects
                .iter()
                .flat_map(|object| object.iter())
                .map(|(name, value)| vec![name.clone(), value.as_str().unwrap_or_default().into()])
                .collect();
            output.line(&table::render(&["field", "value"], &rows))
        }
    }
}
