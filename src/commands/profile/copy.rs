//! `medplum profile copy FROM TO`

use clap::Args;

use super::super::given_back::say_dropped;
use crate::context::Context;
use crate::flags::complete;

/// Copy the settings and secrets of a profile; its login and tokens stay with it
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum profile copy clinic clinic-test")]
pub struct CopyArgs {
    /// Profile to copy
    #[arg(add = complete::profile())]
    from: String,
    /// Name of the copy
    to: String,
    /// Replace a profile of that name
    #[arg(long)]
    force: bool,
}

pub(super) fn run(context: &Context, args: &CopyArgs) -> anyhow::Result<()> {
    let CopyArgs { from, to, force } = args;
    let replaced = context.store.read(to).ok().flatten();
    context.store.copy(from, to, *force)?;
    context
        .output
        .note(&format!("Profile {from} copied to {to}"));
    if let Some(before) = &replaced {
        say_dropped(context, to, before);
    }
    Ok(())
}
