//! All files of a manifest: some at a time, in batches to the disk, with fresh links when theirs are over.

mod again;
mod alike;
mod asked;
pub mod gate;
pub mod one;
pub mod ongoing;
pub mod part;
mod promised;
mod results;

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};

use super::error::BulkError;
use super::event::{ExportedFile, FailedFile, Observer};
use super::options::How;
use super::settle::{self, Landing};
use super::state::{Job, Planned, Recorded};
use super::wait::Links;
use crate::fhir::Client;
use crate::place::Landed;
use crate::secret;
use again::{Budget, Fresh};
use alike::Alike;
use gate::Gate;
use one::{Download, Fetched};
pub use results::Results;
use results::Settled;

/// Complete files that wait for the disk; more would hold too many files open.
const MOST_LANDING: usize = 128;

/// Files by their place in the manifest.
type Files = Vec<(usize, ExportedFile)>;

/// A batch: its files, what came of each, and their records.
type Batch = (Files, Vec<Landed>, Vec<Recorded>);

/// What came of one list of files.
enum Tried {
    Files(Results),
    /// The server lists others by now.
    Another,
}

/// The files under way.
struct Fetching<'a> {
    client: &'a Client,
    job: &'a mut Job,
    how: How,
    observer: &'a Arc<dyn Observer>,
    announce: bool,
    gate: Arc<Gate>,
    /// The next entry of the plan that nobody has looked at.
    next: usize,
    /// Those that are tried once more.
    again: VecDeque<usize>,
    tasks: JoinSet<Result<(usize, u32, Fetched), BulkError>>,
    /// Complete, not durable yet.
    complete: Vec<(usize, Box<(Landing, ExportedFile)>)>,
    disk: JoinSet<Result<Batch, (PathBuf, std::io::Error)>>,
    settled: Settled,
    /// How often the links were read again.
    generation: u32,
    /// How often that changed nothing.
    futile: u32,
    /// The number of files that had landed when a file's link was last read again.
    refreshed: HashMap<usize, usize>,
    landed: usize,
    budget: &'a mut Budget,
    alike: Alike,
}

/// Fetches all files that are missing.
///
/// # Errors
/// What stops the whole export: the disk, or no token.
pub(super) async fn all<L: Links>(
    client: &Client,
    job: &mut Job,
    how: How,
    links: &L,
    observer: &Arc<dyn Observer>,
    announce: bool,
) -> Result<Results, BulkError> {
    let mut budget = Budget::default();
    loop {
        let mut fetching = Fetching::of(client, job, how, observer, announce, &mut budget)?;
        let tried = fetching.run(links).await;
        if tried.is_err() {
            // What is complete is not thrown away, whatever stopped the others.
            fetching.tasks.shutdown().await;
            let _ = fetching.land_the_rest().await;
        }
        match tried? {
            Tried::Files(results) => return Ok(results),
            Tried::Another => {
                let time = job.state.transaction_time.as_deref();
                observer.listed(job.listed(), time);
            }
        }
    }
}

fn ended(job: &Job, error: JoinError) -> BulkError {
    BulkError::disk(job.folder(), std::io::Error::other(error))
}

impl<'a> Fetching<'a> {
    /// The files of the plan as it is: what is here, what is listed no more, and what is to be fetched.
    fn of(
        client: &'a Client,
        job: &'a mut Job,
        how: How,
        observer: &'a Arc<dyn Observer>,
        announce: bool,
        budget: &'a mut Budget,
    ) -> Result<Self, BulkError> {
        let mut settled = Settled::of(job.listed());
        let mut alike = Alike::default();
        for (at, planned) in job.each().enumerate() {
            let planned = planned?;
            if let Some(file) = job.exported(&planned) {
                alike.add(at, &file);
                settled.here(at, &file);
            } else if planned.vanished {
                let failure = FailedFile {
                    url: secret::url_without_query(&planned.file.link.url()),
                    path: job.target(&planned),
                    code: None,
                    is_content: true,
                    group: planned.file.group,
                    resource_type: planned.file.resource_type.as_deref().map(str::to_owned),
                    reason: "the server listed it before, and lists it no more".to_owned(),
                };
                observer.file_failed(&failure);
                settled.failed(at, &failure);
            }
        }
        Ok(Self {
            client,
            job,
            how,
            observer,
            announce,
            gate: Arc::new(Gate::new(how.parallel)),
            next: 0,
            again: VecDeque::new(),
            tasks: JoinSet::new(),
            complete: Vec::new(),
            disk: JoinSet::new(),
            settled,
            generation: 0,
            futile: 0,
            refreshed: HashMap::new(),
            landed: 0,
            budget,
            alike,
        })
    }

    async fn run(&mut self, links: &impl Links) -> Result<Tried, BulkError> {
        loop {
            self.start_some()?;
            tokio::select! {
                Some(task) = self.tasks.join_next() => {
                    let (index, generation, fetched) = task.map_err(|error| ended(self.job, error))??;
                    match fetched {
                        Fetched::Complete(complete) => self.came(index, complete)?,
                        Fetched::Failed { failure, by_link } => {
                            let link = if by_link {
                                self.fresh_link(index, generation, links).await?
                            } else {
                                Fresh::None
                            };
                            match link {
                                Fresh::Another => {
                                    self.give_way().await;
                                    return Ok(Tried::Another);
                                }
                                Fresh::Link => self.again.push_front(index),
                                Fresh::None if failure.code == Some(401) && self.is_shut_out(index)? => {
                                    return Err(BulkError::Unauthorized { reason: failure.reason });
                                }
                                Fresh::None => self.failed(index, &failure),
                            }
                        }
                    }
                }
                Some(batch) = self.disk.join_next() => {
                    let batch = batch.map_err(|error| ended(self.job, error))?;
                    self.landed(batch.map_err(|(path, error)| BulkError::disk(&path, error))?)?;
                }
                else => break,
            }
        }
        Ok(Tried::Files(std::mem::take(&mut self.settled).results()))
    }

