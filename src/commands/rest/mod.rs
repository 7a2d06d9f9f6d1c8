//! `medplum get|search|count|post|put|patch|delete`: what they share is how an answer is shown.

pub mod body;
mod condition;
pub mod count;
pub mod delete;
pub mod get;
mod judgement;
mod output_file;
mod paged;
pub mod post;
pub mod search;
mod searched;
mod shown;
pub mod write;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use crate::context::Context;
use crate::fhir::Answer;
use crate::foreign::harmless;
use crate::secret::{self, MASK};

/// How an answer is shown
#[derive(Args, Debug)]
pub struct AnswerArgs {
    /// Show the status line and headers before the body
    #[arg(short, long)]
    include: bool,
    /// Write the body to a file instead of stdout
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Shows an answer: success on stdout, a refusal as an error with the server's words.
fn show(context: &Context, args: &AnswerArgs, answer: Answer) -> anyhow::Result<()> {
    if args.include {
        let head = head(&answer);
        // For a program they are as they came; a terminal obeys some characters.
        let head = if context.output.stdout_is_terminal {
            harmless(&head)
        } else {
            head
        };
        context.output.data(head.as_bytes())?;
        if !answer.status.is_success() {
            shown::body(context, None, &answer.body)?;
        }
    }
    let answer = answer.checked()?;
    if let Some(location) = answer.header("location") {
        context.output.note(&format!("Location: {location}"));
    }
    shown::body(context, args.output.as_deref(), &answer.body)?;
    judgement::of(&answer)
}

/// Status line and headers, credentials masked.
fn head(answer: &Answer) -> String {
    let mut head = format!("HTTP {}\n", answer.status);
    for (name, value) in &answer.headers {
        let value = if secret::is_sensitive_header(name) {
            MASK.into()
        } else {
            // The server may say back what it got.
            secret::mask_foreign(&String::from_utf8_lossy(value.as_bytes()))
        };
        let _ = writeln!(head, "{name}: {value}");
    }
    head.push('\n');
    head
}
