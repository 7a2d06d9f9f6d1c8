//! `medplum doctor`

use clap::Args;
use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::doctor::{self, Diagnosis, Outcome, Step};
use crate::exit::{self, Failure};
use crate::output::{Format, Output};
use crate::secret;
use crate::verdicts;

/// Find out why a server cannot be reached or refuses to sign in
///
/// Walks from the base URL over TLS, discovery, key, assertion, token, scope and /metadata to one read, and stops at the
/// step that fails. What can be proved from here is named as the cause; the rest as a list, the most likely first.
/// Nothing is changed, and no secret, token or signature is shown.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum doctor -p example\n\
        \x20 medplum doctor -p example -o json")]
pub struct DoctorArgs {
    /// What to read in the last step [default: a search for one Patient]
    #[arg(long, value_name = "URL")]
    read: Option<String>,
}

pub async fn run(context: &Context, args: DoctorArgs) -> anyhow::Result<()> {
    let output = &context.output;
    let for_programs = output.format.is_some_and(|format| format != Format::Table);
    let name = context.profile_name()?;
    let mut steps: Vec<Step> = Vec::new();
    let mut broken = Ok(());
    let mut seen = |step: &Step| {
        if !for_programs && broken.is_ok() {
            broken = show(output, step);
        }
        steps.push(step.clone());
    };
    let diagnosis = match context.fhir() {
        Ok(client) => doctor::examine(&client, args.read.as_deref(), &mut seen).await,
        Err(error) => unusable(&error, &mut seen),
    };
    broken?;
    if for_programs {
        let object = object(&name, &steps, &diagnosis);
        output.json(&secret::mask(&object.to_string()))?;
    } else {
        conclude(output, &diagnosis)?;
    }
    match diagnosis.failed {
        None => Ok(()),
        Some(step) => Err(Failure::new(
            diagnosis.exit,
            format!("the step `{step}` failed: {}", diagnosis.what),
        )
        .into()),
    }
}

/// A profile with which nothing can be sent.
fn unusable(error: &anyhow::Error, seen: &mut impl FnMut(&Step)) -> Diagnosis {
    let (code, hint) = error
        .chain()
        .map(verdicts::judge)
        .find(|(code, _)| *code != exit::FAILED)
        .unwrap_or((exit::FAILED, None));
    let what = format!("{error:#}");
    seen(&Step {
        name: "profile",
        outcome: Outcome::Failed,
        took: std::time::Duration::ZERO,
        detail: vec![what.clone()],
    });
    let cause = match hint {
        Some(hint) => format!("{what}: {hint}"),
        None => what.clone(),
    };
    Diagnosis {
        failed: Some("profile"),
        what,
        cause: Some(cause),
        exit: code,
        ..Diagnosis::default()
    }
}

/// One line a step; what does not fit stands below it.
fn show(output: &Output, step: &Step) -> anyhow::Result<()> {
    let mark = match (output.stdout_is_terminal, step.outcome) {
        (true, Outcome::Passed) => output.paint("32", "✓"),
        (true, Outcome::Failed) => output.paint("31", "✗"),
        (true, Outcome::Skipped) => "-".to_owned(),
        (false, Outcome::Passed) => "ok     ".to_owned(),
        (false, Outcome::Failed) => "failed ".to_owned(),
        (false, Outcome::Skipped) => "skipped".to_owned(),
    };
    let (first, rest) = step
        .detail
        .split_first()
        .map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let time = format!("{} ms", step.took.as_millis());
    output.report_after(&mark, &format!(" {:<10}{time:>8}  {first}", step.name))?;
    for line in rest {
        output.report(&format!("                      {line}"))?;
    }
    Ok(())
}

fn conclude(output: &Output, diagnosis: &Diagnosis) -> anyhow::Result<()> {
    if let Some(cause) = &diagnosis.cause {
        output.report(&format!("Cause: {cause}"))?;
    } else if let [only] = diagnosis.candidates.as_slice() {
        output.report(&format!("Perhaps: {only}"))?;
    } else if !diagnosis.candidates.is_empty() {
        output.report(
            "It is one of these, the most likely first; they cannot be told apart from outside:",
        )?;
        for (index, candidate) in diagnosis.candidates.iter().enumerate() {
            output.report(&format!("  {}. {candidate}", index + 1))?;
        }
    }
    for note in &diagnosis.notes {
        output.report(&format!("Note: {note}"))?;
    }
    if diagnosis.failed.is_none() {
        output.report("All is well.")?;
    }
    Ok(())
}

fn object(profile: &str, steps: &[Step], diagnosis: &Diagnosis) -> Value {
    let steps: Vec<Value> = steps
        .iter()
        .map(|step| {
            let mut entry = Map::new();
            entry.insert("name".into(), step.name.into());
            entry.insert("ok".into(), (step.outcome != Outcome::Failed).into());
            if step.outcome == Outcome::Skipped {
                entry.insert("skipped".into(), true.into());
            }
            let milliseconds = u64::try_from(step.took.as_millis()).unwrap_or(u64::MAX);
            entry.insert("ms".into(), milliseconds.into());
            entry.insert("detail".into(), step.detail.join("\n").into());
            Value::Object(entry)
        })
        .collect();
    json!({
        "profile": profile,
        "steps": steps,
        "cause": diagnosis.cause,
        "candidates": diagnosis.candidates,
        "notes": diagnosis.notes,
        "exit": diagnosis.exit,
    })
}
