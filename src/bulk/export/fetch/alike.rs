//! Files with the same bytes: where a server gives them for two entries, one of the two is not here.

use std::collections::HashMap;

use crate::bulk::export::event::ExportedFile;
use crate::bulk::export::manifest::Group;

/// The digests of the files that came, each with its place in the plan.
#[derive(Debug, Default)]
pub(super) struct Alike(HashMap<u128, usize>);

impl Alike {
    /// Adds a file; the place of one with the same bytes, when there is another one.
    pub(super) fn add(&mut self, at: usize, file: &ExportedFile) -> Option<usize> {
        if file.group != Group::Output || file.resources == Some(0) {
            return None;
        }
        let digest = file.digest?.half();
        // Files of two types may be alike where nothing is known of their lines.
        let kind = file.resource_type.as_deref().unwrap_or_default();
        let kind = kind.bytes().fold(0_u128, |sum, byte| {
            sum.wrapping_mul(0x100_0000_01b3)
                .wrapping_add(u128::from(byte))
        });
        let first = *self.0.entry(digest ^ kind).or_insert(at);
        (first != at).then_some(first)
    }
}
