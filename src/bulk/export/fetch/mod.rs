//! All files of a manifest: some at a time, in batches to the disk, with fresh links when theirs are over.

pub mod gate;
pub mod one;
pub mod ongoing;
pub mod part;

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};
use url::Url;

use super::error::BulkError;
use super::event::{ExportedFile, FailedFile, Observer};
use super::manifest::Manifest;
use super::options::How;
use super::same::matched;
use super::settle::{self, Landed, Landing};
use super::state::{Done, Job};
use crate::fhir::Client;
use crate::secret;
use gate::Gate;
use one::{Download, Fetched};

/// Complete files that wait for the disk; more would hold too many files open.
const MOST_LANDING: usize = 128;
/// How often links are read again although that changed nothing.
const MOST_FUTILE: u32 = 3;

/// Files by their place in the manifest.
type Files = Vec<(usize, ExportedFile)>;

/// A batch: its files, what came of each, and their records.
type Batch = (Files, Vec<Landed>, Vec<Done>);

/// What came of the files, in manifest order.
pub type Results = Vec<Result<ExportedFile, FailedFile>>;

/// Reads the manifest of the job again.
pub trait Links: Send + Sync {
    /// The manifest as it is now; `None` when it cannot be had.
    fn read(&self) -> impl Future<Output = Option<Manifest>> + Send;
}

/// The files under way.
struct Fetching<'a> {
    client: &'a Client,
    job: &'a mut Job,
    how: How,
    observer: &'a Arc<dyn Observer>,
    announce: bool,
    gate: Arc<Gate>,
    waiting: VecDeque<usize>,
    tasks: JoinSet<Result<(usize, u32, Fetched), BulkError>>,
    /// Complete, not durable yet.
    complete: Vec<(usize, Box<(Landing, ExportedFile)>)>,
    disk: JoinSet<Result<Batch, (PathBuf, std::io::Error)>>,
    results: Vec<Option<Result<ExportedFile, FailedFile>>>,
    /// How often the links were read again.
    generation: u32,
    /// How often that changed nothing.
    futile: u32,
    /// The number of files that had landed when a file's link was last read again.
    refreshed: HashMap<usize, usize>,
    landed: usize,
}

/// Fetches all files that are missing.
///
/// # Errors
/// What stops the whole export: the disk, or no token.
pub async fn all<L: Links>(
    client: &Client,
    job: &mut Job,
    how: How,
    links: &L,
    observer: &Arc<dyn Observer>,
    announce: bool,
) -> Result<Results, BulkError> {
    let mut results: Vec<Option<_>> = Vec::new();
    results.resize_with(job.planned.len(), || None);
    for (result, planned) in results.iter_mut().zip(&job.planned) {
        *result = job.exported(planned).map(Ok);
    }
    let waiting = (0..results.len())
        .filter(|index| results[*index].is_none())
        .collect();
    let mut fetching = Fetching {
        client,
        job,
        how,
        observer,
        announce,
        gate: Arc::new(Gate::new(how.parallel)),
        waiting,
        tasks: JoinSet::new(),
        complete: Vec::new(),
        disk: JoinSet::new(),
        results,
        generation: 0,
        futile: 0,
        refreshed: HashMap::new(),
        landed: 0,
    };
    if let Err(error) = fetching.run(links).await {
        // What is complete is not thrown away, whatever stopped the others.
        fetching.tasks.shutdown().await;
        let _ = fetching.land_the_rest().await;
        return Err(error);
    }
    Ok(fetching.results.into_iter().flatten().collect())
}

fn ended(job: &Job, error: JoinError) -> BulkError {
    BulkError::disk(job.folder(), std::io::Error::other(error))
}

