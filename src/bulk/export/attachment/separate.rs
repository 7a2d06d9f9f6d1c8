//! Attachments as files of their own: some at a time, in batches to the disk. A file that has its name is complete.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};
use url::Url;

use super::fetch::Fetched;
use super::find::Found;
use super::judge::Judge;
use super::lines::{self, Lines, Short};
use super::{Absent, Source, files, find, index, name};
use crate::bulk::export::error::BulkError;
use crate::bulk::export::event::{Attachments, Observer};
use crate::bulk::export::fetch::part::Part;
use crate::bulk::export::settle::{self, Landing};
use crate::bulk::export::state::Job;
use crate::place::{self, Landed};

/// Complete files that wait for the disk; more would hold too many files open.
const MOST_LANDING: usize = 128;

/// One to fetch.
struct Next {
    found: Found,
    resource: String,
    url: Url,
    path: PathBuf,
}

/// The bytes of one, in its part.
struct Came {
    landing: Landing,
    bytes: u64,
    /// Whether they are what the resource says.
    is_good: bool,
}

/// The attachments of the files on disk, one after the other, none twice.
struct Search {
    files: VecDeque<PathBuf>,
    lines: Option<Lines>,
    ready: VecDeque<(String, Found)>,
    /// Hashes of the paths that were found.
    seen: HashSet<u128>,
}

// Long because search, fetch and landing take turns in one select.
pub(super) async fn all(
    source: &Source,
    job: &mut Job,
    observer: &Arc<dyn Observer>,
) -> Result<Attachments, BulkError> {
    let folder = job.folder().to_owned();
    let disk = |source| BulkError::disk(&folder, source);
    let ended = |error: JoinError| disk(io::Error::other(error));
    let mut summary = Attachments::default();
    let mut absent: HashMap<PathBuf, Absent> = HashMap::new();
    let mut search = Search {
        files: files(job)?.into_iter().map(|(_, path)| path).collect(),
        lines: None,
        ready: VecDeque::new(),
        seen: HashSet::new(),
    };
    let mut is_over = false;
    let mut tasks = JoinSet::new();
    let mut complete: Vec<(Next, Came)> = Vec::new();
    let mut judge = Judge::new(source.verify);
    // Bytes that came, and are not what the first resource says.
    let mut different: HashMap<PathBuf, u64> = HashMap::new();
    let mut landings = JoinSet::new();
    loop {
        while !is_over && tasks.len() < source.gate.limit() && complete.len() < MOST_LANDING {
            let Some(next) = search
                .next(source, job, &mut summary, &mut absent, &**observer)
                .map_err(disk)?
            else {
                is_over = true;
                break;
            };
            let (source, observer) = (source.clone(), Arc::clone(observer));
            let part = Part::new(&job.parts(), &next.path);
            let path = job.folder().join(&next.path);
            tasks.spawn(async move {
                let fetched = fetch(&source, &next, part, path, &*observer).await;
                (next, fetched)
            });
        }
        if landings.is_empty() && !complete.is_empty() {
            let batch = std::mem::take(&mut complete);
            let named = batch.iter().map(|(next, came)| {
                let part = came.landing.part.path();
                (next.path.clone(), part.to_owned())
            });
            let named: Vec<_> = named.collect();
            let (files, batch): (Vec<_>, Vec<_>) = batch
                .into_iter()
                .map(|(next, came)| ((next, came.bytes, came.is_good), came.landing))
                .unzip();
            let record = job.record_others(named)?;
            landings.spawn_blocking(move || {
                let (landed, records) = settle::land(batch, record)?;
                let files: Vec<_> = files.into_iter().zip(landed).collect();
                Ok((files, records))
            });
        }
        tokio::select! {
            Some(task) = tasks.join_next() => {
                let (next, fetched) = task.map_err(ended)?;
                match fetched? {
                    Ok(came) => complete.push((next, came)),
                    Err(why) => {
                        summary.count(&why, &next.found.element, &next.resource, &**observer);
                        absent.insert(next.path, why);
                    }
                }
            }
            Some(landed) = landings.join_next() => {
                let landed = landed.map_err(ended)?;
                let (files, records) = landed.map_err(|(path, error)| BulkError::disk(&path, error))?;
                job.recorded_others(&records)?;
                for ((next, bytes, is_good), landed) in files {
                    if landed == Landed::InTheWay {
                        let why = in_the_way();
                        summary.count(&why, &next.found.element, &next.resource, &**observer);
                        absent.insert(next.path, why);
                    } else {
                        summary.here += 1;
                        summary.bytes += bytes;
                        if is_good {
                            judge.is_good(&next.path, &next.found);
                        } else {
                            different.insert(next.path, bytes);
                        }
                    }
                }
            }
            else => break,
        }
    }
    index::write(source, job, &absent, &mut judge, &mut summary, &**observer)?;
    for path in judge.wanted_by_none() {
        job.take_away(&path).map_err(disk)?;
        summary.here = summary.here.saturating_sub(1);
        summary.bytes -= different.remove(&path).unwrap_or_default();
    }
    Ok(summary)
}

