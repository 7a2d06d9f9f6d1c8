//! `medplum profile use NAME`

use clap::Args;

use crate::context::Context;
use crate::flags::complete;
use crate::profile::DEFAULT_NAME;
use crate::profile::env_file::PROFILE;

/// Choose the profile that commands use when none is named by -p or MEDPLUM_PROFILE
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum profile use clinic\n\
        \x20 medplum profile use default")]
pub struct UseArgs {
    /// Profile to use; `default` goes back to the one of that name
    #[arg(add = complete::profile())]
    name: String,
}

pub(super) fn run(context: &Context, args: &UseArgs) -> anyhow::Result<()> {
    let name = &args.name;
    if name == DEFAULT_NAME {
        context.store.use_none()?;
    } else {
        context.store.use_profile(name)?;
    }
    context
        .output
        .note(&format!("Commands that name no profile use {name} now"));
    if let Some(named) = context.profile_in_use().filter(|named| named != name) {
        context.output.warn(&format!(
            "Here {PROFILE} stands above that: it names {named}."
        ));
    }
    Ok(())
}
