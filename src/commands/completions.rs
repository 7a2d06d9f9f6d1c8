//! `medplum completions SHELL`

use clap::Args;
use clap_complete::Shell;

use crate::output::Output;

/// Print the completion script for a shell
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum completions bash > ~/.local/share/bash-completion/completions/medplum")]
pub struct CompletionsArgs {
    shell: Shell,
}

pub fn run(output: &Output, args: &CompletionsArgs, tree: clap::Command) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut shown(tree), "medplum", &mut script);
    output.data(&script)
}

/// The tree with the flags that help leaves to `medplum help options`: a shell completes those too.
fn shown(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| arg.hide(false))
        .mut_subcommands(shown)
}
