//! What was typed of the flags that many commands take, as settings of this run.

use std::path::Path;

use clap::{ArgMatches, Command};

use super::chain::Chain;
use super::flag::{Flag, Reads};
use super::{elsewhere, network, output, taken};
use crate::context::Globals;
use crate::exit::Failure;
use crate::output::Output;
use crate::profile::{Key, Settings, secret_file};

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
