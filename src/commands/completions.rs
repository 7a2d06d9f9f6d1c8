//! `medplum completions SHELL`, and the answers to the scripts that it prints.

use std::ffi::OsString;

use clap::{Args, ValueEnum};
use clap_complete::CompleteEnv;
use clap_complete::env::Shells;

use crate::exit::Failure;
use crate::output::Output;

/// What a completion script sets when it asks.
const VARIABLE: &str = "MEDPLUM_COMPLETE";

/// Print the completion script for a shell; it asks medplum, so it knows the names of profiles too
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum completions bash > ~/.local/share/bash-completion/completions/medplum")]
pub struct CompletionsArgs {
    shell: Shell,
}

/// The shells there are scripts for
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

pub fn run(output: &Output, args: &CompletionsArgs) -> anyhow::Result<()> {
    let value = args.shell.to_possible_value();
    let shells = Shells::builtins();
    let shell = value
        .as_ref()
        .and_then(|value| shells.completer(value.get_name()));
    let Some(shell) = shell else {
        return Err(Failure::usage("this shell has no completions").into());
    };
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "medplum", "medplum", "medplum", &mut script)?;
    output.data(&script)
}

/// Answers a completion script, if one asks.
///
/// # Errors
/// The shell that asks is unknown, or stdout cannot be written.
pub fn answer(words: &[OsString], tree: fn() -> clap::Command) -> clap::error::Result<bool> {
    let folder = std::env::current_dir().ok();
    CompleteEnv::with_factory(|| shown(tree()))
        .var(VARIABLE)
        .try_complete(words, folder.as_deref())
}

/// The tree with the flags that help leaves to `medplum help options`: a shell completes those too.
fn shown(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| arg.hide(false))
        .mut_subcommands(shown)
}
