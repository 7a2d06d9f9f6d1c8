//! Where the lines of a file go: the line check, the count of outcomes, the digest, and the part on disk.

pub mod outcomes;
pub mod promise;
pub mod unwrap;

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::bulk::digest::{Algorithm, Digest, Running};
use crate::fhir::ndjson::{Checker, LineError, LineErrorKind};
use outcomes::{Counter, Outcomes};

const BUFFER: usize = 256 << 10;
/// What stands in place of data when something went wrong; where a manifest promises no type it must not pass for them.
const NO_DATA: [&str; 2] = ["OperationOutcome", "Bundle"];

/// What is done with the lines of a file.
#[derive(Clone, Copy, Debug)]
pub struct Care<'a> {
    /// Check lines: the resource type each must have, when one is known.
    pub check: Option<Option<&'a str>>,
    /// Whether lines may come inside a Binary.
    pub may_be_wrapped: bool,
    /// Count the issues of outcomes.
    pub outcomes: bool,
    /// Make a digest.
    pub digest: Option<Algorithm>,
    /// Write gzip.
    pub compress: bool,
}

/// The writing end of a part.
#[derive(Debug)]
pub struct Target {
    writer: Writer,
    checker: Option<Checker>,
    outcomes: Option<Counter>,
    digest: Option<Running>,
    bytes: u64,
    /// What is wrong with the lines, once something is.
    pub complaint: Option<String>,
}

#[derive(Debug)]
enum Writer {
    Plain(BufWriter<File>),
    Gzip(Box<GzEncoder<BufWriter<File>>>),
}

/// What came of the lines.
#[derive(Debug)]
pub struct Lines {
    pub file: File,
    /// Resources; `None` when lines were not checked.
    pub resources: Option<u64>,
    /// Bytes before compression.
    pub bytes: u64,
    pub outcomes: Outcomes,
    pub digest: Option<Digest>,
}

impl Target {
    /// A target that writes to the start of an empty file.
    pub fn new(file: File, care: Care<'_>) -> Self {
        let writer = BufWriter::with_capacity(BUFFER, file);
        Self {
            writer: if care.compress {
                Writer::Gzip(Box::new(GzEncoder::new(writer, Compression::default())))
            } else {
                Writer::Plain(writer)
            },
            checker: care.check.map(|expected| match expected {
                Some(expected) => Checker::new(Some(expected)),
                None => Checker::but_not(&NO_DATA),
            }),
            outcomes: care.outcomes.then(Counter::default),
            digest: care.digest.map(Algorithm::begin),
            bytes: 0,
            complaint: None,
        }
    }

    /// Takes up a file whose bytes are there already: they are read again, since what they hold must be known.
    ///
    /// # Errors
    /// The disk, or lines that are wrong.
    pub fn over(mut file: File, care: Care<'_>) -> io::Result<Self> {
        let mut reader = file.try_clone()?;
        io::Seek::rewind(&mut reader)?;
        let mut target = Self::new(file.try_clone()?, care);
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = reader.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            target.look_at(&buffer[..read])?;
        }
        io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
        Ok(target)
    }

    /// Bytes that came, before compression.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The resources of the lines that have ended, when lines are checked.
    pub fn resources(&self) -> u64 {
        self.checker.as_ref().map_or(0, Checker::resources)
    }

    /// Makes what came durable.
    ///
    /// # Errors
    /// The disk.
    pub fn sync(&mut self) -> io::Result<()> {
        match &mut self.writer {
            Writer::Plain(writer) => {
                writer.flush()?;
                writer.get_ref().sync_data()
            }
            // Nothing goes on behind a gzip stream that was cut.
            Writer::Gzip(_) => Ok(()),
        }
    }

    /// Ends the lines.
    ///
    /// # Errors
    /// The disk, or (as `complaint`) a last line that is wrong.
    pub fn finish(self) -> Result<Lines, Unfinished> {
        let resources = match self.checker {
            Some(checker) => {
                let summary = checker.finish();
                Some(
                    summary
                        .map_err(|error| Unfinished::Lines(in_words(&error)))?
                        .resources,
                )
            }
            None => None,
        };
        let file = match self.writer {
            Writer::Plain(writer) => writer.into_inner(),
            Writer::Gzip(encoder) => encoder.finish().map_err(Unfinished::Disk)?.into_inner(),
        };
        Ok(Lines {
            file: file.map_err(|error| Unfinished::Disk(error.into_error()))?,
            resources,
            bytes: self.bytes,
            outcomes: self.outcomes.map(Counter::finish).unwrap_or_default(),
            digest: self.digest.map(Running::finish),
        })
    }

    fn look_at(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(checker) = &mut self.checker
            && let Err(error) = checker.feed(bytes)
        {
            let words = in_words(&error);
            self.complaint = Some(words.clone());
            return Err(io::Error::other(words));
        }
        if let Some(outcomes) = &mut self.outcomes {
            outcomes.feed(bytes);
        }
        if let Some(digest) = &mut self.digest {
            digest.feed(bytes);
        }
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

/// What is wrong with a line; a file that is one JSON text over many lines is called that.
fn in_words(error: &LineError) -> String {
    let opens = |sample: &str| matches!(sample.trim(), "{" | "[");
    match &error.kind {
        LineErrorKind::NotJson { sample, .. } if error.line <= 2 && opens(sample) => {
            "it is JSON written over several lines, not NDJSON with a resource in each line".into()
        }
        LineErrorKind::NotJson { sample, .. } if sample.trim_start().starts_with('[') => {
            format!("it is a JSON list, not NDJSON with a resource in each line ({error})")
        }
        _ => error.to_string(),
    }
}

/// Why lines could not be ended.
#[derive(Debug)]
pub enum Unfinished {
    Disk(io::Error),
    Lines(String),
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.look_at(bytes)?;
        match &mut self.writer {
            Writer::Plain(writer) => writer.write_all(bytes)?,
            Writer::Gzip(encoder) => encoder.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.writer {
            Writer::Plain(writer) => writer.flush(),
            Writer::Gzip(encoder) => encoder.flush(),
        }
    }
}
