//! How a job ends: whole, which only the record of every file can say, or given up, which is recorded first.

use url::Url;

use super::document::{Phase, State};
use super::{Job, Records, layout};
use crate::bulk::export::error::BulkError;

/// Every file of an export is here, recorded and durable. Without one, no job whose files are wanted is deleted.
#[derive(Debug)]
pub struct Whole {
    status_url: Option<Url>,
    is_read: bool,
}

impl Whole {
    /// The job that is needed no longer.
    pub fn status_url(&self) -> Option<&Url> {
        self.status_url.as_ref()
    }

    /// Whether the manifest was read there in this run.
    pub fn is_read(&self) -> bool {
        self.is_read
    }
}

/// Jobs whose files nobody wants any more; that is recorded.
#[derive(Debug)]
pub struct GivenUp {
    status_urls: Vec<Url>,
}

impl GivenUp {
    /// `None` of no jobs.
    pub(in crate::bulk::export) fn of(status_urls: Vec<Url>) -> Option<Self> {
        (!status_urls.is_empty()).then_some(Self { status_urls })
    }

    /// The jobs.
    pub fn status_urls(&self) -> &[Url] {
        &self.status_urls
    }
}

impl Job {
    /// Counts what is recorded and here against what the manifest lists.
    ///
    /// # Errors
    /// Files are gone; the disk.
    pub fn whole(&mut self) -> Result<Whole, BulkError> {
        if !self.is_complete()? {
            return Err(BulkError::Vanished {
                folder: self.folder().to_owned(),
            });
        }
        self.save()?;
        Ok(Whole {
            status_url: self.state.status_url.clone(),
            is_read: self.is_read,
        })
    }

    /// Ends a job whose files are all there.
    ///
    /// # Errors
    /// The disk.
    pub fn finish(&mut self, _: &Whole) -> Result<(), BulkError> {
        let _ = self.place().clear(layout::PARTS);
        self.state.phase = Phase::Done;
        self.save()?;
        // One that was begun in its place, and that no server accepted.
        let _ = self.place().clear(layout::NEW);
        Ok(())
    }

    /// Begins in the place of an unfinished export, which is kept until the server has accepted this one.
    pub(super) fn gives_up(&mut self, found: State) -> Result<(), BulkError> {
        self.records = Records::of(self.folder(), &found)
            .map_err(|source| BulkError::disk(self.place().folder(), source))?;
        self.state.before = Some(match found {
            // It never became a job that is known.
            State {
                phase: Phase::KickingOff,
                before: Some(before),
                ..
            } => before,
            found => Box::new(found),
        });
        Ok(())
    }

    /// The kick-off started nothing: what was to be given up for it is as it was.
    ///
    /// # Errors
    /// The disk.
    pub fn not_started(&mut self) -> Result<(), BulkError> {
        if let Some(before) = self.state.before.take() {
            self.state = *before;
            return self.save();
        }
        let place = self.place();
        let removed = place.remove(layout::JOB);
        removed.map_err(|error| BulkError::disk(&place.path(layout::JOB), error))
    }

    /// The jobs that were given up for this one, which the server has accepted.
    pub fn given_up(&self) -> Option<GivenUp> {
        let status_urls = self.state.jobs_before();
        let is_accepted = self.state.phase != Phase::KickingOff;
        GivenUp::of(status_urls).filter(|_| is_accepted)
    }

    /// Forgets the export that was given up for this one.
    ///
    /// # Errors
    /// The disk.
    pub fn forget_before(&mut self) -> Result<(), BulkError> {
        if self.state.before.take().is_none() {
            return Ok(());
        }
        self.save()
    }

    /// Gives the export up: what came of it stays until another one is complete.
    ///
    /// # Errors
    /// The disk.
    pub fn give_up(&mut self) -> Result<GivenUp, BulkError> {
        let mut status_urls = self.state.jobs_before();
        status_urls.extend(self.state.status_url.clone());
        self.state.phase = Phase::Cancelled;
        self.save()?;
        Ok(GivenUp { status_urls })
    }

    /// The server did not end the job: the export is in the phase it was in.
    ///
    /// # Errors
    /// The disk.
    pub fn take_back(&mut self, phase: Phase) -> Result<(), BulkError> {
        self.state.phase = phase;
        self.save()
    }

    /// The server has ended the jobs of an export that was given up.
    ///
    /// # Errors
    /// The disk.
    pub fn gave_up(&mut self, _: &GivenUp) -> Result<(), BulkError> {
        self.state.status_url = None;
        self.state.before = None;
        self.save()
    }
}
