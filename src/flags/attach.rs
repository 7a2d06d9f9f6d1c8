//! The flags put onto the tree of commands: each command gets those that it takes, and its help says where they are listed.

use clap::Command;

use super::group::Group;
use super::taken;

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
