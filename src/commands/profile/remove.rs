//! `medplum profile remove NAME`

use clap::Args;

use crate::context::Context;

/// Remove a profile with its login and tokens, those in the keyring too
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum profile remove example")]
pub struct RemoveArgs {
    /// Name of the profile
    #[arg(add = crate::flags::complete::profile())]
    name: String,
}

pub(super) fn run(context: &Context, args: &RemoveArgs) -> anyhow::Result<()> {
    if let Some(target) = context.store.remove(&args.name)? {
        context.output.warn(&format!(
            "It was a link; what it leads to stays, with its secrets: {}",
            target.display()
        ));
    }
    context
        .output
        .line(&format!("{} profile removed", args.name))
}
