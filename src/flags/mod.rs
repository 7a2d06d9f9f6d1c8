//! The flags that many commands take, in tables by group: a command takes the groups that it uses (`taken.rs`), and its
//! help shows its own flags. They stand before a command's name or after it.

pub mod chain;
pub mod complete;
pub mod elsewhere;
pub mod flag;
pub mod keys;
pub mod network;
pub mod output;
pub mod sign_in;
pub mod taken;

use std::path::Path;

use clap::{ArgMatches, Command};

use crate::context::Globals;
use crate::exit::Failure;
use crate::output::Output;
use crate::profile::{Key, Settings, secret_file};
use chain::Chain;
use flag::{Flag, Group, Reads};

/// The command that lists all flags of all groups.
const LISTS_ALL: &str = "options";

/// The command with all below it and the flags that they take. Help names where those are listed.
pub fn attach(command: Command, path: &mut Vec<String>) -> Command {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    let lists_all = names == [LISTS_ALL];
    let groups = taken::groups(&names);
    let beside = taken::beside(&names).map_or(&[][..], |(groups, _)| groups);
    // Before the name of a command stands what the command takes, whichever it is.
    let takes_all = lists_all || command.has_subcommands();
    let mut command = command;
    for (group, flags) in taken::ALL {
        if takes_all || groups.contains(&group) || beside.contains(&group) {
            let is_hidden = group != Group::Profile || !groups.contains(&group);
            let own: Vec<String> = command
                .get_arguments()
                .filter_map(|arg| arg.get_long().map(str::to_owned))
                .collect();
            command = command.args(flags.iter().map(|flag| {
                // A command's own word stands for itself: `token --header`, beside -H.
                let has_own = |arg: &clap::Arg| own.iter().any(|long| arg.get_long() == Some(long));
                let arg = match flag.arg() {
                    arg if has_own(&arg) => arg.long(None),
                    arg => arg,
                };
                if lists_all {
                    arg.help_heading(group.heading()).long_help(None)
                } else {
                    arg.hide(is_hidden)
                }
            }));
        }
    }
    if !lists_all {
        command = point_to_list(command, groups);
    }
    command.mut_subcommands(|below| {
        path.push(below.get_name().to_owned());
        let below = attach(below, path);
        path.pop();
        below
    })
}

/// Help that ends with the place where the other flags are listed.
fn point_to_list(command: Command, groups: &[Group]) -> Command {
    let of = if groups.contains(&Group::SignIn) {
        "sign-in, network and output"
    } else if groups.contains(&Group::Keys) {
        "keys and output"
    } else {
        "output (-o, -q, -v)"
    };
    let line = format!("Flags of {of}: medplum help {LISTS_ALL}");
    // A paragraph of examples ends here; the notes at the end of the program's own help go on.
    let gap = if command.get_name() == "medplum" {
        "\n"
    } else {
        "\n\n"
    };
    let after = match command.get_after_help() {
        Some(text) => format!("{text}{gap}{line}"),
        None => line,
    };
    command.after_help(after)
}

/// What was typed of the flags that many commands take.
#[derive(Debug)]
pub struct Given {
    pub output: Output,
    /// What cannot be used is said when the output is there to say it.
    globals: Result<Globals, Failure>,
    /// The secret that is to be read from stdin.
    on_stdin: Option<Key>,
}

impl Given {
    /// Reads them.
    ///
    /// # Errors
    /// A flag of a group that the command does not take, two that cannot stand together, one without its companion.
    pub fn read(matches: &ArgMatches, tree: &mut Command) -> Result<Self, clap::Error> {
        let chain = Chain::of(matches);
        elsewhere::check(&chain, tree)?;
        let mut settings = Settings::default();
        let mut on_stdin = None;
        for flag in taken::ALL.iter().flat_map(|(_, flags)| *flags) {
            let Some((key, value)) = setting(flag, &chain) else {
                continue;
            };
            match (key, value.as_deref()) {
                (Key::ClientSecretFile, Some("-")) => on_stdin = Some(Key::ClientSecret),
                (Key::AccessToken | Key::AccessTokenFile, Some("-")) => {
                    on_stdin = Some(Key::AccessToken);
                }
                _ => settings.set(key, value),
            }
        }
        Ok(Self {
            output: output::read(&chain),
            globals: network::check_headers(&chain).map(|()| Globals {
                profile: chain.last("profile"),
                settings,
                network: network::read(&chain),
                no_env_file: chain.any("no-env-file"),
            }),
            on_stdin,
        })
    }

    /// What the command works with.
    ///
    /// # Errors
    /// A header is none, or a secret is to come from stdin and does not.
    pub fn globals(self) -> Result<Globals, Failure> {
        let mut globals = self.globals?;
        if let Some(key) = self.on_stdin {
            let what = if key == Key::AccessToken {
                "access token"
            } else {
                "client secret"
            };
            let secret = secret_file::from_stdin().map_err(|reason| {
                Failure::usage(format!("cannot read the {what} from stdin: {reason}"))
            })?;
            globals.settings.set(key, Some(secret.expose().to_owned()));
        }
        Ok(globals)
    }
}

/// The setting that a flag gives, if it gives one.
fn setting(flag: &Flag, given: &Chain) -> Option<(Key, Option<String>)> {
    let value = || given.last::<String>(flag.long);
    Some(match flag.reads {
        Reads::Text(key) | Reads::Switch(key) => (key, value()),
        Reads::Path(key) => (key, value().map(absolute)),
        Reads::List(key, separator) => {
            let values = given.all(flag.long);
            (key, (!values.is_empty()).then(|| values.join(separator)))
        }
        Reads::Own(_) => return None,
    })
}

/// A path that holds in every folder; `-` is none.
fn absolute(path: String) -> String {
    if path == "-" {
        return path;
    }
    std::path::absolute(Path::new(&path)).map_or(path, |path| path.to_string_lossy().into_owned())
}
