//! Commands that are not there, and what they are called here.

use clap::Command;

/// Words of other tools: what stands in their place here.
const OTHERS: [(&str, &str); 7] = [
    ("find", "a search is `medplum search Patient name=smith`"),
    ("read", "a resource is read with `medplum get Patient/123`"),
    (
        "create",
        "a resource is created with `medplum post Patient @patient.json`",
    ),
    (
        "update",
        "a resource is replaced with `medplum put Patient/123 @patient.json`",
    ),
    ("show", "`medplum profile describe NAME` shows a profile"),
    ("delete", "`medplum profile remove NAME` removes a profile"),
    ("logs", "`medplum bulk report DIR` tells what happened"),
];

/// Where a command of this name is, or what does its work.
pub(super) fn command(written: &str, tree: &Command, path: &[&str]) -> Option<String> {
    let is_of_profiles = |name: &str| ["show", "delete"].contains(&name);
    let mut others = OTHERS.iter().filter(|(name, _)| *name == written);
    if let Some((_, tip)) = others.find(|(name, _)| is_of_profiles(name) == (path == ["profile"])) {
        return Some((*tip).to_owned());
    }
    let mut found = Vec::new();
    named(tree, &mut Vec::new(), written, &mut found);
    match found.as_slice() {
        [] => None,
        [one] => Some(format!("did you mean `medplum {one}`?")),
        several => {
            let several: Vec<String> = several
                .iter()
                .map(|one| format!("`medplum {one}`"))
                .collect();
            Some(format!("did you mean one of {}?", several.join(", ")))
        }
    }
}

/// The commands below that are called so.
fn named(command: &Command, path: &mut Vec<String>, name: &str, found: &mut Vec<String>) {
    let below = command.get_subcommands();
    for below in below.filter(|below| below.get_name() != "help" && !below.is_hide_set()) {
        path.push(below.get_name().to_owned());
        if below.get_name() == name {
            found.push(path.join(" "));
        }
        named(below, path, name, found);
        path.pop();
    }
}
