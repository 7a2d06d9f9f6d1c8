//! Flags in the wrong place: refused, with the place where they belong.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};

use super::chain::Chain;
use super::flag::Flag;
use super::group::Group;
use super::taken::{self, ALL};

/// Refuses flags of groups that the command does not take, and those that do not go together.
///
/// # Errors
/// What is wrong, as the parser of the command line would say it.
pub fn check(given: &Chain, tree: &mut Command) -> Result<(), Error> {
    for (group, flags) in ALL {
        for flag in flags.iter().filter(|flag| given.is_given(flag.long)) {
            if !is_taken(group, given) {
                let error = refusal(ErrorKind::UnknownArgument, flag, tree, &given.path);
                return Err(with_tip(error, tree, &given.path));
            }
            if let Some(other) = flag.not_with.iter().find(|other| given.is_given(other)) {
                let mut error = refusal(ErrorKind::ArgumentConflict, flag, tree, &given.path);
                let other = ContextValue::String(format!("--{other}"));
                error.insert(ContextKind::PriorArg, other);
                return Err(error);
            }
            if let Some(other) = flag.only_with.filter(|other| !given.is_given(other)) {
                let kind = ErrorKind::MissingRequiredArgument;
                let mut error = refusal(kind, flag, tree, &given.path);
                let missing = format!("--{other} (which {} belongs to)", flag.written());
                error.insert(
                    ContextKind::InvalidArg,
                    ContextValue::Strings(vec![missing]),
                );
                return Err(error);
            }
        }
    }
    Ok(())
}

fn is_taken(group: Group, given: &Chain) -> bool {
    let beside = taken::beside(&given.path)
        .is_some_and(|(groups, flag)| groups.contains(&group) && given.is_given(flag));
    beside || taken::groups(&given.path).contains(&group)
}

/// An error about a flag, with the usage of its command.
fn refusal(kind: ErrorKind, flag: &Flag, tree: &mut Command, path: &[&str]) -> Error {
    tree.build();
    let mut command = &mut *tree;
    for name in path {
        if command.find_subcommand(name).is_none() {
            break;
        }
        command = command
            .find_subcommand_mut(name)
            .expect("it was found just now");
    }
    let usage = command.render_usage();
    let mut error = Error::new(kind).with_cmd(command);
    error.insert(
        ContextKind::InvalidArg,
        ContextValue::String(flag.written()),
    );
    error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
    error
}

/// An error about a flag that the command does not know, with the place where it belongs, if there is one.
#[must_use]
pub fn with_tip(mut error: Error, tree: &Command, path: &[&str]) -> Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let place = match error.kind() {
        ErrorKind::UnknownArgument => text(ContextKind::InvalidArg).and_then(|written| {
            if !written.starts_with('-') {
                return surplus(&written, path);
            }
            let name = written.split(['=', ' ']).next().unwrap_or_default();
            place(name, tree, path)
        }),
        ErrorKind::InvalidSubcommand => text(ContextKind::InvalidSubcommand)
            .and_then(|written| super::meant::command(&written, tree, path)),
        _ => None,
    };
    let Some(place) = place else {
        return error;
    };
    error.remove(ContextKind::SuggestedArg);
    error.remove(ContextKind::SuggestedSubcommand);
    error.insert(
        ContextKind::Suggested,
        ContextValue::StyledStrs(vec![place.into()]),
    );
    error
}

/// What a word too many may be meant as.
fn surplus(word: &str, path: &[&str]) -> Option<String> {
    (path == ["bulk", "export"]).then(|| exported(word))
}

/// Where a flag belongs that stands in the wrong place.
fn place(name: &str, tree: &Command, path: &[&str]) -> Option<String> {
    let here = std::iter::once("medplum").chain(path.iter().copied());
    let here = here.collect::<Vec<_>>().join(" ");
    if let Some((group, _)) = taken::named(name) {
        if let Some((groups, flag)) = taken::beside(path)
            && groups.contains(&group)
        {
            return Some(format!("`{here}` takes {name} only with --{flag}"));
        }
        return Some(format!(
            "`{here}` does not take {name}: {}",
            taken::belongs(group)
        ));
    }
    let long = name.strip_prefix("--")?;
    let mut owners = Vec::new();
    owning(tree, &mut Vec::new(), long, &mut owners);
    if owners.contains(&path.join(" ")) {
        return Some(format!(
            "{name} stands after the name of its command: {here} {name}"
        ));
    }
    let owners: Vec<String> = owners
        .iter()
        .map(|owner| format!("`medplum {owner}`"))
        .collect();
    match owners.as_slice() {
        [] => None,
        [owner] => Some(format!("{name} is a flag of {owner}")),
        [others @ .., last] => Some(format!(
            "{name} is a flag of {} and {last}",
            others.join(", ")
        )),
    }
}

/// The commands that have a flag of this name as their own.
fn owning(command: &Command, path: &mut Vec<String>, long: &str, found: &mut Vec<String>) {
    let has_it = command
        .get_arguments()
        .any(|arg| arg.get_long() == Some(long) && !arg.is_hide_set());
    if has_it {
        found.push(path.join(" "));
    }
    for below in command
        .get_subcommands()
        .filter(|below| below.get_name() != "help")
    {
        path.push(below.get_name().to_owned());
        owning(below, path, long, found);
        path.pop();
    }
}

/// What a word beside `bulk export` may be meant as.
fn exported(word: &str) -> String {
    if word == "Patient" || word.starts_with("Patient/") || word.starts_with("Group/") {
        return format!("what is exported is named with -e {word}");
    }
    format!(
        "a folder is named with -d {word}, and types are joined by commas: -t Patient,Observation"
    )
}
