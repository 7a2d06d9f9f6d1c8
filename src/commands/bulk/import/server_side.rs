//! `medplum bulk import --server-side`

use serde_json::Value;

use crate::bulk::import::ImportError;
use crate::bulk::import::server_side::{self, ServerSide};
use crate::commands::bulk::interrupt::interrupts;
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::fhir::result::JobResult;

/// Lets the server import, and shows what it says of it.
pub(super) async fn run(context: &Context, import: ServerSide) -> anyhow::Result<()> {
    let client = context.fhir()?;
    let output = &context.output;
    let mut words = None;
    let mut started = |url: &url::Url| output.note(&format!("Status URL: {url}"));
    let mut watch = |progress: &crate::fhir::asynchronous::Progress| {
        let said = progress
            .words
            .clone()
            .unwrap_or_else(|| "In progress".into());
        output.progress.say(&said);
        if !output.progress.is_visible() && words.as_ref() != Some(&said) {
            output.note(&said);
            words = Some(said);
        }
    };
    let interrupted = interrupts()?;
    let finished = tokio::select! {
        finished = server_side::run(&client, &import, &mut started, &mut watch) => finished,
        () = interrupted => Err(ImportError::Interrupted),
    };
    output.progress.clear();
    let finished = finished?;
    let text = String::from_utf8_lossy(&finished.body).into_owned();
    if serde_json::from_str::<Value>(&text).is_ok() {
        output.json(&text)?;
    }
    judged(&finished.result())
}

/// A server may say with a 200 that it did not do it.
fn judged(result: &JobResult) -> anyhow::Result<()> {
    let words = result.words().join("; ");
    let failure = match result {
        JobResult::Done => return Ok(()),
        JobResult::Failed(_) => {
            Failure::new(exit::FAILED, format!("the server's import failed: {words}"))
        }
        JobResult::Partial(_) => Failure::new(
            exit::PARTIAL,
            format!("the server reports errors of its import: {words}"),
        )
        .hint("the URLs under `error` hold the reasons"),
        JobResult::Silent(_) => Failure::new(
            exit::FAILED,
            format!("the server does not say what became of its import; its answer is {words}"),
        )
        .hint("look there for what was imported before it is done again"),
    };
    Err(failure.into())
}