    /// Waits for the disk, and brings it what is complete.
    async fn land_the_rest(&mut self) -> Result<(), BulkError> {
        loop {
            while let Some(batch) = self.disk.join_next().await {
                let batch = batch.map_err(|error| ended(self.job, error))?;
                self.landed(batch.map_err(|(path, error)| BulkError::disk(&path, error))?)?;
            }
            if self.complete.is_empty() {
                return Ok(());
            }
            self.land_some()?;
        }
    }

    /// Takes a file whose bytes are complete, unless another entry brought the same ones: then a file is missing.
    fn came(
        &mut self,
        index: usize,
        complete: Box<(Landing, ExportedFile)>,
    ) -> Result<(), BulkError> {
        if let Some(other) = self.alike.add(index, &complete.1) {
            let other = self.job.planned(other)?.path;
            let reason = format!(
                "the same bytes came for two entries of the manifest: this one and {}",
                other.display()
            );
            let file = &complete.1;
            let failure = FailedFile {
                url: secret::url_without_query(&self.job.planned(index)?.file.link.url()),
                path: file.path.clone(),
                code: None,
                is_content: true,
                group: file.group,
                resource_type: file.resource_type.clone(),
                reason,
            };
            complete.0.part.remove();
            self.observer.file_try_failed(&failure, None);
            self.failed(index, &failure);
            return Ok(());
        }
        self.complete.push((index, complete));
        Ok(())
    }

    fn failed(&mut self, index: usize, failure: &FailedFile) {
        self.observer.file_failed(failure);
        self.settled.failed(index, failure);
    }

    /// A file of which nothing is asked, or which stays in its part: its name is taken.
    fn is_in_the_way(&mut self, index: usize, planned: &Planned) {
        let failure = FailedFile {
            url: secret::url_without_query(&planned.file.link.url()),
            path: self.job.target(planned),
            code: None,
            is_content: false,
            group: planned.file.group,
            resource_type: planned.file.resource_type.as_deref().map(str::to_owned),
            reason: "something else is in the way; move it away and run the same command again"
                .into(),
        };
        self.failed(index, &failure);
    }

    /// The next file to try.
    fn next(&mut self) -> Option<usize> {
        let again = self.again.pop_front();
        again.or_else(|| {
            self.next = self.settled.next_open(self.next)?;
            self.next += 1;
            Some(self.next - 1)
        })
    }

    /// The list is another one: what is under way is of none any more.
    async fn give_way(&mut self) {
        self.tasks.shutdown().await;
    }

    /// Starts what may run now. Only what runs has a task: thousands of files must not cost thousands of tasks' memory.
    fn start_some(&mut self) -> Result<(), BulkError> {
        while self.tasks.len() < self.gate.limit()
            && self.complete.len() < MOST_LANDING
            && let Some(index) = self.next()
        {
            let planned = self.job.planned(index)?;
            if !self.job.is_free(&planned) {
                self.is_in_the_way(index, &planned);
                continue;
            }
            let (wanted, is_read) = (self.how.file_token, self.job.is_read());
            let download = Download {
                token: planned.file.link.token_rule(self.client, wanted, is_read),
                path: self.job.target(&planned),
                part: self.job.part(&planned),
                file: planned.file,
                verify: self.how.verify,
                checksum: self.how.checksum,
                is_mixed: self.job.is_mixed(),
                compress: self.how.compress,
                gate: Arc::clone(&self.gate),
            };
            let (client, observer) = (self.client.clone(), Arc::clone(self.observer));
            let generation = self.generation;
            self.tasks.spawn(async move {
                let fetched = download.run(&client, &*observer).await?;
                Ok((index, generation, fetched))
            });
        }
        if self.disk.is_empty() && !self.complete.is_empty() {
            self.land_some()?;
        }
        Ok(())
    }

    /// Brings what is complete to the disk, all at once.
    fn land_some(&mut self) -> Result<(), BulkError> {
        let batch = std::mem::take(&mut self.complete);
        let (mut landings, files): (Vec<Landing>, Files) = batch
            .into_iter()
            .map(|(index, complete)| (complete.0, (index, complete.1)))
            .unzip();
        for (landing, (_, file)) in landings.iter_mut().zip(&files) {
            landing.replaces = self.job.made_under(self.job.name_of(&file.path));
        }
        let record = self.job.record(&files)?;
        self.disk.spawn_blocking(move || {
            let (landed, records) = settle::land(landings, record)?;
            Ok((files, landed, records))
        });
        Ok(())
    }

    /// Whether a 401 to a file means that nothing more comes: it is the server's own, and the token is the only one.
    fn is_shut_out(&self, index: usize) -> Result<bool, BulkError> {
        let url = self.job.planned(index)?.file.link.url();
        Ok(self.client.is_own(&url) && self.client.tokens.is_fixed())
    }

    /// Takes files that are durable and have their names.
    fn landed(&mut self, (files, landed, records): Batch) -> Result<(), BulkError> {
        self.landed += files.len();
        self.budget.earn();
        self.job.recorded(records)?;
        for ((index, file), landed) in files.into_iter().zip(landed) {
            let planned = self.job.planned(index)?;
            if landed == Landed::InTheWay {
                self.is_in_the_way(index, &planned);
                continue;
            }
            self.observer.file_landed(&planned.file, &file);
            if self.announce {
                self.observer.file_done(&file);
            }
            self.settled.here(index, &file);
        }
        self.observer.batch_landed();
        Ok(())
    }
}
