//! `medplum demo`: the main job from sign-in to exported files, each step as a user would type it.

mod shown;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::Context as _;
use clap::Args;

use super::sandbox::profile_set;
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::sandbox::{self, Options, Sandbox};
use shown::{listing, quoted, shortened};

/// The Encounter of Medplum's page on external FHIR servers.
const ENCOUNTER: &str = r#"{"resourceType": "Encounter", "status": "finished", "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}, "type": [{"coding": [{"system": "http://snomed.info/sct", "code": "162673000", "display": "General examination of patient (procedure)"}], "text": "General examination of patient (procedure)"}], "subject": {"reference": "Patient/13e44a47-636b-49e2-adb3-9f19c7e0e47a", "display": "Mr. Dustin31 Ritchie586"}}"#;

/// Take a tour: sign in, search, create and export, with a FHIR server of its own
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum demo -d tour")]
pub struct DemoArgs {
    /// Folder for the profile and the exported files [default: a new temporary folder]
    #[arg(short = 'd', long, value_name = "DIR")]
    target_directory: Option<PathBuf>,
}

pub async fn run(context: &Context, args: DemoArgs) -> anyhow::Result<()> {
    let folder = folder(args.target_directory.as_deref())?;
    let server = sandbox::start(Options::default())
        .await
        .context("cannot start the FHIR server of the demo")?;
    let say = |text: &str| context.output.line(text);
    say(&format!(
        "A FHIR server with generated patients runs inside this program, at {}",
        server.base_url()
    ))?;
    say(
        "Profile and files of this tour go to a folder of their own; your own profiles are not touched.",
    )?;

    for (title, arguments) in steps(&server) {
        say(&format!(
            "\n# {title}\n$ medplum {}",
            arguments
                .iter()
                .map(|word| quoted(word))
                .collect::<Vec<_>>()
                .join(" ")
        ))?;
        let (status, said) = medplum(folder.clone(), arguments).await?;
        if !said.trim().is_empty() {
            say(&shortened(&said))?;
        }
        if !status.success() {
            return Err(Failure::new(
                exit::FAILED,
                format!("this step of the demo failed: {title}"),
            )
            .into());
        }
    }
    server.shutdown().await;
    say(&format!(
        "\n# The files\n{}",
        listing(&folder.join("export"))?
    ))?;
    say(
        "\nRun `medplum sandbox` to keep such a server running, and see `medplum --help` for all commands.",
    )
}

/// The tour, step by step: what for, and the words behind `medplum`.
fn steps(server: &Sandbox) -> [(&'static str, Vec<String>); 6] {
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let encounter = ENCOUNTER.to_owned();
    [
        (
            "Store where the server is and how to sign in",
            profile_set("demo", server),
        ),
        (
            "Sign in (any other command does it by itself, too)",
            words("login -p demo"),
        ),
        ("Who are we there?", words("whoami -p demo")),
        (
            "Search for a patient by part of an identifier",
            words("get -p demo Patient?identifier:contains=3SH0A00AA00"),
        ),
        (
            "Create an encounter",
            [words("post -p demo Encounter"), vec![encounter]].concat(),
        ),
        (
            "Export everything about all patients",
            words("bulk export -p demo -e Group/all -d export"),
        ),
    ]
}

/// The folder of the tour: a new one, or one that holds no export yet.
fn folder(asked_for: Option<&Path>) -> anyhow::Result<PathBuf> {
    let Some(folder) = asked_for else {
        let folder = tempfile::Builder::new().prefix("medplum-demo-").tempdir();
        return Ok(folder.context("cannot create a folder")?.keep());
    };
    if folder.join("export").exists() {
        let failure = Failure::usage(format!("{} holds an export already", folder.display()));
        return Err(failure.hint("choose another folder with -d").into());
    }
    crate::files::create_private_dir(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(std::path::absolute(folder)?)
}

/// Runs this program with a profile folder of the demo's own, and gives all it says, in its order. The environment's
/// settings stay out of it.
async fn medplum(folder: PathBuf, arguments: Vec<String>) -> anyhow::Result<(ExitStatus, String)> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let run = move || {
        let (mut said, writer) = std::io::pipe()?;
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MEDPLUM_") {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .env("MEDPLUM_CONFIG_DIR", folder.join("profiles"))
            .env("NO_PROXY", "127.0.0.1")
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let mut child = command.spawn()?;
        // The command holds the pipe's other end open, and reading would not end.
        drop(command);
        let mut text = String::new();
        said.read_to_string(&mut text)?;
        Ok::<_, std::io::Error>((child.wait()?, text))
    };
    tokio::task::spawn_blocking(run)
        .await?
        .context("cannot run this program")
}