impl Fetching<'_> {
    async fn run(&mut self, links: &impl Links) -> Result<(), BulkError> {
        loop {
            self.start_some()?;
            tokio::select! {
                Some(task) = self.tasks.join_next() => {
                    let (index, generation, fetched) = task.map_err(|error| ended(self.job, error))??;
                    match fetched {
                        Fetched::Complete(complete) => self.complete.push((index, complete)),
                        Fetched::Failed { failure, by_link } => {
                            let again = by_link && self.has_fresh_link(index, generation, links).await?;
                            if again {
                                self.waiting.push_front(index);
                            } else if failure.code == Some(401) && self.is_shut_out(index) {
                                return Err(BulkError::Unauthorized { reason: failure.reason });
                            } else {
                                self.failed(index, failure);
                            }
                        }
                    }
                }
                Some(batch) = self.disk.join_next() => {
                    let batch = batch.map_err(|error| ended(self.job, error))?;
                    self.landed(batch.map_err(|(path, error)| BulkError::disk(&path, error))?);
                }
                else => return Ok(()),
            }
        }
    }

    /// Waits for the disk, and brings it what is complete.
    async fn land_the_rest(&mut self) -> Result<(), BulkError> {
        loop {
            while let Some(batch) = self.disk.join_next().await {
                let batch = batch.map_err(|error| ended(self.job, error))?;
                self.landed(batch.map_err(|(path, error)| BulkError::disk(&path, error))?);
            }
            if self.complete.is_empty() {
                return Ok(());
            }
            self.land_some()?;
        }
    }

    fn failed(&mut self, index: usize, failure: FailedFile) {
        self.observer.file_failed(&failure);
        self.results[index] = Some(Err(failure));
    }

    /// A file of which nothing is asked, or which stays in its part: its name is taken.
    fn is_in_the_way(&mut self, index: usize) {
        let planned = &self.job.planned[index];
        let failure = FailedFile {
            url: secret::url_for_people(&planned.file.url),
            path: self.job.target(planned),
            code: None,
            is_content: false,
            group: planned.file.group,
            resource_type: planned.file.resource_type.clone(),
            reason: "something else is in the way; move it away and run the same command again"
                .into(),
        };
        self.failed(index, failure);
    }

    /// Starts what may run now. Only what runs has a task: thousands of files must not cost thousands of tasks' memory.
    fn start_some(&mut self) -> Result<(), BulkError> {
        while self.tasks.len() < self.gate.limit()
            && self.complete.len() < MOST_LANDING
            && let Some(index) = self.waiting.pop_front()
        {
            let planned = &self.job.planned[index];
            if !self.job.is_free(planned) {
                self.is_in_the_way(index);
                continue;
            }
            let download = Download {
                path: self.job.target(planned),
                part: self.job.part(planned),
                file: planned.file.clone(),
                verify: self.how.verify,
                is_mixed: self.job.is_mixed(),
                compress: self.how.compress,
                file_token: self.how.file_token,
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
        for (landing, (index, _)) in landings.iter_mut().zip(&files) {
            landing.replaces = self.job.made_under(&self.job.planned[*index].path);
        }
        let record = self.job.record(&files)?;
        self.disk.spawn_blocking(move || {
            let (landed, records) = settle::land(landings, record)?;
            Ok((files, landed, records))
        });
        Ok(())
    }

    /// Whether a 401 to a file means that nothing more comes: it is the server's own, and the token is the only one.
    fn is_shut_out(&self, index: usize) -> bool {
        let url = &self.job.planned[index].file.url;
        self.client.is_own(url) && self.client.tokens.is_fixed()
    }

    /// Takes files that are durable and have their names.
    fn landed(&mut self, (files, landed, records): Batch) {
        self.landed += files.len();
        self.job.recorded(records);
        for ((index, file), landed) in files.into_iter().zip(landed) {
            if landed == Landed::InTheWay {
                self.is_in_the_way(index);
                continue;
            }
            let planned = &self.job.planned[index];
            self.observer.file_landed(&planned.file, &file);
            if self.announce {
                self.observer.file_done(&file);
            }
            self.results[index] = Some(Ok(file));
        }
        self.observer.batch_landed();
    }

    /// Whether the file's link was read again after the one that failed, or is now.
    async fn has_fresh_link(
        &mut self,
        index: usize,
        generation: u32,
        links: &impl Links,
    ) -> Result<bool, BulkError> {
        if generation < self.generation {
            return Ok(true);
        }
        let before = self.refreshed.insert(index, self.landed);
        // A fresh link that fails too is read again only when others brought files meanwhile.
        if before == Some(self.landed) || self.futile >= MOST_FUTILE {
            return Ok(false);
        }
        let Some(manifest) = links.read().await else {
            self.futile = MOST_FUTILE;
            return Ok(false);
        };
        self.generation += 1;
        let planned = &self.job.planned;
        let mut fresh: Vec<Url> = planned.iter().map(|known| known.file.url.clone()).collect();
        let places = matched(planned, &manifest.files);
        for (file, place) in manifest.files.into_iter().zip(places) {
            if let Some(place) = place {
                fresh[place] = file.url;
            }
        }
        let are_other = !planned.iter().map(|planned| &planned.file.url).eq(&fresh);
        if are_other {
            self.job.relinked(fresh)?;
            self.observer
                .notice("The links to the files were over; the server gave fresh ones.");
        } else {
            // Reading them may have made the same links good again.
            self.futile += 1;
        }
        Ok(true)
    }
}
