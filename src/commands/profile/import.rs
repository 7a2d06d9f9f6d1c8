//! `medplum profile import FILE`

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value};

use super::super::given_back::say_dropped;
use super::StoreArg;
use super::set::check;
use crate::context::Context;
use crate::exit::Failure;
use crate::foreign::Foreign;
use crate::profile::held::Place;
use crate::profile::{CommandLine, Key, ProfileError, Settings, Side, secret_file};
use crate::secret::MASK;

/// No file of settings is larger.
const LARGEST: u64 = 1 << 20;

/// Make a profile of what `profile export` wrote, or of a profile file of the Medplum CLI
///
/// Settings that run programs, read files, add headers or trust somebody are taken with --trust only: look at the file
/// first. Logins and tokens are never taken.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum profile import clinic.json\n\
        \x20 medplum profile import clinic.json clinic-2 --trust")]
pub struct ImportArgs {
    /// File to read, or - for stdin
    file: PathBuf,
    /// Name of the profile [default: the one in the file]
    name: Option<String>,
    /// Replace the settings of a profile of that name
    #[arg(long)]
    force: bool,
    /// Take settings that run programs, read files, add headers or trust somebody
    #[arg(long)]
    trust: bool,
    /// Where secrets and tokens are kept [default: as before, at first file]
    #[arg(long, value_enum, value_name = "WHERE")]
    store: Option<StoreArg>,
}

pub(super) fn run(context: &Context, args: &ImportArgs) -> anyhow::Result<()> {
    let shown = args.file.display();
    let bad = |reason: String| Failure::usage(format!("cannot import {shown}: {reason}"));
    let text = read(&args.file).map_err(bad)?;
    let object = object(&text).map_err(|reason| bad(reason.into()))?;
    let (settings, unknown) = settings(&object).map_err(bad)?;
    if settings.is_empty() {
        return Err(bad("it holds no settings".into()).into());
    }
    if !args.trust {
        refuse_what_needs_trust(&settings)?;
    }
    let name = match (&args.name, object.get("name").and_then(Value::as_str)) {
        (Some(name), _) => name,
        (None, Some(name)) => name,
        (None, None) => {
            return Err(bad("it names no profile".into())
                .hint("name it after the file")
                .into());
        }
    };
    check(&settings)?;
    let place = args.store.map(Place::from);
    let dropped = context.store.update_in(name, place, |file| {
        if file.has_options() && !args.force {
            return Err(ProfileError::Exists(name.to_owned()));
        }
        let before = file.clone();
        file.set_settings(name, &settings, false);
        Ok(Some(before).filter(|before| !file.has_tokens_of(before)))
    })?;
    context.output.note(&format!("Profile {name} imported"));
    if let Some(before) = &dropped {
        say_dropped(context, name, before);
    }
    if !unknown.is_empty() {
        // Their names are the file's words.
        let names = Foreign::new(&unknown.join(", "));
        context
            .output
            .warn(&format!("Not known here and left out: {names}."));
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        let stdin = std::io::stdin().lock();
        stdin
            .take(LARGEST + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?;
        bytes
    } else {
        secret_file::bytes(path, LARGEST).map_err(|error| error.to_string())?
    };
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it holds more than {} kB", LARGEST >> 10));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".into())
}

/// The object of an export, or the one within a profile file.
fn object(text: &str) -> Result<Map<String, Value>, &'static str> {
    let object: Map<String, Value> =
        serde_json::from_str(text).map_err(|_| "it is no JSON object")?;
    match object.get("options") {
        None => Ok(object),
        Some(options) => options
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or("its `options` is not a JSON object in a string"),
    }
}

/// The settings in an object, and the names that are none.
fn settings(object: &Map<String, Value>) -> Result<(Settings, Vec<&str>), String> {
    let mut settings = Settings::default();
    let mut unknown = Vec::new();
    for (name, value) in object {
        let Some(&key) = Key::ALL.iter().find(|key| key.json() == name) else {
            if name != "name" {
                unknown.push(name.as_str());
            }
            continue;
        };
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            _ => return Err(format!("its {name} is no text")),
        };
        if value.contains(MASK) {
            return Err(format!(
                "its {name} is masked; export it with --show-secrets"
            ));
        }
        settings.set(key, Some(absolute(key, value)?));
    }
    Ok((settings, unknown))
}

/// What is named by a relative path is meant beside the working folder, as a flag means it.
fn absolute(key: Key, value: String) -> Result<String, String> {
    if key.is_command() {
        let command = CommandLine::read(key, &value).map_err(|error| error.to_string())?;
        return Ok(command.absolute().to_string());
    }
    if !key.is_path() {
        return Ok(value);
    }
    let path = std::path::absolute(&value).map_err(|error| error.to_string())?;
    Ok(path.to_string_lossy().into_owned())
}

/// Somebody else may have written the file: what it may not say in a `.env` it may not say here unasked.
fn refuse_what_needs_trust(settings: &Settings) -> Result<(), Failure> {
    let of: Vec<&str> = settings
        .iter()
        .filter(|(key, _)| matches!(key.side(), Side::Never | Side::PathInside))
        .map(|(key, _)| key.json())
        .collect();
    if of.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "the file sets what runs programs, reads files, adds headers or trusts somebody: {}",
        of.join(", ")
    ))
    .hint("look at it, and take it with --trust if you know who wrote it"))
}
