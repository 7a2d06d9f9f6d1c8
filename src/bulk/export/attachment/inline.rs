//! Attachments inside their resources: a file is written again with what could be had, and takes the place of the first
//! one when it is durable and recorded. Every other byte of a line stays.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt;
use futures_util::stream;

use super::find::{self, Found};
use super::lines::Lines;
use super::{Absent, Source, files};
use crate::bulk::export::error::BulkError;
use crate::bulk::export::event::{Attachments, Observer};
use crate::bulk::export::options::How;
use crate::bulk::export::settle::{self, Landed, Landing};
use crate::bulk::export::sink::promise::Hash;
use crate::bulk::export::state::Job;

/// A line, and what came of its attachments.
struct Line {
    bytes: Vec<u8>,
    resource: String,
    results: Vec<(Found, Result<u64, Absent>)>,
}

/// The file that is written again.
enum Target {
    Plain(BufWriter<File>),
    Gzip(Box<GzEncoder<BufWriter<File>>>),
}

pub(super) async fn all(
    source: &Source,
    job: &mut Job,
    how: How,
    observer: &Arc<dyn Observer>,
) -> Result<Attachments, BulkError> {
    let mut summary = Attachments::default();
    for (index, path) in files(job) {
        one(source, job, how, index, &path, observer, &mut summary).await?;
    }
    Ok(summary)
}

async fn one(
    source: &Source,
    job: &mut Job,
    how: How,
    index: usize,
    path: &Path,
    observer: &Arc<dyn Observer>,
    summary: &mut Attachments,
) -> Result<(), BulkError> {
    let disk = |source| BulkError::disk(path, source);
    if !needs_work(path).map_err(disk)? {
        return Ok(());
    }
    let planned = &job.planned[index];
    let Some(mut exported) = job.exported(planned) else {
        return Ok(());
    };
    let part = job.part(planned);
    let file = part.create().map_err(disk)?;
    let mut target = Target::new(file, how.compress);
    let mut hash = how.verify.then(Hash::default);
    let mut lines = Lines::of(path).map_err(disk)?;
    let lines = std::iter::from_fn(move || lines.next().transpose());
    let whole = stream::iter(lines).map(|line| fill(source, line, path, &**observer));
    let mut whole = std::pin::pin!(whole.buffered(how.parallel.max(1)));
    let before = summary.here;
    while let Some(line) = whole.next().await {
        let line = line?;
        for (found, result) in &line.results {
            match result {
                Ok(bytes) => {
                    summary.here += 1;
                    summary.bytes += bytes;
                }
                Err(absent) => summary.count(absent, found, &line.resource, &**observer),
            }
        }
        if let Some(hash) = &mut hash {
            hash.feed(&line.bytes);
        }
        target.write_all(&line.bytes).map_err(disk)?;
    }
    if summary.here == before {
        part.remove();
        return Ok(());
    }
    let file = target.finish().map_err(disk)?;
    exported.bytes = file.metadata().map_err(disk)?.len();
    exported.sha256 = hash.map(Hash::finish);
    let record = job.record(&[(index, exported)])?;
    let landing = Landing {
        file,
        part,
        path: path.to_owned(),
        replaces: job.made_under(&job.planned[index].path),
    };
    let landed = tokio::task::spawn_blocking(move || settle::land(vec![landing], record));
    let landed = landed
        .await
        .map_err(|error| disk(io::Error::other(error)))?;
    let (landed, records) = landed.map_err(|(path, error)| BulkError::disk(&path, error))?;
    if landed == [Landed::InTheWay] {
        return Err(BulkError::InTheWay {
            path: path.to_owned(),
        });
    }
    job.recorded(records);
    Ok(())
}

/// Whether any attachment of the file is elsewhere.
fn needs_work(path: &Path) -> io::Result<bool> {
    let mut lines = Lines::of(path)?;
    while let Some(line) = lines.next()? {
        if find::in_line(&line).is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A line with what could be had.
async fn fill(
    source: &Source,
    line: io::Result<Vec<u8>>,
    path: &Path,
    observer: &dyn Observer,
) -> Result<Line, BulkError> {
    let bytes = line.map_err(|source| BulkError::disk(path, source))?;
    let Some(of_line) = find::in_line(&bytes) else {
        return Ok(Line {
            bytes,
            resource: String::new(),
            results: Vec::new(),
        });
    };
    let mut results = Vec::new();
    let mut contents = Vec::new();
    for found in of_line.attachments {
        let fetched = match source.wants(&found) {
            Ok(url) => {
                let target = || Ok(Vec::new());
                source.fetch(&found, &url, observer, target).await?
            }
            Err(absent) => Err(absent),
        };
        let result = fetched.map(|content| {
            contents.push((found.at, STANDARD.encode(&content)));
            content.len() as u64
        });
        results.push((found, result));
    }
    contents.sort_by_key(|(at, _)| *at);
    Ok(Line {
        bytes: find::with_data(&bytes, &contents),
        resource: of_line.resource,
        results,
    })
}

impl Target {
    fn new(file: File, compress: bool) -> Self {
        let file = BufWriter::with_capacity(256 << 10, file);
        if compress {
            Self::Gzip(Box::new(GzEncoder::new(file, Compression::default())))
        } else {
            Self::Plain(file)
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<File> {
        let file = match self {
            Self::Plain(file) => file,
            Self::Gzip(encoder) => encoder.finish()?,
        };
        file.into_inner()
            .map_err(std::io::IntoInnerError::into_error)
    }
}
