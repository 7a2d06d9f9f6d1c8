//! What stops an export, and what to try then.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use url::Url;

use super::layout;
use super::manifest::ManifestError;
use crate::exit::{FAILED, INTERRUPTED, NOT_ALLOWED, USAGE, Verdict};
use crate::fhir::asynchronous::AsyncError;
use crate::fhir::{FhirError, Refusal};

/// What stops an export.
#[derive(Debug, thiserror::Error)]
pub enum BulkError {
    #[error("cannot write to {}: {source}", folder.display())]
    Folder {
        folder: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot write {}: {source}", path.display())]
    Disk {
        path: PathBuf,
        source: std::io::Error,
    },
    /// The server started a job, and the folder cannot keep where it is.
    #[error("{source}: where the job is that the server has begun cannot be kept, {}", of_unkept(problem.as_deref()))]
    Unkept {
        source: Box<Self>,
        status_url: Box<Url>,
        /// Whether the folder is as it was before.
        is_as_before: bool,
        /// Why the job could not be ended; none when it was.
        problem: Option<String>,
    },
    #[error("{0}")]
    BadRequest(String),
    #[error(transparent)]
    Async(#[from] AsyncError),
    #[error(transparent)]
    Fhir(#[from] FhirError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("{} holds a series of exports", folder.display())]
    Series { folder: PathBuf },
    #[error("{} holds no manifest.json, so nobody can say what should be in it", folder.display())]
    NoManifest { folder: PathBuf },
    #[error("{} holds no export", folder.display())]
    NoJob { folder: PathBuf },
    #[error("files of the export in {} are gone; the server's copies were not deleted", folder.display())]
    Vanished { folder: PathBuf },
    #[error("{refusal}")]
    JobsRunning {
        refusal: Box<Refusal>,
        jobs: Vec<Url>,
    },
    #[error("another process is exporting to {}", folder.display())]
    Busy { folder: PathBuf },
    #[error("{} holds a finished export", folder.display())]
    Finished { folder: PathBuf },
    #[error("{} holds an unfinished export of another request", folder.display())]
    OtherRequest { folder: PathBuf },
    #[error(
        "{} was begun by somebody else: another client, user, tenant or project",
        folder.display()
    )]
    OtherRequester { folder: PathBuf },
    #[error("the series in {} is of another request", folder.display())]
    OtherSeries { folder: PathBuf },
    #[error("{} holds a single export", folder.display())]
    SingleExport { folder: PathBuf },
    #[error(
        "the last export to {} ended between the kick-off and its answer: whether the server started a job is not known",
        folder.display()
    )]
    UnknownKickoff { folder: PathBuf },
    #[error("{} is in the way: it is there already and not of this export", path.display())]
    InTheWay { path: PathBuf },
    #[error("{} is a symlink, and nothing of an export is written elsewhere", path.display())]
    Elsewhere { path: PathBuf },
    #[error("{url} is the address of a resource, not of a job: nothing is deleted there")]
    NoJobUrl { url: String },
    /// What is at a status URL is no job, as far as can be told.
    #[error("nothing is deleted at {url}, since nothing shows that a job is there: {found}")]
    NoJobThere { url: String, found: String },
    #[error("the export in {} was cancelled", folder.display())]
    Cancelled { folder: PathBuf },
    /// What the folder says of the export cannot be read.
    #[error("what {} says of the export cannot be read: {reason}", path.display())]
    BadState { path: PathBuf, reason: String },
    #[error("a newer version of medplum wrote {}: {reason}", path.display())]
    NewerState { path: PathBuf, reason: String },
    /// The server takes the token no longer, and there is no way to another one.
    #[error("{reason}")]
    Unauthorized { reason: String },
    #[error("interrupted")]
    Interrupted { status_url: Option<Url> },
}

impl BulkError {
    /// What went wrong at this path: the disk, or what lies there.
    pub(super) fn disk(path: &Path, source: std::io::Error) -> Self {
        if source.kind() == std::io::ErrorKind::InvalidData {
            return Self::BadState {
                path: path.to_owned(),
                reason: source.to_string(),
            };
        }
        // The system has numbers for what it does not support.
        if source.kind() == ErrorKind::Unsupported && source.raw_os_error().is_none() {
            return Self::NewerState {
                path: path.to_owned(),
                reason: source.to_string(),
            };
        }
        Self::Disk {
            path: path.to_owned(),
            source,
        }
    }
}

fn of_unkept(problem: Option<&str>) -> String {
    match problem {
        None => "so it was ended there again".to_owned(),
        Some(problem) => format!("and it could not be ended there: {problem}"),
    }
}

/// What to try when a job was not kept.
fn of_an_unkept_job(source: &BulkError, is_as_before: bool, runs_on: bool) -> (u8, Option<String>) {
    let hint = match (runs_on, is_as_before) {
        (true, _) => "see to the disk, then go on with the job by its status URL, or end it",
        (false, true) => return source.verdict(),
        (false, false) => "see to the disk, then run the same command with --restart",
    };
    (FAILED, Some(hint.to_owned()))
}

