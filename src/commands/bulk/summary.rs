//! What an export says at its end.

use serde_json::{Value, json};

use super::report::text;
use crate::bulk::digest::Algorithm;
use crate::bulk::export::manifest::Group;
use crate::bulk::export::state::Standing;
use crate::bulk::export::{Summary, report};
use crate::context::Context;
use crate::fhir::severity::Severity;
use crate::output::Format;
use crate::secret;
use crate::words::{number_of, size, time};

pub(super) fn show(context: &Context, summary: &Summary) -> anyhow::Result<()> {
    let output = &context.output;
    for words in &summary.here.outcomes.samples {
        let text = format!("The server reports: {words}");
        match Severity::of_line(words) {
            Severity::Information => output.note(&text),
            Severity::Error | Severity::Warning => output.warn(&text),
        }
    }
    if output.format == Some(Format::Json) {
        output.json(&as_json(summary)?.to_string())?;
    }
    if output.stderr_is_terminal
        && output.format != Some(Format::Json)
        && let Ok(report) = report::of(&summary.folder)
    {
        output.note(&format!("\n{}\n", text::types(&report)));
    }
    let missing = match summary.failed.len() {
        0 => String::new(),
        missing => format!(", {missing} missing"),
    };
    let files = number_of(summary.here.files, "file");
    let what = match summary.here.resources() {
        Some(resources) => format!("{} in {files}", number_of(resources, "resource")),
        None => format!("{files}, not checked"),
    };
    output.note(&format!(
        "{what} ({}) in {}, in {}{missing}",
        size(summary.here.bytes),
        time(summary.elapsed),
        summary.folder.display()
    ));
    if summary.here.files == 0 && summary.failed.is_empty() {
        output.note(
            "The server listed no files: nothing matches what was asked for, or the client may see none of it",
        );
    }
    if let Some(attachments) = &summary.attachments {
        let left_out = match attachments.left_out {
            0 => String::new(),
            number => format!(", {number} left out"),
        };
        let missing = match attachments.missing {
            0 => String::new(),
            number => format!(", {number} missing"),
        };
        output.note(&format!(
            "{}, {} of them fetched now{left_out}{missing}",
            number_of(attachments.here, "attachment"),
            size(attachments.bytes)
        ));
    }
    Ok(())
}

fn as_json(summary: &Summary) -> anyhow::Result<Value> {
    let group = |group: Group| match group {
        Group::Output => "output",
        Group::Deleted => "deleted",
        Group::Error => "error",
    };
    let standing = Standing::of(&summary.folder)?;
    let (mut files, mut missing) = (Vec::new(), Vec::new());
    for planned in standing.each() {
        if let Some(file) = standing.exported(&planned?) {
            let sha256 = file
                .digest
                .filter(|digest| digest.algorithm == Algorithm::Sha256);
            files.push(json!({
                "path": file.path.display().to_string(),
                "group": group(file.group),
                "type": file.resource_type,
                "resources": file.resources,
                "bytes": file.bytes,
                "digest": file.digest.map(|digest| digest.as_json()),
                "sha256": sha256.map(|digest| digest.hex()),
            }));
        }
    }
    for failed in &summary.failed {
        let file = standing.planned(failed.at)?.file;
        missing.push(json!({
            "url": secret::url_without_query(&file.link.url()),
            "group": group(file.group),
            "type": file.resource_type,
            "reason": &*failed.reason,
        }));
    }
    let outcomes = &summary.here.outcomes;
    Ok(json!({
        "folder": summary.folder.display().to_string(),
        "transactionTime": summary.transaction_time,
        "files": files,
        "missing": missing,
        "outcomes": {"errors": outcomes.errors, "warnings": outcomes.warnings, "others": outcomes.others},
        "attachments": summary.attachments,
        "seconds": summary.elapsed.as_secs_f64(),
    }))
}
