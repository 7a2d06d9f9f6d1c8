//! What lies beside the files of a finished export, looked at without reading it: whether all is there, and as long as it was.

use std::path::Path;

use super::index::Index;
use super::{Difference, kept};
use crate::bulk::export::layout;
use crate::bulk::export::state::document::Made;
use crate::bulk::export::state::document::{Phase, State};
use crate::bulk::listed::Listed;
use crate::words;

/// As many are named.
const MOST_NAMED: usize = 20;

/// What of `manifest.json`, the index of the attachments, and the attachments is gone or of another length: the first few,
/// and how many. The files themselves are in the state.
#[derive(Clone, Debug, Default)]
pub struct Glance {
    pub first: Vec<Difference>,
    pub number: u64,
}

impl Glance {
    /// At the folder of an export in this state; one that has not ended is not looked at.
    pub fn at(folder: &Path, state: &State) -> Self {
        let mut glance = Self::default();
        if state.phase != Phase::Done {
            return glance;
        }
        let records = kept::records(folder);
        let with_attachments = state.style.has_attachment_files();
        let documents = [
            (layout::MANIFEST, records.manifest),
            (
                layout::ATTACHMENT_INDEX,
                records.index.filter(|_| with_attachments),
            ),
        ];
        for (name, made) in documents {
            if let Some(Made { bytes, .. }) = made {
                glance.look(&Listed::of(name, bytes, None), folder);
            }
        }
        if with_attachments {
            for attachment in Index::of(folder) {
                glance.look(&attachment, folder);
            }
        }
        glance
    }

    fn look(&mut self, listed: &Listed, folder: &Path) {
        let looked = listed.place(folder);
        let Err(problem) = looked.and_then(|place| listed.check_length(&place)) else {
            return;
        };
        self.number += 1;
        if self.first.len() < MOST_NAMED {
            let path = listed.path.as_deref().unwrap_or_default();
            self.first.push(Difference {
                path: words::shortened(path),
                problem,
            });
        }
    }
}
