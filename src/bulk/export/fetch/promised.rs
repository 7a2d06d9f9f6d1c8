//! What the manifest promises of a file, held against it while it comes.

use super::one::Download;
use super::ongoing::Ongoing;
use crate::bulk::digest::Algorithm;

/// A file that is longer than promised is read so far, to say how long it is; then no byte can make it right.
const PASSED: u64 = 1 << 20;

impl Download {
    /// Whether the manifest says something that a cut body would not keep.
    pub(super) fn can_be_told_whole(&self) -> bool {
        let promise = &self.file.promise;
        self.verify
            && (self.file.count.is_some() || promise.length.is_some() || promise.sha256.is_some())
    }

    /// The digest to make of its lines: where the manifest promises one, that.
    pub(super) fn digest(&self) -> Option<Algorithm> {
        match self.file.promise.sha256 {
            _ if !self.verify => None,
            Some(_) => Some(Algorithm::Sha256),
            None => self.checksum.algorithm(),
        }
    }

    /// What is more than the manifest promises: no byte behind it can make it right.
    pub(super) fn is_more_than_promised(&self, ongoing: &mut Ongoing) -> Option<String> {
        if !self.verify {
            return None;
        }
        let wire = ongoing.received();
        let target = ongoing.target();
        let (bytes, resources) = (target.bytes(), target.resources());
        match (self.file.promise.length, self.file.count) {
            // Whether the lines are meant or what is on the wire is not said anywhere.
            (Some(promised), _) if bytes.min(wire) > promised.saturating_add(PASSED) => Some(
                format!("the manifest promises {promised} bytes and many more came"),
            ),
            (_, Some(promised)) if resources > promised && bytes > PASSED => Some(format!(
                "the manifest promises {promised} resources and more came"
            )),
            _ => None,
        }
    }
}
