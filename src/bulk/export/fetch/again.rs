//! Links that are over: the manifest is read again, as often as that can help.

use super::Fetching;
use crate::bulk::export::error::BulkError;
use crate::bulk::export::plan::{self, Taken};
use crate::bulk::export::wait::Links;

/// How often links are read again although that changed nothing.
const MOST_FUTILE: u32 = 3;
/// How often links are read again although no file came meanwhile.
const MOST_READINGS: u32 = 16;

/// How often the manifest may be read again; files that land earn another reading.
#[derive(Debug)]
pub(super) struct Budget {
    left: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            left: MOST_READINGS,
        }
    }
}

impl Budget {
    fn spend(&mut self) -> bool {
        let is_left = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_left
    }

    /// A file landed.
    pub(super) fn earn(&mut self) {
        self.left = (self.left + 1).min(MOST_READINGS);
    }
}

/// What another reading of the manifest gave.
pub(super) enum Fresh {
    Link,
    None,
    /// Another list.
    Another,
}

impl Fetching<'_> {
    /// Whether the file's link was read again after the one that failed, or is now.
    pub(super) async fn fresh_link(
        &mut self,
        index: usize,
        generation: u32,
        links: &impl Links,
    ) -> Result<Fresh, BulkError> {
        if generation < self.generation {
            return Ok(Fresh::Link);
        }
        let before = self.refreshed.insert(index, self.landed);
        // A fresh link that fails too is read again only when others brought files meanwhile.
        if before == Some(self.landed) || self.futile >= MOST_FUTILE || !self.budget.spend() {
            return Ok(Fresh::None);
        }
        // What is complete is kept by what is proved of it, once it is recorded.
        self.land_the_rest().await?;
        let into = self.job.new_listing()?;
        let Some((manifest, listing)) = links.read(into).await else {
            self.futile = MOST_FUTILE;
            return Ok(Fresh::None);
        };
        self.generation += 1;
        match plan::take(self.job, manifest, &listing, self.observer)? {
            Taken::Another => return Ok(Fresh::Another),
            Taken::Same { fresh_links: true } => {
                self.observer
                    .notice("The links to the files were over; the server gave fresh ones.");
                self.settled.grow(self.job.listed());
            }
            // Reading them may have made the same links good again.
            Taken::Same { fresh_links: false } => self.futile += 1,
        }
        Ok(Fresh::Link)
    }
}