/// Something lies where an attachment goes that is none of this export's.
fn in_the_way() -> Absent {
    Absent::Missing(
        "something else has the name of its file; move it away and run the same command again"
            .into(),
    )
}

/// Fetches the bytes of one into its part.
async fn fetch(
    source: &Source,
    next: &Next,
    part: Part,
    path: PathBuf,
    observer: &dyn Observer,
) -> Result<Result<Came, Absent>, BulkError> {
    let disk = |source| BulkError::disk(&path, source);
    let target = || part.create().map(BufWriter::new).map_err(disk);
    let fetched = source.fetch(&next.found, &next.url, observer, target);
    let (writer, is_good) = match fetched.await? {
        Fetched::Here(writer) => (writer, true),
        // Whether any other resource takes it is known when all were seen.
        Fetched::Different(writer, _) => (writer, false),
        Fetched::Absent(absent) => {
            part.remove();
            return Ok(Err(absent));
        }
    };
    let file = writer
        .into_inner()
        .map_err(|error| disk(error.into_error()))?;
    let bytes = file.metadata().map_err(disk)?.len();
    let landing = Landing {
        file,
        part,
        path,
        replaces: Vec::new(),
    };
    Ok(Ok(Came {
        landing,
        bytes,
        is_good,
    }))
}

impl Search {
    /// The next one that is wanted and not here.
    fn next(
        &mut self,
        source: &Source,
        job: &Job,
        summary: &mut Attachments,
        absent: &mut HashMap<PathBuf, Absent>,
        observer: &dyn Observer,
    ) -> io::Result<Option<Next>> {
        while let Some((resource, found)) = self.found(summary, observer)? {
            let Ok(url) = source.wants(&found) else {
                summary.left_out += 1;
                continue;
            };
            let path = name::path(&url, found.content_type.as_deref());
            if !self.seen.insert(name::hash_of(&path)) {
                continue;
            }
            if job.is_ours(&path) {
                summary.here += 1;
                continue;
            }
            if place::is_there(&job.folder().join(&path)) {
                let why = in_the_way();
                summary.count(&why, &found.element, &resource, observer);
                absent.insert(path, why);
                continue;
            }
            return Ok(Some(Next {
                found,
                resource,
                url,
                path,
            }));
        }
        Ok(None)
    }

    fn found(
        &mut self,
        summary: &mut Attachments,
        observer: &dyn Observer,
    ) -> io::Result<Option<(String, Found)>> {
        loop {
            if let Some(next) = self.ready.pop_front() {
                return Ok(Some(next));
            }
            let Some(lines) = &mut self.lines else {
                let Some(path) = self.files.pop_front() else {
                    return Ok(None);
                };
                self.lines = Some(Lines::of(&path)?);
                continue;
            };
            match lines.next_short()? {
                None => self.lines = None,
                Some(Short::TooLong) => {
                    let absent = Absent::Missing(lines::TOO_LONG.to_owned());
                    let resource = format!("line {} of a file", lines.number);
                    summary.count(&absent, "the content", &resource, observer);
                }
                Some(Short::Line(line)) => {
                    if let Some(of_line) = find::in_line(&line) {
                        let resource = of_line.resource;
                        let found = of_line.attachments.into_iter();
                        self.ready
                            .extend(found.map(|found| (resource.clone(), found)));
                    }
                }
            }
        }
    }
}
