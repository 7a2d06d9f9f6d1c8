//! `medplum bulk import --server-side`

use serde_json::Value;

use crate::bulk::import::ImportError;
use crate::bulk::import::server_side::{self, ServerSide};
use crate::commands::bulk::interrupt::interrupts;
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::words::number_of;

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
    if !text.trim().is_empty() {
        output.json(&text)?;
    }
    let report: Value = serde_json::from_str(&text).unwrap_or_default();
    let errors = report
        .get("error")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    if errors > 0 {
        let failure = Failure::new(
            exit::PARTIAL,
            format!("the server reports errors in {}", number_of(errors, "file")),
        );
        return Err(failure
            .hint("the URLs under `error` hold the reasons")
            .into());
    }
    Ok(())
}
