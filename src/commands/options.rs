//! `medplum help options`: the flags that many commands take, by group.

use clap::Args;

use crate::output::Output;

/// Flags of sign-in, network and output, which stand before or after a command's name
#[derive(Args, Debug)]
#[command(hide = true, help_template = "{about}\n\n{all-args}")]
pub struct OptionsArgs {}

/// Prints what its help says.
///
/// # Errors
/// stdout cannot be written.
pub fn run(output: &Output, tree: &mut clap::Command) -> anyhow::Result<()> {
    tree.build();
    let text = tree
        .find_subcommand_mut("options")
        .map(|command| command.render_help().to_string());
    output.line(text.unwrap_or_default().trim_end())
}
