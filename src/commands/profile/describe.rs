//! `medplum profile describe NAME`

use clap::Args;
use serde_json::Value;

use crate::context::Context;
use crate::output::{Format, table};

/// Show the settings of a profile
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum profile describe example")]
pub struct DescribeArgs {
    /// Name of the profile
    #[arg(add = crate::flags::complete::profile())]
    name: String,
    /// Show secrets as they are
    #[arg(long)]
    show_secrets: bool,
}

pub(super) fn run(context: &Context, args: &DescribeArgs) -> anyhow::Result<()> {
    let file = super::read_to_show(context, &args.name, args.show_secrets)?
        .ok_or_else(|| context.store.unknown(&args.name))?;
    let object = super::shown(&args.name, &file, args.show_secrets);
    if context.output.format_for_lists() != Format::Table {
        return context.output.json(&Value::Object(object).to_string());
    }
    let rows: Vec<Vec<String>> = object
        .iter()
        .map(|(key, value)| vec![key.clone(), value.as_str().unwrap_or_default().to_owned()])
        .collect();
    context
        .output
        .line(&table::render(&["setting", "value"], &rows))
}
