//! Bulk import: files → batches → requests → a report, with every line accounted for. Events go to an [`Observer`].

pub mod batch;
pub mod bundle_file;
pub mod deferred;
pub mod engine;
mod error;
pub mod extensions;
pub mod feed;
pub mod ledger;
pub mod line;
pub mod matching;
pub mod order;
pub mod references;
pub mod rejects;
pub mod report;
pub mod run;
pub mod send;
pub mod server_side;
pub mod source;
pub mod state;
pub mod survey;
pub mod table;
pub mod unchanged;

use std::path::PathBuf;
use std::time::Duration;

pub use error::ImportError;
use matching::Template;
pub use rejects::outcomes_path;
use report::{Counts, Report};
pub use run::{Ended, dry_run, run};

/// How resources are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `PUT Type/id`: ids and references hold.
    Put,
    /// `POST Type`: the server gives new ids.
    Post,
    /// `PUT Type?query`: the server finds the resource, or gives a new id.
    Conditional,
    /// `POST Type/$validate`: nothing is written.
    Validate,
}

impl Method {
    /// Whether the server gives ids, so that where references lead is known only from answers.
    pub fn gives_ids(self) -> bool {
        matches!(self, Self::Post | Self::Conditional)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Post => "post",
            Self::Conditional => "conditional",
            Self::Validate => "validate",
        }
    }
}

/// What resources travel in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BundleKind {
    /// Each entry stands for itself.
    Batch,
    /// All or nothing.
    Transaction,
    /// One request for each resource.
    None,
}

impl BundleKind {
    /// The name of the Bundle's type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Transaction => "transaction",
            Self::None => "none",
        }
    }
}

/// What is imported and how.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Options {
    pub sources: Vec<String>,
    /// The folder that sources are relative to.
    pub folder: Option<PathBuf>,
    pub method: Method,
    pub bundle: BundleKind,
    pub bundle_size: usize,
    /// What says which resource is the same, for conditional writes.
    pub templates: Vec<Template>,
    pub skip_unchanged: bool,
    /// Whether what is pointed at goes first, in two passes; otherwise all goes as it comes.
    pub ordered: bool,
    pub parallel: usize,
    pub rejects: PathBuf,
    pub resume: bool,
    pub restart: bool,
    /// The Medplum CLI's `--add-extensions-for-missing-values`.
    pub add_extensions: bool,
}

/// What happens while an import runs.
pub trait Observer: Send + Sync {
    /// More lines are settled.
    fn progressed(&self, progress: &Progress);
    /// A resource was refused or is unknown.
    fn rejected(&self, name: &str, reason: &str);
    /// The server wants fewer requests, or smaller ones.
    fn slowed(&self, reason: &str);
    /// Something a person should know although all goes on.
    fn notice(&self, text: &str);
}

/// How far an import is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    pub counts: Counts,
    /// How many lines there are, when that is known.
    pub total: Option<u64>,
    pub elapsed: Duration,
    pub in_flight: usize,
}

/// The report as it stands when a run ended, however it did.
impl Ended {
    /// Whether something was refused or is unknown.
    pub fn is_partial(&self) -> bool {
        let total = self.report.total();
        total.refused + total.unknown > 0
    }

    /// The report.
    pub fn report(&self) -> &Report {
        &self.report
    }
}
