//! `medplum profile export NAME`

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::exit::Failure;
use crate::files;
use crate::flags::complete;
use crate::profile::Settings;

/// Print the settings of a profile as JSON, for `profile import` elsewhere; without secrets, login and tokens
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum profile export clinic > clinic.json\n\
        \x20 medplum profile export clinic --show-secrets --output clinic.json")]
pub struct ExportArgs {
    /// Name of the profile
    #[arg(add = complete::profile())]
    name: String,
    /// Write to this file, which only you can read, instead of stdout
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Take the secrets along as they are
    #[arg(long)]
    show_secrets: bool,
}

pub(super) fn run(context: &Context, args: &ExportArgs) -> anyhow::Result<()> {
    let file = super::read_to_show(context, &args.name, args.show_secrets)?
        .ok_or_else(|| context.store.unknown(&args.name))?;
    let mut object = Map::new();
    object.insert("name".into(), args.name.as_str().into());
    let mut left_out: Vec<&str> = Vec::new();
    let settings = file.settings();
    for (key, value) in settings.iter() {
        if args.show_secrets || !Settings::holds_secret(key, value) {
            object.insert(key.json().into(), value.into());
        } else {
            left_out.push(key.json());
        }
    }
    if !args.show_secrets {
        left_out.extend(file.held().iter().map(String::as_str));
    }
    let text = serde_json::to_string_pretty(&Value::Object(object))? + "\n";
    match &args.output {
        None => context.output.data(text.as_bytes())?,
        Some(path) => write(path, &text)?,
    }
    if !left_out.is_empty() {
        context.output.note(&format!(
            "Left out: {}. --show-secrets takes them along.",
            left_out.join(", ")
        ));
    }
    Ok(())
}

/// A plain file is replaced whole; a device, a FIFO or what a symlink leads to is written to.
fn write(path: &PathBuf, text: &str) -> Result<(), Failure> {
    let is_plain = path
        .symlink_metadata()
        .map_or(true, |about| about.is_file());
    let written = if is_plain {
        files::replace(path, text.as_bytes())
    } else {
        std::fs::write(path, text)
    };
    written.map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))
}
