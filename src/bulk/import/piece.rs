//! What an import is made of: the pieces that inputs hold, and the items that are made of them.

use std::ops::Range;
use std::sync::Arc;

use crate::bulk::import::order::names::Scope;

/// What one place in an input holds.
#[derive(Debug)]
pub enum Piece<'a> {
    Resource {
        text: &'a [u8],
        /// Its name within the Bundle it lies in.
        full_url: Option<String>,
        /// The line of that Bundle, within which the name holds; 0 where the Bundle is the whole file.
        bundle: u64,
        /// Whether its entry has an `ifNoneExist` that is not sent.
        loses_condition: bool,
    },
    /// A resource to delete, by the URL relative to the FHIR base.
    Deletion { url: String },
    /// Something that cannot be sent, and why.
    Bad {
        text: &'a [u8],
        problem: String,
        /// Whether the text is a whole entry of a Bundle.
        is_entry: bool,
    },
}

impl<'a> Piece<'a> {
    /// What stands by itself and cannot be sent.
    pub fn bad(text: &'a [u8], problem: String) -> Self {
        Self::Bad {
            text,
            problem,
            is_entry: false,
        }
    }

    /// A resource that lies in no Bundle.
    pub fn whole(text: &'a [u8]) -> Self {
        Self::Resource {
            text,
            full_url: None,
            bundle: 0,
            loses_condition: false,
        }
    }
}

/// What is asked of the server for one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `PUT Type/id`.
    Put,
    /// `PUT Type?query`.
    ConditionalPut,
    /// `POST Type`.
    Post,
    /// `POST Type` unless a search finds one (`ifNoneExist`).
    ConditionalPost(String),
    Delete,
    /// `POST Type/$validate`.
    Validate,
}

impl Action {
    /// Whether doing it twice does no more than doing it once.
    pub fn may_be_repeated(&self) -> bool {
        !matches!(self, Self::Post)
    }

    /// The HTTP method.
    pub fn method(&self) -> &'static str {
        match self {
            Self::Put | Self::ConditionalPut => "PUT",
            Self::Post | Self::ConditionalPost(_) | Self::Validate => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// Why a piece is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// It is no resource that can be sent.
    Bad(String),
    /// It was sent by a run that ended before the answer came, and must not be sent twice.
    Lost,
}

impl Item {
    /// A Patient that is put under its number.
    #[cfg(test)]
    pub(super) fn of_test(ordinal: u64, place: Range<usize>) -> Self {
        Self {
            ordinal,
            file: 0,
            line: ordinal + 1,
            resource_type: "Patient".into(),
            id: None,
            action: Action::Put,
            url: format!("Patient/{ordinal}"),
            full_url: None,
            made_up_url: None,
            bundle: 0,
            is_entry: false,
            origin: place.clone(),
            place,
            is_provisional: false,
            key: ordinal,
            unsent: None,
        }
    }

    /// Where its full URL is its name.
    pub fn scope(&self) -> Scope {
        Scope {
            file: self.file,
            bundle: self.bundle,
        }
    }
}

/// One resource of a batch.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its place among all that is imported, from 0.
    pub ordinal: u64,
    pub file: usize,
    pub line: u64,
    pub resource_type: Arc<str>,
    /// Its id in the input.
    pub id: Option<Box<str>>,
    pub action: Action,
    /// The URL relative to the FHIR base.
    pub url: String,
    pub full_url: Option<String>,
    /// The one it has in its transaction, when it has none and others there point at it.
    pub made_up_url: Option<String>,
    /// The line of the Bundle it lies in.
    pub bundle: u64,
    /// Whether its text is a whole entry of a Bundle, since that cannot be sent.
    pub is_entry: bool,
    /// Where its text is in the batch's text.
    pub place: Range<usize>,
    /// Where it is in the text as it was read.
    pub origin: Range<usize>,
    /// Whether it is written only so that others can point at it, and once more when it can point at them.
    pub is_provisional: bool,
    /// Two items with the same key are about the same resource and keep their order.
    pub key: u64,
    pub unsent: Option<Unsent>,
}
