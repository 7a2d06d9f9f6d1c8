//! `medplum bulk verify`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::bulk::export::verify::{self, Verified};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::output::{Format, table};
use crate::words::{number_of, size};

/// Read an export's folder again and compare it with its manifest.json: count, length and digest of every file
///
/// It needs no server, and verifies a copy as well; of a series all finished exports. Files that differ or are gone are
/// named, and the exit code is 5.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum bulk verify export                  # is all here as it came?\n\
        \x20 medplum bulk verify /backup/export -o json  # of a copy, for a program\n\
        \x20 medplum bulk verify nightly --parallel 8    # every export of a series")]
pub struct VerifyArgs {
    /// Folder of the export
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Files to read at a time [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = super::fetching::parallel)]
    parallel: Option<usize>,
}

pub(super) fn run(context: &Context, args: &VerifyArgs) -> anyhow::Result<()> {
    let parallel = args
        .parallel
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(2, std::num::NonZero::get));
    let verified = verify::verify(&args.folder, parallel)?;
    show(context, args, &verified)?;
    if verified.different.is_empty() {
        return Ok(());
    }
    let different = verified.different.len() as u64;
    let all = number_of(verified.files + different, "file");
    let are = if different == 1 { "is" } else { "are" };
    let failure = Failure::new(
        exit::PARTIAL,
        format!("{different} of {all} {are} not as the manifest says"),
    );
    Err(failure
        .hint("move what changed out of the folder and export once more with --overwrite, or take the files from a copy that verifies")
        .into())
}

fn show(context: &Context, args: &VerifyArgs, verified: &Verified) -> anyhow::Result<()> {
    let output = &context.output;
    if output.format_for_lists() == Format::Json {
        let mut json = serde_json::to_value(verified)?;
        json["folder"] = json!(args.folder.display().to_string());
        return output.json(&json.to_string());
    }
    let rows: Vec<Vec<String>> = verified
        .different
        .iter()
        .map(|file| vec![file.path.clone(), file.problem.clone()])
        .collect();
    if !rows.is_empty() {
        output.report(&table::render(&["FILE", "PROBLEM"], &rows))?;
    }
    let unchecked = match verified.unchecked {
        0 => String::new(),
        number => format!(
            "; of {} only the length was compared, since nothing else is known of them (fetched with --no-verify, or \
             attachments of an older version)",
            number_of(number, "file")
        ),
    };
    let without_digest = match verified.without_digest {
        0 => String::new(),
        number => format!(
            "; {} without a digest, so only resources and length were compared",
            number_of(number, "file")
        ),
    };
    output.note(&format!(
        "{} in {} ({}) are as the manifest says{unchecked}{without_digest}",
        number_of(verified.resources, "resource"),
        number_of(verified.files, "file"),
        size(verified.bytes)
    ));
    Ok(())
}
