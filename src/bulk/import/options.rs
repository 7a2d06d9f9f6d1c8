//! What is imported and how.

use std::path::PathBuf;

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
