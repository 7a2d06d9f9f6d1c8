//! The command line: the tree of commands, and the way from what was typed to the one that runs.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::auth::keys::KeyError;
use crate::commands::{
    auth_help, bulk, completions, demo, doctor, keys, login, logout, manual, options, profile,
    rest, sandbox, token, whoami,
};
use crate::context::Context;
use crate::exit;
use crate::flags::{self, Given};
use crate::output::{Color, Output};
use crate::{secret, verdicts};

/// Connect to FHIR servers: sign in, read and write, export and import in bulk
#[derive(Debug, Parser)]
#[command(
    name = "medplum",
    version,
    max_term_width = 100,
    after_help = "Examples:\n\
                  \x20 medplum demo\n\
                  \x20 medplum profile set example --base-url https://api.example.com\n\
                  \x20 medplum get -p example 'Patient?name=smith'\n\n\
                  How to sign in, with recipes for Epic, Oracle Health and others: medplum help auth\n\
                  Settings: flags, then the profile, then MEDPLUM_… variables, then ./.env, then defaults\n\
                  Exit codes: 0 done, 1 failed, 2 usage, 3 not allowed, 4 not found, 5 partial, 6 network, 130 stopped"
)]
struct Tree {
    #[command(subcommand)]
    command: Command,
}

/// What was typed: a command, and the flags that many commands take.
#[derive(Debug)]
pub struct Cli {
    command: Command,
    given: Given,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Store, show and remove the settings of servers
    #[command(
        subcommand,
        after_help = "Examples:\n\
                      \x20 medplum profile set example --base-url https://api.example.com\n\
                      \x20 medplum profile list"
    )]
    Profile(profile::ProfileCommand),
    Login(login::LoginArgs),
    Logout(logout::LogoutArgs),
    Whoami(whoami::WhoamiArgs),
    Token(token::TokenArgs),
    Doctor(doctor::DoctorArgs),
    Get(rest::get::GetArgs),
    Search(rest::search::SearchArgs),
    Count(rest::count::CountArgs),
    Post(rest::post::PostArgs),
    Put(rest::write::PutArgs),
    Patch(rest::write::PatchArgs),
    Delete(rest::delete::DeleteArgs),
    /// Export and import data in bulk
    #[command(
        subcommand,
        after_help = "Examples:\n\
                      \x20 medplum bulk export -p example -e Group/all -d export\n\
                      \x20 medplum bulk import -p example export"
    )]
    Bulk(bulk::BulkCommand),
    /// Make and show the keys that jwt-assertion signs with
    #[command(
        subcommand,
        after_help = "Examples:\n\
                      \x20 medplum keys generate --out key.pem\n\
                      \x20 medplum keys jwks key.pem"
    )]
    Keys(keys::KeysCommand),
    Sandbox(sandbox::SandboxArgs),
    Demo(demo::DemoArgs),
    Completions(completions::CompletionsArgs),
    #[command(name = "auth")]
    AuthHelp(auth_help::AuthHelpArgs),
    Options(options::OptionsArgs),
    Manual(manual::ManualArgs),
}

/// The tree of commands with every flag that they take.
pub fn tree() -> clap::Command {
    flags::attach(Tree::command(), &mut Vec::new())
}

/// Parses the command line.
///
/// # Errors
/// The exit code after help, version or a usage error was printed.
pub fn parse() -> Result<Cli, ExitCode> {
    let words: Vec<_> = std::env::args_os().collect();
    let parsed = match completions::answer(&words, tree) {
        Ok(true) => return Err(ExitCode::SUCCESS),
        Ok(false) => read(&words, &mut tree()),
        Err(error) => Err(error),
    };
    parsed.map_err(|error| {
        // A key where its path belongs begins with a dash: it is taken for a flag, and clap quotes what it cannot read.
        let is_key = |word: &OsString| secret::is_key(&word.to_string_lossy());
        if error.use_stderr() && words.iter().any(is_key) {
            let output = Output::new(None, false, 0, Color::Auto);
            return verdicts::report(&output, &KeyError::NoPath.into());
        }
        // clap prints help to stdout and errors to stderr; a closed pipe is fine.
        let _ = error.print();
        ExitCode::from(if error.use_stderr() { exit::USAGE } else { 0 })
    })
}

