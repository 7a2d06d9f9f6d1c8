//! How to export: what the command line says, and what of it a later run keeps.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

use super::sink::outcomes::Outcomes;
use crate::bulk::digest::Algorithm;
use crate::fhir::asynchronous::Patience;

/// How to export.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the files go.
    pub folder: PathBuf,
    pub style: Style,
    /// Files at a time.
    pub parallel: usize,
    /// Whether lines, counts, checksums and lengths are checked.
    pub verify: bool,
    pub patience: Patience,
    pub again: Again,
    /// A job that runs already: it is waited for and fetched instead of starting one.
    pub status_url: Option<Url>,
    /// A series: each export in a folder of its own, with what changed since the one before.
    pub series: bool,
    /// What of the server's own reports is acceptable; the next export of a series begins behind this one only then.
    pub accepts: fn(&Outcomes) -> bool,
}

/// How files are fetched.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// Files at a time.
    pub parallel: usize,
    /// Whether lines, counts, checksums and lengths are checked.
    pub verify: bool,
    pub checksum: Checksum,
    pub compress: bool,
    pub file_token: FileToken,
}

/// What to do about a job that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Again {
    /// Go on with an unfinished job of the same request.
    #[default]
    Continue,
    /// Forget an unfinished job and start a new one.
    Restart,
    /// Replace a finished export, once the new one is complete.
    Overwrite,
    /// The same, and forget a new one that is not finished.
    OverwriteAnew,
}

/// What of an export concerns the folder: a later run keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Style {
    /// The profile it was started with, so that `bulk resume` needs no more than the folder.
    pub profile: Option<String>,
    #[serde(default = "NameStyle::before_it_was_kept")]
    pub names: NameStyle,
    pub compress: bool,
    #[serde(default = "Checksum::before_it_was_kept")]
    pub checksum: Checksum,
    pub file_token: FileToken,
    pub keep: bool,
    /// Which attachments are fetched too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Wanted>,
}

/// How files are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameStyle {
    /// `Patient.00001.ndjson`, `Patient.00002.ndjson`: what readers of NDJSON folders (Pathling, Cumulus, globs) take.
    #[default]
    Typed,
    /// Type and URL path, each run of other characters one `_`: what the Medplum CLI writes.
    Medplum,
    /// `1.Patient.ndjson`, `2.Patient.ndjson`, as in the published sample exports.
    Numbered,
}

impl NameStyle {
    /// The style of an export whose state names none.
    fn before_it_was_kept() -> Self {
        Self::Medplum
    }
}

/// Which digest of its lines is made of each file that the manifest promises none of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checksum {
    #[default]
    Blake3,
    Sha256,
    None,
}

impl Checksum {
    /// How it is made.
    pub fn algorithm(self) -> Option<Algorithm> {
        match self {
            Self::Blake3 => Some(Algorithm::Blake3),
            Self::Sha256 => Some(Algorithm::Sha256),
            Self::None => None,
        }
    }

    /// That of an export whose state names none.
    fn before_it_was_kept() -> Self {
        Self::Sha256
    }
}

/// Whether files get the token; servers state it wrongly at times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileToken {
    /// As the manifest says (`requiresAccessToken`).
    #[default]
    Auto,
    Always,
    Never,
}

/// Where attachments go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Files in a folder; the resources stay as the server sent them.
    Download,
    /// `Attachment.data` of the resources; the URL stays beside it (FHIR R4 §2.24.0.8).
    Inline,
}

/// Which attachments are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wanted {
    pub mode: Mode,
    /// MIME types, `text/*` for all of a kind; empty for all.
    pub types: Vec<String>,
    /// The largest, in bytes.
    pub largest: Option<u64>,
}

impl Style {
    /// Whether attachments are wanted as files of their own.
    pub fn has_attachment_files(&self) -> bool {
        let wanted = self.attachments.as_ref();
        wanted.is_some_and(|wanted| wanted.mode == Mode::Download)
    }
}
