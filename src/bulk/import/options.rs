//! What is imported and how.

use std::path::PathBuf;
use std::time::Duration;

use crate::bulk::import::order::matching::Template;

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

    /// The name of the flag's value.
    pub fn name(self) -> &'static str {
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

/// What goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// What is pointed at, in two passes, where the input can be read twice.
    Usual,
    /// The same, and what cannot be read twice is an error.
    Auto,
    /// All as it comes.
    Given,
}

/// What is to become of an import that was ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// There is none.
    New,
    Resume,
    /// It is forgotten.
    Restart,
}

/// Who chose the name of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// A symlink of that name may lead anywhere.
    ByUser,
    /// Nobody did: it stays in its folder.
    AsUsual,
}

impl Options {
    /// Whether requests are those of the Medplum CLI: POSTs in transactions, without a flag that it does not have. It sends
    /// one after the other, in the order of the file, and references by id as they are.
    pub fn is_like_medplum(&self) -> bool {
        self.method == Method::Post
            && self.bundle == BundleKind::Transaction
            && self.order == Order::Usual
            && self.templates.is_empty()
    }
}

/// What is imported and how.
#[derive(Clone, Debug)]
pub struct Options {
    pub sources: Vec<PathBuf>,
    /// The folder that sources are relative to.
    pub folder: Option<PathBuf>,
    pub method: Method,
    pub bundle: BundleKind,
    pub bundle_size: usize,
    /// What says which resource is the same, for conditional writes.
    pub templates: Vec<Template>,
    pub skip_unchanged: bool,
    pub order: Order,
    pub parallel: usize,
    /// How long a server may say "not now" before the run ends.
    pub max_wait: Duration,
    pub rejects: PathBuf,
    pub rejects_are: Chosen,
    /// What is to become of an import that was ended early.
    pub wanted: Wanted,
    /// Whether deletions that name no resource, but a search, are sent.
    pub deletes_by_search: bool,
    /// The Medplum CLI's `--add-extensions-for-missing-values`.
    pub add_extensions: bool,
}
