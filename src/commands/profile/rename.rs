//! `medplum profile rename FROM TO`

use clap::Args;

use super::super::given_back::say_dropped;
use crate::context::Context;
use crate::flags::complete;

/// Give a profile another name, with its login and tokens
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum profile rename clinic-test test")]
pub struct RenameArgs {
    /// Profile to rename
    #[arg(add = complete::profile())]
    from: String,
    /// Its new name
    to: String,
    /// Replace a profile of that name
    #[arg(long)]
    force: bool,
}

pub(super) fn run(context: &Context, args: &RenameArgs) -> anyhow::Result<()> {
    let RenameArgs { from, to, force } = args;
    let replaced = context.store.read(to).ok().flatten();
    context.store.rename(from, to, *force)?;
    context.output.note(&format!("Profile {from} is now {to}"));
    if let Some(before) = &replaced {
        say_dropped(context, to, before);
    }
    Ok(())
}