/// What to try when the disk fails.
fn of_disk(source: &std::io::Error) -> &'static str {
    match source.kind() {
        ErrorKind::CrossesDevices => {
            "let .medplum-export lie on the same disk as the folder, then run the same command again"
        }
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
            "the disk or folder cannot be written; make it writable, then run the same command again"
        }
        // EMFILE and ENFILE have no kind of their own; the numbers are those of Linux, macOS and the BSDs.
        _ if matches!(source.raw_os_error(), Some(23 | 24)) && cfg!(unix) => {
            "too many files are open; raise the limit (ulimit -n) or lower --parallel, then run the same command again"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "make room on the disk, then run the same command again"
        }
        _ => "see to the disk, then run the same command again",
    }
}

impl Verdict for BulkError {
    // Long because it is one flat match.
    fn verdict(&self) -> (u8, Option<String>) {
        match self {
            Self::Folder { source, .. } if source.kind() == ErrorKind::CrossesDevices => (
                USAGE,
                Some("let .medplum-export lie on the same disk as the folder, or choose another folder with -d".into()),
            ),
            Self::Folder { source, .. } if source.kind() == ErrorKind::StorageFull => {
                (FAILED, Some(of_disk(source).into()))
            }
            Self::Folder { .. } => (USAGE, Some("choose another folder with -d".into())),
            Self::Unkept { source, is_as_before, problem, .. } => {
                of_an_unkept_job(source, *is_as_before, problem.is_some())
            }
            Self::Disk { source, .. } if source.kind() == std::io::ErrorKind::NotFound => (
                FAILED,
                Some("the folder seems to be gone; leave it as it is while an export runs, and run the same command again".into()),
            ),
            Self::Disk { source, .. } => (FAILED, Some(of_disk(source).into())),
            Self::NoJobUrl { .. } => (
                FAILED,
                Some("the state of the folder came from elsewhere, or the server named no job; `--restart --status-url URL` goes on with one you know of".into()),
            ),
            Self::NoJobThere { .. } => (
                FAILED,
                Some("if you know that it is a job, name it: medplum bulk cancel DIR --status-url URL".into()),
            ),
            Self::Cancelled { .. } => (
                USAGE,
                Some("start a new one with the same `medplum bulk export`".into()),
            ),
            // --restart forgets an export; since when the next of a series asks stands nowhere else.
            Self::BadState { path, .. } if path.ends_with(layout::SERIES) => (
                FAILED,
                Some(format!("move {} away to begin a new series, whose first export asks for everything; the exports that are here stay", path.display())),
            ),
            Self::BadState { .. } => (
                FAILED,
                Some("medplum bulk export with --restart forgets it and begins anew; files that had come have to be moved away".into()),
            ),
            Self::NewerState { .. } => (
                USAGE,
                Some("go on with the version that began it, or choose another folder with -d".into()),
            ),
            Self::Unauthorized { .. } => (
                NOT_ALLOWED,
                Some("run the same command again with a new --access-token: it goes on".into()),
            ),
            Self::BadRequest(_) => (USAGE, None),
            Self::Busy { .. } => (USAGE, Some("wait for it, or choose another folder with -d".into())),
            Self::Series { .. } => (USAGE, Some("go on with it by --since auto, or choose another folder with -d".into())),
            Self::NoManifest { .. } => (USAGE, Some("look at what it is with `medplum bulk status DIR`; an export that is not finished goes on with `medplum bulk resume DIR`".into())),
            Self::NoJob { .. } => (USAGE, Some("name the folder of an export, such as `medplum bulk status DIR`".into())),
            Self::Vanished { .. } => (FAILED, Some("leave the folder as it is while an export runs, and run the same command again".into())),
            Self::JobsRunning { jobs, .. } => (
                FAILED,
                Some(format!(
                    "the server runs a job already; fetch its result with {}",
                    jobs.iter().map(|url| format!("--status-url {url}")).collect::<Vec<_>>().join(" or ")
                )),
            ),
            Self::Finished { .. } => (USAGE, Some("choose another folder with -d, or replace it with --overwrite".into())),
            Self::OtherSeries { .. } | Self::SingleExport { .. } => (
                USAGE,
                Some("choose another folder with -d: a series has one of its own, and asks for the same each time".into()),
            ),
            Self::OtherRequester { .. } => (
                USAGE,
                Some("go on with the profile it was begun with (-p), or choose another folder with -d".into()),
            ),
            Self::OtherRequest { .. } => (
                USAGE,
                Some("repeat that request to go on, forget it with --restart, or choose another folder with -d".into()),
            ),
            Self::UnknownKickoff { .. } => (
                FAILED,
                Some("start a new export with --restart, or go on with a job you know of: --restart --status-url URL".into()),
            ),
            Self::InTheWay { .. } => (
                USAGE,
                Some("move it away and run the same command again, which goes on; or choose another folder with -d".into()),
            ),
            Self::Elsewhere { .. } => (
                USAGE,
                Some("name the folder itself with -d, or put a folder in the place of the link".into()),
            ),
            Self::Async(error @ (AsyncError::Failed(_) | AsyncError::Gone(_))) => (
                error.verdict().0,
                Some("start a new export with the same command and --restart".into()),
            ),
            Self::Async(error) => error.verdict(),
            Self::Fhir(FhirError::Refused(refusal)) if refusal.status.as_u16() == 405 => (
                FAILED,
                Some(
                    "the server may want the other kick-off: try --method post (or --method get)"
                        .into(),
                ),
            ),
            Self::Fhir(error) => error.verdict(),
            Self::Manifest(_) => (FAILED, None),
            Self::Interrupted { .. } => (INTERRUPTED, None),
        }
    }
}
