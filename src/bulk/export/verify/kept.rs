//! What `manifest.json` says, and whether it is the one that the export wrote.

use std::path::Path;

use serde::Deserialize;

use crate::bulk::export::error::BulkError;
use crate::bulk::export::layout;
use crate::bulk::export::state::document::{self, Made, Phase};
use crate::bulk::listed::Listed;
use crate::place::Place;

/// What `manifest.json` says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Kept {
    /// Whether the export had ended; none in a folder of version 0.1.
    pub(super) complete: Option<bool>,
    /// How many files each list has; older versions did not say it.
    listed: Option<Lengths>,
    output: Option<Vec<Listed>>,
    deleted: Vec<Listed>,
    error: Vec<Listed>,
    /// The index of the attachments, where there are some; older versions did not name it.
    pub(super) attachments: Option<Listed>,
}

/// The lengths of the lists.
#[derive(Debug, Deserialize)]
struct Lengths {
    output: usize,
    deleted: usize,
    error: usize,
}

impl Kept {
    /// Reads the manifest of a folder.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub(super) fn of(folder: &Path) -> Result<Self, BulkError> {
        let place = Place::new(folder);
        let read = document::read_json(&place, layout::MANIFEST);
        let read = read.map_err(|error| BulkError::disk(&place.path(layout::MANIFEST), error))?;
        // A document without a list says of nothing that it should be here.
        let read = read.filter(|kept: &Self| kept.output.is_some());
        read.ok_or_else(|| BulkError::NoManifest {
            folder: folder.to_owned(),
        })
    }

    /// All files that it lists.
    pub(super) fn into_files(self) -> impl Iterator<Item = Listed> {
        let output = self.output.into_iter().flatten();
        output.chain(self.deleted).chain(self.error)
    }

    /// Whether its lists are as long as it says.
    ///
    /// # Errors
    /// One is not, in words.
    pub(super) fn check_lists(&self) -> Result<(), String> {
        let Some(said) = &self.listed else {
            return Ok(());
        };
        let output = self.output.as_ref().map_or(0, Vec::len);
        for (name, found, said) in [
            ("output", output, said.output),
            ("deleted", self.deleted.len(), said.deleted),
            ("error", self.error.len(), said.error),
        ] {
            if found != said {
                return Err(format!(
                    "its `{name}` lists {found} files, and there were {said} when it was written"
                ));
            }
        }
        Ok(())
    }

    /// Whether it says who lists its files, so that one without an index of attachments has none.
    pub(super) fn names_its_index(&self) -> bool {
        self.listed.is_some()
    }
}

/// What the state beside a folder recorded of the documents in it; a copy may be without.
#[derive(Default)]
pub(super) struct Records {
    pub(super) manifest: Option<Made>,
    pub(super) index: Option<Made>,
}

/// The latest records.
pub(super) fn records(folder: &Path) -> Records {
    let mut latest = Records::default();
    let place = layout::state_of(folder);
    let read = document::each_line(&place, layout::OURS, |made: Made| {
        if made.path == Path::new(layout::MANIFEST) {
            latest.manifest = Some(made);
        } else if made.path == Path::new(layout::ATTACHMENT_INDEX) {
            latest.index = Some(made);
        }
        Ok(())
    });
    read.map_or_else(|_| Records::default(), |()| latest)
}

/// The record of `manifest.json`, once the export has ended.
pub(super) fn recorded(folder: &Path) -> Option<Made> {
    let state = document::read_state(&layout::state_of(folder)).ok()??;
    let is_done = state.phase == Phase::Done;
    is_done.then(|| records(folder).manifest)?
}
