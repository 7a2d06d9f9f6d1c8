//! Attachments inside their resources: a file is written again with what could be had, and takes the place of the first
//! one when it is durable and recorded. Every other byte of a line stays.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt;
use futures_util::future::try_join_all;
use futures_util::stream::FuturesOrdered;
use tokio::sync::Semaphore;

use super::fetch::Fetched;
use super::find::{self, Found};
use super::lines::{self, Lines, Short};
use super::spool::Spool;
use super::{Absent, Source, files};
use crate::bulk::digest::{Algorithm, Digest, Running};
use crate::bulk::export::error::BulkError;
use crate::bulk::export::event::{Attachments, Observer};
use crate::bulk::export::fetch::part::Part;
use crate::bulk::export::layout;
use crate::bulk::export::options::How;
use crate::bulk::export::settle::{self, Landing};
use crate::bulk::export::state::Job;
use crate::place::{Landed, Place};

/// Lines that are held at a time; their bytes, with one more line that may be long.
const MOST_LINES: usize = 64;
const MOST_HELD: usize = 4 << 20;

/// A line, and what came of its attachments.
struct Line {
    bytes: Vec<u8>,
    resource: String,
    results: Vec<(Found, Result<Spool, Absent>)>,
}

/// The file that is written again.
struct Target {
    writer: Writer,
    /// Of the lines.
    digest: Option<Running>,
}

enum Writer {
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
    for (index, path) in files(job)? {
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
    let planned = job.planned(index)?;
    if job.exported(&planned).is_none() {
        return Ok(());
    }
    let part = job.part(&planned);
    let file = part.create().map_err(disk)?;
    let mut target = Target::new(file, how);
    let mut lines = Lines::of(path).map_err(disk)?;
    let before = summary.here;
    let permits = Semaphore::new(how.parallel.max(1));
    let spools = job.place().within(layout::PARTS);
    let mut pending = FuturesOrdered::new();
    let (mut held, mut is_over, mut long) = (0, false, None);
    loop {
        while !is_over
            && long.is_none()
            && (pending.is_empty() || held < MOST_HELD && pending.len() < MOST_LINES)
        {
            match lines.next().map_err(disk)? {
                None => is_over = true,
                Some(lines::Line::Beginning(start)) => long = Some(start),
                Some(lines::Line::Whole(bytes)) => {
                    held += bytes.len();
                    pending.push_back(fill(source, bytes, &permits, &spools, &**observer));
                }
            }
        }
        if let Some(line) = pending.next().await {
            let line = line?;
            held -= line.bytes.len();
            put(line, &mut target, summary, &**observer).map_err(disk)?;
        } else if let Some(start) = long.take() {
            copy(start, &mut lines, &mut target).map_err(disk)?;
            let resource = format!("line {} of {}", lines.number, planned_name(path));
            let absent = Absent::Missing(lines::TOO_LONG.to_owned());
            summary.count(&absent, "the content", &resource, &**observer);
        } else {
            break;
        }
    }
    drop(pending);
    if summary.here == before {
        part.remove();
        return Ok(());
    }
    take_place(job, index, path, part, target).await
}

/// A line that is too long to be looked at stays as it is.
fn copy(start: Vec<u8>, lines: &mut Lines, target: &mut Target) -> io::Result<()> {
    target.write_all(&start)?;
    drop(start);
    lines.copy_rest(target)
}

/// The file with its contents takes the place of the one without.
async fn take_place(
    job: &mut Job,
    index: usize,
    path: &Path,
    part: Part,
    target: Target,
) -> Result<(), BulkError> {
    let disk = |source| BulkError::disk(path, source);
    let planned = job.planned(index)?;
    let Some(mut exported) = job.exported(&planned) else {
        return Ok(());
    };
    let (file, digest) = target.finish().map_err(disk)?;
    exported.bytes = file.metadata().map_err(disk)?.len();
    exported.digest = digest;
    let record = job.record(&[(index, exported)])?;
    let landing = Landing {
        file,
        part,
        path: path.to_owned(),
        replaces: job.made_under(&planned.path),
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
    job.recorded(records)
}

fn planned_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Whether any attachment of the file is elsewhere, or may be.
fn needs_work(path: &Path) -> io::Result<bool> {
    let mut lines = Lines::of(path)?;
    while let Some(line) = lines.next_short()? {
        let may_have = match line {
            Short::Line(line) => find::in_line(&line).is_some(),
            Short::TooLong => true,
        };
        if may_have {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A line with what could be had.
async fn fill(
    source: &Source,
    bytes: Vec<u8>,
    permits: &Semaphore,
    spools: &Place,
    observer: &dyn Observer,
) -> Result<Line, BulkError> {
    let Some(of_line) = find::in_line(&bytes) else {
        return Ok(Line {
            bytes,
            resource: String::new(),
            results: Vec::new(),
        });
    };
    let fetched = of_line.attachments.into_iter().map(|found| async move {
        let _permit = permits.acquire().await;
        let fetched = match source.wants(&found) {
            Ok(url) => {
                let target = || Ok(Spool::new(spools.clone()));
                match source.fetch(&found, &url, observer, target).await? {
                    Fetched::Here(content) => Ok(content),
                    Fetched::Different(_, absent) | Fetched::Absent(absent) => Err(absent),
                }
            }
            Err(absent) => Err(absent),
        };
        Ok::<_, BulkError>((found, fetched))
    });
    let mut results: Vec<_> = try_join_all(fetched).await?;
    results.sort_by_key(|(found, _): &(Found, _)| found.at);
    Ok(Line {
        bytes,
        resource: of_line.resource,
        results,
    })
}

/// Writes a line with its contents in their places; no other byte changes.
fn put(
    line: Line,
    target: &mut Target,
    summary: &mut Attachments,
    observer: &dyn Observer,
) -> io::Result<()> {
    let mut from = 0;
    for (found, result) in line.results {
        match result {
            Ok(content) => {
                summary.here += 1;
                summary.bytes += content.length();
                target.write_all(&line.bytes[from..found.at])?;
                target.write_all(b"\"data\":\"")?;
                let mut encoder = EncoderWriter::new(&mut *target, &STANDARD);
                content.copy_to(&mut encoder)?;
                encoder.finish()?;
                drop(encoder);
                target.write_all(b"\",")?;
                from = found.at;
            }
            Err(absent) => summary.count(&absent, &found.element, &line.resource, observer),
        }
    }
    target.write_all(&line.bytes[from..])
}

impl Target {
    fn new(file: File, how: How) -> Self {
        let file = BufWriter::with_capacity(256 << 10, file);
        let writer = if how.compress {
            Writer::Gzip(Box::new(GzEncoder::new(file, Compression::default())))
        } else {
            Writer::Plain(file)
        };
        let digest = how.checksum.algorithm().filter(|_| how.verify);
        Self {
            writer,
            digest: digest.map(Algorithm::begin),
        }
    }

    fn finish(self) -> io::Result<(File, Option<Digest>)> {
        let file = match self.writer {
            Writer::Plain(file) => file,
            Writer::Gzip(encoder) => encoder.finish()?,
        };
        let file = file
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        Ok((file, self.digest.map(Running::finish)))
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(digest) = &mut self.digest {
            digest.feed(bytes);
        }
        match &mut self.writer {
            Writer::Plain(file) => file.write_all(bytes)?,
            Writer::Gzip(encoder) => encoder.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.writer {
            Writer::Plain(file) => file.flush(),
            Writer::Gzip(encoder) => encoder.flush(),
        }
    }
}
