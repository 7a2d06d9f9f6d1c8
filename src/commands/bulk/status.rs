//! `medplum bulk status`

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::bars::without_user;
use super::resume::client_for;
use crate::bulk::export::begun::{self, Begun};
use crate::bulk::export::state::Phase;
use crate::bulk::export::verify::Glance;
use crate::context::Context;
use crate::fhir::asynchronous::{self, Look};
use crate::output::Format;
use crate::words;
use crate::words::time;

/// Show how far an export is, here and at the server
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum bulk status export")]
pub struct StatusArgs {
    /// Folder of the export
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

/// What the server says of its job.
struct Word {
    text: String,
    /// When it wants to be asked again.
    wait: Option<Duration>,
}

pub(super) async fn run(context: &Context, args: StatusArgs) -> anyhow::Result<()> {
    let begun = begun::look(&args.folder)?;
    let state = &begun.snapshot.state;
    // A process that waits asks the server as often as the server likes it.
    let ask = state.phase == Phase::Waiting && !begun.snapshot.is_held;
    let glance = Glance::at(&begun.folder, state);
    let (word, failed) = match &state.status_url {
        Some(status_url) if ask => {
            let client = client_for(context, &begun)?;
            match asynchronous::look(&client, status_url).await {
                Ok(look) => (Some(word(look)), None),
                Err(error) => {
                    let text = error.to_string();
                    (Some(Word { text, wait: None }), Some(error))
                }
            }
        }
        _ => (None, None),
    };
    if context.output.format == Some(Format::Json) {
        let json = as_json(&begun, &glance, word.as_ref());
        context.output.json(&json.to_string())?;
    } else {
        for (name, value) in facts(&begun, &glance, word.as_ref()) {
            context
                .output
                .report(&format!("{:<15}{value}", format!("{name}:")))?;
        }
    }
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

fn word(look: Look) -> Word {
    match look {
        Look::Running { words, asked } => Word {
            text: words.unwrap_or_else(|| "in progress".into()),
            wait: asked,
        },
        Look::Finished(_) => Word {
            text: "done, the files can be fetched".into(),
            wait: None,
        },
        Look::Stumbled { error, asked } => Word {
            text: format!("cannot say now: {error}"),
            wait: asked,
        },
    }
}

/// How the export stands in its folder.
fn here(begun: &Begun, glance: &Glance) -> String {
    let snapshot = &begun.snapshot;
    let state = &snapshot.state;
    let next = format!("medplum bulk resume {}", begun.named.display());
    let verify = format!("medplum bulk verify {}", begun.named.display());
    match (state.phase, snapshot.is_held) {
        (Phase::Done, _) if snapshot.here < snapshot.listed || glance.number > 0 => {
            format!("was complete, but files are gone or changed since: `{verify}` says which")
        }
        (Phase::Done, _) => format!("complete; files not read again, which `{verify}` does"),
        (Phase::Cancelled, false) => match state.job_at_the_server() {
            None => "cancelled; what had come stays until the next export here is complete".to_owned(),
            Some(_) => format!("given up; end the job with: medplum bulk cancel {}", begun.named.display()),
        },
        (_, true) => "a process works on it now".to_owned(),
        (Phase::KickingOff, _) => {
            "ended between the kick-off and its answer: whether the server started a job is not known".to_owned()
        }
        (Phase::Waiting, _) => format!("waits for the server; go on with: {next}"),
        (Phase::Fetching, _) => format!("files are missing; go on with: {next}"),
    }
}

fn facts(begun: &Begun, glance: &Glance, word: Option<&Word>) -> Vec<(&'static str, String)> {
    let snapshot = &begun.snapshot;
    let state = &snapshot.state;
    let mut facts = vec![
        ("Folder", begun.folder.display().to_string()),
        ("FHIR base", begun.fhir_base.clone()),
        ("Here", here(begun, glance)),
    ];
    let mut add = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    add("At the server", word.map(|word| word.text.clone()));
    let wait = word.and_then(|word| word.wait);
    add("Ask again in", wait.map(time));
    if snapshot.listed > 0 || matches!(state.phase, Phase::Fetching | Phase::Done) {
        add(
            "Files",
            Some(format!("{} of {}", snapshot.here, snapshot.listed)),
        );
    }
    for different in &glance.first {
        add(
            "Not as it was",
            Some(format!("{}: {}", different.path, different.problem)),
        );
    }
    add(
        "As of",
        state.transaction_time.as_deref().map(words::shortened),
    );
    add("Begun", state.started.clone());
    if state.phase != Phase::Done {
        add(
            "Status URL",
            state
                .status_url
                .as_ref()
                .map(|url| without_user(url).to_string()),
        );
    }
    for run in &begun.finished_runs {
        add("Earlier", Some(run.folder.clone()));
    }
    facts
}

fn as_json(begun: &Begun, glance: &Glance, word: Option<&Word>) -> Value {
    let snapshot = &begun.snapshot;
    let state = &snapshot.state;
    json!({
        "folder": begun.folder.display().to_string(),
        "fhirBase": begun.fhir_base,
        "phase": state.phase,
        "isRunningHere": snapshot.is_held,
        "server": word.map(|word| word.text.as_str()),
        "retryAfterSeconds": word.and_then(|word| word.wait).map(|wait| wait.as_secs()),
        "files": {"listed": snapshot.listed, "here": snapshot.here},
        // Only lengths were looked at.
        "different": {"number": glance.number, "first": glance.first},
        "transactionTime": state.transaction_time,
        "started": state.started,
        "statusUrl": state.status_url.as_ref().map(without_user),
        "runs": begun.finished_runs,
    })
}
