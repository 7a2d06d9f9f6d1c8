//! One input: a file or stdin, plain or gzip, and its pieces one after the other.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::bulk::import::ImportError;
use crate::bulk::import::piece::{Item, Piece};
use crate::bulk::import::read::bundle::{self, Shape};
use crate::bulk::import::read::line;

/// Bytes that are read at a time.
const BUFFER: usize = 256 * 1024;
/// No line may be longer: a resource has to fit into memory.
const LONGEST_LINE: usize = 128 << 20;
/// How gzip begins (RFC 1952 §2.3.1).
const GZIP: &[u8] = b"\x1f\x8b";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One file, or stdin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// `None` is stdin.
    pub path: Option<PathBuf>,
    /// By its name, or because it holds lines.
    pub is_ndjson: bool,
    pub is_gzip: bool,
    /// Whether each resource becomes a new one, so that an entry's `ifNoneExist` would be lost.
    pub creates_anew: bool,
}

impl Input {
    pub(super) fn of(path: PathBuf) -> Self {
        let extension = |path: &Path| path.extension().unwrap_or_default().to_ascii_lowercase();
        let is_gzip = extension(&path) == "gz";
        let inner = if is_gzip {
            path.with_extension("")
        } else {
            path.clone()
        };
        let is_json = extension(&inner) == "json";
        Self {
            path: Some(path),
            is_ndjson: !is_json,
            is_gzip,
            creates_anew: false,
        }
    }

    /// The input as messages name it.
    pub fn name(&self) -> String {
        self.path
            .as_ref()
            .map_or_else(|| "-".to_owned(), |path| path.display().to_string())
    }

    /// Where an item of this input stands, for messages.
    pub fn place_of(&self, item: &Item) -> String {
        let unit = if self.is_ndjson { "line" } else { "entry" };
        let id = item.id.as_deref().unwrap_or_default();
        match (&*item.resource_type, id) {
            ("", _) => format!("{} {unit} {}", self.name(), item.line),
            (kind, "") => format!("{kind} ({} {unit} {})", self.name(), item.line),
            (kind, id) => format!("{kind}/{id} ({} {unit} {})", self.name(), item.line),
        }
    }

    pub(super) fn error(&self, source: io::Error) -> ImportError {
        ImportError::Input {
            name: self.name(),
            source,
        }
    }

    pub(super) fn open(&self) -> io::Result<Box<dyn BufRead>> {
        let Some(path) = &self.path else {
            let mut stdin = BufReader::with_capacity(BUFFER, io::stdin());
            // It has no name that tells; no text begins like that.
            let is_gzip = stdin.fill_buf()?.starts_with(GZIP);
            return Ok(if is_gzip {
                Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(stdin)))
            } else {
                Box::new(stdin)
            });
        };
        let file = BufReader::with_capacity(BUFFER, File::open(path)?);
        Ok(if self.is_gzip {
            Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(file)))
        } else {
            Box::new(file)
        })
    }

    /// Visits the pieces in their order, each with its line (of a Bundle: its entry), from 1.
    ///
    /// # Errors
    /// The input cannot be read, is cut short, or what `visit` says.
    pub fn visit(
        &self,
        visit: &mut dyn FnMut(u64, Piece) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        if self.is_ndjson {
            return self.visit_lines(visit);
        }
        let shape = bundle::shape(self.open().map_err(|error| self.error(error))?);
        let reader = self.open().map_err(|error| self.error(error))?;
        match shape.map_err(|error| self.error(error))? {
            Shape::Entries => {
                let problem = |error| self.error(error);
                bundle::visit(reader, self.creates_anew, problem, visit)
            }
            Shape::Resource => {
                let mut text = Vec::new();
                let limit = LONGEST_LINE as u64 + 1;
                reader
                    .take(limit)
                    .read_to_end(&mut text)
                    .map_err(|error| self.error(error))?;
                if text.len() > LONGEST_LINE {
                    return Err(self.error(too_long(1)));
                }
                let text = line::trimmed(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text));
                if text.is_empty() {
                    return Ok(());
                }
                visit_resource(1, text, visit)
            }
        }
    }

    fn visit_lines(
        &self,
        visit: &mut dyn FnMut(u64, Piece) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let mut reader = self.open().map_err(|error| self.error(error))?;
        let (mut text, mut number) = (Vec::new(), 0);
        loop {
            text.clear();
            number += 1;
            let limit = LONGEST_LINE as u64 + 1;
            let length = (&mut reader)
                .take(limit)
                .read_until(b'\n', &mut text)
                .map_err(|error| self.error(error))?;
            if length == 0 {
                return Ok(());
            }
            if length > LONGEST_LINE {
                return Err(self.error(too_long(number)));
            }
            let mut line = &text[..];
            if number == 1 {
                line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
            }
            let line = line::trimmed(line);
            if !line.is_empty() {
                visit_resource(number, line, visit)?;
            }
        }
    }
}

fn too_long(line: u64) -> io::Error {
    io::Error::other(format!("line {line} is longer than {LONGEST_LINE} bytes"))
}

/// A whole resource; a transaction of nothing but deletions is what Bulk Data's `deleted` files hold (IG, "deleted").
fn visit_resource(
    number: u64,
    text: &[u8],
    visit: &mut dyn FnMut(u64, Piece) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    if line::quick_type(text) == "Bundle"
        && let Some(deletions) = bundle::deletions(text)
    {
        return deletions.into_iter().try_for_each(|deletion| {
            let piece = match deletion {
                Ok(url) => Piece::Deletion { url },
                Err(problem) => Piece::Bad { text, problem },
            };
            visit(number, piece)
        });
    }
    visit(
        number,
        Piece::Resource {
            text,
            full_url: None,
        },
    )
}
