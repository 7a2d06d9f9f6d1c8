//! `medplum profile list`

use clap::Args;
use serde_json::Value;

use crate::context::Context;
use crate::output::{Format, table};

/// List all profiles; the one that is used when none is named is marked
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum profile list -o json")]
pub struct ListArgs {
    /// Show secrets as they are
    #[arg(long)]
    show_secrets: bool,
}

pub(super) fn run(context: &Context, args: &ListArgs) -> anyhow::Result<()> {
    let in_use = context.profile_in_use();
    let mut profiles = Vec::new();
    for name in context.store.names()? {
        match super::read_to_show(context, &name, args.show_secrets) {
            Ok(Some(file)) => {
                let mut profile = super::shown(&name, &file, args.show_secrets);
                if in_use.as_ref() == Some(&name) {
                    profile.insert("inUse".into(), true.into());
                }
                profiles.push(profile);
            }
            Ok(_) => {}
            // One broken file must not hide the others.
            Err(error) => context.output.warn(&error.to_string()),
        }
    }
    match context.output.format_for_lists() {
        Format::Json => {
            let list = Value::Array(profiles.into_iter().map(Value::Object).collect());
            context.output.json(&list.to_string())
        }
        Format::Ndjson => profiles
            .into_iter()
            .try_for_each(|profile| context.output.line(&Value::Object(profile).to_string())),
        Format::Table => {
            if profiles.is_empty() {
                context.output.note("There are no profiles yet; make one with `medplum profile set NAME --base-url URL`");
                return Ok(());
            }
            let columns = ["baseUrl", "fhirUrlPath", "authType", "clientId"];
            let rows: Vec<Vec<String>> = profiles
                .iter()
                .map(|profile| {
                    let cell = |column: &&str| {
                        profile
                            .get(*column)
                            .and_then(Value::as_str)
                            .unwrap_or("-")
                            .to_owned()
                    };
                    let mut name = cell(&"name");
                    if profile.contains_key("inUse") {
                        name += " (in use)";
                    }
                    std::iter::once(name)
                        .chain(columns.iter().map(cell))
                        .collect()
                })
                .collect();
            context.output.line(&table::render(
                &["name", "base url", "fhir path", "auth type", "client id"],
                &rows,
            ))
        }
    }
}