fn read(words: &[OsString], tree: &mut clap::Command) -> Result<Cli, clap::Error> {
    let matches = match tree.try_get_matches_from_mut(words) {
        Ok(matches) => matches,
        Err(error) => {
            let path = named(words, tree);
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            return Err(flags::elsewhere::with_tip(error, tree, &path));
        }
    };
    let given = Given::read(&matches, tree)?;
    let Tree { command } = Tree::from_arg_matches(&matches)?;
    Ok(Cli { command, given })
}

/// The command that the words name, as far as they do: words that are no command are values of flags.
fn named(words: &[OsString], tree: &clap::Command) -> Vec<String> {
    let mut path = Vec::new();
    let mut here = tree;
    for word in words.iter().skip(1).filter_map(|word| word.to_str()) {
        if let Some(below) = here.find_subcommand(word) {
            path.push(below.get_name().to_owned());
            here = below;
        }
    }
    path
}

impl Cli {
    /// The output as the flags ask for it.
    pub fn output(&self) -> Output {
        self.given.output.clone()
    }
}

/// Runs the command.
///
/// # Errors
/// Whatever the command failed with; [`crate::verdicts::report`] makes it a code.
pub async fn run(cli: Cli, output: Output) -> anyhow::Result<()> {
    if let Command::Completions(args) = &cli.command {
        return completions::run(&output, args);
    }
    if let Command::Manual(args) = &cli.command {
        return manual::run(&output, args, tree());
    }
    if let Command::Options(_) = &cli.command {
        return options::run(&output, &mut tree());
    }
    let writes = cli.command.writes();
    let context = Context::new(cli.given.globals()?, output)?
        .to_write(writes)
        .at_a_server_that_matters(writes || cli.command.leaves_something());
    // The commands' futures are large.
    let result = Box::pin(run_in(&context, cli.command)).await;
    context.say_mended();
    result
}

impl Command {
    /// Whether it changes what is on the server.
    fn writes(&self) -> bool {
        match self {
            Self::Post(_) | Self::Put(_) | Self::Patch(_) | Self::Delete(_) => true,
            Self::Bulk(command) => command.writes(),
            _ => false,
        }
    }

    /// Whether it leaves something at the server although it writes no resource there.
    fn leaves_something(&self) -> bool {
        match self {
            Self::Login(_) => true,
            Self::Bulk(command) => command.ends_job(),
            _ => false,
        }
    }
}

async fn run_in(context: &Context, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Profile(command) => profile::run(context, command).await,
        Command::Login(args) => Box::pin(login::run(context, args)).await,
        Command::Logout(args) => logout::run(context, args).await,
        Command::Whoami(args) => whoami::run(context, args).await,
        Command::Token(args) => token::run(context, args).await,
        Command::Doctor(args) => doctor::run(context, args).await,
        Command::Get(args) => rest::get::run(context, args).await,
        Command::Search(args) => rest::search::run(context, args).await,
        Command::Count(args) => rest::count::run(context, args).await,
        Command::Post(args) => rest::post::run(context, args).await,
        Command::Put(args) => rest::write::put(context, args).await,
        Command::Patch(args) => rest::write::patch(context, args).await,
        Command::Delete(args) => rest::delete::run(context, args).await,
        Command::Bulk(command) => bulk::run(context, command).await,
        Command::Keys(command) => keys::run(context, command).await,
        Command::Sandbox(args) => sandbox::run(context, args).await,
        Command::Demo(args) => demo::run(context, args).await,
        Command::AuthHelp(args) => auth_help::run(context, args),
        Command::Completions(_) | Command::Options(_) | Command::Manual(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tree_is_sound() {
        tree().debug_assert();
    }
}
