//! `medplum profile …`

mod choose;
mod copy;
mod describe;
mod export;
mod import;
mod list;
mod remove;
mod rename;
mod set;

use clap::{Subcommand, ValueEnum};
use serde_json::{Map, Value};

use crate::context::Context;
use crate::profile::held::Place;
use crate::profile::store::ProfileFile;
use crate::profile::{ProfileError, Settings};

#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    Set(set::SetArgs),
    Describe(describe::DescribeArgs),
    List(list::ListArgs),
    Use(choose::UseArgs),
    Copy(copy::CopyArgs),
    Rename(rename::RenameArgs),
    Export(export::ExportArgs),
    Import(import::ImportArgs),
    Remove(remove::RemoveArgs),
}

pub async fn run(context: &Context, command: ProfileCommand) -> anyhow::Result<()> {
    match command {
        ProfileCommand::Set(args) => set::run(context, &args),
        ProfileCommand::Describe(args) => describe::run(context, &args),
        ProfileCommand::List(args) => list::run(context, &args),
        ProfileCommand::Use(args) => choose::run(context, &args),
        ProfileCommand::Copy(args) => copy::run(context, &args),
        ProfileCommand::Rename(args) => rename::run(context, &args),
        ProfileCommand::Export(args) => export::run(context, &args),
        ProfileCommand::Import(args) => import::run(context, &args),
        ProfileCommand::Remove(args) => Box::pin(remove::run(context, &args)).await,
    }
}

/// Reads a profile to show it; the keyring is asked only for secrets that are to be shown.
fn read_to_show(
    context: &Context,
    name: &str,
    show_secrets: bool,
) -> Result<Option<ProfileFile>, ProfileError> {
    let file = if show_secrets {
        context.store.read(name)?
    } else {
        context.store.read_public(name)?
    };
    Ok(file.filter(ProfileFile::has_options))
}

/// A profile as an object: its name and settings, secrets masked unless they are to be shown.
fn shown(name: &str, file: &ProfileFile, show_secrets: bool) -> Map<String, Value> {
    let settings = file.settings();
    let mut object = Map::new();
    object.insert("name".into(), name.into());
    for (key, value) in settings.iter() {
        object.insert(
            key.json().into(),
            Settings::shown(key, value, show_secrets).into(),
        );
    }
    for key in file.held() {
        object
            .entry(key.as_str())
            .or_insert_with(|| crate::secret::MASK.into());
    }
    if file.place() == Place::Keyring {
        object.insert("store".into(), "keyring".into());
    }
    object
}

/// Where secrets and tokens are kept: the values of `--store`
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum StoreArg {
    /// In the profile file, which only you can read
    File,
    /// In the keyring of the operating system
    Keyring,
}

impl From<StoreArg> for Place {
    fn from(store: StoreArg) -> Self {
        match store {
            StoreArg::File => Self::File,
            StoreArg::Keyring => Self::Keyring,
        }
    }
}
