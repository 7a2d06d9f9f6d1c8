//! What stops an import, and what to try then.

use std::path::PathBuf;

use crate::exit::{FAILED, INTERRUPTED, NOT_FOUND, USAGE, Verdict};
use crate::fhir::asynchronous::AsyncError;
use crate::fhir::{FhirError, Refusal};

/// What can be done when there is room on the disk again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// `--resume` goes on with it.
    Resume,
    /// Nothing was sent.
    Again,
    /// What was read is gone.
    Nothing,
}

/// What stops an import.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("cannot read {name}: {source}")]
    Input {
        name: String,
        source: std::io::Error,
    },
    #[error("cannot write {}: {source}", path.display())]
    Disk {
        path: PathBuf,
        source: std::io::Error,
        then: Then,
    },
    #[error("cannot write {}: {source}", path.display())]
    Output {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{0}")]
    BadRequest(String),
    #[error("{name} changed while it was read")]
    Changed { name: String },
    #[error("{counted} resources were counted, and {settled} were read and settled")]
    Contradiction { counted: u64, settled: u64 },
    #[error("{name} is not what its export wrote: {what}")]
    Damaged { name: String, what: String },
    #[error("there is no unfinished import to go on with in {}{but}", folder.display())]
    NothingToResume { folder: PathBuf, but: String },
    #[error("the state of the import cannot be read: {} ({reason})", path.display())]
    BadState { path: PathBuf, reason: String },
    #[error("{} does not say what the export wrote: {what}", folder.join("manifest.json").display())]
    BadManifest { folder: PathBuf, what: String },
    #[error("the export in {} is not complete", folder.display())]
    IncompleteExport { folder: PathBuf },
    #[error("an export was putting new files in the place of the old ones in {} and did not end it", folder.display())]
    HalfReplaced { folder: PathBuf },
    #[error("another process is importing from this folder (it holds {})", folder.display())]
    Busy { folder: PathBuf },
    #[error("{} holds an unfinished import", folder.display())]
    Unfinished { folder: PathBuf },
    #[error("{} holds an unfinished import, but of another request: {difference}", folder.display())]
    Other { folder: PathBuf, difference: String },
    #[error("{} holds an unfinished import that another version of medplum began; this one cannot go on with it", folder.display())]
    OfAnotherVersion { folder: PathBuf },
    #[error("{} holds what another import left", path.display())]
    RejectsThere { path: PathBuf },
    #[error("another process writes its rejects to {}", path.display())]
    RejectsBusy { path: PathBuf },
    #[error("the rejects cannot be put where they belong: {} holds something else by now; they are in {}", path.display(), kept.display())]
    Misplaced { path: PathBuf, kept: PathBuf },
    #[error("the rejects cannot be put to {}: {source}; they are in {}", path.display(), kept.display())]
    Undeliverable {
        path: PathBuf,
        kept: PathBuf,
        source: std::io::Error,
        /// Whether a later run can put them there; what is written through may have a part of them.
        is_repeatable: bool,
    },
    #[error("rejects of an import that had ended were not put to {} yet; they are in {}", path.display(), kept.display())]
    Undelivered { path: PathBuf, kept: PathBuf },
    #[error("{} leads out of its folder, and nobody named it", path.display())]
    LeadsAway { path: PathBuf },
    #[error("{} is a link that leads out of {}", path.display(), folder.display())]
    LinkedAway { folder: PathBuf, path: PathBuf },
    #[error("{} is a symlink, and nothing of an import is kept elsewhere", path.display())]
    Elsewhere { path: PathBuf },
    #[error("the server takes no resources under the ids they have: {0}")]
    NoClientIds(String),
    #[error("the server takes no {kind} Bundles: {refusal}")]
    NoBundles {
        kind: &'static str,
        refusal: Box<Refusal>,
    },
    #[error("the server has no $validate: {0}")]
    NoValidation(String),
    #[error("the answer cannot be understood: {0}")]
    Strange(String),
    #[error("the server has no $import: {0}")]
    NoServerSide(Box<Refusal>),
    #[error(transparent)]
    Async(#[from] AsyncError),
    #[error(transparent)]
    Stopped(FhirError),
    #[error("interrupted")]
    Interrupted,
}

impl ImportError {
    /// The verdict on what cannot be written.
    fn of_writing(&self) -> (u8, Option<String>) {
        match self {
            Self::Disk { source, then, .. } => {
                let then = match then {
                    Then::Resume => "go on with --resume",
                    Then::Again => "run it again; nothing was sent",
                    Then::Nothing => {
                        "import what is left: what was read once is gone, and the counts say what was done"
                    }
                };
                (FAILED, Some(format!("{}, then {then}", of_disk(source))))
            }
            Self::Undeliverable {
                source,
                is_repeatable,
                ..
            } => {
                let then = if *is_repeatable {
                    "run the same command with --resume: the rejects then take their place"
                } else {
                    "copy them from there, and take them away before the next import here"
                };
                (FAILED, Some(format!("{}, then {then}", of_disk(source))))
            }
            Self::Output { source, .. } if is_full(source) => (
                FAILED,
                Some("make room on the disk, then run it again; nothing was sent".into()),
            ),
            _ => (
                USAGE,
                Some(
                    "name a file in a folder that is there and can be written with --rejects"
                        .into(),
                ),
            ),
        }
    }

    /// What to try where a folder leads elsewhere, or does not say what it holds.
    fn of_a_foreign_folder(&self) -> String {
        match self {
            Self::Undelivered { path, .. } => format!(
                "name that file again with --rejects {}, or move away what is kept",
                path.display()
            ),
            Self::LeadsAway { .. } => {
                "if the folder is yours, name another file with --rejects; else see who put the link there".into()
            }
            Self::LinkedAway { path, .. } => format!(
                "nothing was sent; if that file is meant, name {} itself, else see who put the link there",
                path.display()
            ),
            Self::BadManifest { folder, .. } => format!(
                "see what is there by `medplum bulk verify {}`, or name the files one by one to import them as they are",
                folder.display()
            ),
            _ => "remove the link, or work in another folder".into(),
        }
    }

    pub(super) fn disk(path: &std::path::Path, source: std::io::Error) -> Self {
        Self::Disk {
            path: path.to_owned(),
            source,
            then: Then::Resume,
        }
    }

    /// The folder of the system for temporary files.
    pub(super) fn temporary(source: std::io::Error) -> Self {
        Self::disk(&std::env::temp_dir(), source)
    }

    /// The same where something else can be done.
    pub(super) fn with(self, then: Then) -> Self {
        match self {
            Self::Disk { path, source, .. } => Self::Disk { path, source, then },
            other => other,
        }
    }
}

impl Verdict for ImportError {
    // Long because it is one flat match.
    fn verdict(&self) -> (u8, Option<String>) {
        match self {
            Self::Input { .. } | Self::BadRequest(_) | Self::Busy { .. } => (USAGE, None),
            Self::IncompleteExport { folder } => (
                USAGE,
                Some(format!(
                    "go on with it by `medplum bulk resume {}`, or name its files to import those that are there",
                    folder.display()
                )),
            ),
            Self::HalfReplaced { folder } => (
                USAGE,
                Some(format!("end it by `medplum bulk resume {}`, and import then", folder.display())),
            ),
            Self::Disk { .. } | Self::Undeliverable { .. } | Self::Output { .. } => self.of_writing(),
            Self::Changed { .. } => (
                FAILED,
                Some("import it when nobody writes to it any more; what was sent so far is in the report".into()),
            ),
            Self::Contradiction { .. } => (
                FAILED,
                Some("a file changed, or can be read only once; import it again when it is at rest".into()),
            ),
            Self::Damaged { .. } => (
                USAGE,
                Some("export again, or name the files themselves to import them as they are".into()),
            ),
            Self::NothingToResume { .. } => (
                USAGE,
                Some("work in the folder where the import began, or leave --resume out to begin a new one".into()),
            ),
            Self::BadState { .. } => (
                FAILED,
                Some("--restart forgets it and begins anew: with --method post, what it sent before is then sent again".into()),
            ),
            Self::RejectsBusy { .. } => (
                USAGE,
                Some("wait until that one has ended, or name another file with --rejects".into()),
            ),
            Self::Misplaced { .. } => (
                FAILED,
                Some("move that away and run the same command with --resume: the rejects then take their place".into()),
            ),
            Self::Undelivered { .. }
            | Self::LeadsAway { .. }
            | Self::LinkedAway { .. }
            | Self::BadManifest { .. }
            | Self::Elsewhere { .. } => {
                (USAGE, Some(self.of_a_foreign_folder()))
            }
            Self::Unfinished { .. } => (
                USAGE,
                Some("go on with it by --resume, or forget it with --restart".into()),
            ),
            Self::Other { .. } => (
                USAGE,
                Some("repeat that request with --resume, forget it with --restart, or work in another folder".into()),
            ),
            Self::OfAnotherVersion { .. } => (
                USAGE,
                Some(
                    "end it with --resume and the version that began it; or begin anew with --restart, which sends all of it again: with \
                     PUT that changes nothing, with --method post what is there already comes twice"
                        .into(),
                ),
            ),
            Self::RejectsThere { path } => (
                USAGE,
                Some(format!(
                    "try those again with `medplum bulk import {}`, move them away, or name another file with --rejects",
                    path.display()
                )),
            ),
            Self::NoClientIds(_) => (
                FAILED,
                Some(
                    "let the server find or number them: --method conditional --match 'identifier={identifier.system}|{identifier.value}', \
                     or --method post"
                        .into(),
                ),
            ),
            Self::NoBundles { refusal, .. } => (
                if refusal.status.as_u16() == 404 { NOT_FOUND } else { FAILED },
                Some("send one request for each resource with --bundle none, or check --fhir-url-path".into()),
            ),
            Self::NoServerSide(_) => (
                FAILED,
                Some("leave --server-side out: the files are then sent from here".into()),
            ),
            Self::NoValidation(_) => (FAILED, Some("--dry-run checks the files without the server".into())),
            Self::Strange(_) => (FAILED, Some("check the base URL and --fhir-url-path: another program may answer there".into())),
            Self::Async(error) => error.verdict(),
            Self::Stopped(error) => match error.verdict() {
                (NOT_FOUND, hint) => (FAILED, hint),
                verdict => verdict,
            },
            Self::Interrupted => (INTERRUPTED, None),
        }
    }
}

fn of_disk(error: &std::io::Error) -> &'static str {
    if is_full(error) {
        "make room on the disk"
    } else {
        "see to it that it can be written"
    }
}

fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
