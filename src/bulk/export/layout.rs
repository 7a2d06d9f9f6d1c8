//! Every name that an export writes in its folder.

use std::path::Path;

use crate::place::Place;

/// The folder of the state, inside the folder of the export.
pub const STATE: &str = ".medplum-export";
/// Present in the state while a folder holds a series of exports rather than one.
pub const SERIES: &str = "series.json";
/// Request, phase and status URL of the job, in the state.
pub const JOB: &str = "job.json";
/// What the manifest lists, in the state of versions before 3.
pub const FILES: &str = "files.json";
/// A line for each file that is done, in the state.
pub const DONE: &str = "done.ndjson";
/// A line for each other file that we made, in the state.
pub const OURS: &str = "ours.ndjson";
/// What keeps other processes away, in the state.
pub const LOCK: &str = "lock";
/// The bytes of files that are not complete, in the state.
pub const PARTS: &str = "parts";
/// The folder of an export that will replace another one, in the state of that.
pub const NEW: &str = "new";
/// What moves when a new export takes the place of an old one, in the state.
pub const MOVING: &str = "replacing.json";
/// The manifest as it is kept for reading.
pub const MANIFEST: &str = "manifest.json";
/// What happened, for reading.
pub const LOG: &str = "log.ndjson";
/// The folder of the attachments.
pub const ATTACHMENTS: &str = "attachments";
/// The folders in which files lie that are not `output`.
pub const FOLDERS: [&str; 3] = ["deleted", "errors", ATTACHMENTS];
/// What says which attachment of which resource is which file.
pub const ATTACHMENT_INDEX: &str = "attachments.ndjson";
/// What is made for a moment to see whether a folder can be written begins so.
pub const PROBE: &str = ".medplum-probe-";

/// Where the state of the export of a folder is.
pub fn state_of(folder: &Path) -> Place {
    Place::new(folder).within(STATE)
}

/// What the manifest lists, in the state: each reading has a plan of its own.
pub fn plan(generation: u32) -> String {
    format!("plan.{generation}.ndjson")
}

/// Whether a name is that of a plan.
pub fn is_plan(name: &str) -> bool {
    let number = name
        .strip_prefix("plan.")
        .and_then(|name| name.strip_suffix(".ndjson"));
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}
