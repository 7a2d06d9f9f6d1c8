//! `medplum completions SHELL`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::output::Output;

/// Print the completion script for a shell
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    shell: Shell,
}

pub fn run(output: &Output, args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "medplum", &mut script);
    output.data(&script)
}
