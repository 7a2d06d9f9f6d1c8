//! `medplum profile …`

mod describe;
mod list;
mod remove;
mod set;

use clap::Subcommand;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::profile::Settings;

#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    Set(set::SetArgs),
    Describe(describe::DescribeArgs),
    List(list::ListArgs),
    Remove(remove::RemoveArgs),
}

pub fn run(context: &Context, command: ProfileCommand) -> anyhow::Result<()> {
    match command {
        ProfileCommand::Set(args) => set::run(context, &args),
        ProfileCommand::Describe(args) => describe::run(context, &args),
        ProfileCommand::List(args) => list::run(context, &args),
        ProfileCommand::Remove(args) => remove::run(context, &args),
    }
}

/// A profile as an object: its name and settings, secrets masked unless they are to be shown.
fn shown(name: &str, settings: &Settings, show_secrets: bool) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("name".into(), name.into());
    for (key, value) in settings.iter() {
        object.insert(
            key.json().into(),
            Settings::shown(key, value, show_secrets).into(),
        );
    }
    object
}
