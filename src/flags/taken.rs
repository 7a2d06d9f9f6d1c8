//! Which command takes which groups of flags, and where a flag belongs that a command does not take.

use super::flag::Flag;
use super::group::Group;
use super::{keys, network, output, sign_in};

/// `-p`.
const PROFILE: &[Flag] = &[Flag::own(
    "profile",
    "NAME",
    "Profile to use [env: MEDPLUM_PROFILE]",
    |arg| arg.add(super::complete::profile()),
)
.short('p')];

/// `--no-env-file`.
const ENV_FILE: &[Flag] = &[Flag::own(
    "no-env-file",
    "",
    "Leave the .env file of the working folder unread",
    |arg| arg.action(clap::ArgAction::SetTrue),
)];

/// Every flag that more than one command takes, by group and in the order of `medplum help options`.
pub const ALL: [(Group, &[Flag]); 7] = [
    (Group::Profile, PROFILE),
    (Group::SignIn, sign_in::FLAGS),
    (Group::EnvFile, ENV_FILE),
    (Group::Keys, keys::FLAGS),
    (Group::Network, network::FLAGS),
    (Group::Patience, network::PATIENCE),
    (Group::Output, output::FLAGS),
];

/// What a command takes that talks to a server.
const SERVER: &[Group] = &[
    Group::Profile,
    Group::SignIn,
    Group::EnvFile,
    Group::Keys,
    Group::Network,
    Group::Patience,
    Group::Output,
];

/// The commands that do not, and what they take. A name that is not here has its group's row, or talks to a server.
const OTHERS: &[(&str, &[Group])] = &[
    ("auth", &[Group::Output]),
    ("bulk report", &[Group::Output]),
    ("bulk verify", &[Group::Output]),
    ("completions", &[Group::Output]),
    ("demo", &[Group::Output]),
    ("keys", &[Group::Keys, Group::EnvFile, Group::Output]),
    ("manual", &[Group::Output]),
    ("options", &[Group::Output]),
    ("profile", &[Group::Output]),
    (
        "profile remove",
        &[Group::Network, Group::Patience, Group::Output],
    ),
    (
        "profile set",
        &[Group::SignIn, Group::Keys, Group::Network, Group::Output],
    ),
    ("sandbox", &[Group::Output]),
];

/// What commands take only beside a flag of their own: the command, the groups, the flag.
const ONLY_BESIDE: &[(&str, &[Group], &str)] =
    &[("keys jwks", &[Group::Network, Group::Patience], "check")];

/// The groups that a command takes. With words for its name that name no command yet (`bulk`, nothing), what those
/// below it take.
pub fn groups(path: &[&str]) -> &'static [Group] {
    let rows = (0..=path.len()).rev();
    rows.map(|length| path.get(..length).unwrap_or_default().join(" "))
        .find_map(|name| OTHERS.iter().find(|(command, _)| *command == name))
        .map_or(SERVER, |(_, groups)| groups)
}

/// The groups that a command takes beside a flag of its own, and that flag.
pub fn beside(path: &[&str]) -> Option<(&'static [Group], &'static str)> {
    let name = path.join(" ");
    ONLY_BESIDE
        .iter()
        .find(|(command, ..)| *command == name)
        .map(|(_, groups, flag)| (*groups, *flag))
}

/// The flag of this name, such as `--base-url` or `-p`, among those that more than one command takes.
pub fn named(name: &str) -> Option<(Group, &'static Flag)> {
    ALL.iter().find_map(|(group, flags)| {
        let flag = flags.iter().find(|flag| flag.is_called(name))?;
        Some((*group, flag))
    })
}

/// Where the flags of a group belong, for a person who typed one elsewhere.
pub fn belongs(group: Group) -> &'static str {
    match group {
        Group::Profile => "it names the profile of commands that talk to a server",
        Group::SignIn | Group::Network => {
            "it is for commands that talk to a server, and `medplum profile set` stores it"
        }
        Group::Keys => {
            "it is for commands that sign in, for `medplum keys`, and `medplum profile set` stores it"
        }
        Group::EnvFile => "it is for commands that read settings from the .env file",
        Group::Patience => {
            "it is for commands that talk to a server; no profile keeps it, so give it with each of them"
        }
        Group::Output => "it is for commands that print a result",
    }
}
