//! `medplum completions SHELL`

use clap::Args;
use clap_complete::Shell;

use crate::output::Output;

/// Print the completion script for a shell
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    shell: Shell,
}

pub fn run(
    output: &Output,
    args: &CompletionsArgs,
    command: &mut clap::Command,
) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "medplum", &mut script);
    output.data(&script)
}
